"""A queue as rows for programs, in full precision; an empty field means unavailable and never 0."""

from collections.abc import Iterator

from runner.render.fields import interval_fields
from runner.report.schema import (
    QueueCell,
    QueueComparison,
    QueueEnergy,
    QueuePrediction,
    QueueSummary,
    Report,
    Times,
)

Row = dict[str, object]
_METRICS = ("response", "cpu_s_per_image", "energy_per_image")


def queue_rows(report: Report) -> Iterator[Row]:
    """Yield a row per queue cell, those not replayed included."""
    if report.queue is None:
        return
    ratios: dict[tuple[str, str, str], QueueComparison] = {
        (each.cell, each.against, each.metric): each for each in report.queue.comparisons
    }
    for cell in report.queue.cells:
        yield {
            "report_id": report.report_id,
            **_cell(cell),
            **_summary(cell.summary),
            **_energy(cell.summary.energy if cell.summary else None),
            **_prediction(cell.prediction),
            **{
                name: value
                for against in ("policy", "backend")
                for metric in _METRICS
                for name, value in _ratio(
                    f"{metric}_to_{against}", ratios.get((cell.key, against, metric))
                ).items()
            },
        }


def _cell(cell: QueueCell) -> Row:
    load = cell.load
    return {
        "model": cell.model,
        "variant": cell.variant,
        "backend": cell.backend,
        "policy": load.policy,
        "arrivals": load.arrivals,
        "request_rate_hz": load.request_rate_hz,
        "relative_load": load.relative_load,
        "capacity_hz": cell.capacity_hz,
        "status": cell.status,
        "reason": cell.reason,
        "doubt": cell.summary.doubt if cell.summary else None,
    }


def _summary(summary: QueueSummary | None) -> Row:
    counts = summary.batch_counts if summary else ()
    return {
        "window_count": summary.window_count if summary else None,
        "request_count": summary.request_count if summary else None,
        "served_count": summary.served_count if summary else None,
        **_times("wait", summary.wait if summary else None),
        **_times("service", summary.service if summary else None),
        **_times("response", summary.response if summary else None),
        **interval_fields("decode_mean_s", summary.decode_mean_s if summary else None),
        "batch_mean": summary.batch_mean if summary else None,
        "batch_counts": " ".join(f"{size}x{count}" for size, count in counts),
        **interval_fields("utilisation_ratio", summary.utilisation_ratio if summary else None),
        **interval_fields("queue_mean", summary.queue_mean if summary else None),
        "queue_max": summary.queue_max if summary else None,
        **interval_fields("images_per_s", summary.images_per_s if summary else None),
        **interval_fields("cpu_s_per_image", summary.cpu_s_per_image if summary else None),
        **interval_fields("busy_cpu_s_per_image", summary.busy_cpu_s_per_image if summary else None),
        "late_ratio": summary.late_ratio if summary else None,
    }


def _times(name: str, times: Times | None) -> Row:
    return {
        **interval_fields(f"{name}_mean_s", times.mean_s if times else None),
        f"{name}_p50_s": times.p50_s if times else None,
        f"{name}_p95_s": times.p95_s if times else None,
        f"{name}_p99_s": times.p99_s if times else None,
        f"{name}_max_s": times.max_s if times else None,
    }


def _energy(energy: QueueEnergy | None) -> Row:
    return {
        "energy_domains": "+".join(energy.domains) if energy else None,
        **interval_fields("energy_per_image_j", energy.per_image_j if energy else None),
        **interval_fields("active_energy_per_image_j", energy.active_per_image_j if energy else None),
        **interval_fields("idle_energy_per_image_j", energy.idle_per_image_j if energy else None),
        **interval_fields("average_power_w", energy.average_w if energy else None),
        **interval_fields("busy_power_w", energy.busy_w if energy else None),
    }


def _prediction(prediction: QueuePrediction | None) -> Row:
    return {
        "predicted_stable": prediction.stable if prediction else None,
        "predicted_cost_metric": prediction.cost_metric if prediction else None,
        **interval_fields("predicted_response_mean_s", prediction.response_mean_s if prediction else None),
        **interval_fields("predicted_response_p95_s", prediction.response_p95_s if prediction else None),
        **interval_fields("predicted_service_mean_s", prediction.service_mean_s if prediction else None),
        **interval_fields("predicted_cost_per_image", prediction.cost_per_image if prediction else None),
    }


def _ratio(name: str, entry: QueueComparison | None) -> Row:
    return {
        f"{name}_ratio": entry.ratio if entry else None,
        f"low_{name}_ratio": entry.low if entry else None,
        f"high_{name}_ratio": entry.high if entry else None,
        f"{name}_verdict": entry.verdict if entry else None,
        f"{name}_pair_count": entry.pair_count if entry else None,
        f"{name}_cliffs_delta": entry.cliffs_delta if entry else None,
    }
