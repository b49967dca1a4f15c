"""Operators that compute ran on the CPU although another provider was asked for."""

from collections.abc import Iterator

from runner.backends.placement import CPU_PROVIDER
from runner.report.evidence import Evidence
from runner.report.findings.claims import count_figure
from runner.report.findings_schema import Finding
from runner.report.schema import UNTRUSTED_PLACEMENTS, Report, SessionEntry


def find(report: Report, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding per session whose figures, if any, are not those of the provider that was asked for."""
    del evidence
    for session in report.sessions:
        if session.placement not in UNTRUSTED_PLACEMENTS:
            continue
        nodes = session.nodes_by_provider
        elsewhere = nodes.get(CPU_PROVIDER, 0)
        yield Finding(
            kind="ran-on-cpu",
            title="Ran on the CPU" if session.placement == "none" else "Ran on the CPU in part",
            model=session.model,
            variant=session.variant,
            backend=session.backend,
            figures=(
                count_figure("nodes on the CPU", elsewhere),
                count_figure("in all", sum(nodes.values())),
            ),
            detail=f"{', '.join(session.heavy_on_cpu)} there" if session.heavy_on_cpu else "",
            remedy=_remedy(report, session),
        )


def _remedy(report: Report, session: SessionEntry) -> str:
    file = next(
        (m.file for m in report.models if (m.name, m.variant) == (session.model, session.variant)), ""
    )
    look = (
        f"joulebatch doctor {file} shows what runs where" if file else "joulebatch doctor shows what is there"
    )
    if session.placement == "none":
        return f"The provider took no node: {look}; --backend cpu measures the CPU as such"
    return f"Give these operators a form that the provider has (another opset, another export): {look}"
