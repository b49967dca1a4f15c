"""Whether an archived report says what its journal, its samples and its own windows say.

Figures are recomputed whatever version wrote them. How they are worded is compared only within one version of
joulebatch and of the schema, because later ones may say the same in other words.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from runner.errors import FileError
from runner.hashing import hash_file
from runner.report.archive import CHECKSUMS_NAME, load_with_version
from runner.report.assemble import Assembled, collect
from runner.report.derive import derive, without_figures
from runner.report.differences import Difference, Pair, Wanted, differences, pairs, shown
from runner.report.folders import JOURNAL_NAME, REPORT_NAME, is_being_written
from runner.report.header import own_version
from runner.report.journal import read_journal
from runner.report.samples import SAMPLES_NAME, SampledWindow, read_samples
from runner.report.schema import SCHEMA_VERSION, Report
from runner.stats.queueing import Replay

TOLERANCE_RATIO = 1e-9
"""of recomputed figures: other versions of numpy add up in another order, which costs some 1e-13 for 1e6 terms"""
_QUEUE: Final[Wanted] = {
    "cells": {"key": None, "summary": None, "prediction": None},
    "comparisons": None,
    "tests": None,
}
_FIGURES: Final[Wanted] = {
    "cells": {"key": None, "summary": None},
    "windows": {"outlier": None},
    "comparisons": None,
    "best_sets": None,
    "choices": None,
    "tests": None,
    "queue": _QUEUE,
    "minimum_detectable_ratio": None,
    "findings": None,
}
"""what ``derive`` fills in"""
_WORDS: Final = re.compile(
    r"notes(\[|$)|(queue\.)?cells\[.*\]\.(reason|summary\.(unstable|doubt))$"
    r"|findings\[\d+\]\.(title|detail|remedy|figures\[\d+\]\.label)$"
)
"""where a report holds sentences that joulebatch made up"""


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, and what was found."""

    subject: str
    count: int
    unit: str
    differences: tuple[Difference, ...]
    remark: str = ""
    """what was not looked at, and why"""


@dataclass(frozen=True, slots=True)
class _Writer:
    """Who wrote a report."""

    joulebatch: str
    schema_version: int

    @property
    def is_same(self) -> bool:
        """Whether it words things as this version does."""
        return (self.joulebatch, self.schema_version) == (own_version(), SCHEMA_VERSION)

    def __str__(self) -> str:
        own = f"this is {own_version()} (schema {SCHEMA_VERSION})"
        return f"written by joulebatch {self.joulebatch} (schema {self.schema_version}), {own}"


def verify(folder: Path, renderings: Mapping[str, Callable[[Report], str]]) -> Iterator[Check]:
    """Yield the outcome of every check of a complete report, each as soon as it is known.

    Args:
        folder: of the report.
        renderings: by file name, what makes the text of that file. One that the report never had is not missed.

    Raises:
        FileError: the report is not complete, or a file of it cannot be read.
    """
    if not (folder / REPORT_NAME).exists():
        raise _not_archived(folder)
    listed = _listed(folder)
    yield _checksums(folder, listed, (JOURNAL_NAME, REPORT_NAME, SAMPLES_NAME))
    report, schema_version = load_with_version(folder)
    writer = _Writer(report.joulebatch, schema_version)
    journaled, samples = collect(read_journal(folder)), read_samples(folder)
    yield _contents(report, journaled.report, writer)
    yield _samples(report, journaled, samples)
    yield _figures(report, samples, journaled.replays, writer)
    for name, render in renderings.items():
        if name in listed:
            yield _rendering(folder / name, render, report, writer)
        elif writer.is_same:
            unlisted = Difference(name, "sha256", "not listed", _hash(folder / name))
            yield Check(name, 0, "lines", (unlisted,))


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
        # A name that leads out of the folder is none that was archived, and hashing it may never end.
        if not separator or name != Path(name).name or name in {"", ".", ".."}:
            raise FileError(f"Cannot read {path}", expected="lines as of sha256sum", got=shown(line))
        listed[name] = digest
    return listed


def _checksums(folder: Path, listed: Mapping[str, str], expected: Iterable[str]) -> Check:
    """Compare the files with their checksums."""
    names = sorted({*expected} | listed.keys())
    found = ((name, listed.get(name, "not listed"), _hash(folder / name)) for name in names)
    differing = tuple(Difference(name, "sha256", *both) for name, *both in found if both[0] != both[1])
    return Check(CHECKSUMS_NAME, len(names), "files", differing)


def _hash(path: Path) -> str:
    try:
        return hash_file(path) if path.is_file() else "cannot be read: no file"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _contents(report: Report, journaled: Report, writer: _Writer) -> Check:
    """Compare what was measured, every window included, with what the journal says."""
    found = pairs(without_figures(report), without_figures(journaled), written_only=not writer.is_same)
    return _compared(JOURNAL_NAME, "facts of report.json", found, writer, tolerance_ratio=0)


def _samples(report: Report, journaled: Assembled, samples: Sequence[SampledWindow]) -> Check:
    """Compare the samples with the latencies in the journal and with the windows of the report."""
    by_window = {sampled.window: sampled for sampled in samples}
    differing: list[Difference] = []
    windows = journaled.report.windows
    for place, (window, latencies_s) in enumerate(zip(windows, journaled.latencies_s, strict=True)):
        sampled = by_window.pop(place, None)
        names = ("cell", "block", "paired")
        archived: Any = {name: getattr(sampled, name, None) for name in names}
        recomputed: Any = {name: getattr(window, name) for name in names}
        archived["latencies_s"] = list(sampled.latencies_s) if sampled else []
        recomputed["latencies_s"] = list(latencies_s)
        found = ((f"window {place}.{name}", one, other) for name, one, other in pairs(archived, recomputed))
        differing += differences(SAMPLES_NAME, found, tolerance_ratio=0)
        if sampled and place < len(report.windows):
            mean_s = report.windows[place].latency_mean_s
            pair = (f"windows[{place}].latency_mean_s", mean_s, fmean(sampled.latencies_s))
            differing += differences(REPORT_NAME, [pair], TOLERANCE_RATIO)
    differing += [Difference(SAMPLES_NAME, f"window {place}", "present", "absent") for place in by_window]
    count = sum(len(sampled.latencies_s) for sampled in samples)
    return Check(SAMPLES_NAME, count, "inferences", tuple(differing))


def _figures(
    report: Report, samples: Sequence[SampledWindow], replays: Sequence[Replay], writer: _Writer
) -> Check:
    """Compare every figure with the one that the report's windows and the samples give."""
    by_window = {sampled.window: sampled.latencies_s for sampled in samples}
    try:
        derived = derive(report, [by_window.get(place, ()) for place in range(len(report.windows))], replays)
    except (ArithmeticError, LookupError, ValueError) as error:  # what was tampered with need not make sense
        impossible = Difference(REPORT_NAME, "figures", "archived", f"cannot be computed: {error}")
        return Check(REPORT_NAME, 0, "figures", (impossible,))
    if not writer.is_same:
        # A rule that its version did not have yet finds more, which is no difference.
        kinds = {finding.kind for finding in report.findings}
        known = tuple(finding for finding in derived.findings if finding.kind in kinds)
        derived = derived.model_copy(update={"findings": known})
    found = pairs(report, derived, wanted=_FIGURES, written_only=not writer.is_same)
    return _compared(REPORT_NAME, "figures", found, writer, TOLERANCE_RATIO)


def _rendering(path: Path, render: Callable[[Report], str], report: Report, writer: _Writer) -> Check:
    """Compare what is there for people with the rendering of the report, line by line."""
    archived = _read_text(path).split("\n")
    if not writer.is_same:
        return Check(path.name, len(archived), "lines", (), f"only its checksum was checked: {writer}")
    recomputed = render(report).split("\n")
    matcher = SequenceMatcher(a=archived, b=recomputed, autojunk=False)
    differing = tuple(
        Difference(
            path.name,
            f"line {first + 1}" if last - first < 2 else f"lines {first + 1} to {last}",  # noqa: PLR2004 - one line
            shown(" / ".join(archived[first:last])),
            shown(" / ".join(recomputed[begin:end])),
        )
        for operation, first, last, begin, end in matcher.get_opcodes()
        if operation != "equal"
    )
    return Check(path.name, len(recomputed), "lines", differing)


def _compared(
    subject: str, unit: str, found: Iterable[Pair], writer: _Writer, tolerance_ratio: float
) -> Check:
    compared = tuple(pair for pair in found if writer.is_same or not _WORDS.match(pair[0]))
    differing = tuple(differences(REPORT_NAME, compared, tolerance_ratio))
    remark = "" if writer.is_same else str(writer) if differing else "wording not compared"
    return Check(subject, len(compared), unit, differing, remark)


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"Cannot read {path}", expected="the file as archived", got=str(error)) from error
