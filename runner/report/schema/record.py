"""What every part of a report is made of."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("expected a time with its zone")
    return text


Timestamp = Annotated[str, AfterValidator(_moment), Field(json_schema_extra={"format": "date-time"})]
"""ISO 8601 with zone"""
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
AboveZero = Annotated[float, Field(gt=0)]


class Record(BaseModel):
    """Base of every part: immutable, without infinite numbers; fields that only a later version knows are kept.

    What our own code misspells mypy finds, and `tests/runner/report/test_schema.py` in what it writes.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False, use_attribute_docstrings=True)


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
