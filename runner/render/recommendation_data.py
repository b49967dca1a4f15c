"""A recommendation as data for programs, in full precision."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import TextIO

from runner.twin.answers import Estimate, Rated, Recommendation

_HIDDEN = ("cost_by_row",)
"""what only pairs of predictions need"""
_FIGURES = (
    "response_percentile_s",
    "response_s",
    "response_p50_s",
    "response_p95_s",
    "response_p99_s",
    "wait_s",
    "service_s",
    "cost_per_image",
    "images_per_batch",
    "utilisation_ratio",
)


def write_recommendation_json(answer: Recommendation, stream: TextIO) -> None:
    """Write the whole of it; null is what has no figure."""
    stream.write(json.dumps(_plain(answer), indent=1, allow_nan=False) + "\n")


def write_recommendation_csv(answer: Recommendation, stream: TextIO) -> None:
    """Write a row per prediction, by cost; an empty field means that there is no figure."""
    rows = [_row(answer, one) for one in answer.rated]
    names = list(rows[0]) if rows else ["report_id"]
    writer = csv.DictWriter(stream, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _row(answer: Recommendation, one: Rated) -> dict[str, object]:
    each = one.prediction
    row: dict[str, object] = {
        "report_id": answer.report_id,
        "model": answer.model,
        "variant": each.variant,
        "backend": each.backend,
        "policy": each.policy,
        "arrivals": each.arrivals,
        "request_rate_hz": each.rate_hz,
        "limit_s": answer.question.limit_s,
        "percentile_ratio": each.percentile_ratio,
        "is_winner": one is answer.winner,
        "is_tied": one.tied,
        "is_runner_up": one is answer.runner_up,
        "naive": next((naive.name for naive in answer.naive if naive.rated is one), ""),
        "is_on_front": any(one is other for other in answer.front),
        "keeps_limit": one.kept,
        "stable": each.stable,
        "cost_metric": answer.metric,
        "cost_domains": "+".join(answer.domains),
    }
    for name in _FIGURES:
        row |= _estimate(name, getattr(each, name) if each.stable else None)
    return row | _estimate("cost_ratio", one.cost_ratio)


def _estimate(name: str, figure: Estimate | None) -> dict[str, object]:
    """Return a figure and its limits, these named before the unit: the suffix stays the unit."""
    return {
        name: figure.mean if figure else None,
        f"low_{name}": figure.low if figure else None,
        f"high_{name}": figure.high if figure else None,
    }


def _plain(value: object) -> object:
    """Return what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: _plain(getattr(value, each.name)) for each in fields(value) if each.name not in _HIDDEN
        }
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value
