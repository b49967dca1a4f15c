"""Conversion between the text people write and SI units; a leaf."""

import re
from decimal import Decimal
from math import inf

from runner.errors import UsageError

NS_PER_S = 1_000_000_000
UJ_PER_J = 1_000_000
BYTES_PER_MB = 1_000_000

_SECONDS_PER = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60)}
"""exact, unlike 1e-3: times that, 9 of ``9ms`` is not the number that 0.009 is"""
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m)\s*", re.IGNORECASE)
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


def parse_duration_s(text: str, flag: str) -> float:
    """Return seconds from text such as ``200ms``, ``30s`` or ``5m``.

    Raises:
        UsageError: no number with one of these units, zero, or more than a float holds.
    """
    match = _DURATION.fullmatch(text)
    seconds = float(Decimal(match[1]) * _SECONDS_PER[match[2].lower()]) if match else 0.0
    if not 0 < seconds < inf:
        raise UsageError(
            f"Cannot read {flag}",
            expected="a positive number with ms, s or m",
            got=repr(text),
            fix="Write for example 200ms, 30s or 5m",
        )
    return seconds


def duration_text(seconds: float) -> str:
    """Return seconds as ``parse_duration_s`` reads them, to the last digit: ``50ms`` below a second, else ``1.5s``."""
    shortest = Decimal(repr(float(seconds)))
    number, unit = (shortest * 1000, "ms") if seconds < 1 else (shortest, "s")
    return f"{number.normalize():f}{unit}"


def parse_percent_ratio(text: str, flag: str) -> float:
    """Return a ratio (0.02) from a percentage such as ``2%``.

    Raises:
        UsageError: no percentage above 0 and below 100.
    """
    match = _PERCENT.fullmatch(text)
    ratio = float(match[1]) / 100 if match else 0.0
    if not 0 < ratio < 1:
        raise UsageError(
            f"Cannot read {flag}",
            expected="a number above 0 and below 100 with a percent sign",
            got=repr(text),
            fix="Write for example 2%",
        )
    return ratio
