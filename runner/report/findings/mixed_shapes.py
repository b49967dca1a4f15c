"""A session is slower when batch sizes alternate than when they come one at a time."""

from collections.abc import Iterator, Sequence

from runner.report.evidence import Evidence, pair
from runner.report.findings.claims import ratio_figure, spec_with
from runner.report.schema import BackendEntry, Cell, Finding, Report
from runner.stats.compare import exceeds
from runner.stats.intervals import RatioInterval, ratio_interval

THRESHOLD_RATIO = 1.1
"""A pass over the sizes / the sum of their times back to back. Ours: for less than a tenth nobody should give up the
batch sizes that requests happen to form."""


def find(report: Report, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding per mixed load that takes surely longer than its batch sizes do back to back, paired by block."""
    backends = {backend.label: backend for backend in report.backends}
    for cell in evidence.cells:
        singles = _singles(evidence, cell)
        ratio = _ratio(evidence, cell, singles) if singles else None
        if ratio and exceeds(ratio, THRESHOLD_RATIO):
            yield Finding(
                kind="mixed-shapes",
                title="Mixed batch sizes are slower than one at a time",
                model=cell.model,
                variant=cell.variant,
                backend=cell.backend,
                cells=(cell.key,),
                figures=(ratio_figure("a pass over them to the sum of their times back to back", ratio),),
                remedy=_remedy(backends[cell.backend]),
            )


def _remedy(backend: BackendEntry) -> str:
    """Return what to do; sessions of fixed shapes are several pools of threads, which spin against each other."""
    options = backend.options
    if options.get("static") == "on" and options.get("spin") == "on":
        without = spec_with(backend, "spin", "off", drop="spin_duration_us")
        return f"Use --backend {without}: the session of one size spins while that of another computes"
    return "Serve one batch size (pad the last batch), or try static=on,spin=off where the backend has them"


def _singles(evidence: Evidence, mixed: Cell) -> tuple[Cell, ...]:
    """Return the cells of a mixed load's sizes, back to back; none unless all of them count."""
    plain = {
        cell.load.batch_size: cell
        for cell in evidence.cells
        if (cell.model, cell.variant, cell.backend, cell.io)
        == (mixed.model, mixed.variant, mixed.backend, mixed.io)
        and cell.load.is_back_to_back
    }
    return tuple(plain[size] for size in mixed.load.mixed) if set(mixed.load.mixed) <= set(plain) else ()


def _ratio(evidence: Evidence, mixed: Cell, singles: Sequence[Cell]) -> RatioInterval | None:
    paired = pair(evidence.windows, "latency", (mixed, *singles))
    if paired is None:
        return None
    return ratio_interval(paired.table[:, 0], paired.table[:, 1:].sum(axis=1), paired.workers)
