"""Operators that compute ran on the CPU, or on a third provider, although another was asked for."""

from collections.abc import Iterator

from runner.backends.placement import CPU_PROVIDER
from runner.report.evidence import Evidence
from runner.report.findings.claims import count_figure
from runner.report.schema import UNTRUSTED_PLACEMENTS, Finding, Report, SessionEntry


def find(report: Report, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding per session whose figures, if any, are not those of the provider that was asked for."""
    del evidence
    for session in report.sessions:
        if session.placement not in UNTRUSTED_PLACEMENTS:
            continue
        nodes = session.nodes_by_provider
        on_cpu = nodes.get(CPU_PROVIDER, 0)
        # TensorRT, for one, leaves what it cannot take to CUDA.
        is_cpu = bool(session.heavy_on_cpu) or (session.placement == "none" and on_cpu > 0)
        where = "on the CPU" if is_cpu else "on another provider"
        yield Finding(
            kind="ran-on-cpu" if is_cpu else "ran-elsewhere",
            title=f"Ran {where}" if session.placement == "none" else f"Ran {where} in part",
            model=session.model,
            variant=session.variant,
            backend=session.backend,
            figures=(
                *(
                    count_figure(f"nodes on {name.removesuffix('ExecutionProvider')}", count)
                    for name, count in sorted(nodes.items())
                ),
            ),
            detail=f"{', '.join(session.heavy_on_cpu)} there" if session.heavy_on_cpu else "",
            remedy=_remedy(report, session, is_cpu=is_cpu),
        )


def _remedy(report: Report, session: SessionEntry, *, is_cpu: bool) -> str:
    file = next(
        (m.file for m in report.models if (m.name, m.variant) == (session.model, session.variant)), ""
    )
    look = (
        f"joulebatch doctor {file} shows what runs where" if file else "joulebatch doctor shows what is there"
    )
    if session.placement == "none":
        instead = "--backend cpu measures the CPU" if is_cpu else "a backend of that provider measures it"
        return f"The provider took no node: {look}; {instead} as such"
    return f"Give these operators a form that the provider has (another opset, another export): {look}"
