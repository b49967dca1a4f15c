from collections.abc import Callable

import pytest

from runner.report.assemble import assemble
from runner.report.journal import HeaderLine, Line
from runner.report.schema import Report
from tests.fakes import cell_key, make_journal

SHUFFLENET = "shufflenet_v2_x0_5"
HOSTILE_MODEL = "[red]<script>|*x*\x1b[2J"
HOSTILE_BACKEND = "[bold]a|`b`"


def quick() -> tuple[Line, ...]:
    return make_journal(("alexnet", SHUFFLENET), pace_hz=2, profile="quick", inferences=30)


def trouble() -> tuple[Line, ...]:
    """Every way in which a cell can be no plain figure."""
    spin, both = "cpu:spin=off", "cpu:threads=1,spin=off"
    return make_journal(
        (SHUFFLENET,),
        ("cpu", spin, both),
        pace_hz=8,
        energy="measured",
        blocks=12,
        outcomes={
            cell_key(SHUFFLENET, spin, 4): ("failed", "worker killed by signal 9 (out of memory?)"),
            cell_key(SHUFFLENET, spin, 4, 8): ("overloaded", "8 images/s is above its capacity of 5.1"),
            cell_key(SHUFFLENET, both, 4): ("skipped", "does not fit the budget of 5 min"),
        },
        notes=("--time-budget 5m ended the run",),
    )


def gpu() -> tuple[Line, ...]:
    return make_journal(
        ("vit_b_16",), ("cpu", "cuda", "cuda:tf32=off"), energy="measured", blocks=12, parity_failed=("cuda",)
    )


def killed() -> tuple[Line, ...]:
    return make_journal(("vit_b_16",), energy="estimated", ending=None)


def hostile() -> tuple[Line, ...]:
    return make_journal((HOSTILE_MODEL,), ("cpu", HOSTILE_BACKEND), notes=("<b>&amp;|[/red]",))


def early() -> tuple[Line, ...]:
    """A run that was killed before its first session."""
    return tuple(line for line in make_journal() if isinstance(line, HeaderLine))


RUNS: dict[str, Callable[[], tuple[Line, ...]]] = {
    run.__name__: run for run in (quick, trouble, gpu, killed, hostile, early)
}


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """The report of the run that a test is parametrised with."""
    return assemble(RUNS[request.param]())
