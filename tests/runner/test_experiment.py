"""What the main path does once in a run, however often the run goes on."""

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from runner.experiment import measure_idle
from runner.report.lines import HeaderLine, IdleLine
from runner.report.schema import IdleWindow, Moment
from runner.so_far import so_far_of
from tests.fakes import make_journal
from tests.runner.simulated_bench import Lines, scene

if TYPE_CHECKING:
    from runner.idle import IdleProbe
    from runner.report.journal import Journal


class Probe:
    """Measures in no time."""

    def measure(self, moment: Moment, duration_s: float, model: str | None) -> IdleWindow:
        return IdleWindow(
            moment=moment,
            model=model,
            started_s=0,
            wall_s=duration_s,
            foreign_cpu_s=None,
            energy=(),
        )


def test_the_machine_at_rest_is_measured_once_for_each_moment_and_model() -> None:
    bench, lines = scene({"A": 0.01}).roster.bench, Lines()
    bench = replace(bench, idle=cast("IdleProbe", Probe()), journal=cast("Journal", lines))
    header = next(line for line in make_journal() if isinstance(line, HeaderLine))
    moments: tuple[tuple[Moment, str | None], ...] = (
        ("before", None),
        ("loaded", "alexnet"),
        ("loaded", "vit"),
        ("after", None),
    )
    for known in range(len(moments) + 1):
        lines.lines = lines.lines[:known]
        so_far = so_far_of(header, lines.lines)
        for moment, model in moments:
            measure_idle(bench, so_far, moment, model)
        measured = [line.entry for line in lines.lines if isinstance(line, IdleLine)]
        assert [(idle.moment, idle.model) for idle in measured] == list(moments)
