"""A timeline as data for programs: a row per model, those left out included, in full precision."""

import csv
import json
from dataclasses import asdict
from typing import TextIO

from runner.report.timeline import LeftOut, Timeline
from runner.report.timeline_figures import Point


def write_json(timeline: Timeline, stream: TextIO) -> None:
    """Write the rows, growth and findings; null means unavailable and never 0."""
    basis = timeline.basis
    data = {
        "report_id": timeline.report_id,
        "status": timeline.status,
        "backend": timeline.backend,
        "spinning": timeline.spinning,
        "metric": basis.metric,
        "batch_size": basis.load.batch_size,
        "pace_hz": basis.load.pace_hz,
        "energy_domains": list(basis.domains),
        "cpu_occupancy": basis.occupancy,
        "models": _rows(timeline),
        "growth": asdict(timeline.growth) if timeline.growth else None,
        "findings": [asdict(finding) for finding in timeline.findings],
        "missing_of_study": list(timeline.missing_of_study),
    }
    stream.write(json.dumps(data, indent=1) + "\n")


def write_csv(timeline: Timeline, stream: TextIO) -> None:
    """Write the rows, each with what it is measured by; an empty field means unavailable and never 0."""
    basis = timeline.basis
    common = {
        "report_id": timeline.report_id,
        "backend": timeline.backend,
        "batch_size": basis.load.batch_size,
        "pace_hz": basis.load.pace_hz,
        "energy_domains": "+".join(basis.domains),
        "cpu_occupancy": basis.occupancy,
    }
    rows = [{**common, **row} for row in _rows(timeline)]
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _rows(timeline: Timeline) -> list[dict[str, object]]:
    placed = [_placed(point, energy=timeline.basis.metric == "energy_per_image") for point in timeline.points]
    blank = dict.fromkeys(placed[0])
    return [*placed, *({**blank, **_left_out(left)} for left in timeline.left_out)]


def _placed(point: Point, *, energy: bool) -> dict[str, object]:
    network = point.network
    cost, images = asdict(network.cost_per_image), asdict(point.images_per_cost)
    nothing = dict.fromkeys(cost)
    cpu, joules = (nothing, cost) if energy else (cost, nothing)
    per_cpu, per_joule = (nothing, images) if energy else (images, nothing)
    return {
        "model": network.model,
        "year": network.year,
        "accuracy_ratio": network.accuracy_ratio,
        "accuracy_of": "measured weights" if network.measured_weights else "architecture reference",
        "cell": network.cell,
        **_interval("cpu_s_per_image", cpu),
        **_interval("energy_per_image_j", joules),
        **_interval("images_per_cpu_s", per_cpu),
        **_interval("images_per_j", per_joule),
        "cost_to_trend_ratio": point.cost_to_trend_ratio,
        "accuracy_off_trend_ratio": point.accuracy_off_trend_ratio,
        "on_front": point.on_front,
        "left_out": "",
    }


def _left_out(left: LeftOut) -> dict[str, object]:
    return {
        "model": left.model,
        "year": left.year,
        "accuracy_ratio": left.accuracy_ratio,
        "left_out": left.reason,
    }


def _interval(name: str, figure: dict[str, float | None]) -> dict[str, object]:
    """Return a figure and its 95 % limits, named as in the cells of a report."""
    return {name: figure["mean"], f"low_{name}": figure["low"], f"high_{name}": figure["high"]}
