"""Whether the meters can be believed, and what reading them costs; needs no meter.

Run from the checkout: ``python -m benchmarks.meters [--traces N] [--seconds S]``. Integrals are compared with waveforms
of known energy, and with zeus's on the same samples where zeus is installed; counters that wrap with what was
wrapped; windows between observed changes with windows read at their edges; and the polling thread is timed on a
tree of two sockets that another process keeps up to date. Goals: 0.1 %, one unit, and 0.5 % of a core.
"""

import argparse
import logging
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from benchmarks import integrators
from benchmarks.powercap_writer import UNIT_J, UPDATE_PERIOD_S, ZONES, powercap, written_tree, zone_path
from benchmarks.waveforms import WAVEFORMS
from runner.clock import SystemClock
from runner.load.warmup import VISIT_S
from runner.meters import recorder
from runner.meters.domain import CounterChannel, DomainMeter
from runner.meters.interface import Measured
from runner.meters.powercap import OpenCounter, Zone
from runner.meters.rapl import pyrapl_reader
from runner.meters.recorder import Ahead, MeterSet
from runner.meters.tick import Tick, WatchedCounter
from runner.report.environment import read_cpu

GOAL_ERROR_RATIO = 0.001
GOAL_UNITS = 1.0
GOAL_CORE_RATIO = 0.005
SAMPLE_S = 0.001
"""of the traces that the goal is held to: what is judged is the integrator, and not the sampling"""
RANGE_J = 100_000.0
WINDOW_S = 1.0
"""the shortest that RAPL gets, in which polling is densest"""
ZEUS_VERSION = "0.16.0"

Read = Callable[[], int]


def compare_integrators() -> bool:
    """Print the errors on every waveform, and return whether ours meet the goal."""
    zeus = integrators.HAS_ZEUS
    print(
        f"{'error, 10 s of':<16}{'our power':>11}{'our counter':>13}{'zeus':>10}{'our power':>15}{'zeus':>10}"
    )
    print(f"{'sampled each':<16}{'1 ms':>11}{'10 ms':>13}{'1 ms':>10}{'10 ms':>15}{'10 ms':>10}")
    worst = 0.0
    for wave in WAVEFORMS:
        power, counter = integrators.power_error_ratio(wave, SAMPLE_S), integrators.counter_error_ratio(wave)
        coarse = integrators.power_error_ratio(wave, integrators.POLL_S)
        worst = max(worst, abs(power), abs(counter))
        theirs = (
            [integrators.zeus_error_ratio(wave, s) for s in (SAMPLE_S, integrators.POLL_S)] if zeus else []
        )
        fine_text, coarse_text = (f"{ratio:+.3%}" for ratio in theirs) if zeus else ("-", "-")
        print(
            f"{wave.name:<16}{power:>+11.3%}{counter:>+13.3%}{fine_text:>10}{coarse:>+15.3%}{coarse_text:>10}"
        )
    if not zeus:
        print(f"zeus SKIPPED: it is not installed; pip install zeus=={ZEUS_VERSION}")
    return judge("largest error of ours", worst, GOAL_ERROR_RATIO, "{:.3%}")


def compare_windows() -> None:
    """Print what interpolating between observed changes gains over a counter as last polled before both edges."""
    header = f"{'unaligned':>11}{'aligned':>10}{'gain':>8}"
    print(f"{'windows, RMS error':<18}{header}{'steady':>14}{'aligned':>10}{'gain':>8}")
    for name, step_j, period_s, length_s in (
        ("RAPL, 1 ms, 1 s", integrators.RAPL_STEP_J, integrators.RAPL_PERIOD_S, 1.0),
        ("GPU, 20 ms, 2 s", integrators.GPU_STEP_J, 0.02, 2.0),
        ("GPU, 100 ms, 2 s", integrators.GPU_STEP_J, integrators.GPU_PERIOD_S, 2.0),
    ):
        unaligned, aligned = integrators.alignment_errors(WAVEFORMS, step_j, period_s, length_s)
        steady, aligned_steady = integrators.alignment_errors(WAVEFORMS[:1], step_j, period_s, length_s)
        print(
            f"{name:<18}{unaligned:>11.3%}{aligned:>10.3%}{unaligned / aligned:>7.1f}x"
            f"{steady:>14.3%}{aligned_steady:>10.3%}{steady / aligned_steady:>7.1f}x"
        )


def measure_cost(seconds: float) -> bool:
    """Print the poller's share of a core by who reads and how often, and return whether ours meets the goal."""
    worst = 0.0
    print(f"{'polling thread, % of a core':<34}{'ours':>8}{'10 ms':>9}{'50 ms':>9}{'ours, 10 s':>13}")
    for name, reads in (("four counters, powercap", powercap_reads), ("four counters, pyRAPL", pyrapl_reads)):
        with (
            tempfile.TemporaryDirectory() as folder,
            written_tree(Path(folder), RANGE_J),
            open_tree(Path(folder), reads(Path(folder))) as meters,
        ):
            ours = poller_ratio(meters, WINDOW_S, seconds)
            fixed = []
            for poll_s in (0.01, 0.05):
                with mock.patch.object(recorder, "poll_interval_s", return_value=poll_s):
                    fixed.append(poller_ratio(meters, WINDOW_S, seconds))
            long = poller_ratio(meters, 10.0, max(10.0, seconds))
        worst = max(worst, ours)
        print(f"{name:<34}{ours:>8.2%}{fixed[0]:>9.2%}{fixed[1]:>9.2%}{long:>13.2%}")
    return judge(f"polling in windows of {WINDOW_S:g} s", worst, GOAL_CORE_RATIO, "{:.2%} of a core")


def powercap_reads(folder: Path) -> list[Read]:
    """Return our own readers of the tree's counters."""
    return [OpenCounter(zone).read_count for zone in zones(folder)]  # open until the benchmark ends


def pyrapl_reads(folder: Path) -> list[Read]:
    """Return pyRAPL's readers of the tree's counters; it knows one path, which stands for the folder here."""
    logging.disable()  # its import warns about packages that nobody needs here
    from pyRAPL import device_api  # noqa: PLC0415 - only where it is used

    logging.disable(logging.NOTSET)

    def ours(path: str) -> Path:
        for theirs, own in (
            ("/sys/class/powercap", powercap(folder)),
            ("/sys/devices/system/cpu", folder / "cpu"),
        ):
            path = path.replace(theirs, str(own))
        return Path(path)

    with (
        mock.patch.object(device_api, "open", lambda path, *_: ours(path).open(), create=True),
        mock.patch.object(device_api.os.path, "exists", lambda path: ours(path).is_dir()),
    ):
        return [
            pyrapl_reader("dram" if zone.device.startswith("dram") else "cpu_package", zone)
            for zone in zones(folder)
        ]


def zones(folder: Path) -> list[Zone]:
    """Return the counters of the tree."""
    return [
        Zone(
            zone_path(folder, name),
            int(name[8]),
            f"{'dram' if name.endswith('dram') else 'package'}-{name[8]}",
        )
        for name, _ in ZONES
    ]


def open_tree(folder: Path, reads: list[Read]) -> MeterSet:
    """Return the meters of a machine of two sockets, read so."""
    clock = SystemClock()
    channels = tuple(
        # The tick of the hardware that the tree stands for: its writer is a process, and may be late.
        CounterChannel(WatchedCounter(zone.counter(), read, Tick(UPDATE_PERIOD_S, UNIT_J)), "tree", clock)
        for zone, read in zip(zones(folder), reads, strict=True)
    )
    meters = (DomainMeter("cpu_package", channels[::2]), DomainMeter("dram", channels[1::2]))
    return MeterSet(meters, (), clock)


def poller_ratio(meters: MeterSet, window_s: float, seconds: float) -> float:
    """Return the CPU time of the polling thread over the time of the windows it polled in."""
    before_s, wall_s = meters.poller_cpu_s, 0.0
    while wall_s < seconds:
        meters.begin(Ahead(VISIT_S, window_s))
        time.sleep(VISIT_S)
        started_s = time.monotonic()
        time.sleep(window_s)
        ended_s = time.monotonic()
        energies = meters.end(started_s, ended_s)
        if not all(isinstance(energy, Measured) for energy in energies):
            raise RuntimeError(f"a window has no figure, so its polls prove nothing: {energies}")
        wall_s += ended_s - started_s
    return (meters.poller_cpu_s - before_s) / wall_s


def judge(what: str, value: float, goal: float, form: str) -> bool:
    """Print a figure beside its goal, and return whether it is met."""
    met = value <= goal
    print(f"{what} {form.format(value)}, goal <= {form.format(goal)}: {'met' if met else 'MISSED'}\n")
    return met


def main() -> int:
    """Measure, print, and return 1 when a goal was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--traces", type=int, default=100_000, help="random counters to unwrap")
    parser.add_argument("--seconds", type=float, default=10.0, help="of polling, for each way")
    args = parser.parse_args()
    print(f"python -m benchmarks.meters {shlex.join(sys.argv[1:])}".rstrip())
    print(f"{read_cpu()[0]}\n")
    met = [compare_integrators()]
    compare_windows()
    units = integrators.unwrap_error_units(args.traces)
    print()
    met.append(
        judge(f"unwrapping {args.traces:,} random traces: largest error", units, GOAL_UNITS, "{:.3f} units")
    )
    met.append(measure_cost(args.seconds))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
