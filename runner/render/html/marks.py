"""What the marks of a page mean: a line for each that this report has, and none for others."""

from collections.abc import Iterator

from runner.render import numbers
from runner.render.numbers import ESTIMATE, NOTHING
from runner.render.queue import PREDICTED
from runner.render.tables import BEST
from runner.report.schema import CellSummary, Report

Mark = tuple[str, str]


def marks_of(report: Report) -> tuple[Mark, ...]:
    """Return the marks of a report, each with what it means."""
    summaries = [cell.summary for cell in report.cells if cell.summary]
    return (
        (NOTHING, "no figure: unavailable, and never a zero"),
        (
            "[low, high]",
            "the limits of a 95 % interval; a figure ends at the first digit that it makes uncertain",
        ),
        *_claims(report),
        *_figures(report, summaries),
        *_quality(report),
        *_doubts(report, summaries),
    )


def _claims(report: Report) -> Iterator[Mark]:
    if report.best_sets:
        yield (
            BEST,
            "best of its load, or not to be told from it; apparent best: the lowest figure without a claim",
        )
    compared = [(each.ratio, each.low, each.high) for each in report.comparisons]
    compared += [
        (each.ratio, each.low, each.high) for each in (report.queue.comparisons if report.queue else ())
    ]
    if compared:
        yield "1.23x", "ratio to the baseline at the same load, paired over blocks; below 1x is less"
    if any(each.verdict == "too few workers" for each in report.comparisons):
        yield (
            "no claim",
            "the difference is within what single processes may explain by their memory layout; --workers takes more",
        )
    if any("unclear" in numbers.brief_ratio(*each) for each in compared):
        yield "unclear", "an interval so wide that digits would mislead: known to a factor of two at best"


def _figures(report: Report, summaries: list[CellSummary]) -> Iterator[Mark]:
    if any(summary.cpu_occupancy for summary in summaries):
        yield (
            "(CPU)",
            "occupancy: back to back, CPU time is threads x latency, spinning included; it never ranks",
        )
    energies = [summary.energy for summary in summaries if summary.energy]
    predicted = report.queue and any(cell.prediction for cell in report.queue.cells)
    if any(energy.status == "estimated" for energy in energies):
        yield (
            ESTIMATE,
            "estimated from CPU use and two given powers; half or double may be true, never compared",
        )
    if predicted:
        yield (
            f"{ESTIMATE} {PREDICTED}",
            "not replayed: what the twin, a simulation from this run's windows, says",
        )
    if any(energy.domains == ("gpu",) for energy in energies):
        yield (
            "gpu only",
            "joules of the GPU without those of its processor; compared among GPU backends alone",
        )
    if any(energy.net_per_image_j and not energy.net_reliable for energy in energies):
        yield "?", "net energy that is unreliable: what the machine draws at rest is not known well enough"


def _quality(report: Report) -> Iterator[Mark]:
    parities = {session.parity.status for session in report.sessions if session.parity}
    placements = {session.placement for session in report.sessions}
    qualities = {entry.quality for entry in report.models}
    texts = {
        "passed": ("ok", "parity: the outputs are the reference's within the tolerance"),
        "failed": ("FAILED", "parity: the outputs are not the reference's; shown, never compared or best"),
        "unavailable": ("unchecked", "parity: nothing to compare the outputs with"),
    }
    yield from (mark for status, mark in texts.items() if status in parities)
    if "full" in placements:
        yield "full", "every operator ran on the provider that was asked for"
    if "partial-shape-only" in placements:
        yield "shape-only", "only operators that handle shapes ran on the CPU, as ONNX Runtime intends"
    if placements & {"partial-compute", "none"}:
        yield (
            "PARTIAL, NONE",
            "some or all computing ran elsewhere: not the backend's figures, never compared or best",
        )
    if any(entry.weights_kind == "random" for entry in report.models):
        yield "RANDOM weights", "speed and energy are those of the network; its answers mean nothing"
    if "unverified" in qualities:
        yield (
            "unverified",
            "of a variant: nothing can tell whether its answers are still right; compared, never best",
        )
    if "lost" in qualities:
        yield "lost", "of a variant: its outputs are too far off the reference; compared, never best"


def _doubts(report: Report, summaries: list[CellSummary]) -> Iterator[Mark]:
    if any(summary.unstable for summary in summaries):
        yield (
            "unstable",
            "the windows of a cell scatter or drift more than they should; why is under What to doubt",
        )
    if any(window.disturbed for window in report.windows):
        yield (
            "disturbed",
            "something else is known to have happened in a window; its whole block was repeated where there was time",
        )
    if any(summary.outlier_count for summary in summaries):
        yield "outlier", "a window beyond 3.5 MAD of its cell: flagged, and never left out for that alone"
    if any(summary.latency_p90_s is None for summary in summaries):
        yield "p50, p90", "of all inferences; left empty where too few were timed (20 and 100)"
