"""Copies between host and device take a large part of each call."""

from collections.abc import Iterator

from runner.report.evidence import Evidence
from runner.report.findings.claims import claims, keys, ratio_figure
from runner.report.schema import Cell, Finding, Report

THRESHOLD_RATIO = 1.5
"""With copies / without: from here on a third of the time of a call, and no kernel that is made faster helps there."""


def find(report: Report, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding per model and backend whose io=host is far above its io=device; figures of the surest load."""
    del report
    resident = {(c.model, c.variant, c.backend, c.load): c for c in evidence.cells if c.io == "device"}
    pairs: dict[tuple[str, str, str], list[tuple[Cell, Cell]]] = {}
    for cell in evidence.cells:
        inside = resident.get((cell.model, cell.variant, cell.backend, cell.load))
        if cell.io == "host" and inside:
            pairs.setdefault((cell.model, cell.variant, cell.backend), []).append((cell, inside))
    for (model, variant, backend), own in pairs.items():
        if found := claims(evidence, "latency", own, THRESHOLD_RATIO):
            yield Finding(
                kind="copy-bound",
                title="Bound by copies between host and device",
                model=model,
                variant=variant,
                backend=backend,
                cells=keys(found),
                figures=(ratio_figure("latency with copies to that without", found[0].ratio),),
                remedy="Keep tensors on the device (ONNX Runtime's IOBinding), send smaller inputs (uint8, scaled "
                "there), or overlap copies with the batch before",
            )
