"""A report as the JSON of github-action-benchmark's tool ``customSmallerIsBetter``.

Source: https://github.com/benchmark-action/github-action-benchmark, "Custom": an array of objects with ``name``,
``unit`` and ``value``, and optionally ``range`` and ``extra``. It draws a curve per name, so a figure keeps its name
and its unit whatever its size.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from runner.convert.figures import Figure, cell_figures, queue_figures
from runner.convert.interface import Converted, Request
from runner.errors import AbsentError
from runner.render.names import domains_text
from runner.render.numbers import digits, half_width
from runner.report.schema import Cell, QueueCell, Report


class _Curve(NamedTuple):
    """How a figure is called there."""

    name: str
    unit: str
    per_si_unit: float


# In thousandths, because its tables show two decimals of what is above 0.1.
_CURVES = {
    "latency_s": _Curve("latency", "ms", 1e3),
    "response_mean_s": _Curve("response", "ms", 1e3),
    "response_p95_s": _Curve("response p95", "ms", 1e3),
    "cpu_s_per_image": _Curve("CPU time", "ms/image", 1e3),
    "energy_per_image_j": _Curve("energy", "mJ/image", 1e3),
}
"""figures of which less is better; CPU time back to back and estimates of energy are not among them"""


def convert(request: Request) -> Converted:
    """Return the array; of a queue its policies at their rates, as CSV does.

    Raises:
        AbsentError: nothing was measured.
    """
    report = request.report
    cells: Sequence[Cell | QueueCell] = (report.queue.cells if report.queue else ()) or report.cells
    by_cell = [list(_entries(report, cell)) for cell in cells]
    entries = [entry for own in by_cell for entry in own]
    if not entries:
        raise AbsentError(
            f"Cannot convert report {report.report_id} to github-action-benchmark",
            expected="a measured cell",
            got="none",
            fix=f"Run: joulebatch reports show {report.report_id}",
        )
    empty = sum(not own for own in by_cell)
    note = f"left out: {empty} of {len(cells)} cells, which were not measured or whose figures are in doubt"
    return Converted((json.dumps(entries, indent=1) + "\n").encode(), (note,) if empty else ())


def _entries(report: Report, cell: Cell | QueueCell) -> Iterator[dict[str, str | float]]:
    figures = cell_figures(cell) if isinstance(cell, Cell) else queue_figures(cell)
    extra = "\n".join(_facts(report, cell))
    for name, value in figures:
        if curve := _CURVES.get(name):
            yield _entry(cell.key, curve, (name, value), extra)


def _entry(key: str, curve: _Curve, figure: Figure, extra: str) -> dict[str, str | float]:
    interval = figure[1]
    entry: dict[str, str | float] = {
        "name": f"{key} {curve.name}",
        "unit": curve.unit,
        "value": interval.mean * curve.per_si_unit,
    }
    half = half_width(interval.low, interval.high)
    if half is not None:
        entry["range"] = f"± {digits(half * curve.per_si_unit)}"
    return {**entry, "extra": extra}


def _facts(report: Report, cell: Cell | QueueCell) -> Iterator[str]:
    """Yield what the tool shows beside a point, a line each."""
    environment = report.environment
    yield f"report: {report.report_id}, {report.provenance.profile} profile, {report.status}"
    yield f"host: {environment.host}, {environment.cpu}"
    session = next(
        (each for each in report.sessions if (each.model, each.contender) == (cell.model, cell.contender)),
        None,
    )
    if session:
        versions = [
            f"{name} {session.facts[name]}" for name in ("onnxruntime", "torch") if name in session.facts
        ]
        yield from ([f"session: {', '.join(versions)}"] if versions else [])
        yield from ([f"parity: {session.parity.status}"] if session.parity else [])
    if cell.summary:
        yield f"windows: {cell.summary.window_count}"
        if cell.summary.energy:
            yield f"energy of: {domains_text(cell.summary.energy.domains)}"
