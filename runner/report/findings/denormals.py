"""Denormal numbers slow a model down: seen where the run has a backend that takes them for zero."""

from collections.abc import Iterator

from runner.report.evidence import Evidence
from runner.report.findings.claims import claims, keys, matched, ratio_figure, siblings, spec_with
from runner.report.schema import Finding, Report

THRESHOLD_RATIO = 1.2
"""With denormals / with zeros. An operation on denormals takes some hundred cycles more where a processor leaves it to
microcode, so that a model which has them loses far more than this, and one that has none, nothing."""


def find(report: Report, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding per model and pair that differs in ``denormal_as_zero``, with figures of the surest load."""
    for slow, fast in siblings(report, "denormal_as_zero", "off", "on"):
        for (model, variant), pairs in matched(evidence, slow.label, fast.label).items():
            if found := claims(evidence, "latency", pairs, THRESHOLD_RATIO):
                yield Finding(
                    kind="denormals",
                    title="Denormal numbers slow it down",
                    model=model,
                    variant=variant,
                    backend=slow.label,
                    cells=keys(found),
                    figures=(ratio_figure(f"latency to that of {fast.label}", found[0].ratio),),
                    remedy=f"Use --backend {spec_with(slow, 'denormal_as_zero', 'on')}, or round tiny weights to zero",
                )
