"""How many requests per second the twin simulates on one core, and whether its memory grows with them.

Run from the checkout: ``python -m benchmarks.twin [--requests 10000000]``. Poisson arrivals are drawn as they go. A
batch of n takes 5 + 3.5 n ms give or take 20 %, and 0.5 ms more after a pause. Two services say so: a stand-in, which
is next to nothing, and a calibration as a report gives one, with eight batch sizes, four gaps and forty blocks. Counted
is the CPU time of a process per policy and service, whatever else the machine does. The server of ``greedy`` is busy
for 60 % of the time, and the policies that wait for larger batches get the same requests. Goals: 2 million requests/s
for every policy and both services; and from a tenth of the requests to all of them, the peak of resident memory grows
by at most a byte per request of these (kept responses alone would be eight).
"""

import argparse
import platform
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from time import process_time

import numpy as np

from runner.arrivals.registry import parse_arrivals
from runner.policies.registry import parse_policy
from runner.report.environment import read_cpu
from runner.twin.calibration import Calibration
from runner.twin.curve import Point, make_curve
from runner.twin.figures import QueueFigures
from runner.twin.resample import Windows
from runner.twin.service import Counts, Floats, Rows, Service
from runner.twin.simulate import STRETCH, simulate
from runner.twin.surface import error_ratio, make_surface

GOAL_HZ = 2_000_000
GOAL_BYTES = 1
"""per request"""
ROWS = 1000
MIB = 1 << 20
BYTES_PER_MAXRSS = 1024
"""getrusage(2): ru_maxrss is in kilobytes"""
RATE_HZ = 75.0
"""at which the server of ``greedy:128`` is busy for 60 % of the time"""
CASES = (
    ("greedy:1", 67.0),  # 60 % as well
    ("greedy:128", RATE_HZ),
    ("fixed:16", RATE_HZ),
    ("timeout:16@50ms", RATE_HZ),
    ("deadline:16@200ms", RATE_HZ),
)
"""policy, and requests per second"""
MEAN_S = np.linspace(0.005, 0.453, 129)
"""by batch size: 5 ms and 3.5 ms per image, about ShuffleNet on two cores"""
PAUSE_S, SCATTER = 0.0005, 0.2
POOL, BLOCK = 4096, 32
"""measured times and the mean length of a block, of the stand-in"""
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
GAPS_S = (0.0, 0.002, 0.02, 0.2)
BLOCKS, INFERENCES = 40, 30
"""of the calibration, as a standard run has them"""
SPIN_S = 0.05
"""for which a thread spins through a gap"""


class Resampled:
    """Servers that read a pool of relative times in blocks of geometric length, a cursor per row."""

    def __init__(self, rows: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._pool = np.exp(rng.normal(0, SCATTER, POOL))
        self._cursor = rng.integers(POOL, size=rows)

    def draw(self, rows: Rows, counts: Counts, idle_s: Floats) -> tuple[Floats, Floats]:
        """Return service times and CPU times, both in seconds."""
        # One random number decides whether a block ends, and where the next one begins.
        chance = self._rng.random(rows.size) * BLOCK
        cursor = np.where(chance < 1, (chance * POOL).astype(np.int64), self._cursor[rows] + 1) % POOL
        self._cursor[rows] = cursor
        service_s = self._pool[cursor] * (MEAN_S[counts] + PAUSE_S * (idle_s > 0))
        return service_s, 2 * service_s


class Resampling:
    """The service of these servers."""

    def start(self, rows: int, rng: np.random.Generator) -> Resampled:
        """Return fresh servers."""
        return Resampled(rows, rng)


def calibrated() -> Calibration:
    """Return a calibration from windows of made-up times."""
    points = {
        size: [
            Point(
                gap_s,
                float(MEAN_S[size]) + PAUSE_S * (gap_s > 0),
                2 * float(MEAN_S[size]) + min(gap_s, SPIN_S),
            )
            for gap_s in GAPS_S
        ]
        for size in SIZES
    }
    curves = {size: make_curve(own, 0.0) for size, own in points.items()}
    surface = make_surface(curves)
    count = len(SIZES) * len(GAPS_S) * BLOCKS
    windows = Windows(
        blocks=tuple(range(BLOCKS)),
        workers=tuple(block % 5 for block in range(BLOCKS)),
        relative=np.exp(np.random.default_rng(0).normal(0, SCATTER, count * INFERENCES)),
        first=np.arange(count) * INFERENCES,
        length=np.full(count, INFERENCES),
        cost_off=np.zeros(count),
    )
    error = error_ratio(surface, curves)
    return Calibration("made-up", "fp32", "cpu", "cpu", (), error, curves, surface, windows)


SERVICES: dict[str, Callable[[], Service]] = {"stand-in": Resampling, "calibrated": calibrated}


@dataclass(frozen=True, slots=True)
class Timed:
    """What a simulation took, and how busy it kept its servers."""

    requests_hz: float
    """requests simulated per second of CPU time"""
    grown_bytes: int
    """peak of resident memory, above that of a simulation of a tenth of the requests just before"""
    busy_ratio: float
    mean_batch: float

    def met(self, requests: int) -> bool:
        """Whether it reached the goals, with so many requests."""
        return self.requests_hz >= GOAL_HZ and self.grown_bytes <= GOAL_BYTES * requests


def run(service: str, spec: str, rate_hz: float, requests: int) -> QueueFigures:
    """Return a simulation of so many requests in all."""
    policy = parse_policy(spec).policy(MEAN_S)
    arrivals = parse_arrivals("poisson").chunks(rate_hz, ROWS, STRETCH, np.random.default_rng(1))
    return simulate(policy, SERVICES[service](), arrivals, requests // ROWS, np.random.default_rng(2))


def measure(service: str, spec: str, rate_hz: float, requests: int) -> Timed:
    """Return what a simulation of so many requests takes, after one of a tenth; in a process of its own."""
    run(service, spec, rate_hz, requests // 10)
    before_bytes, began_s = peak_bytes(), process_time()
    figures = run(service, spec, rate_hz, requests)
    cpu_s = process_time() - began_s
    served = int(figures.served.sum())
    return Timed(
        requests_hz=served / cpu_s,
        grown_bytes=peak_bytes() - before_bytes,
        busy_ratio=float(figures.utilisation_ratio.mean()),
        mean_batch=served / int(figures.dispatches.sum()),
    )


def peak_bytes() -> int:
    """Return the most memory that was resident in this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_MAXRSS


def main() -> int:
    """Measure, print, and return 1 when a goal was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=10_000_000, help="of each policy, in 1000 rows")
    requests = parser.parse_args().requests
    print(f"{read_cpu()[0]}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{requests:,} requests in {ROWS:,} queues")
    print(
        f"goal: {GOAL_HZ / 1e6:g} million requests/s; {GOAL_BYTES * requests / MIB:.1f} MiB grown at most\n"
    )
    print(
        f"{'service':<12}{'policy':<20}{'rate':>6}{'busy':>6}{'batch':>7}{'million requests/s':>20}{'MiB grown':>11}"
    )
    verdicts = []
    for service, (spec, rate_hz) in product(SERVICES, CASES):
        with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
            timed = fresh.submit(measure, service, spec, rate_hz, requests).result()
        verdicts.append(timed.met(requests))
        print(
            f"{service:<12}{spec:<20}{rate_hz:>4.0f}/s{timed.busy_ratio:>6.2f}{timed.mean_batch:>7.1f}"
            f"{timed.requests_hz / 1e6:>20.1f}{timed.grown_bytes / MIB:>11.1f}"
            f"  {'met' if verdicts[-1] else 'MISSED'}"
        )
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
