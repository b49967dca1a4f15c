"""The views ``queue_cells`` and ``queue_windows``: the batching study, of all reports together."""

from collections.abc import Iterator

from runner.render.queue_data import queue_rows
from runner.render.views.runs import REPORT_ID
from runner.render.views.windows import EVIDENCE_COLUMNS, evidence
from runner.report.schema import Report
from runner.report.views import Column, View, figure

_COSTS = ("cpu_s_per_image", "energy_per_image")


def _cells(report: Report) -> Iterator[dict[str, object]]:
    cells = report.queue.cells if report.queue else ()
    for cell, row in zip(cells, queue_rows(report), strict=True):
        yield {"cell": cell.key, **row}


def _times(name: str, meaning: str) -> tuple[Column, ...]:
    return (
        *figure(f"{name}_mean_s", "s", f"mean time {meaning}"),
        *(Column(f"{name}_p{rank}_s", "DOUBLE", f"{rank}th percentile of it", "s") for rank in (50, 95, 99)),
        Column(f"{name}_max_s", "DOUBLE", "largest of it", "s"),
    )


def _ratio(against: str, metric: str) -> tuple[Column, ...]:
    name = f"{metric}_to_{against}"
    whom = "the first policy's" if against == "policy" else "the baseline's under the same policy"
    return (
        Column(f"{name}_ratio", "DOUBLE", f"{metric} / {whom}, paired over blocks", "ratio"),
        Column(f"low_{name}_ratio", "DOUBLE", "lower 95 % limit of it", "ratio"),
        Column(f"high_{name}_ratio", "DOUBLE", "upper 95 % limit of it", "ratio"),
        Column(f"{name}_verdict", "VARCHAR", "what may be said of it"),
        Column(f"{name}_pair_count", "BIGINT", "pairs of windows behind it"),
        Column(f"{name}_cliffs_delta", "DOUBLE", "P(above the other's) - P(below), from -1 to 1"),
    )


QUEUE_CELLS = View(
    "queue_cells",
    "a cell of the queue: model x variant x backend x policy x rate",
    (
        REPORT_ID,
        Column("cell", "VARCHAR", "its key, as in queue_windows"),
        Column("model", "VARCHAR", "name of the network"),
        Column(
            "variant", "VARCHAR", "fp32, fp16, int8-static or int8-dynamic, or the label of an `--onnx` file"
        ),
        Column("backend", "VARCHAR", "its label"),
        Column("policy", "VARCHAR", "how requests become batches, as greedy:8"),
        Column("arrivals", "VARCHAR", "uniform, poisson, constant, burst or a trace"),
        Column("request_rate_hz", "DOUBLE", "mean arrivals per second", "Hz"),
        Column("relative_load", "DOUBLE", "the rate / the backend's capacity, where asked for so", "ratio"),
        Column("capacity_hz", "DOUBLE", "requests per second that the policy could serve at most", "Hz"),
        Column("status", "VARCHAR", "measured, failed, skipped or overloaded"),
        Column("reason", "VARCHAR", "why it was not measured; else empty"),
        Column("doubt", "VARCHAR", "why it is shown and never compared; else empty"),
        Column("window_count", "BIGINT", "windows behind the figures"),
        Column("request_count", "BIGINT", "requests in these"),
        Column("served_count", "BIGINT", "those that were served"),
        *_times("wait", "from arrival to dispatch"),
        *_times("service", "of the batch that a request is in"),
        *_times("response", "from arrival to the end of its batch"),
        *figure("decode_mean_s", "s", "mean time to decode a batch; null without images"),
        Column("batch_mean", "DOUBLE", "requests per batch"),
        Column("batch_counts", "VARCHAR", "how many batches of each size, as 1x40 8x3"),
        *figure("utilisation_ratio", "ratio", "busy time / time of the server"),
        *figure("queue_mean", "", "requests that wait, averaged over time"),
        Column("queue_max", "BIGINT", "most requests that waited at once"),
        *figure("images_per_s", "1/s", "requests served per second"),
        *figure("cpu_s_per_image", "s", "CPU time per request"),
        *figure("busy_cpu_s_per_image", "s", "the same within services only"),
        Column("late_ratio", "DOUBLE", "lateness of the loop itself / gap between arrivals", "ratio"),
        Column("energy_domains", "VARCHAR", "what the energy covers, as cpu_package+dram"),
        *figure("energy_per_image_j", "J", "energy per request; null where unavailable"),
        *figure("active_energy_per_image_j", "J", "above what the idle machine draws"),
        *figure("idle_energy_per_image_j", "J", "what the idle machine would have drawn anyway"),
        *figure("average_power_w", "W", "power over the whole window"),
        *figure("busy_power_w", "W", "power within services"),
        Column("predicted_stable", "BOOLEAN", "whether the twin's queue stays bounded"),
        Column("predicted_cost_metric", "VARCHAR", "cpu_s_per_image or energy_per_image"),
        *figure("predicted_response_mean_s", "s", "the twin's mean response time"),
        *figure("predicted_response_p95_s", "s", "the twin's 95th percentile of response time"),
        *figure("predicted_service_mean_s", "s", "the twin's mean service time"),
        *figure("predicted_cost_per_image", "s or J", "the twin's cost per request"),
        *(
            column
            for against in ("policy", "backend")
            for metric in ("response", *_COSTS)
            for column in _ratio(against, metric)
        ),
    ),
    _cells,
)

_WINDOW = (
    Column("window", "BIGINT", "its place among the report's windows of the queue"),
    Column("cell", "VARCHAR", "key of its queue cell"),
    Column("block", "BIGINT", "the pass over all queue cells that it belongs to"),
    Column("paired", "BOOLEAN", "whether figures are made of it where its cell has any such"),
    Column("repeated_by", "BIGINT", "the block that stands in for its disturbed one"),
    Column("worker", "BIGINT", "which process of the backend took it, from 0"),
    Column("started_s", "DOUBLE", "monotonic clock of the machine", "s"),
    Column("wall_s", "DOUBLE", "from the start of the trace to the end of its last batch", "s"),
    Column("request_count", "BIGINT", "requests of the trace"),
    Column("served_count", "BIGINT", "those that were served"),
    Column("cpu_s", "DOUBLE", "CPU time of the worker, all threads", "s"),
    Column("busy_cpu_s", "DOUBLE", "of it within services", "s"),
    Column("late_s", "DOUBLE", "how late a batch was dispatched, on average", "s"),
    Column("disturbed", "VARCHAR", "the known cause for which its block was repeated; else empty"),
    Column("flags", "VARCHAR[]", "what else is known of it"),
    Column("poller_cpu_s", "DOUBLE", "CPU time that reading the meters took", "s"),
)


def _windows(report: Report) -> Iterator[dict[str, object]]:
    for place, window in enumerate(report.queue.windows if report.queue else ()):
        row: dict[str, object] = {"window": place}
        row |= {column.name: getattr(window, column.name) for column in _WINDOW[1:]}
        yield row | evidence(window.energy, window.conditions)


QUEUE_WINDOWS = View(
    "queue_windows",
    "a replayed trace of a queue cell",
    (REPORT_ID, *_WINDOW, *EVIDENCE_COLUMNS),
    _windows,
)
