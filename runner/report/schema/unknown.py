"""Fields that only a later version or another tool knows: kept when a report is loaded and written again.

Records keep them by pydantic's own ``extra="allow"``. Dataclasses (`runner.extensible`) keep them when they are
loaded, and pydantic leaves them out when it writes: ``WITH_UNKNOWN`` puts them back.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from pydantic import SerializerFunctionWrapHandler, WrapSerializer

from runner.extensible import Extensible
from runner.report.schema.record import Record


def known_names(value: Record | Extensible) -> tuple[str, ...]:
    """Return the fields that this version knows."""
    if isinstance(value, Record):
        return tuple(type(value).model_fields)
    return tuple(field.name for field in fields(value)) if is_dataclass(value) else ()


def unknown_of(value: Record | Extensible) -> Mapping[str, object]:
    """Return the fields that this version does not know, by name."""
    if isinstance(value, Record):
        return value.model_extra or {}
    known = known_names(value)
    return {name: each for name, each in vars(value).items() if name not in known}


def _write(value: object, write: SerializerFunctionWrapHandler) -> Any:  # noqa: ANN401 - what pydantic passes on
    return _restored(value, write(value))


def _restored(value: object, written: Any) -> Any:  # noqa: ANN401 - the same
    """Return what was written of a value, with the unknown fields of every dataclass within it."""
    if isinstance(value, Extensible):
        known = {name: _restored(getattr(value, name), each) for name, each in written.items()}
        return {**known, **unknown_of(value)}
    if isinstance(value, tuple):
        return type(written)(_restored(*pair) for pair in zip(value, written, strict=True))
    return written


WITH_UNKNOWN: Final = WrapSerializer(_write)
"""annotates a field that holds dataclasses"""
