"""Inferences one after another, nothing between them but two reads of the clock."""

from collections.abc import Callable
from time import perf_counter_ns

from runner.load.timed import Timed
from runner.units import NS_PER_S


def run_back_to_back(run: Callable[[], object], count: int) -> Timed:
    """Return the latencies of ``count`` calls made one after another."""
    starts = [0] * count
    ends = [0] * count
    clock = perf_counter_ns
    for index in range(count):
        starts[index] = clock()
        run()
        ends[index] = clock()
    latencies_s = tuple((end - start) / NS_PER_S for start, end in zip(starts, ends, strict=True))
    return Timed(starts[0] / NS_PER_S, ends[-1] / NS_PER_S, latencies_s)
