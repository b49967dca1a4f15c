"""What every part of a report is made of."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Base of every part: immutable, and unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(Record):
    """A figure with its 95 % interval; the limits are null below two windows."""

    mean: float
    low: float | None
    high: float | None


class Limits(Record):
    """95 % limits of a figure."""

    low: float
    high: float


class RatioLimits(Record):
    """A ratio with its 95 % limits, null below two pairs."""

    ratio: float
    low: float | None
    high: float | None
    pair_count: int
