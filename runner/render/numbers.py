"""Numbers as text for people; the only place that formats them. Data for programs keeps full precision."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

NOTHING = "-"
"""no figure; never a zero"""
ESTIMATE = "~"

# The SI prefixes (SI brochure, 9th edition, table 7) that times, energies and rates of inference can need.
_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))
# Without an interval: three digits, as much as the best of these measurements carries (0.5 %).
_DEFAULT_DIGITS = 3
_MAX_DECIMALS = 9
_TOO_LARGE = 10_000  # a fifth digit in front of the point reads worse than a leading zero


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit with its SI prefix, and how many base units it holds."""

    unit: str
    base: float

    def text(self, value: float | None, half_width: float | None = None) -> str:
        """Return a value in this unit, without the unit."""
        if value is None:
            return NOTHING
        return digits(value / self.base, None if half_width is None else half_width / self.base)


_UNCLEAR = 4.0
"""high / low of an interval that tells next to nothing: known to a factor of two at best"""


def scale_for(unit: str, values: tuple[float, ...]) -> Scale:
    """Return the one scale for a column: smallest figure 1 or above, largest below 10,000."""
    sizes = [abs(value) for value in values if value]
    if not sizes:
        return Scale(unit, 1.0)
    index = next((i for i, (base, _) in enumerate(_PREFIXES) if min(sizes) >= base), len(_PREFIXES) - 1)
    if index and max(sizes) / _PREFIXES[index][0] >= _TOO_LARGE:
        index -= 1
    base, prefix = _PREFIXES[index]
    return Scale(prefix + unit, base)


def half_width(low: float | None, high: float | None) -> float | None:
    """Return half the width of an interval, or None without one."""
    return None if low is None or high is None else (high - low) / 2


def digits(value: float, half: float | None = None) -> str:
    """Return a number whose last digit is the first one that its interval's half-width makes uncertain.

    At least two significant digits stay: 74 +- 20 is 74 and not 70. Without a half-width there are three.
    """
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    leading = math.floor(math.log10(abs(value)))
    wanted = _DEFAULT_DIGITS - 1 - leading
    if half and 0 < half < math.inf:  # limits in a file may be exchanged
        wanted = max(1 - leading, min(-math.floor(math.log10(half)), wanted + 1))
    return f"{value:.{min(max(wanted, 0), _MAX_DECIMALS)}f}"


def tick(value: float) -> str:
    """Return a round number of an axis: ``0.5``, ``200``, ``1e+06``."""
    return f"{value:g}"


def quantity(value: float | None, unit: str, half: float | None = None) -> str:
    """Return a number with its unit and prefix: ``2.31 ms``."""
    if value is None:
        return NOTHING
    scale = scale_for(unit, (value,))
    return f"{scale.text(value, half)} {scale.unit}"


def interval(mean: float, low: float | None, high: float | None, scale: Scale) -> str:
    """Return a figure with its limits: ``2.31 [2.25, 2.37]``."""
    half = half_width(low, high)
    if half is None:
        return scale.text(mean)
    decimals = len(scale.text(mean, half).partition(".")[2])
    limits = (f"{limit / scale.base:.{decimals}f}" for limit in (low, high) if limit is not None)
    return f"{scale.text(mean, half)} [{', '.join(limits)}]"


def brief_ratio(value: float, low: float | None = None, high: float | None = None) -> str:
    """Return a ratio with its limits, or ``unclear`` where they are so far apart that digits would mislead."""
    if low is not None and high is not None and high > _UNCLEAR * low:
        return f"{value:.2g}x unclear"
    return ratio(value, low, high)


def ratio(value: float, low: float | None = None, high: float | None = None) -> str:
    """Return a ratio with its limits: ``0.84x [0.80, 0.88]``; nobody reads more than three digits before the point."""
    half = half_width(low, high)
    # Three decimals where two would print both limits alike, hide that it is not 1, or leave fewer than two digits.
    fine = abs(value - 1) < 0.05 if half is None else half < 0.005  # noqa: PLR2004 - five hundredths, half of 0.01
    decimals = 3 if fine or value < 0.1 else 2  # noqa: PLR2004 - 0.10
    if value >= 10:  # noqa: PLR2004 - three significant digits, as everywhere
        decimals = 1 if value < 100 else 0  # noqa: PLR2004 - the same
    if low is None or high is None:
        return f"{_up_to_1000(value, decimals)}x"
    limits = f"{_up_to_1000(low, decimals)}, {_up_to_1000(high, decimals)}"
    return f"{_up_to_1000(value, decimals)}x [{limits}]"


def _up_to_1000(value: float, decimals: int) -> str:
    """Return a ratio's number; of limits that nothing is known of, infinite ones included, only that they are large."""
    return ">1000" if value > 1000 else f"{value:.{decimals}f}"  # noqa: PLR2004 - as its name says


def figure(value: float) -> str:
    """Return a number of unknown kind, as a query returns it, with six digits: data formats have all of them."""
    return f"{value:.6g}"


def percent(value: float | None) -> str:
    """Return a ratio as a percentage: ``98.4 %``; in whole percents what has more digits before the point."""
    if value is None:
        return NOTHING
    shown = value * 100
    if math.isfinite(shown) and round(abs(shown)) >= 10**_DEFAULT_DIGITS:
        return f"{shown:.0f} %"
    return f"{shown:.{_DEFAULT_DIGITS}g} %"


def points(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return a difference between ratios in percentage points, with its limits: ``+2.6 [-0.8, +6.0]``."""
    if value is None:
        return NOTHING
    decimals = 1 if abs(value) >= 0.001 else 2  # noqa: PLR2004 - a tenth of a point, the last digit of accuracies
    shown = [f"{each * 100:+.{decimals}f}" for each in (value, low, high) if each is not None]
    return shown[0] if len(shown) == 1 else f"{shown[0]} [{', '.join(shown[1:])}]"


def span(values: Sequence[float], scale: Scale) -> str:
    """Return the smallest and the largest of some figures: ``55 to 61``."""
    if not values:
        return NOTHING
    low, high = scale.text(min(values)), scale.text(max(values))
    return low if low == high else f"{low} to {high}"


def probability(value: float | None) -> str:
    """Return a probability with two digits: ``0.013``, ``3.1e-05``."""
    return NOTHING if value is None else f"{value:.2g}"


def scientific(value: float | None) -> str:
    """Return a small error figure: ``3.1e-07``."""
    return NOTHING if value is None else f"{value:.1e}"


def amount(value: float) -> str:
    """Return how many of something there are, as 17.6 G (1e9), 576 M (1e6) or 12.3 k."""
    for base, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= base:
            return f"{digits(value / base)}{prefix}"
    return f"{value:.0f}"


def size(size_bytes: int) -> str:
    """Return a size in decimal megabytes or gigabytes, as files and memory are sold."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{digits(size_bytes / 1e6)} MB"  # noqa: PLR2004 - giga


def duration(seconds: float) -> str:
    """Return how long something took: ``48 s``, ``4 min 12 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{whole} s"
    minutes, rest_s = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return f"{minutes} min {rest_s} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(iso_text: str) -> str:
    """Return an ISO 8601 time to the minute in the run's own zone: ``2026-11-23 21:34 +0000``.

    ``reports list`` shows the heads of files that nobody has checked: what is no time is shown as it stands there.
    """
    try:
        return f"{datetime.fromisoformat(iso_text):%Y-%m-%d %H:%M %z}".rstrip()
    except ValueError:
        return iso_text
