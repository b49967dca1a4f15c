"""Whether an archived report says what its journal, its samples and its own windows say."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import isclose
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from runner.errors import FileError
from runner.hashing import hash_file
from runner.report.archive import CHECKSUMS_NAME, REPORT_NAME, load
from runner.report.assemble import Assembled, collect
from runner.report.derive import derive, without_figures
from runner.report.journal import JOURNAL_NAME, is_being_written, read_journal
from runner.report.samples import SAMPLES_NAME, SampledWindow, read_samples
from runner.report.schema import Report
from runner.stats.queueing import Replay

TOLERANCE_RATIO = 1e-9
"""of recomputed figures: other versions of numpy add up in another order, which costs some 1e-13 for 1e6 terms"""
_TEXT_LENGTH = 80
"""of a value in a difference; what a line of a terminal holds"""
_ABSENT: Final = object()
_FIGURES: Final[Any] = {
    "cells": {"__all__": {"key", "summary"}},
    "windows": {"__all__": {"outlier"}},
    "comparisons": True,
    "best_sets": True,
    "choices": True,
    "tests": True,
    "queue": {"cells": {"__all__": {"key", "summary", "prediction"}}, "comparisons": True, "tests": True},
    "minimum_detectable_ratio": True,
    "findings": True,
}
"""what ``derive`` fills in"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is not what it should be."""

    file: str
    field: str
    archived: str
    recomputed: str


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, and what was found."""

    subject: str
    count: int
    unit: str
    differences: tuple[Difference, ...]


def verify(folder: Path, renderings: Mapping[str, Callable[[Report], str]]) -> Iterator[Check]:
    """Yield the outcome of every check of a complete report, each as soon as it is known.

    Args:
        folder: of the report.
        renderings: by file name, what makes the text of that file.

    Raises:
        FileError: the report is not complete, or a file of it cannot be read.
    """
    if not (folder / REPORT_NAME).exists():
        raise _not_archived(folder)
    listed = _listed(folder)
    # What is neither listed nor there was not made by the version that archived the report.
    held = {name: make for name, make in renderings.items() if name in listed or (folder / name).exists()}
    yield _checksums(folder, listed, (JOURNAL_NAME, REPORT_NAME, SAMPLES_NAME, *held))
    report, journaled, samples = load(folder), collect(read_journal(folder)), read_samples(folder)
    yield _contents(report, journaled.report)
    yield _samples(report, journaled, samples)
    yield _figures(report, samples, journaled.replays)
    for name, render in held.items():
        yield _rendering(folder / name, render(report))


def _not_archived(folder: Path) -> FileError:
    running = is_being_written(folder)
    return FileError(
        f"Cannot verify {folder}",
        expected="a complete report",
        got=f"a run that is {'running' if running else 'interrupted'}: nothing was archived to verify against",
        fix="Wait for its end" if running else f"Finish it with: joulebatch run --resume {folder.name}",
    )


def _listed(folder: Path) -> dict[str, str]:
    """Return what ``SHA256SUMS`` says, by file."""
    path = folder / CHECKSUMS_NAME
    listed: dict[str, str] = {}
    for line in _read_text(path).splitlines():
        digest, separator, name = line.partition("  ")
        if not separator:
            raise FileError(f"Cannot read {path}", expected="lines as of sha256sum", got=repr(line))
        listed[name] = digest
    return listed


def _checksums(folder: Path, listed: Mapping[str, str], expected: Iterable[str]) -> Check:
    """Compare the files with ``SHA256SUMS``."""
    names = sorted({*expected} | listed.keys())
    differences = []
    for name in names:
        archived, found = listed.get(name, "not listed"), _hash(folder / name)
        if archived != found:
            differences.append(Difference(name, "sha256", archived, found))
    return Check(CHECKSUMS_NAME, len(names), "files", tuple(differences))


def _hash(path: Path) -> str:
    try:
        return hash_file(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _contents(report: Report, journaled: Report) -> Check:
    """Compare what was measured, every window included, with what the journal says."""
    archived, recomputed = (without_figures(each).model_dump(mode="json") for each in (report, journaled))
    return _compared(JOURNAL_NAME, "facts of report.json", archived, recomputed, tolerance_ratio=0)


def _samples(report: Report, journaled: Assembled, samples: Sequence[SampledWindow]) -> Check:
    """Compare the samples with the latencies in the journal and with the windows of the report."""
    by_window = {sampled.window: sampled for sampled in samples}
    differences: list[Difference] = []
    windows = journaled.report.windows
    for place, (window, latencies_s) in enumerate(zip(windows, journaled.latencies_s, strict=True)):
        archived: Any = {"cell": None, "block": None, "paired": None, "latencies_s": []}
        if sampled := by_window.pop(place, None):
            archived = {name: getattr(sampled, name) for name in archived}
            archived["latencies_s"] = list(sampled.latencies_s)
        recomputed = {name: getattr(window, name, None) for name in archived}
        recomputed["latencies_s"] = list(latencies_s)
        pairs = _pairs(f"window {place}", archived, recomputed)
        differences += _differences(SAMPLES_NAME, pairs, tolerance_ratio=0)
        if sampled and place < len(report.windows):
            mean_s = report.windows[place].latency_mean_s
            pair = (f"windows[{place}].latency_mean_s", mean_s, fmean(sampled.latencies_s))
            differences += _differences(REPORT_NAME, [pair], TOLERANCE_RATIO)
    differences += [Difference(SAMPLES_NAME, f"window {place}", "present", "absent") for place in by_window]
    count = sum(len(sampled.latencies_s) for sampled in samples)
    return Check(SAMPLES_NAME, count, "inferences", tuple(differences))


def _figures(report: Report, samples: Sequence[SampledWindow], replays: Sequence[Replay]) -> Check:
    """Compare every figure with the one that the report's windows and the samples give."""
    by_window = {sampled.window: sampled.latencies_s for sampled in samples}
    try:
        derived = derive(report, [by_window.get(place, ()) for place in range(len(report.windows))], replays)
    except (ArithmeticError, LookupError, ValueError) as error:  # what was tampered with need not make sense
        impossible = Difference(REPORT_NAME, "figures", "archived", f"cannot be computed: {error}")
        return Check(REPORT_NAME, 0, "figures", (impossible,))
    archived, recomputed = (each.model_dump(mode="json", include=_FIGURES) for each in (report, derived))
    return _compared(REPORT_NAME, "figures", archived, recomputed, TOLERANCE_RATIO)


def _rendering(path: Path, expected: str) -> Check:
    """Compare what is there for people with the rendering of the report, line by line."""
    archived, recomputed = _read_text(path).split("\n"), expected.split("\n")
    matcher = SequenceMatcher(a=archived, b=recomputed, autojunk=False)
    differences = tuple(
        Difference(
            path.name,
            f"line {first + 1}" if last - first < 2 else f"lines {first + 1} to {last}",  # noqa: PLR2004 - one line
            _text(" / ".join(archived[first:last])),
            _text(" / ".join(recomputed[begin:end])),
        )
        for operation, first, last, begin, end in matcher.get_opcodes()
        if operation != "equal"
    )
    return Check(path.name, len(recomputed), "lines", differences)


def _compared(subject: str, unit: str, archived: object, recomputed: object, tolerance_ratio: float) -> Check:
    pairs = tuple(_pairs("", archived, recomputed))
    return Check(subject, len(pairs), unit, tuple(_differences(REPORT_NAME, pairs, tolerance_ratio)))


def _pairs(path: str, archived: object, recomputed: object) -> Iterator[tuple[str, object, object]]:
    """Yield the values of two trees side by side, each with its path; lists of unequal length as two lengths."""
    if isinstance(archived, dict) and isinstance(recomputed, dict):
        for name in archived | recomputed:
            inner = f"{path}.{name}" if path else name
            yield from _pairs(inner, archived.get(name, _ABSENT), recomputed.get(name, _ABSENT))
    elif isinstance(archived, list) and isinstance(recomputed, list):
        if len(archived) != len(recomputed):
            yield path, f"{len(archived)} entries", f"{len(recomputed)} entries"
            return
        for place, (old, new) in enumerate(zip(archived, recomputed, strict=True)):
            label = old.get("key", place) if isinstance(old, dict) else place
            yield from _pairs(f"{path}[{label}]", old, new)
    else:
        yield path, archived, recomputed


def _differences(
    file: str, pairs: Iterable[tuple[str, object, object]], tolerance_ratio: float
) -> Iterator[Difference]:
    for path, archived, recomputed in pairs:
        if not _agree(archived, recomputed, tolerance_ratio):
            yield Difference(file, path, _text(archived), _text(recomputed))


def _agree(archived: object, recomputed: object, tolerance_ratio: float) -> bool:
    if isinstance(archived, float) and isinstance(recomputed, float):
        return isclose(archived, recomputed, rel_tol=tolerance_ratio)
    return archived == recomputed


def _text(value: object) -> str:
    if value is _ABSENT:
        return "absent"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _TEXT_LENGTH else f"{text[: _TEXT_LENGTH - 1]}…"


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"Cannot read {path}", expected="the file as archived", got=str(error)) from error
