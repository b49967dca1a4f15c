"""Figures with limits as fields of a row."""

from runner.report.schema import Interval, Limits


def interval_fields(name: str, figure: Interval | None) -> dict[str, object]:
    """Return a figure and its 95 % limits, the limits named before the unit: the suffix stays the unit."""
    return {name: figure.mean if figure else None, **limits_fields(name, figure)}


def limits_fields(name: str, limits: Interval | Limits | None) -> dict[str, object]:
    """Return the limits alone."""
    return {
        f"low_{name}": limits.low if limits else None,
        f"high_{name}": limits.high if limits else None,
    }
