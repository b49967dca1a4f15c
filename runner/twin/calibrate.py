"""The service of one backend, from the windows of a report: by batch size, and by the idle gap before it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from shlex import quote
from typing import Any

import numpy as np

from runner.gaps import CALIBRATION_GAPS_S, OUTLASTED, outlasts
from runner.meters.interface import Domain
from runner.onnx_sources import parse_source, sources_of
from runner.report.evidence import figure_windows
from runner.report.figures import cpu_s_per_image, energy_per_image_j
from runner.report.joules import loaded_power_w
from runner.report.schema import Cell, Report, Window
from runner.stats.compare import LEAST_PAIRS
from runner.stats.summary import Numbers
from runner.twin.calibration import Calibration, Uncalibrated
from runner.twin.curve import Curve, Point, make_curve
from runner.twin.resample import Windows
from runner.twin.surface import error_ratio, make_surface
from runner.units import duration_text
from runner.variants import REFERENCE_VARIANT

_SAME_GAP_RATIO = 1.25
"""Gaps closer than this are one: between two so close the noise of their means is all slope. Ours."""
_SIZES = (1, 2, 4, 8, 16, 32)
"""the default of ``run --batch-sizes``"""
_BORROWS = OUTLASTED / 2
"""A batch measured without gaps takes what they add from a smaller one if it lasts so many times as long as the
longest. Half of what a run leaves gaps out at, because a batch may be faster in windows than in its warm-up."""
_LEAST_SIZES = 3
"""below which nothing tells how wrong it is to interpolate between them"""


@dataclass(frozen=True, slots=True)
class _Source:
    """What was measured of one batch size after one gap: windows of whole inferences."""

    size: int
    gap_s: float
    windows: tuple[Window, ...]
    latencies_s: tuple[Numbers, ...]
    costs: tuple[float | None, ...]
    """per batch, by window; None where not every domain was read"""

    @property
    def inferences(self) -> int:
        return sum(map(len, self.latencies_s))

    def point(self) -> Point:
        """Return the means, each inference of equal weight."""
        known = [(cost, len(own)) for cost, own in zip(self.costs, self.latencies_s, strict=True) if cost]
        cost = sum(cost * count for cost, count in known) / sum(count for _, count in known)
        return Point(self.gap_s, float(np.concatenate(self.latencies_s).mean()), cost)


def calibrate(  # noqa: PLR0913, PLR0917 - a report and what is asked of it
    report: Report,
    latencies_s: Sequence[Numbers],
    model: str,
    variant: str,
    backend: str,
    domains: Sequence[Domain] = (),
) -> Calibration | Uncalibrated:
    """Return the twin's service of one backend with ``io=host``, from the windows that the report's figures use.

    Args:
        report: of a run with idle gaps (``run --gaps``, or ``--pace``) besides back-to-back loads.
        latencies_s: of every inference, by window of the report.
        model: its name.
        variant: of the model.
        backend: its label.
        domains: whose joules are the cost; CPU time where none is given.
    """
    found = _sources(report, latencies_s, (model, variant, backend), tuple(domains))
    by_size: dict[int, list[_Source]] = defaultdict(list)
    for source in sorted(found, key=lambda each: (each.size, each.gap_s)):
        by_size[source.size].append(source)
    usable = dict(_with_gaps({size: _apart(own) for size, own in by_size.items() if own[0].gap_s == 0}))
    if reason := _missing(by_size, usable):
        fixed = next(entry.fixed_batch for entry in report.models if entry.name == model)
        return Uncalibrated(backend, reason, () if fixed else _sizes_to_run(tuple(by_size)), variant)
    idle_power = {
        size: _idle_power(report, model, domains, [each.point() for each in own])
        for size, own in usable.items()
    }
    curves = {
        size: make_curve([each.point() for each in own], idle_power[size]) for size, own in usable.items()
    }
    surface = make_surface(curves)
    windows = _windows([each for own in usable.values() for each in own], curves)
    if len(windows.blocks) < LEAST_PAIRS:
        few = f"measured in {len(windows.blocks)} blocks, and {LEAST_PAIRS} are the least"
        return Uncalibrated(backend, few, surface.sizes, variant)
    device = next(each.device for each in report.backends if each.label == backend)
    error = error_ratio(surface, curves)
    return Calibration(model, variant, backend, device, tuple(domains), error, curves, surface, windows)


def what_to_run(
    report: Report,
    model: str,
    backends: Sequence[str],
    sizes: Sequence[int],
    variants: Sequence[str] = (REFERENCE_VARIANT,),
) -> str:
    """Return the sentence that says how to measure what a twin of these backends, by label, lacks."""
    specs = [f"--backend {entry.spec}" for entry in report.backends if entry.label in backends]
    text, gaps = ",".join(map(str, sizes)), ",".join(map(duration_text, CALIBRATION_GAPS_S))
    what = " ".join((*_model_flags(report, model, variants), *specs))
    return f"Run: joulebatch run {what} --batch-sizes {text} --gaps {gaps}"


def _model_flags(report: Report, model: str, variants: Sequence[str]) -> Iterator[str]:
    """Yield the flags that name a model as the report's own run named it."""
    config: dict[str, Any] = dict(report.provenance.config)
    texts = config.get("onnx_files", ())
    if files := sources_of(texts, model):
        yield from (f"--onnx {quote(text)}" for text in files)
        if config.get("allow_other_outputs") and any(parse_source(text).label for text in files):
            yield "--allow-other-outputs"
        if len(files) == len(texts):  # else some may be the sizes of another file's inputs
            for name, sizes in config.get("shapes", {}).items():
                written = "x".join(map(str, sizes))
                yield "--shape " + quote(f"{name}={written}")
            for name, value in config.get("input_values", {}).items():
                yield "--input " + quote(f"{name}={value}")
        return
    yield f"-m {model}"
    if set(variants) != {REFERENCE_VARIANT}:
        yield from (f"--variant {each}" for each in variants)


def _sources(
    report: Report, latencies_s: Sequence[Numbers], who: tuple[str, str, str], domains: Sequence[Domain]
) -> Iterator[_Source]:
    """Yield what was measured in each cell; a pace gives the gap that its batches leave."""
    places = figure_windows(report.windows)
    for cell in report.cells:
        own = places.get(cell.key, ())
        is_ours = (cell.model, cell.variant, cell.backend, cell.io) == (*who, "host")
        if not is_ours or not own or cell.status != "measured":
            continue
        windows = tuple(report.windows[place] for place in own)
        times_s = tuple(np.asarray(latencies_s[place], np.float64) for place in own)
        gap_s = cell.load.gap_s
        if cell.load.pace_hz is not None:
            gap_s = cell.load.batch_size / cell.load.pace_hz - float(np.concatenate(times_s).mean())
        costs = tuple(_cost(cell, window, domains) for window in windows)
        if any(costs) and (gap_s > 0 or cell.load.is_back_to_back):
            yield _Source(cell.load.batch_size, gap_s, windows, times_s, costs)


def _cost(cell: Cell, window: Window, domains: Sequence[Domain]) -> float | None:
    per_image = energy_per_image_j(cell, window, domains) if domains else cpu_s_per_image(cell, window)
    return None if per_image is None else per_image * cell.load.batch_size


def _apart(sources: Sequence[_Source]) -> list[_Source]:
    """Return them without gaps that are nearly alike; of two the one with more inferences stays."""
    kept = [sources[0]]
    for source in sources[1:]:
        if source.gap_s > _SAME_GAP_RATIO * kept[-1].gap_s:
            kept.append(source)
        elif source.inferences > kept[-1].inferences and kept[-1].gap_s:
            kept[-1] = source
    return kept


def _with_gaps(by_size: Mapping[int, list[_Source]]) -> Iterator[tuple[int, list[_Source]]]:
    """Yield the batch sizes whose gaps are known: measured, or of a batch that outlasts them those of a smaller one."""
    smaller: list[_Source] = []
    for size, own in sorted(by_size.items()):
        if len(own) > 1:
            if own[-1].gap_s >= max(CALIBRATION_GAPS_S):  # shorter ones leave open what a longer one adds
                smaller = own
            yield size, own
        elif smaller and outlasts(own[0].point().latency_s, (each.gap_s for each in smaller), _BORROWS):
            yield size, [own[0], *_borrowed(own[0], smaller)]


def _borrowed(back_to_back: _Source, smaller: Sequence[_Source]) -> Iterator[_Source]:
    """Yield a batch size after each gap of a smaller one, as if the gap added as much latency and cost to it."""
    base = smaller[0].point()
    for after in (source.point() for source in smaller[1:]):
        added_s, added_cost = after.latency_s - base.latency_s, after.cost - base.cost
        yield replace(
            back_to_back,
            gap_s=after.gap_s,
            latencies_s=tuple(times_s + added_s for times_s in map(np.asarray, back_to_back.latencies_s)),
            costs=tuple(None if cost is None else cost + added_cost for cost in back_to_back.costs),
        )


def _missing(measured: Mapping[int, object], usable: Mapping[int, object]) -> str:
    """Return what a twin needs that was not measured; nothing where it has it all."""
    if not measured:
        return "nothing was measured with io=host"
    if not usable:
        return "no batch size was measured both back to back and after idle gaps"
    if 1 not in usable:
        return "batch size 1 was not measured both back to back and after idle gaps"
    sizes = sorted(usable)
    if len(sizes) < _LEAST_SIZES and any(right - left > 1 for left, right in pairwise(sizes)):
        return f"batch sizes between {sizes[0]} and {sizes[-1]} would be interpolated from these two alone"
    return ""


def _sizes_to_run(measured: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted({1, *measured})) if len(measured) >= _LEAST_SIZES else _SIZES


def _idle_power(report: Report, model: str, domains: Sequence[Domain], points: Sequence[Point]) -> float:
    """Return what a second of a long gap costs.

    No CPU time: threads that spin have gone to sleep. Energy is what the machine draws at rest, with the sessions of
    the model open where that was measured, else before the run, else what the last two gaps differ by.
    """
    if not domains:
        return 0.0
    resting_w = loaded_power_w(report.idle, domains, model)
    if resting_w is not None:
        return resting_w
    shorter, longest = points[-2:]
    return max(0.0, (longest.cost - shorter.cost) / (longest.gap_s - shorter.gap_s))


def _windows(sources: Sequence[_Source], curves: Mapping[int, Curve]) -> Windows:
    """Return what was measured around the means, a line of blocks per source."""
    blocks = sorted({window.block for source in sources for window in source.windows})
    workers = {window.block: window.worker for source in sources for window in source.windows}
    relative: list[Numbers] = []
    lengths: list[int] = []
    cost_off: list[float] = []
    for source in sources:
        point, power = source.point(), curves[source.size].power
        placed = {window.block: place for place, window in enumerate(source.windows)}
        for block in blocks:
            # A block in which this was not measured takes the window of the nearest one.
            place = placed[min(placed, key=lambda other: (abs(other - block), other))]
            times_s, cost = np.asarray(source.latencies_s[place]), source.costs[place]
            explained = point.cost + power * (float(times_s.mean()) - point.latency_s)
            relative.append(times_s / point.latency_s)
            lengths.append(times_s.size)
            cost_off.append(0.0 if cost is None else (cost - explained) / point.cost)
    length = np.array(lengths)
    return Windows(
        blocks=tuple(blocks),
        workers=tuple(workers[block] for block in blocks),
        relative=np.concatenate(relative),
        first=length.cumsum() - length,
        length=length,
        cost_off=np.array(cost_off),
    )
