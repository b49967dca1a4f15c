"""Every figure of a report, computed from its own windows; the one place that fills them in.

``reports verify`` derives them again from an archived report and its samples: nothing here may look at a figure that
the report already holds.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import compress

from runner.report.evidence import Evidence, Exclusions, Places, all_gpus_counted, figure_windows
from runner.report.figures import summarise
from runner.report.findings.registry import find
from runner.report.joules import Metering
from runner.report.queue_derive import derive_queue, without_queue_figures
from runner.report.rank import best_sets, choose, compare, tests
from runner.report.schema import Cell, Report, Window
from runner.stats.outliers import outliers
from runner.stats.queueing import Replay
from runner.stats.summary import Numbers


def derive(report: Report, latencies_s: Sequence[Numbers], replays: Sequence[Replay] = ()) -> Report:
    """Return the report with every figure that its windows bear out, in place of those it held.

    Args:
        report: with or without figures.
        latencies_s: of every inference, by window.
        replays: of every window of the queue.
    """
    places = figure_windows(report.windows)
    cells = tuple(_summarised(report, cell, places.get(cell.key, ()), latencies_s) for cell in report.cells)
    evidence = _evidence(report, cells)
    baselines, profile = report.baselines, report.provenance.profile
    comparisons, detectable_ratio = compare(evidence, baselines)
    by_backend: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        by_backend[cell.model, cell.backend].append(cell)
    derived = report.model_copy(
        update={
            "cells": cells,
            "queue": derive_queue(report, latencies_s, replays),
            "windows": _flagged(report.windows, places),
            "comparisons": comparisons,
            "best_sets": tuple(best_sets(evidence, quick=profile == "quick")),
            "choices": tuple(choose(evidence, planned) for planned in by_backend.values()),
            "tests": tuple(tests(evidence, baselines)) if profile == "publication" else (),
            "minimum_detectable_ratio": detectable_ratio,
        }
    )
    return derived.model_copy(update={"findings": find(derived, evidence)})


def without_figures(report: Report) -> Report:
    """Return what was measured, without what ``derive`` computes from it."""
    return report.model_copy(
        update={
            "cells": tuple(cell.model_copy(update={"summary": None}) for cell in report.cells),
            "windows": tuple(window.model_copy(update={"outlier": False}) for window in report.windows),
            "queue": without_queue_figures(report.queue),
            "comparisons": (),
            "best_sets": (),
            "choices": (),
            "tests": (),
            "minimum_detectable_ratio": None,
            "findings": (),
        }
    )


def _summarised(report: Report, cell: Cell, places: Sequence[int], latencies_s: Sequence[Numbers]) -> Cell:
    if not places:
        return cell.model_copy(update={"summary": None})
    device = next(backend.device for backend in report.backends if backend.label == cell.backend)
    metered = tuple(meter.domain for meter in report.meters if meter.status == "measured")
    windows, own_s = [report.windows[place] for place in places], [latencies_s[place] for place in places]
    summary = summarise(cell, windows, own_s, Metering(device, metered, report.idle))
    return cell.model_copy(update={"summary": summary})


def _flagged(windows: Sequence[Window], places: Places) -> tuple[Window, ...]:
    """Return the windows, those marked that lie far from the others of their cell's figures."""
    outlying: set[int] = set()
    for own in places.values():
        outlying.update(compress(own, outliers([windows[place].latency_mean_s for place in own])))
    return tuple(
        window.model_copy(update={"outlier": place in outlying}) for place, window in enumerate(windows)
    )


def _evidence(report: Report, cells: tuple[Cell, ...]) -> Evidence:
    exclusions = Exclusions(report)
    paired, finished = defaultdict(list), defaultdict(list)
    for window in report.windows:
        if window.paired:
            paired[window.cell].append(window)
        if window.paired or window.repeated_by is not None:
            finished[window.cell].append(window)
    return Evidence(
        # Measured cells without windows are found only where somebody edited a report.
        cells=tuple(cell for cell in cells if cell.summary and exclusions.of(cell) is None),
        windows=paired,
        finished=finished,
        devices={backend.label: backend.device for backend in report.backends},
        all_gpus_counted=all_gpus_counted(report),
        barred=report.barred,
    )
