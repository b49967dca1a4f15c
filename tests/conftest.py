"""What tests of all folders need: Hypothesis without time limits."""

import signal

from hypothesis import HealthCheck, settings

# On a machine that measures, or that others share, how long an example takes says nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Children inherit an ignored SIGHUP, as under nohup(1), and would not be interrupted by a terminal that closes.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
