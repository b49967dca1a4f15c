"""A comparison of archived runs for programs: JSON of all of it, CSV with a row per figure."""

import csv
import json
from collections.abc import Iterator
from math import isfinite
from typing import Any, Final, TextIO

from runner.render.comparison import METRIC_UNITS, TOO_FEW, Judgements
from runner.report.comparison.compare import Comparison, Figure
from runner.report.comparison.gate import Gate
from runner.report.comparison.rules import AnyCell
from runner.report.schema import Cell

COMPARISON_VERSION: Final = 1


def write_comparison_json(judgements: Judgements, stream: TextIO) -> None:
    """Write everything, in full precision."""
    data = {
        "comparison_version": COMPARISON_VERSION,
        "comparisons": [_comparison(*each) for each in judgements],
    }
    stream.write(json.dumps(data, indent=1, allow_nan=False) + "\n")


def write_comparison_csv(judgements: Judgements, stream: TextIO) -> None:
    """Write a row per figure, and one without figures per cell that was not compared."""
    rows = [row for each in judgements for row in _rows(*each)]
    writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)


_COLUMNS = (
    *("reference_id", "new_id", "cell", "model", "variant", "backend", "metric", "unit", "occupancy"),
    *("reference", "new", "ratio", "low", "high", "with_spread"),
    *("verdict", "threshold_ratio", "gate_low", "gate_high", "detectable_ratio", "reason"),
)


def _rows(each: Comparison, gate: Gate | None) -> Iterator[dict[str, Any]]:
    ids = {
        "reference_id": " ".join(each.reference.report_ids),
        "new_id": " ".join(each.new.report_ids),
    }
    for cell in each.matched:
        for figure in cell.figures:
            yield ids | _head(cell.cell) | _figure(figure, gate)
        whys = [f"refused by {breach.rule.name}" for breach in cell.breaches if breach.action == "refuse"]
        whys += [f"reference: {cell.reference_excluded}"] if cell.reference_excluded else []
        whys += [f"new: {cell.new_excluded}"] if cell.new_excluded else []
        whys = whys or ([] if cell.figures else [TOO_FEW])
        for metric, why in cell.lacks.items():
            yield ids | _head(cell.cell) | {"metric": metric, "reason": why}
        if whys:
            yield ids | _head(cell.cell) | {"reason": "; ".join(whys)}
    for own in each.reference_only:
        yield ids | _head(own) | {"reason": "only in the reference"}
    for own in each.new_only:
        yield ids | _head(own) | {"reason": "only in the new run"}


def _head(cell: AnyCell) -> dict[str, Any]:
    return {"cell": cell.key, "model": cell.model, "variant": cell.variant, "backend": cell.backend}


def _figure(figure: Figure, gate: Gate | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "metric": figure.metric,
        "unit": METRIC_UNITS[figure.metric],
        "occupancy": figure.occupancy,
        "reference": figure.reference,
        "new": figure.new,
        "ratio": _finite(figure.difference.ratio),
        "low": _finite(figure.low),
        "high": _finite(figure.high),
        "with_spread": figure.spread is not None,
    }
    for judged in gate.judged if gate else ():
        if judged.figure is figure:
            row |= {
                "verdict": judged.verdict,
                "threshold_ratio": judged.threshold_ratio,
                "gate_low": _finite(judged.low),
                "gate_high": _finite(judged.high),
                "detectable_ratio": _finite(judged.detectable),
                "reason": judged.reason,
            }
    return row


def _finite(value: float | None) -> float | None:
    """Return a number, or None where JSON has no word for it: nothing is known of that limit."""
    return value if value is not None and isfinite(value) else None


def _comparison(each: Comparison, gate: Gate | None) -> dict[str, Any]:
    return {
        "reference_ids": each.reference.report_ids,
        "new_ids": each.new.report_ids,
        "cells": [
            _head(cell.cell)
            | {
                "io": cell.cell.io if isinstance(cell.cell, Cell) else None,
                "reference_excluded": cell.reference_excluded,
                "new_excluded": cell.new_excluded,
                "rules": [
                    {
                        "name": breach.rule.name,
                        "action": breach.action,
                        "metrics": breach.rule.metrics,
                        "reference": breach.reference,
                        "new": breach.new,
                    }
                    for breach in cell.breaches
                ],
                "lacks": dict(cell.lacks),
                "figures": [
                    _figure(figure, gate) | ({"no_spread": figure.no_spread} if figure.no_spread else {})
                    for figure in cell.figures
                ],
            }
            for cell in each.matched
        ],
        "reference_only": [cell.key for cell in each.reference_only],
        "new_only": [cell.key for cell in each.new_only],
        "gate": None
        if gate is None
        else {
            "failed": gate.failed,
            "inconclusive": gate.untold,
            "detectable_ratio": _finite(gate.detectable),
            "parity": gate.parity,
            "missed": [
                {"cell": missed.key, "reason": missed.reason, "fails": missed.fails} for missed in gate.missed
            ],
        },
    }
