"""What the parts of a report say of each other: every name that one uses is given by another."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeVar

from runner.report.schema import (
    BackendChoice,
    BestSet,
    Cell,
    QueueCell,
    Report,
    SessionEntry,
    SupplementaryTest,
)

AnyPart = TypeVar("AnyPart")
Parts = tuple[tuple[str, Sequence[AnyPart]], ...]
"""parts of a report by the field that holds them"""
_TEXT_LENGTH = 60
"""of a name in an error"""


def broken_reference(report: Report) -> str | None:
    """Return the first name that nothing in the report bears, or that two things bear; None where all is well."""
    return next(_broken(report), None)


def _broken(report: Report) -> Iterator[str]:
    files = {(entry.name, entry.variant) for entry in report.models}
    labels = {entry.label for entry in report.backends}
    queue = report.queue
    cells = {cell.key for cell in report.cells}
    queue_cells = {cell.key for cell in queue.cells} if queue else set()
    yield from _doubles("models", [f"{entry.name} {entry.variant}" for entry in report.models])
    yield from _doubles("backends", [entry.label for entry in report.backends])
    yield from _doubles("cells", [cell.key for cell in report.cells])
    yield from _doubles("queue.cells", [cell.key for cell in queue.cells] if queue else [])
    if report.cells and not any(cell.backend == report.baseline_label for cell in report.cells):
        yield _text("provenance.baseline", report.provenance.baseline, "a backend with cells")
    parts: Parts[SessionEntry | Cell | QueueCell] = (
        ("sessions", report.sessions),
        ("cells", report.cells),
        ("queue.cells", queue.cells if queue else ()),
    )
    for part, entries in parts:
        for place, entry in enumerate(entries):
            if (entry.model, entry.variant) not in files:
                yield _text(f"{part}[{place}].model", f"{entry.model} {entry.variant}", "a model")
            yield from _missing(f"{part}[{place}].backend", [entry.backend], labels, "a backend")
    yield from _broken_keys(report, cells, queue_cells)
    yield from _broken_models(report)


def _broken_keys(report: Report, cells: Collection[str], queue_cells: Collection[str]) -> Iterator[str]:
    for part, keys in _keys(report):
        yield from _missing(part, keys, cells, "a cell")
    for part, keys in _queue_keys(report):
        yield from _missing(part, keys, queue_cells, "a cell of the queue")
    for place, finding in enumerate(report.findings):
        yield from _missing(f"findings[{place}].cells", finding.cells, {*cells, *queue_cells}, "a cell")


def _keys(report: Report) -> Iterator[tuple[str, Iterable[str]]]:
    for place, window in enumerate(report.windows):
        yield f"windows[{place}].cell", (window.cell,)
    for place, comparison in enumerate(report.comparisons):
        yield f"comparisons[{place}]", (comparison.cell, comparison.baseline_cell)
    for place, best in enumerate(report.best_sets):
        yield f"best_sets[{place}]", (best.best, *best.members)
    for place, choice in enumerate(report.choices):
        yield f"choices[{place}]", filter(None, (choice.most_images, choice.least_cost))
    for place, test in enumerate(report.tests):
        yield f"tests[{place}].cells", test.cells


def _queue_keys(report: Report) -> Iterator[tuple[str, Iterable[str]]]:
    if report.queue is None:
        return
    for place, window in enumerate(report.queue.windows):
        yield f"queue.windows[{place}].cell", (window.cell,)
    for place, comparison in enumerate(report.queue.comparisons):
        yield f"queue.comparisons[{place}]", (comparison.cell, comparison.baseline_cell)
    for place, test in enumerate(report.queue.tests):
        yield f"queue.tests[{place}].cells", test.cells


def _broken_models(report: Report) -> Iterator[str]:
    names, labels = {entry.name for entry in report.models}, {entry.label for entry in report.backends}
    for place, idle in enumerate(report.idle):
        yield from _missing(f"idle[{place}].model", filter(None, (idle.model,)), names, "a model")
    parts: Parts[BestSet | BackendChoice | SupplementaryTest] = (
        ("best_sets", report.best_sets),
        ("choices", report.choices),
        ("tests", report.tests),
    )
    for part, entries in parts:
        for place, entry in enumerate(entries):
            yield from _missing(f"{part}[{place}].model", [entry.model], names, "a model")
    for place, choice in enumerate(report.choices):
        yield from _missing(f"choices[{place}].backend", [choice.backend], labels, "a backend")
    for place, finding in enumerate(report.findings):
        yield from _missing(f"findings[{place}].model", filter(None, (finding.model,)), names, "a model")
        backends = filter(None, (finding.backend,))
        yield from _missing(f"findings[{place}].backend", backends, labels, "a backend")
    for place, test in enumerate(report.queue.tests if report.queue else ()):
        yield from _missing(f"queue.tests[{place}].model", [test.model], names, "a model")
        yield from _missing(f"queue.tests[{place}].backend", [test.backend], labels, "a backend")


def _missing(part: str, names: Iterable[str], known: Collection[str], kind: str) -> Iterator[str]:
    yield from (_text(part, name, kind) for name in names if name not in known)


def _text(part: str, name: str, kind: str) -> str:
    shown = name if len(name) <= _TEXT_LENGTH else f"{name[: _TEXT_LENGTH - 1]}…"
    return f"{part}: {shown!r} is not {kind} of this report"


def _doubles(part: str, names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name in seen:
            yield f"{part}[{place}]: a second {name[:_TEXT_LENGTH]!r}"
        seen.add(name)
