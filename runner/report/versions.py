"""The history of the format of ``report.json`` and ``journal.jsonl``, and the steps that bring old ones up to date.

Version 1 (2026-11)
    Frozen. Fields that a reader does not know are kept and no errors; within this version fields may only be added,
    each with a default that says "not known". No number is infinite or NaN. A ``resume`` line of a journal says
    the version of the lines behind it, because a newer joulebatch may go on with a run that an older one began.
    The content of version 0 is unchanged.

Version 0 (2026-10 to 2026-11)
    While the format was being made. Unknown fields were errors.

A new version gets a paragraph above, a step below, and a golden report (``python -m tests.golden.write``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runner.errors import FileError
from runner.report.schema import SCHEMA_VERSION

_DIGITS = 12
"""of a version that is shown; a file of others may hold any number"""
Raw = dict[str, Any]
"""an object as JSON holds it; a step may change it in place"""


@dataclass(frozen=True, slots=True)
class Step:
    """From one version to the next."""

    report: Callable[[Raw], Raw]
    """a whole report"""
    line: Callable[[Raw], Raw]
    """any line of a journal"""


def _unchanged(raw: Raw) -> Raw:
    return raw


STEPS: Final[Mapping[int, Step]] = {0: Step(report=_unchanged, line=_unchanged)}
"""by the version that a step begins with; one for every older version"""


def version_of(raw: object, default: int = SCHEMA_VERSION) -> int:
    """Return the version that an object states, in files of ours or of others; the default where it states none."""
    stated = raw.get("schema_version", default) if isinstance(raw, dict) else default
    # True is an int, too. What is no number is left to the schema, which says so.
    return stated if isinstance(stated, int) and not isinstance(stated, bool) else default


def check_version(what: str, version: int) -> None:
    """Raise the error of a version that this joulebatch cannot read.

    Raises:
        FileError: it is newer, or was never written.
    """
    if version == SCHEMA_VERSION or version in STEPS:
        return
    raise FileError(
        what,
        expected=f"schema version {SCHEMA_VERSION} or older",
        got=str(version)[:_DIGITS],
        fix="Upgrade joulebatch" if version > SCHEMA_VERSION else "",
    )


def upgraded_report(raw: Raw, version: int) -> Raw:
    """Return a whole report as this version writes it."""
    for number in range(version, SCHEMA_VERSION):
        raw = STEPS[number].report(raw)
    return {**raw, "schema_version": SCHEMA_VERSION} if version != SCHEMA_VERSION else raw


def upgraded_line(raw: Raw, version: int) -> Raw:
    """Return a line of a journal as this version writes it."""
    for number in range(version, SCHEMA_VERSION):
        raw = STEPS[number].line(raw)
    return {**raw, "schema_version": SCHEMA_VERSION} if raw.get("kind") == "header" else raw
