"""Every figure of a report's queue, computed from its own windows and their requests."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from runner.report.evidence import Exclusions, all_gpus_counted
from runner.report.joules import Metering, summed_domains
from runner.report.queue_figures import summarise_queue
from runner.report.queue_predict import Twins
from runner.report.queue_rank import QueueEvidence, compare_queue, queue_exclusion, rank_tests
from runner.report.schema import QueueCell, QueueStudy, QueueWindow, Report
from runner.stats.queueing import Replay
from runner.stats.summary import Numbers

Taken = Mapping[str, Sequence[tuple[QueueWindow, Replay]]]


def derive_queue(
    report: Report, latencies_s: Sequence[Numbers], replays: Sequence[Replay]
) -> QueueStudy | None:
    """Return the queue's part of a report with every figure that its windows bear out; None where there is none.

    Args:
        report: with or without figures.
        latencies_s: of every inference, by window: they calibrate the twin.
        replays: of every window of the queue.
    """
    study = report.queue
    if study is None:
        return None
    taken: dict[str, list[tuple[QueueWindow, Replay]]] = defaultdict(list)
    for window, replay in zip(study.windows, replays, strict=True):
        taken[window.cell].append((window, replay))
    twins = Twins(report, latencies_s)
    cells = tuple(_derived(report, cell, taken.get(cell.key, ()), twins) for cell in study.cells)
    exclusions = Exclusions(report)
    evidence = QueueEvidence(
        planned=cells,
        cells=tuple(cell for cell in cells if not queue_exclusion(cell, exclusions.distrust(cell))),
        windows={key: [each for each in own if each[0].paired] for key, own in taken.items()},
        devices={backend.label: backend.device for backend in report.backends},
        baselines=report.baselines,
        all_gpus_counted=all_gpus_counted(report),
    )
    return study.model_copy(
        update={
            "cells": cells,
            "comparisons": tuple(compare_queue(evidence)),
            "tests": tuple(rank_tests(evidence)),
        }
    )


def without_queue_figures(study: QueueStudy | None) -> QueueStudy | None:
    """Return what was replayed, without what ``derive_queue`` computes from it."""
    if study is None:
        return None
    cells = (cell.model_copy(update={"summary": None, "prediction": None}) for cell in study.cells)
    return study.model_copy(update={"cells": tuple(cells), "comparisons": (), "tests": ()})


def _summarised(report: Report, cell: QueueCell, taken: Sequence[tuple[QueueWindow, Replay]]) -> QueueCell:
    """Return a cell with the figures of its paired windows, or of all of them where none is paired."""
    own = [each for each in taken if each[0].paired] or list(taken)
    if not own:
        return cell.model_copy(update={"summary": None})
    windows, replays = zip(*own, strict=True)
    return cell.model_copy(
        update={"summary": summarise_queue(cell, windows, replays, _metering(report, cell))}
    )


def _derived(
    report: Report, planned: QueueCell, taken: Sequence[tuple[QueueWindow, Replay]], twins: Twins
) -> QueueCell:
    """Return a cell with its figures, and what the twin says of it beside them or in their place."""
    cell = _summarised(report, planned, taken)
    recorded_s = taken[0][1].arrivals_s if taken else None
    energies = [window.energy for window in report.windows if window.paired]
    domains = summed_domains(energies, _metering(report, cell))
    if cell.summary:
        domains = cell.summary.energy.domains if cell.summary.energy else ()
    return cell.model_copy(update={"prediction": twins.predict(cell, domains, recorded_s)})


def _metering(report: Report, cell: QueueCell) -> Metering:
    device = next(backend.device for backend in report.backends if backend.label == cell.backend)
    metered = tuple(meter.domain for meter in report.meters if meter.status == "measured")
    return Metering(device, metered, report.idle)
