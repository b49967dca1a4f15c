"""A report as data for programs: the report itself as JSON, or a row per cell as CSV, in full precision."""

import csv
from collections.abc import Mapping
from typing import TextIO

from runner.render.fields import interval_fields, limits_fields
from runner.render.queue_data import queue_rows
from runner.report.schema import Cell, Comparison, ModelEntry, Report, SessionEntry


def write_json(report: Report, stream: TextIO, *, details: bool, width: int | None = None) -> None:
    """Write what ``report.json`` holds."""
    del details, width
    stream.write(report.model_dump_json(indent=1) + "\n")


def write_csv(report: Report, stream: TextIO, *, details: bool, width: int | None = None) -> None:
    """Write a row per cell, failed ones included; an empty field means unavailable and never 0.

    Of a queue these are its policies at their rates; what calibrated its twin is in the JSON.
    """
    del details, width
    _write_rows(list(queue_rows(report)) or cell_rows(report), stream)


def cell_rows(report: Report) -> list[dict[str, object]]:
    """Return a row per cell of the report, in their order."""
    comparisons: dict[tuple[str, str], Comparison] = {(c.cell, c.metric): c for c in report.comparisons}
    sessions = {(entry.model, entry.contender): entry for entry in report.sessions}
    files = {(entry.name, entry.variant): entry for entry in report.models}
    return [
        {
            "report_id": report.report_id,
            **_cell(cell),
            **_file(files.get((cell.model, cell.variant))),
            **_session(sessions.get((cell.model, cell.contender))),
            **_ratios(cell, comparisons),
        }
        for cell in report.cells
    ]


def _write_rows(rows: list[dict[str, object]], stream: TextIO) -> None:
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]) if rows else ["report_id"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _cell(cell: Cell) -> dict[str, object]:
    summary = cell.summary
    energy = summary.energy if summary else None
    return {
        "model": cell.model,
        "variant": cell.variant,
        "backend": cell.backend,
        "batch_size": cell.load.batch_size,
        "pace_hz": cell.load.pace_hz,
        "gap_s": cell.load.gap_s,
        "mixed": ",".join(map(str, cell.load.mixed)),
        "io": cell.io,
        "status": cell.status,
        "reason": cell.reason,
        "window_count": summary.window_count if summary else None,
        "inference_count": summary.inference_count if summary else None,
        **interval_fields("latency_s", summary.latency_s if summary else None),
        "latency_p50_s": summary.latency_p50_s if summary else None,
        **limits_fields("latency_p50_s", summary.latency_p50_limits_s if summary else None),
        "latency_p90_s": summary.latency_p90_s if summary else None,
        **limits_fields("latency_p90_s", summary.latency_p90_limits_s if summary else None),
        **interval_fields("images_per_s", summary.images_per_s if summary else None),
        **interval_fields("cpu_s_per_image", summary.cpu_s_per_image if summary else None),
        "cpu_occupancy": summary.cpu_occupancy if summary else None,
        "cpu_per_wall_ratio": summary.cpu_per_wall_ratio if summary else None,
        "energy_status": energy.status if energy else "unavailable",
        "energy_domains": "+".join(energy.domains) if energy else None,
        "energy_window_count": energy.window_count if energy else None,
        **interval_fields("energy_per_image_j", energy.per_image_j if energy else None),
        **interval_fields("net_energy_per_image_j", energy.net_per_image_j if energy else None),
        "net_energy_reliable": energy.net_reliable if energy and energy.net_per_image_j else None,
        "sampled_energy_ratio": energy.sampled_ratio if energy else None,
        "energy_bound_ratio": energy.bound_ratio if energy else None,
        "variation_ratio": summary.variation_ratio if summary else None,
        "outlier_count": summary.outlier_count if summary else None,
        "unstable": summary.unstable if summary else None,
        "first_inference_s": cell.first_inference_s,
        "peak_memory_bytes": cell.peak_memory_bytes,
        "predicted_inference_s": cell.predicted_inference_s,
    }


def _file(file: ModelEntry | None) -> dict[str, object]:
    parity = file.parity if file else None
    return {
        "file_size_bytes": file.size_bytes if file else None,
        "quality": file.quality if file else None,
        "file_parity_status": parity.status if parity else None,
        "file_parity_max_error_ratio": parity.max_error_ratio if parity else None,
        "file_parity_top1_agreement_ratio": parity.top1_agreement_ratio if parity else None,
    }


def _session(session: SessionEntry | None) -> dict[str, object]:
    parity = session.parity if session else None
    return {
        "placement": session.placement if session else None,
        "parity_status": parity.status if parity else None,
        "parity_reference": parity.reference if parity else None,
        "parity_max_error_ratio": parity.max_error_ratio if parity else None,
    }


def _ratios(cell: Cell, comparisons: Mapping[tuple[str, str], Comparison]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for metric in ("latency", "cpu_s_per_image", "energy_per_image"):
        entry = comparisons.get((cell.key, metric))
        fields[f"{metric}_ratio"] = entry.ratio if entry else None
        fields[f"low_{metric}_ratio"] = entry.low if entry else None
        fields[f"high_{metric}_ratio"] = entry.high if entry else None
        fields[f"{metric}_verdict"] = entry.verdict if entry else None
        fields[f"{metric}_pair_count"] = entry.pair_count if entry else None
        fields[f"{metric}_worker_count"] = entry.worker_count if entry else None
        fields[f"{metric}_cliffs_delta"] = entry.cliffs_delta if entry else None
        disturbed = entry.with_disturbed if entry else None
        fields[f"{metric}_ratio_with_disturbed"] = disturbed.ratio if disturbed else None
    return fields
