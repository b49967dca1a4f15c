"""How long inferences, windows and visits are expected to take."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from runner.load.warmup import FRESH_INFERENCES, VISIT_S
from runner.machine.cpu import usable_cores
from runner.modelfile import ModelFile
from runner.profiles import Profile
from runner.report.schema import Cell, Load

WINDOW_S = 0.1
"""Length of a window without an energy meter: for the same total time short and long windows do equally well, and
short ones alternate sooner."""
MIN_INFERENCES = 3
"""A window is a mean; in one of two inferences, a single disturbed one would be half of it."""
LONGEST_SHARED_WINDOW = 4.0
"""Contenders of a load share one inference count until the slowest would take this many target windows for it."""
_ASK_S = 0.01
"""around a visit: waking and parking the worker, reading the machine, the journal's way to the disk"""
_MULTIPLY_ADDS_PER_CORE_S = 25e9
"""fp32 with 256-bit vectors, as networks reach it; the first inferences replace this guess"""
_CALL_S = 0.002
"""what operations do not explain: ShuffleNet takes up to 2.8 ms at batch 1, its 40 million under 1 ms of it"""
_UNKNOWN_MULTIPLY_ADDS = 1_000_000_000
"""of a file whose operations cannot be counted, until its first inference"""


def predict_inference_s(file: ModelFile, batch_size: int) -> float:
    """Return a first guess at the time of one inference, from the model's operations."""
    operations = _UNKNOWN_MULTIPLY_ADDS if file.multiply_adds is None else file.multiply_adds
    return _CALL_S + batch_size * operations / (_MULTIPLY_ADDS_PER_CORE_S * usable_cores())


def predict_load_s(file: ModelFile, load: Load) -> float:
    """Return a first guess at the time of one inference of a load, or of one pass of a mixed one."""
    return sum(predict_inference_s(file, size) for size in load.sizes)


def smallest_run_s(cells: Iterable[Cell], inference_s: Mapping[str, float], profile: Profile) -> float:
    """Return the time for preparing these cells and for the fewest blocks of the plainest windows."""
    total_s = 0.0
    for cell in cells:
        each_s = inference_s[cell.key]
        if not cell.load.has_gaps:  # others use what was warmed up for these
            total_s += each_s + profile.warm_up.least_s(each_s)
            total_s += (profile.workers - 1) * (1 + FRESH_INFERENCES) * each_s
        total_s += profile.min_blocks * visit_s(cell, each_s, fewest_inferences(cell, each_s, WINDOW_S, 1))
    return total_s


def fewest_inferences(cell: Cell, inference_s: float, window_s: float, floor: int) -> int:
    """Return how many inferences, or pacing periods, fill a window."""
    return max(floor, ceil(window_s / step_s(cell.load, inference_s)))


def period_s(load: Load) -> float | None:
    """Return the time from one inference to the next at a pace; None back to back."""
    return None if load.pace_hz is None else load.batch_size / load.pace_hz


def step_s(load: Load, inference_s: float) -> float:
    """Return the time from one inference to the next: the period of a pace, or what an inference and its gap take."""
    return period_s(load) or inference_s + load.gap_s


def visit_s(cell: Cell, inference_s: float, count: int) -> float:
    """Return the predicted time of one visit: asking, the untimed begin, the window."""
    return _ASK_S + untimed_s(cell, inference_s) + timed_s(cell, inference_s, count)


def untimed_s(cell: Cell, inference_s: float) -> float:
    """Return the predicted time of the begin of a visit: whole inferences without gaps, else one with its gap."""
    if not cell.load.has_gaps:
        return inference_s * ceil(VISIT_S / inference_s)
    return timed_s(cell, inference_s, 1)


def timed_s(cell: Cell, inference_s: float, count: int) -> float:
    """Return the predicted time of a window; a pace above capacity is not kept up."""
    return count * max(inference_s, step_s(cell.load, inference_s))


def share_windows(
    cells: Sequence[Cell],
    inference_s: Mapping[str, float],
    window_s: float,
    floor: int,
    longest: float = LONGEST_SHARED_WINDOW,
) -> dict[str, int]:
    """Return the inferences per window of each cell: one count for all contenders of a load.

    The fastest contender's window lasts ``window_s``. One for which that count would take over ``longest`` times
    as long gets a count of its own, because one GPU must not make CPUs crawl.
    """
    counts: dict[str, int] = {}
    for load in {cell.load for cell in cells}:
        peers = [cell for cell in cells if cell.load == load]
        shared = max(fewest_inferences(cell, inference_s[cell.key], window_s, floor) for cell in peers)
        for cell in peers:
            each_s = step_s(load, inference_s[cell.key])
            longest_s = longest * max(window_s, each_s * floor)
            fits = shared * each_s <= longest_s
            counts[cell.key] = shared if fits else max(floor, ceil(longest_s / each_s))
    return counts
