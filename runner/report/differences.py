"""The values of two reports side by side, and where they are not the same."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isclose
from typing import Any, Final

from pydantic_core import to_jsonable_python

from runner.extensible import Extensible
from runner.report.schema import Record, known_names

_TEXT_LENGTH: Final = 80
"""of a value in a difference; what a line of a terminal holds"""
_ABSENT: Final = object()

Pair = tuple[str, object, object]
"""where, what is archived, what was found"""
Wanted = Mapping[str, "Wanted | None"]
"""fields that are looked at, and which of theirs; None: all"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is not what it should be."""

    file: str
    field: str
    archived: str
    recomputed: str


def pairs(
    archived: object, recomputed: object, *, wanted: Wanted | None = None, written_only: bool = False
) -> Iterator[Pair]:
    """Yield the values of two records side by side; lists of unequal length as two lengths.

    Fields that this version does not know are passed over: it cannot say what they should be.

    Args:
        archived: a record, or anything within one.
        recomputed: the same, as it should be.
        wanted: which fields; all unless given.
        written_only: pass over the fields that the archived file does not have, as one of an older version.
    """
    return _Walk(written_only).pairs("", archived, recomputed, wanted)


@dataclass(frozen=True, slots=True)
class _Walk:
    written_only: bool

    def pairs(self, path: str, archived: Any, recomputed: Any, wanted: Wanted | None) -> Iterator[Pair]:  # noqa: ANN401 - whatever a report holds
        if isinstance(archived, Record | Extensible) and type(archived) is type(recomputed):
            for name in self._names(archived, wanted):
                inner = wanted[name] if wanted else None
                yield from self.pairs(
                    _join(path, name), getattr(archived, name), getattr(recomputed, name), inner
                )
        elif isinstance(archived, dict) and isinstance(recomputed, dict):
            for name in archived | recomputed:
                one, other = archived.get(name, _ABSENT), recomputed.get(name, _ABSENT)
                yield from self.pairs(_join(path, name), one, other, None)
        elif isinstance(archived, tuple | list) and isinstance(recomputed, tuple | list):
            if len(archived) != len(recomputed):
                yield path, f"{len(archived)} entries", f"{len(recomputed)} entries"
                return
            for place, (one, other) in enumerate(zip(archived, recomputed, strict=True)):
                yield from self.pairs(f"{path}[{getattr(one, 'key', place)}]", one, other, wanted)
        else:
            yield path, archived, recomputed

    def _names(self, archived: Record | Extensible, wanted: Wanted | None) -> Iterator[str]:
        written: Collection[str] | None = None
        if self.written_only and isinstance(archived, Record):
            written = archived.model_fields_set
        for name in known_names(archived):
            if (wanted is None or name in wanted) and (written is None or name in written):
                yield name


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def differences(file: str, found: Iterable[Pair], tolerance_ratio: float) -> Iterator[Difference]:
    """Yield the pairs whose values differ.

    Args:
        file: that holds what is archived.
        found: the values.
        tolerance_ratio: of floats.
    """
    for path, archived, recomputed in found:
        if not _agree(archived, recomputed, tolerance_ratio):
            yield Difference(file, path, shown(archived), shown(recomputed))


def _agree(archived: object, recomputed: object, tolerance_ratio: float) -> bool:
    if isinstance(archived, float) and isinstance(recomputed, float):
        return isclose(archived, recomputed, rel_tol=tolerance_ratio)
    return archived == recomputed


def shown(value: object) -> str:
    """Return a value as a difference shows it."""
    if value is _ABSENT:
        return "absent"
    text = value if isinstance(value, str) else json.dumps(to_jsonable_python(value))
    return text if len(text) <= _TEXT_LENGTH else f"{text[: _TEXT_LENGTH - 1]}…"
