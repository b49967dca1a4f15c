"""Threads that spin while they wait burn CPU time in the gaps between inferences."""

from collections.abc import Iterator, Sequence

from runner.report.evidence import Evidence, energy_ranks, paired_ratio
from runner.report.findings.claims import Claim, claims, keys, matched, ratio_figure, siblings, spec_with
from runner.report.schema import BackendEntry, Cell, Finding, FindingFigure, Report

SIBLING_THRESHOLD_RATIO = 1.1
"""CPU time per image with spinning / without: a tenth of it is worth a flag"""
ALONE_THRESHOLD_RATIO = 2.0
"""CPU time per image with gaps / back to back. Without spinning it grows as well, by waking threads and cold caches: on
PyTorch, whose threads sleep, by up to 1.6 for ShuffleNet at 2 images/s (reports/reference)."""
_TITLE = "Spinning threads burn CPU time between inferences"


def find(report: Report, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding per model and spinning backend, with figures of the surest load.

    Compared with the backend that differs in ``spin=off`` only, where the run has it; else with itself back to back.
    """
    others = {spinning.label: other for spinning, other in siblings(report, "spin", "on", "off")}
    for backend in report.backends:
        if backend.options.get("spin") == "on":
            other = others.get(backend.label)
            yield from _beside(evidence, backend, other) if other else _alone(evidence, backend)


def _beside(evidence: Evidence, backend: BackendEntry, other: BackendEntry) -> Iterator[Finding]:
    """Yield what ``spin=off`` saves, and what it costs in latency."""
    for pairs in matched(evidence, backend.label, other.label, lambda load: load.has_gaps).values():
        if found := claims(evidence, "cpu_s_per_image", pairs, SIBLING_THRESHOLD_RATIO):
            surest = found[0]
            yield _finding(
                found,
                (
                    ratio_figure(f"CPU time per image to that of {other.label}", surest.ratio),
                    *_also(evidence, surest),
                ),
                f"Serve with --backend {_without_spinning(backend)} where gaps are usual",
            )


def _alone(evidence: Evidence, backend: BackendEntry) -> Iterator[Finding]:
    """Yield how much more an image costs with gaps than back to back."""
    plain = {
        (c.model, c.variant, c.io, c.load.batch_size): c
        for c in evidence.cells
        if c.backend == backend.label and c.load.is_back_to_back
    }
    pairs: dict[tuple[str, str], list[tuple[Cell, Cell]]] = {}
    for cell in evidence.cells:
        base = plain.get((cell.model, cell.variant, cell.io, cell.load.batch_size))
        if cell.backend == backend.label and cell.load.has_gaps and base:
            pairs.setdefault((cell.model, cell.variant), []).append((cell, base))
    for own in pairs.values():
        if found := claims(evidence, "cpu_s_per_image", own, ALONE_THRESHOLD_RATIO):
            yield _finding(
                found,
                (ratio_figure("CPU time per image to that back to back", found[0].ratio),),
                f"Compare with --backend {_without_spinning(backend)} there; serve with it where gaps are usual",
            )


def _finding(found: Sequence[Claim], figures: Sequence[FindingFigure], remedy: str) -> Finding:
    cell = found[0].cell
    return Finding(
        kind="spinning",
        title=_TITLE,
        model=cell.model,
        variant=cell.variant,
        backend=cell.backend,
        cells=keys(found),
        figures=tuple(figures),
        remedy=remedy,
    )


def _also(evidence: Evidence, claim: Claim) -> Iterator[FindingFigure]:
    """Yield the other ratios of the same two cells."""
    cells = (claim.cell, claim.other)
    if energy_ranks(evidence, cells) and (energy := paired_ratio(evidence, "energy_per_image", *cells)):
        yield ratio_figure("energy per image", energy)
    if latency := paired_ratio(evidence, "latency", *cells):
        yield ratio_figure("latency", latency)


def _without_spinning(backend: BackendEntry) -> str:
    return spec_with(backend, "spin", "off", drop="spin_duration_us")
