"""TF32 explains why a GPU does not compute the reference outputs."""

from collections.abc import Iterator

from runner.report.evidence import Evidence
from runner.report.findings.claims import siblings, spec_with
from runner.report.schema import BackendEntry, Finding, FindingFigure, Parity, Report

ROUNDING_RATIO = 0.1
"""Of the reference's range, ten times what TF32 is allowed: a network that is farther off computes something else."""


def find(report: Report, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding per session that failed parity with TF32: explained where it passed without, else suspected."""
    del evidence
    others = {with_it.label: without for with_it, without in siblings(report, "tf32", "on", "off")}
    parities = {(s.model, s.variant, s.backend): s.parity for s in report.sessions}
    for backend in report.backends:
        if backend.options.get("tf32") != "on":
            continue
        other = others.get(backend.label)
        for model in report.models:
            own = parities.get((model.name, model.variant, backend.label))
            without = parities.get((model.name, model.variant, other.label)) if other else None
            if own and own.status == "failed" and (found := _found(backend, other, own, without)):
                yield found.model_copy(update={"model": model.name, "variant": model.variant})


def _found(
    backend: BackendEntry, other: BackendEntry | None, own: Parity, without: Parity | None
) -> Finding | None:
    """Return what one failed parity gives away; the model is filled in by the caller."""
    figures = tuple(_error("with TF32", own)) + (tuple(_error("without", without)) if without else ())
    spec = spec_with(backend, "tf32", "off")
    if other and without and without.status == "passed":
        return Finding(
            kind="tf32",
            title="TF32 explains the mismatch with the reference",
            backend=backend.label,
            figures=figures,
            detail=f"{other.label} passes parity",
            remedy=f"Use --backend {spec}, or accept its rounding",
        )
    rounding = own.max_error_ratio is not None and own.max_error_ratio <= ROUNDING_RATIO
    if without is None and rounding:
        return Finding(
            kind="tf32",
            title="TF32 may explain the mismatch with the reference",
            backend=backend.label,
            figures=figures,
            remedy=f"Add --backend {spec} to the run: it passes if TF32 is the cause",
        )
    return None


def _error(label: str, parity: Parity) -> Iterator[FindingFigure]:
    if parity.max_error_ratio is not None:
        yield FindingFigure(
            label=f"largest error {label}, of the reference's range",
            value=parity.max_error_ratio,
            unit="share",
        )
