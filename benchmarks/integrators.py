"""Our integrators and zeus's on the same traces, unwrapping, and aligned against unaligned windows: numbers only."""

import importlib
import importlib.util
import queue
import random
from bisect import bisect
from collections import defaultdict, deque
from collections.abc import Sequence
from math import sqrt
from types import SimpleNamespace
from typing import Any
from unittest import mock

from benchmarks.waveforms import WINDOW_S, Waveform, beats, counter_reader
from runner.meters.counter import Counter, CounterTrack, Reading
from runner.meters.power import PowerTrack

RAPL_STEP_J = 61.035e-6
RAPL_PERIOD_S = 0.001
GPU_STEP_J = 0.001
GPU_PERIOD_S = 0.1
POLL_S = 0.01
HAS_ZEUS = importlib.util.find_spec("zeus") is not None


def power_error_ratio(waveform: Waveform, sample_s: float) -> float:
    """Return the error of our zero-order hold over samples so far apart."""
    track = PowerTrack("GPU-0", sample_s)
    for at_s in beats(sample_s, seed=1):
        track.add(at_s, waveform.power_w(at_s))
    energy_j, _ = track.energy(*WINDOW_S)
    return energy_j / waveform.between(*WINDOW_S) - 1


def counter_error_ratio(waveform: Waveform) -> float:
    """Return the error of our interpolation between the changes of a RAPL counter."""
    energy_j, _ = _followed(waveform, RAPL_STEP_J, RAPL_PERIOD_S).energy(*WINDOW_S)
    return energy_j / waveform.between(*WINDOW_S) - 1


def zeus_error_ratio(waveform: Waveform, sample_s: float) -> float:
    """Return the error of zeus's own ``PowerMonitor`` on the samples that ``power_error_ratio`` takes.

    Its polling function, which drops samples equal to the one before, and its ``get_energy`` run as they are; time,
    the GPU and the queue between the two are ours.
    """
    zeus = importlib.import_module("zeus.monitor.power")  # optional: who has it not can run the rest
    moments = deque(beats(sample_s, seed=1))
    now = SimpleNamespace(s=moments.popleft())

    def wait(_: float) -> None:
        now.s = moments.popleft() if moments else float("inf")

    def read_mw(_: int) -> int:
        return round(waveform.power_w(now.s) * 1000)

    gpus = SimpleNamespace(
        get_instant_power_usage=read_mw,
        get_average_power_usage=read_mw,
        get_average_memory_power_usage=read_mw,
    )
    samples: queue.Queue[Any] = queue.Queue()
    with (
        mock.patch.object(zeus, "get_gpus", return_value=gpus),
        mock.patch.object(zeus, "time", side_effect=lambda: now.s),
        mock.patch.object(zeus, "sleep", wait),
    ):
        domain = zeus.PowerDomain.DEVICE_INSTANT
        ended = SimpleNamespace(is_set=lambda: now.s == float("inf"))
        zeus._domain_polling_process(domain, [0], samples, mock.Mock(), ended, sample_s)  # noqa: SLF001 - what it spawns
    monitor = object.__new__(zeus.PowerMonitor)  # its constructor asks for a GPU and starts processes
    monitor.measurement_domains, monitor.gpu_indices = [domain], [0]
    monitor.data_queues, monitor.samples = {domain: samples}, {domain: defaultdict(deque)}
    monitor.samples[domain][0] = deque()
    return float(monitor.get_energy(*WINDOW_S)[0]) / waveform.between(*WINDOW_S) - 1


def unwrap_error_units(traces: int, seed: int = 0) -> float:
    """Return the largest error over random counters, in their units, from first change to last."""
    draw = random.Random(seed)  # noqa: S311 - test data
    worst = 0.0
    for _ in range(traces):
        unit_j = draw.uniform(15e-6, 1e-3)
        modulus = draw.randrange(2**16, 2**32)
        # Up to 0.8 of a wrap from each read to the next, of which a device may draw no more than 0.9.
        counter = Counter("trace", unit_j, unit_j, 0.001, modulus, 0.9 * modulus * unit_j / POLL_S)
        track, total_j = CounterTrack(counter), draw.uniform(0, 10) * modulus * unit_j
        totals_j = []
        for step in range(draw.randint(13, 20)):
            track.add(Reading(step * POLL_S, 0.0, int(total_j / unit_j) % modulus))
            totals_j.append(total_j)
            total_j += draw.uniform(2e-5, 0.8) * modulus * unit_j
        last = len(totals_j) - 1
        energy_j, _ = track.energy(POLL_S, last * POLL_S)
        worst = max(worst, abs(energy_j - (totals_j[last] - totals_j[1])) / unit_j)
    return worst


def alignment_errors(
    waveforms: Sequence[Waveform], step_j: float, period_s: float, length_s: float
) -> tuple[float, float]:
    """Return the relative RMS errors of windows at many phases: as last polled before both edges, and aligned.

    Args:
        waveforms: what the device draws.
        step_j: what its counter shows.
        period_s: how often it is brought up to date.
        length_s: of the shortest window; the others are longer by up to a tenth.
    """
    unaligned, aligned = [], []
    draw = random.Random(2)  # noqa: S311 - phases
    polls_s = list(beats(POLL_S, seed=1))
    for waveform in waveforms:
        track = _followed(waveform, step_j, period_s)
        shown = counter_reader(waveform, step_j, period_s)
        for _ in range(200):
            started_s = draw.uniform(0.5, 11.0 - 1.1 * length_s)
            ended_s = started_s + length_s * draw.uniform(1.0, 1.1)
            true_j = waveform.between(started_s, ended_s)
            first_s, last_s = (polls_s[bisect(polls_s, edge_s) - 1] for edge_s in (started_s, ended_s))
            unaligned.append((shown(last_s) - shown(first_s)) * step_j / true_j - 1)
            aligned.append(track.energy(started_s, ended_s)[0] / true_j - 1)
    return _rms(unaligned), _rms(aligned)


def _followed(waveform: Waveform, step_j: float, period_s: float) -> CounterTrack:
    """Return our track of a counter of this power, polled as a run polls it."""
    # At one beat; a run polls fast counters as densely near the start, and exactly at the end (recorder.py).
    track = CounterTrack(Counter("device", step_j, step_j, period_s))
    shown = counter_reader(waveform, step_j, period_s)
    for at_s in beats(POLL_S, seed=1):
        track.add(Reading(at_s, 0.0, shown(at_s)))
    return track


def _rms(values: Sequence[float]) -> float:
    return sqrt(sum(value * value for value in values) / len(values))
