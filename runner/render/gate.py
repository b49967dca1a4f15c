"""What a gate found, in lines for stderr: who offends, then how much of what."""

from collections.abc import Mapping, Sequence
from typing import Final

from runner.render import numbers
from runner.report.comparison.evidence import GateMetric
from runner.report.comparison.gate import Gate, Missed, Verdict
from runner.report.comparison.within import RunGate

METRIC_NAMES: Final[Mapping[GateMetric, str]] = {
    "latency": "latency",
    "cpu": "CPU per image",
    "energy": "energy per image",
}
HOW_TO_CALIBRATE = (
    "run the same thing five times or more, then: joulebatch reports compare --calibrate RUN RUN RUN RUN RUN"
)
_SHOWN = 2
"""reasons that a line names"""


def gate_lines(gate: Gate) -> tuple[str, ...]:
    """Return what a gate over two sides found."""
    lines = [
        _regression(
            each.figure.key,
            each.figure.metric,
            each.figure.difference.ratio,
            each.low,
            "",
            each.threshold_ratio,
        )
        for each in gate.of("regression")
    ]
    lines += _offending(gate.missed, gate.parity)
    if gate.judged or gate.missed or gate.unproven:
        lines.append(f"Gate: {gate_count_text(gate)}")
    if any(each.low is None for each in gate.judged):
        lines.append(f"A gate needs the spread of repeated runs: {HOW_TO_CALIBRATE}")
    return tuple(lines)


def run_gate_lines(gate: RunGate) -> tuple[str, ...]:
    """Return what a gate over one run found."""
    lines = [
        _regression(
            each.key, each.metric, each.ratio, each.low, f" of {each.baseline_key}", each.threshold_ratio
        )
        for each in gate.judged
        if each.verdict == "regression"
    ]
    lines += _offending(gate.missed, gate.parity)
    if gate.judged or gate.missed or gate.unproven:
        lines.append(f"Gate: {_counts([each.verdict for each in gate.judged], gate.missed, gate.untold)}")
    return tuple(lines)


def gate_count_text(gate: Gate) -> str:
    """Return how much of what a gate over two sides found; it names what it cannot tell, and why."""
    return _counts([each.verdict for each in gate.judged], gate.missed, gate.untold)


def _regression(  # noqa: PLR0913, PLR0917 - what a line says
    key: str, metric: GateMetric, ratio: float, low: float | None, of: str, threshold_ratio: float
) -> str:
    at_least = "" if low is None else f", at least {numbers.ratio(low)}"
    allowed = numbers.ratio(threshold_ratio)
    return f"REGRESSION {key}: {METRIC_NAMES[metric]} {numbers.ratio(ratio)}{at_least}{of}, allowed {allowed}"


def _offending(missed: Sequence[Missed], parity: Sequence[str]) -> list[str]:
    return [
        *(f"MISSING {each.key}: {each.reason}" for each in missed if each.fails),
        *(f"PARITY {text}" for text in parity),
    ]


def _counts(verdicts: Sequence[Verdict], missed: Sequence[Missed], untold: Sequence[str]) -> str:
    known: tuple[tuple[Verdict, str], ...] = (
        ("regression", "regressions"),
        ("improvement", "improvements"),
        ("ok", "ok"),
    )
    parts = [f"{verdicts.count(verdict)} {word}" for verdict, word in known]
    missing = sum(each.fails for each in missed)
    parts += [f"{missing} missing"] if missing else []
    names = list(dict.fromkeys(untold))
    more = f" and {len(names) - _SHOWN} other reasons" if len(names) > _SHOWN else ""
    why = f" ({'; '.join(names[:_SHOWN])}{more})" if untold else ""
    parts.append(f"{len(untold)} inconclusive{why}")
    return ", ".join(parts)
