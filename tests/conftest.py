"""What tests of all folders need: Hypothesis without time limits."""

from hypothesis import HealthCheck, settings

# On a machine that measures, or that others share, how long an example takes says nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
