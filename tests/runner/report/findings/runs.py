"""Made-up runs with the options of their backends in force, and with figures that a test chooses."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from runner.backends.spec import parse_spec
from runner.report.assemble import assemble
from runner.report.lines import HeaderLine, Line, SessionLine, WindowLine
from runner.report.schema import Cell, Finding, Report, Window
from tests.fakes import make_journal

Change = Callable[[Cell, Window], Mapping[str, Any]]
"""fields of a window of that cell, with other values"""


def journal(backends: Sequence[str], *, options: bool = True, **facts: Any) -> tuple[Line, ...]:
    """Return a quiet run of five workers; without options where a backend is not of this registry."""
    lines = make_journal(("alexnet",), backends, noise_ratio=0.005, blocks=10, workers=5, **facts)
    return with_options(lines) if options else lines


def with_options(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return a journal whose backends carry what their specs say, as those of a real run."""

    def change(line: Line) -> Line:
        if not isinstance(line, HeaderLine):
            return line
        backends = tuple(
            backend.model_copy(update={"options": dict(parse_spec(backend.spec).options)})
            for backend in line.backends
        )
        return line.model_copy(update={"backends": backends})

    return tuple(map(change, lines))


def changed(lines: Iterable[Line], change: Change) -> tuple[Line, ...]:
    """Return a journal whose windows were changed."""
    lines = tuple(lines)
    (header,) = (line for line in lines if isinstance(line, HeaderLine))
    cells = {cell.key: cell for cell in header.cells}

    def apply(line: Line) -> Line:
        if not isinstance(line, WindowLine):
            return line
        update = change(cells[line.entry.cell], line.entry)
        return line.model_copy(update={"entry": line.entry.model_copy(update=update)})

    return tuple(map(apply, lines))


def with_sessions(lines: Iterable[Line], **facts: Mapping[str, Any]) -> tuple[Line, ...]:
    """Return a journal whose sessions have other fields, by backend, its colons and equals signs written as ``_``."""

    def change(line: Line) -> Line:
        if not isinstance(line, SessionLine):
            return line
        if update := facts.get(line.entry.backend.replace(":", "_").replace("=", "_")):
            return line.model_copy(update={"entry": line.entry.model_copy(update=update)})
        return line

    return tuple(map(change, lines))


def found(lines: Iterable[Line], kind: str) -> tuple[Report, tuple[Finding, ...]]:
    """Return the report of a journal, and its findings of one kind."""
    report = assemble(lines)
    return report, tuple(finding for finding in report.findings if finding.kind == kind)


def figures_of(finding: Finding) -> dict[str, float]:
    """Return the figures of a finding by their labels."""
    return {figure.label: figure.value for figure in finding.figures}
