"""The view ``cells``: what ``-f csv`` says of each cell, of all reports together."""

from collections.abc import Iterator

from runner.render.data import cell_rows
from runner.render.views.runs import REPORT_ID
from runner.report.schema import Report
from runner.report.views import Column, View, figure


def _cells(report: Report) -> Iterator[dict[str, object]]:
    for cell, row in zip(report.cells, cell_rows(report), strict=True):
        yield {"cell": cell.key, **row}


def _ratio(metric: str) -> tuple[Column, ...]:
    name = f"{metric}_ratio"
    return (
        Column(
            name, "DOUBLE", f"{metric} / the baseline's, paired over blocks; null for the baseline", "ratio"
        ),
        Column(f"low_{name}", "DOUBLE", "lower 95 % limit of it", "ratio"),
        Column(f"high_{name}", "DOUBLE", "upper 95 % limit of it", "ratio"),
        Column(f"{metric}_verdict", "VARCHAR", "what may be said of it"),
        Column(f"{metric}_pair_count", "BIGINT", "pairs of windows behind it"),
        Column(f"{metric}_worker_count", "BIGINT", "fresh pairs of workers behind those"),
        Column(f"{metric}_cliffs_delta", "DOUBLE", "P(above the baseline's) - P(below), from -1 to 1"),
        Column(
            f"{name}_with_disturbed", "DOUBLE", "the same with disturbed blocks; null without any", "ratio"
        ),
    )


CELLS = View(
    "cells",
    "a cell: model x variant x backend x load x io, whatever became of it",
    (
        REPORT_ID,
        Column("cell", "VARCHAR", "its key, as in windows and inferences"),
        Column("model", "VARCHAR", "name of the network"),
        Column(
            "variant", "VARCHAR", "fp32, fp16, int8-static or int8-dynamic, or the label of an `--onnx` file"
        ),
        Column("backend", "VARCHAR", "its label"),
        Column("batch_size", "BIGINT", "images of an inference; of a mixed load the sum of a pass"),
        Column("pace_hz", "DOUBLE", "images per second asked for; null without a schedule", "Hz"),
        Column("gap_s", "DOUBLE", "idle time before each inference; 0 is back to back", "s"),
        Column("mixed", "VARCHAR", "batch sizes of a mixed load, by commas; else empty"),
        Column("io", "VARCHAR", "host copies in and out, device leaves tensors on the device"),
        Column("status", "VARCHAR", "measured, failed, skipped or overloaded"),
        Column("reason", "VARCHAR", "why it was not measured; else empty"),
        Column("window_count", "BIGINT", "windows behind the figures"),
        Column("inference_count", "BIGINT", "inferences in these"),
        *figure("latency_s", "s", "mean latency of an inference"),
        *figure("latency_p50_s", "s", "median latency; null below 20 inferences"),
        *figure("latency_p90_s", "s", "90th percentile of latency; null below 100 inferences"),
        *figure("images_per_s", "1/s", "images per second"),
        *figure("cpu_s_per_image", "s", "CPU time per image, all threads of the worker"),
        Column("cpu_occupancy", "BOOLEAN", "whether CPU time is mere occupancy, which never ranks"),
        Column("cpu_per_wall_ratio", "DOUBLE", "CPU time / wall time", "ratio"),
        Column("energy_status", "VARCHAR", "measured, estimated or unavailable"),
        Column("energy_domains", "VARCHAR", "what the energy covers, as cpu_package+dram"),
        Column("energy_window_count", "BIGINT", "windows in which all these domains were read"),
        *figure("energy_per_image_j", "J", "energy per image; null where unavailable"),
        *figure("net_energy_per_image_j", "J", "the same without what the idle machine draws"),
        Column("net_energy_reliable", "BOOLEAN", "whether idle power was steady enough for that"),
        Column("sampled_energy_ratio", "DOUBLE", "sampled power's energy / the counter's", "ratio"),
        Column("energy_bound_ratio", "DOUBLE", "largest error that the meters allow / the energy", "ratio"),
        Column("variation_ratio", "DOUBLE", "standard deviation / mean of the windows' latencies", "ratio"),
        Column("outlier_count", "BIGINT", "windows beyond 3.5 MAD, which stay in"),
        Column("unstable", "VARCHAR", "why its windows scatter or drift too much; empty for a steady cell"),
        Column("first_inference_s", "DOUBLE", "first run of this shape", "s"),
        Column("peak_memory_bytes", "BIGINT", "of the worker once it had run", "bytes"),
        Column("predicted_inference_s", "DOUBLE", "of a skipped cell, from smaller batches", "s"),
        Column("file_size_bytes", "BIGINT", "of the ONNX file", "bytes"),
        Column("quality", "VARCHAR", "of the variant: reference, verified, unverified or lost"),
        Column("file_parity_status", "VARCHAR", "of the variant's file: passed, failed or unavailable"),
        Column(
            "file_parity_max_error_ratio", "DOUBLE", "largest difference / range of the reference", "ratio"
        ),
        Column("file_parity_top1_agreement_ratio", "DOUBLE", "share of equal answers", "ratio"),
        Column("placement", "VARCHAR", "full, partial-shape-only, partial-compute or none"),
        Column("parity_status", "VARCHAR", "of the session: passed, failed or unavailable"),
        Column("parity_reference", "VARCHAR", "whose outputs it was held against; empty for the exporter's"),
        Column("parity_max_error_ratio", "DOUBLE", "largest difference / range of the reference", "ratio"),
        *_ratio("latency"),
        *_ratio("cpu_s_per_image"),
        *_ratio("energy_per_image"),
    ),
    _cells,
)
