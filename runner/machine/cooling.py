"""Waiting until the CPU is as cool as it was, so that no cell is measured on a machine that others heated up."""

from collections.abc import Callable

from runner.clock import Clock

_WITHIN_CELSIUS = 2.0  # docs/measurement.md, section 4
_CAP_S = 30.0
"""Design choice: what does not cool down in this time is heated by something else (docs/measurement.md, section 4)."""
_STEP_S = 1.0
"""coretemp renews a temperature no more often (Linux ``drivers/hwmon/coretemp.c``)"""


class CoolDown:
    """Waits for the temperature of its first call; one that is lower needs no waiting.

    A machine that does not cool down to it has become another: what it reached then is waited for from there on.
    """

    def __init__(self, read_celsius: Callable[[], float | None], clock: Clock) -> None:
        self._read_celsius, self._clock = read_celsius, clock
        self.reference_celsius: float | None = None
        """what is waited for; None until a sensor answered"""
        self.hit_cap = False
        """whether the last wait ended before the temperature was reached"""

    def wait(self) -> float:
        """Return the seconds waited; 0 at the first call, which takes the reference, and without a sensor."""
        began_s, self.hit_cap = self._clock.now_s(), False
        if self.reference_celsius is None:
            self.reference_celsius = self._read_celsius()
            return 0.0
        while (
            celsius := self._read_celsius()
        ) is not None and celsius > self.reference_celsius + _WITHIN_CELSIUS:
            self.hit_cap = self._clock.now_s() - began_s >= _CAP_S
            if self.hit_cap:
                self.reference_celsius = celsius
                break
            self._clock.sleep_s(_STEP_S)
        return self._clock.now_s() - began_s
