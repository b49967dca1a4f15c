"""How cells compare with the baseline, and which are best."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from runner.contender import Contender
from runner.report.costs import costs_by_basis
from runner.report.evidence import (
    Evidence,
    Paired,
    group_of,
    grouped,
    metrics,
    pair,
    rankings,
    ratio_of,
    summary_of,
)
from runner.report.schema import (
    BackendChoice,
    BestSet,
    Cell,
    Comparison,
    CostMetric,
    Metric,
    RatioLimits,
    SupplementaryTest,
)
from runner.stats.compare import LEAST_PAIRS, best_set, lowest, verdict
from runner.stats.effect import cliffs_delta
from runner.stats.intervals import minimum_detectable_ratio
from runner.stats.ranktests import Found, family

Baselines = Mapping[str, Contender]
"""by model"""


def compare(evidence: Evidence, baselines: Baselines) -> tuple[tuple[Comparison, ...], float | None]:
    """Return every comparison with its model's baseline and the run's minimum detectable ratio."""
    by_group = {group_of(cell): cell for cell in evidence.cells if _is_baseline(baselines, cell)}
    comparisons, detectable = [], []
    for cell in evidence.cells:
        base = by_group.get(group_of(cell))
        if base is None or base is cell:
            continue
        for metric in metrics(evidence, (cell, base)):
            paired = pair(evidence.windows, metric, (cell, base))
            if paired is None:
                continue
            comparisons.append(_comparison(evidence, metric, (cell, base), paired))
            if metric == "latency":
                own, bases = paired.table.T
                detectable.append(minimum_detectable_ratio(own, bases, paired.workers))
    known = [ratio for ratio in detectable if ratio is not None]
    return tuple(comparisons), median(known) if known else None


def _is_baseline(baselines: Baselines, cell: Cell) -> bool:
    return cell.contender == baselines.get(cell.model)


def _variant_of(cells: Sequence[Cell]) -> str | None:
    """Return the variant that all these cells have, or None where several compete."""
    variants = {cell.variant for cell in cells}
    return variants.pop() if len(variants) == 1 else None


def _comparison(evidence: Evidence, metric: Metric, cells: tuple[Cell, Cell], paired: Paired) -> Comparison:
    cell, base = cells
    interval, (own, bases) = ratio_of(paired), paired.table.T
    everything = pair(evidence.finished, metric, cells)
    disturbed = None
    if everything and len(everything.table) > len(paired.table):
        whole = ratio_of(everything)
        disturbed = RatioLimits(
            ratio=whole.ratio, low=whole.low, high=whole.high, pair_count=whole.pair_count
        )
    return Comparison(
        cell=cell.key,
        baseline_cell=base.key,
        metric=metric,
        ratio=interval.ratio,
        low=interval.low,
        high=interval.high,
        pair_count=interval.pair_count,
        verdict=verdict(interval),
        worker_count=interval.worker_count,
        with_disturbed=disturbed,
        cliffs_delta=cliffs_delta(own, bases),
    )


def best_sets(evidence: Evidence, *, quick: bool) -> Iterator[BestSet]:
    """Yield the best cells of each model, load and io that may win: by latency, and by cost where cost ranks."""
    for cells in grouped(evidence.candidates):
        for metric, candidates in rankings(evidence, cells):
            paired = pair(evidence.windows, metric, candidates) if len(candidates) > 1 else None
            if paired is None:
                continue
            apparent = quick or len(paired.table) < LEAST_PAIRS
            best = lowest(paired.table)
            members = (best,) if apparent else best_set(paired.table, paired.workers)
            yield BestSet(
                model=cells[0].model,
                variant=_variant_of(candidates),
                load=cells[0].load,
                metric=metric,
                best=candidates[best].key,
                members=tuple(candidates[member].key for member in members),
                apparent=apparent,
            )


def tests(evidence: Evidence, baselines: Baselines) -> Iterator[SupplementaryTest]:
    """Yield the rank tests of every family: Friedman over its cells, then each of them against the baseline's.

    A family is what can be compared: the contenders of one model, load, io and metric.
    """
    for cells in grouped(evidence.cells):
        for metric, candidates in rankings(evidence, cells):
            for found in _family(evidence, metric, candidates, baselines):
                yield SupplementaryTest(
                    model=cells[0].model,
                    variant=_variant_of(candidates),
                    load=cells[0].load,
                    io=cells[0].io,
                    metric=metric,
                    test=found.name,
                    cells=tuple(candidates[place].key for place in found.members),
                    block_count=found.block_count,
                    statistic=found.test.statistic,
                    p=found.test.p,
                    p_holm=found.p_holm,
                )


def _family(
    evidence: Evidence, metric: Metric, cells: Sequence[Cell], baselines: Baselines
) -> Iterator[Found]:
    everything = pair(evidence.windows, metric, cells) if len(cells) > 1 else None
    pairs = {
        (place, base): paired.table
        for base, baseline in enumerate(cells)
        if _is_baseline(baselines, baseline)
        for place, cell in enumerate(cells)
        if place != base and (paired := pair(evidence.windows, metric, (cell, baseline)))
    }
    return family(everything.table if everything else None, pairs)


def choose(evidence: Evidence, planned: Sequence[Cell]) -> BackendChoice:
    """Return one backend's cell of most images per second and its cell of least cost per image.

    Args:
        evidence: what may be compared.
        planned: all cells of a model under the backend.
    """
    model, backend = planned[0].model, planned[0].backend
    cells = [
        cell
        for cell in evidence.candidates
        # Device-resident cells leave out the copies that a user pays for; a mixed load is no batch to choose, and
        # what idles between batches costs as its gaps do.
        if (cell.model, cell.backend, cell.io) == (model, backend, "host")
        and not cell.load.mixed
        and not cell.load.gap_s
    ]
    back_to_back = [cell for cell in cells if cell.load.is_back_to_back]
    metric, costs = _costs(evidence, cells)
    most = max(back_to_back, key=lambda cell: summary_of(cell).images_per_s.mean, default=None)
    return BackendChoice(
        model=model,
        variant=_variant_of(planned),
        backend=backend,
        most_images=most.key if most else None,
        least_cost=min(costs, key=costs.__getitem__, default=None),
        cost_metric=metric,
        cost_candidates=len(costs),
    )


def _costs(evidence: Evidence, cells: Sequence[Cell]) -> tuple[CostMetric | None, Mapping[str, float]]:
    """Return what an image costs by cell, in the largest group whose costs compare; joules before CPU time.

    Of one backend that is a pace, because only then the gaps cost the same, and one set of domains. Paced cells win
    a tie.
    """
    paced_first = sorted(cells, key=lambda cell: cell.load.pace_hz is None)
    groups = costs_by_basis(paced_first, evidence.devices, all_gpus_counted=evidence.all_gpus_counted)
    joules = {basis: group for basis, group in groups.items() if basis.metric == "energy_per_image"}
    basis, group = max((joules or groups).items(), key=lambda item: len(item[1]), default=(None, []))
    return basis.metric if basis else None, {cell.key: cost.mean for cell, cost in group}
