"""A session has more threads than cores to run them on."""

from collections import defaultdict
from collections.abc import Iterator

from runner.backends.session_options import cores
from runner.backends.spec import are_cores
from runner.report.evidence import Evidence
from runner.report.findings.claims import count_figure, spec_with
from runner.report.schema import BackendEntry, Finding, FindingFigure, Report, SessionEntry

_THREAD_FACTS = ("provider.num_of_threads", "intra_op_num_threads", "threads")
"""of a session, the one that counts first: OpenVINO does not read ONNX Runtime's own"""


def find(report: Report, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding per backend, whatever its models."""
    del evidence
    backends = {backend.label: backend for backend in report.backends}
    for label, sessions in _sessions(report).items():
        usable, threads = _usable_cores(report, backends[label]), max(map(_threads, sessions))
        if threads > usable:
            each = max(1, int(usable) // _instances(sessions[0]))
            yield Finding(
                kind="threads",
                title="More threads than cores",
                backend=label,
                figures=(
                    count_figure("threads", threads),
                    count_figure("usable cores", usable),
                    *_throttling(report, label),
                ),
                remedy=f"Use --backend {spec_with(backends[label], 'threads', str(each))}",
            )


def _sessions(report: Report) -> dict[str, list[SessionEntry]]:
    sessions = defaultdict(list)
    for session in report.sessions:
        if session.status == "opened":
            sessions[session.backend].append(session)
    return sessions


def _usable_cores(report: Report, backend: BackendEntry) -> float:
    affinity, usable = backend.options.get("affinity", "any"), report.environment.usable_cores
    return min(usable, len(cores(affinity))) if are_cores(affinity) else usable


def _threads(session: SessionEntry) -> int:
    """Return the threads of all instances; 0 where the session does not say."""
    said = (_count(session.facts[name]) for name in _THREAD_FACTS if name in session.facts)
    return _instances(session) * next(said, 0)


def _instances(session: SessionEntry) -> int:
    return max(1, _count(session.facts.get("instances", "1")))


def _count(fact: str) -> int:
    """Return a number among a session's facts; 0 for what a backend of another package may write there."""
    return int(fact) if fact.isascii() and fact.isdigit() else 0


def _throttling(report: Report, label: str) -> Iterator[FindingFigure]:
    """Yield for how much of its windows the cgroup denied a backend its CPUs, where it did."""
    own = {cell.key for cell in report.cells if cell.backend == label}
    known = [
        (window.conditions.throttled_s, window.wall_s)
        for window in report.windows
        if window.cell in own and window.conditions and window.conditions.throttled_s is not None
    ]
    throttled_s = sum(each_s for each_s, _ in known)
    if throttled_s > 0:
        yield FindingFigure(
            label="time denied by the CPU quota, added up over cores,",
            value=throttled_s / sum(wall_s for _, wall_s in known),
            unit="share",
        )
