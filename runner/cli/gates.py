"""The options of a gate: the same words for ``run``, ``queue`` and ``reports compare``."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from runner.errors import AbsentError, GateError, UsageError

if TYPE_CHECKING:  # these load pydantic, which no help needs
    from runner.report.comparison.evidence import GateMetric
    from runner.report.comparison.gate import Threshold
    from runner.report.comparison.within import RunGate
    from runner.report.schema import Report
    from runner.selection import Selection

FAIL_ON_REGRESSION = click.option(
    "--fail-on-regression",
    "regression",
    multiple=True,
    metavar="PERCENT|METRIC=PERCENT,...",
    show_default="off",
    help="Exit with 1 when a figure is surely worse by more: 5% for all, or latency=5%,energy=3%,cpu=10%.",
)
FAIL_ON_PARITY = click.option(
    "--fail-on-parity",
    "parity",
    is_flag=True,
    show_default="off",
    help="Exit with 1 when a backend fails parity or cannot be opened, or a variant lost its quality.",
)
STRICT = click.option(
    "--strict",
    is_flag=True,
    show_default="off",
    help="With a --fail-on option: exit with 1 also where the gate cannot tell.",
)
RUN_GATE = (FAIL_ON_REGRESSION, FAIL_ON_PARITY, STRICT)


@dataclass(frozen=True, slots=True)
class Gated:
    """The flags of a gate over one run."""

    regression: tuple[str, ...]
    parity: bool
    strict: bool

    def check(self, selection: "Selection") -> None:
        """Refuse what no run could answer, before anything is measured.

        Raises:
            UsageError: thresholds that cannot be read, or nothing to compare.
        """
        thresholds = self._thresholds()
        if thresholds and all(len(plan.contenders) < 2 for plan in selection.plan):  # noqa: PLR2004 - two sides
            raise UsageError(
                "Cannot use --fail-on-regression",
                expected="at least two backends or variants of a model in one run",
                got="one",
                fix="Add --backend, label --onnx files that are one model, or hold two reports against each other with "
                "joulebatch reports compare",
            )
        queued = [cell for plan in selection.plan for cell in plan.queue]
        if thresholds and queued and all(cell.load.relative_load is not None for cell in queued):
            raise UsageError(
                "Cannot use --fail-on-regression",
                expected="request rates that backends share",
                got="shares of each one's own capacity only",
                fix="Add --request-rate",
            )

    def end(self, report: "Report") -> None:
        """Say what the gate found in a finished run.

        Raises:
            GateError: it fails.
            AbsentError: it could judge nothing.
        """
        from runner.report.comparison.within import judge_run  # noqa: PLC0415 - loads pydantic

        thresholds = self._thresholds()
        if not thresholds and not self.parity:
            return
        gate = judge_run(report, thresholds, parity=self.parity)
        for line in _lines(gate):
            click.echo(line, err=True)
        if gate.failed:
            raise GateError("The gate failed", expected="nothing that offends", got=str(gate.failed))
        if thresholds and not gate.judged:
            raise AbsentError(
                "The gate could judge nothing",
                expected=f"ratios of {', '.join(thresholds)} to the baseline",
                got="none",
                fix="See above"
                if gate.missed
                else "Back to back CPU time is no cost: add --pace; energy needs a meter, see joulebatch doctor",
            )
        if self.strict and gate.untold:
            raise GateError(
                "The gate cannot tell",
                expected="a verdict of every cell",
                got=f"{len(gate.untold)} inconclusive",
            )

    def _thresholds(self) -> "dict[GateMetric, Threshold]":
        return read_thresholds(self.regression, parity=self.parity, strict=self.strict)


def read_thresholds(texts: tuple[str, ...], *, parity: bool, strict: bool) -> "dict[GateMetric, Threshold]":
    """Return what may grow by how much.

    Raises:
        UsageError: not of the form, or ``--strict`` by itself.
    """
    from runner.report.comparison.gate import parse_thresholds  # noqa: PLC0415 - loads pydantic

    thresholds = parse_thresholds(texts, "--fail-on-regression")
    if strict and not thresholds and not parity:
        raise UsageError(
            "Cannot use --strict",
            expected="--fail-on-regression or --fail-on-parity beside it",
            fix="Add one",
        )
    return thresholds


def _lines(gate: "RunGate") -> list[str]:
    from runner.render.gate import run_gate_lines  # noqa: PLC0415 - loads pydantic
    from runner.render.layout import plain  # noqa: PLC0415 - the same

    return [plain(line) for line in run_gate_lines(gate)]
