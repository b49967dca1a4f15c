"""The first run of a shape takes far longer than later ones: compilation, algorithm search, growing arenas."""

from collections.abc import Iterator

from runner.report.evidence import Evidence, summary_of
from runner.report.schema import Cell, Finding, FindingFigure, Report

THRESHOLD_RATIO = 3.0
"""First run / upper limit of the later ones. What every session pays (pages, caches, an arena that grows) came to 2.9
at most on ONNX Runtime's CPU provider in the runs of reports/reference; OpenVINO, which compiles, to 10."""
LEAST_LOSS_S = 0.005
"""What a first run loses at least: less is what a busy scheduler takes from any request, a slice or two of about 3 ms
(Linux, ``base_slice_ns``)."""


def find(report: Report, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding per model and backend, its figures those of the shape with the largest ratio."""
    del report
    by_session: dict[tuple[str, str, str], list[tuple[float, Cell]]] = {}
    for cell in evidence.cells:
        surely = _surely_ratio(cell)
        if surely is not None and surely > THRESHOLD_RATIO:
            by_session.setdefault((cell.model, cell.variant, cell.backend), []).append((surely, cell))
    for (model, variant, backend), found in by_session.items():
        found.sort(key=lambda each: -each[0])
        surely, worst = found[0]
        later = summary_of(worst).latency_s
        assert worst.first_inference_s is not None, worst.key
        yield Finding(
            kind="first-run",
            title="First run far slower than later ones",
            model=model,
            variant=variant,
            backend=backend,
            cells=tuple(cell.key for _, cell in found),
            figures=(
                FindingFigure(label="first", value=worst.first_inference_s, unit="s"),
                FindingFigure(label="later", value=later.mean, unit="s", low=later.low, high=later.high),
                FindingFigure(label="at least", value=surely, unit="ratio"),
            ),
            remedy="Run every batch size once before serving, keep sessions open, and serve a fixed set of batch sizes",
        )


def _surely_ratio(cell: Cell) -> float | None:
    """Return the first run / the upper limit of the later ones; None where one is not known, or they hardly differ."""
    high_s = summary_of(cell).latency_s.high
    if cell.first_inference_s is None or not cell.load.is_back_to_back or not high_s:
        return None
    if cell.first_inference_s - high_s < LEAST_LOSS_S:
        return None
    return cell.first_inference_s / high_s
