"""Conversion between the text people write and SI units; a leaf."""

import re

from runner.errors import UsageError

NS_PER_S = 1_000_000_000
UJ_PER_J = 1_000_000
BYTES_PER_MB = 1_000_000

_SECONDS_PER = {"ms": 1e-3, "s": 1.0, "m": 60.0}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m)\s*", re.IGNORECASE)
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


def parse_duration_s(text: str, flag: str) -> float:
    """Return seconds from text such as ``200ms``, ``30s`` or ``5m``.

    Raises:
        UsageError: no number with one of these units, or zero.
    """
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _SECONDS_PER[match[2].lower()] if match else 0.0
    if seconds <= 0:
        raise UsageError(
            f"Cannot read {flag}",
            expected="a positive number with ms, s or m",
            got=repr(text),
            fix="Write for example 200ms, 30s or 5m",
        )
    return seconds


def duration_text(seconds: float) -> str:
    """Return seconds as ``parse_duration_s`` reads them: ``50ms`` below a second, else ``1.5s``."""
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{seconds:g}s"


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
