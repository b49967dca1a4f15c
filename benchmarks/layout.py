"""How much fresh processes of one backend differ, and whether their memory addresses are why.

Run from the checkout: ``python -m benchmarks.layout [--pairs 8] [--seconds 30] [--model shufflenet]``. Pairs of fresh
workers of one backend take turns in windows of 0.1 s, and every pair gives a ratio that ought to be 1. Every other
pair runs without address space randomisation, where both have the same addresses. What the windows
do not explain of the spread of these ratios is that of the processes. There is no goal: the figures
say why runner/shifts.py starts fresh workers, and check ``LAYOUT_SD``, which ``benchmarks.aa`` gave.
"""

import argparse
import ctypes
import random
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from math import ceil, log, sqrt
from pathlib import Path
from statistics import fmean, stdev
from time import monotonic

import numpy as np

from runner.backends.spec import parse_specs
from runner.contender import contenders
from runner.durations import WINDOW_S
from runner.interruption import Interruption
from runner.modelfile import ModelFile, open_model
from runner.stats.estimate import NORMAL_95, estimate_mean
from runner.workers.crew import Crew, Terms
from runner.workers.protocol import Measure, Prepare

WARM_UP_S = 1.0
ADDR_NO_RANDOMIZE, CURRENT = 0x0040000, 0xFFFFFFFF
"""personality(2): randomisation off, for this process and those it starts; what is in force now"""


@dataclass(frozen=True, slots=True)
class Pair:
    """The mean log ratio of two processes of one backend."""

    mean: float
    standard_error: float
    """from the scatter of its windows"""
    window_sd: float
    count: int


@contextmanager
def fixed_addresses() -> Iterator[None]:
    """Let processes that are started within have the same addresses each time: personality(2)."""
    personality = ctypes.CDLL(None, use_errno=True).personality
    before = personality(ADDR_NO_RANDOMIZE)
    if before < 0 or personality(CURRENT) != ADDR_NO_RANDOMIZE:
        sys.exit("this machine does not let a process fix its addresses (personality)")
    try:
        yield
    finally:
        personality(before)


def measure_pair(file: ModelFile, batch_size: int, seconds: float, seed: int) -> Pair:
    """Return what a fresh pair of processes shows."""
    specs, rng = parse_specs(("A=cpu", "B=cpu")), random.Random(seed)  # noqa: S311 - an order, no secret
    files = {file.variant: file}
    pair = contenders(files, specs)
    logs: list[float] = []
    with Interruption() as interruption, Crew(files, specs, Terms(interruption, seed=0)) as crew:
        crew.open_all()
        request = Prepare(batch_size, "host", 2, WARM_UP_S, warm_up_steady=True)
        inference_s = min(crew.prepare(each, request, WARM_UP_S).inference_s for each in pair)
        window = Measure(batch_size, "host", ceil(WINDOW_S / inference_s), None)
        end_s = monotonic() + seconds
        while monotonic() < end_s or len(logs) < 2:  # noqa: PLR2004 - a spread takes two
            means_s = {
                each.backend: fmean(crew.measure(each, window, WINDOW_S).latencies_s)
                for each in rng.sample(pair, len(pair))
            }
            logs.append(log(means_s["B"] / means_s["A"]))
    estimate = estimate_mean(np.array(logs), None)
    assert estimate.standard_error is not None
    return Pair(estimate.mean, estimate.standard_error, stdev(logs), len(logs))


def describe(name: str, pairs: Sequence[Pair]) -> str:
    """Return how much the pairs differ beyond what their windows explain."""
    spread, explained = stdev(pair.mean for pair in pairs), sqrt(fmean(p.standard_error**2 for p in pairs))
    beyond = sqrt(max(0.0, spread**2 - explained**2))
    windows = sqrt(fmean(pair.window_sd**2 for pair in pairs))
    return (
        f"{name}: ratios of {len(pairs)} pairs scatter by {spread:.2%}, their windows explain {explained:.2%}, "
        f"processes {beyond:.2%}; a pair of windows scatters by {windows:.1%}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="shufflenet")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=8, help="of each kind")
    parser.add_argument("--seconds", type=float, default=30, help="for each pair")
    parser.add_argument("--models-dir", type=Path, default=Path("models"))
    arguments = parser.parse_args()
    print(f"python -m benchmarks.layout {shlex.join(sys.argv[1:])}".rstrip())
    file = open_model(arguments.models_dir, arguments.model)
    ways: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "random addresses": nullcontext,
        "fixed addresses": fixed_addresses,
    }
    pairs: dict[str, list[Pair]] = {name: [] for name in ways}
    for number in range(arguments.pairs):
        for name, way in ways.items():
            with way():
                pair = measure_pair(file, arguments.batch_size, arguments.seconds, number)
            pairs[name].append(pair)
            print(
                f"{name:<18}{pair.mean:+8.2%} ± {NORMAL_95 * pair.standard_error:.2%}, {pair.count} windows each",
                flush=True,
            )
    for name, own in pairs.items():
        print(describe(name, own))


if __name__ == "__main__":
    main()
