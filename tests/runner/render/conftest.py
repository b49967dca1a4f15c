from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from runner.meters.interface import Measured, Unavailable
from runner.report.assemble import assemble
from runner.report.lines import HeaderLine, Line, WindowLine
from runner.report.schema import Report, Window
from tests.fakes import cell_key, make_journal
from tests.variants import split_variants

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


def doubts() -> tuple[Line, ...]:
    """A GPU whose counter is doubted and lost at times, and a processor whose counter is never resolved."""
    windows = count()
    return tuple(
        line.model_copy(update={"entry": _doubted(line.entry, next(windows))})
        if isinstance(line, WindowLine)
        else line
        for line in make_journal(("vit_b_16", "alexnet"), ("cpu", "cuda"), energy="measured")
    )


def _doubted(window: Window, number: int) -> Window:
    unresolved = f"below resolution: the counter of package-0 changed {number % 5} times in the window"
    gpu = Measured("gpu", "nvml-counter", 100.0 + number, 1.0)
    if number % 7 == 0:
        gpu = replace(
            gpu, flags=(f"sampled power of GPU-5d gives {1.1 + number / 100:.2f} of its counter's energy",)
        )
    lost = Unavailable("gpu", "the counter of GPU-5d went down")
    flags = ("late",) if number % 10 == 0 else ()
    energy = (Unavailable("cpu_package", unresolved), lost if number in {15, 25} else gpu)
    return window.model_copy(update={"flags": flags, "energy": energy})


def hostile() -> tuple[Line, ...]:
    return make_journal((HOSTILE_MODEL,), ("cpu", HOSTILE_BACKEND), notes=("<b>&amp;|[/red]",))


def early() -> tuple[Line, ...]:
    """A run that was killed before its first session."""
    return tuple(line for line in make_journal() if isinstance(line, HeaderLine))


def eventful() -> tuple[Line, ...]:
    """A long run on a busy machine, killed once and resumed, whose idle power rose meanwhile."""
    return make_journal(
        (SHUFFLENET,),
        ("cpu", "cuda"),
        energy="measured",
        profile="publication",
        blocks=12,
        disturbed={3: "foreign CPU time 31 %", 5: "foreign CPU time 40 %"},
        idle_w=(20.0, 30.0),
        workers=3,
        killed_in=4,
    )


def variants() -> tuple[Line, ...]:
    """Variants whose quality is verified, unknown and lost, under two backends, one of which runs fp32 alone."""
    lines = make_journal(
        (SHUFFLENET,),
        ("cpu", "cpu#fp16", "cpu#int8-static", "cpu#int8-dynamic", "torch"),
        blocks=12,
        parity_failed=("cpu#int8-static",),
        slowness={"cpu#fp16": 0.8, "cpu#int8-static": 0.5, "cpu#int8-dynamic": 0.7, "torch": 1.5},
        notes=("torch runs fp32 only: fp16, int8-static, int8-dynamic not measured on it",),
    )
    return split_variants(lines, {"fp16": "verified", "int8-static": "lost"})


RUNS: dict[str, Callable[[], tuple[Line, ...]]] = {
    run.__name__: run for run in (quick, trouble, gpu, killed, doubts, hostile, early, eventful, variants)
}


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """The report of the run that a test is parametrised with."""
    return assemble(RUNS[request.param]())
