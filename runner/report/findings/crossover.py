"""A GPU is no faster than a CPU at batch 1; the batch from which it is."""

from collections.abc import Iterator, Sequence

from runner.report.evidence import Evidence, paired_ratio
from runner.report.findings.claims import count_figure, matched, ratio_figure
from runner.report.schema import Cell, Finding, FindingFigure, Report
from runner.stats.compare import exceeds, verdict
from runner.stats.intervals import RatioInterval

NO_GAIN_RATIO = 0.95
"""Latency of GPU / CPU, surely above: a twentieth is what no user would buy a GPU for"""


def find(report: Report, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding per model, GPU backend and CPU backend.

    Batches that were not measured are not guessed at: the crossover is the smallest measured batch from which on the
    GPU is faster at every measured one. Copies count: they are part of what a request waits for.
    """
    devices = evidence.devices
    gpus, cpus = ([b.label for b in report.backends if devices[b.label] == d] for d in ("gpu", "cpu"))
    for gpu in gpus:
        for cpu in cpus:
            everything = matched(evidence, gpu, cpu, lambda load: load.is_back_to_back)
            for (model, variant), pairs in everything.items():
                if finding := _found(evidence, gpu, cpu, pairs):
                    yield finding.model_copy(update={"model": model, "variant": variant})


def _found(evidence: Evidence, gpu: str, cpu: str, pairs: Sequence[tuple[Cell, Cell]]) -> Finding | None:
    """Return what two backends of a model give away; the model is filled in by the caller."""
    ratios: dict[int, tuple[Cell, RatioInterval]] = {}
    for cell, other in pairs:
        ratio = paired_ratio(evidence, "latency", cell, other)
        if cell.io == "host" and ratio:
            ratios[cell.load.batch_size] = cell, ratio
    if 1 not in ratios or not exceeds(ratios[1][1], NO_GAIN_RATIO):
        return None
    faster = _crossover({size: ratio for size, (_, ratio) in ratios.items()})
    figures: tuple[FindingFigure, ...] = (ratio_figure(f"latency at batch 1 to that of {cpu}", ratios[1][1]),)
    if faster is not None:
        figures += (
            count_figure("faster from batch", faster),
            ratio_figure("latency there", ratios[faster][1]),
        )
    return Finding(
        kind="crossover",
        title=f"The GPU is no faster than {cpu} at batch 1",
        backend=gpu,
        cells=(ratios[1][0].key,),
        figures=figures,
        detail="" if faster is not None else f"nor seen faster at any batch up to {max(ratios)}",
        remedy=f"Take {cpu} for single images, {gpu} for batches of {faster} and more"
        if faster is not None
        else f"Take {cpu}, or measure larger --batch-sizes",
    )


def _crossover(ratios: dict[int, RatioInterval]) -> int | None:
    """Return the smallest batch from which on every measured one is surely faster; None where the largest is not."""
    smallest = None
    for size in sorted(ratios, reverse=True):
        if verdict(ratios[size]) != "less":
            break
        smallest = size
    return smallest
