import csv
import io

import pytest

from runner.render import FORMATS, render
from runner.report.assemble import assemble
from runner.report.schema import Report
from tests.fakes import make_journal
from tests.runner.render.conftest import RUNS


def written(report: Report, format_name: str) -> str:
    stream = io.StringIO()
    render(report, format_name, stream)
    return stream.getvalue()


def number(text: str) -> float | None:
    return float(text) if text else None


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("report", RUNS, indirect=True)
def test_every_format_writes_every_report(report: Report, format_name: str) -> None:
    assert report.report_id in written(report, format_name)


@pytest.mark.parametrize("report", RUNS, indirect=True)
def test_json_loses_nothing(report: Report) -> None:
    assert Report.model_validate_json(written(report, "json")) == report


@pytest.mark.parametrize("report", RUNS, indirect=True)
def test_csv_has_a_row_per_cell_in_full_precision(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(written(report, "csv"))))
    assert len(rows) == len(report.cells)
    for row, cell in zip(rows, report.cells, strict=True):
        assert (row["model"], row["backend"], row["io"]) == (cell.model, cell.backend, cell.io)
        assert (row["status"], row["reason"]) == (cell.status, cell.reason)
        assert (float(row["batch_size"]), number(row["pace_hz"])) == (cell.load.batch_size, cell.load.pace_hz)
        summary = cell.summary
        assert number(row["latency_s"]) == (summary.latency_s.mean if summary else None)
        assert number(row["low_latency_s"]) == (summary.latency_s.low if summary else None)
        assert number(row["cpu_s_per_image"]) == (summary.cpu_s_per_image.mean if summary else None)
        energy = summary.energy if summary else None
        assert row["energy_status"] == (energy.status if energy else "unavailable")
        assert number(row["energy_per_image_j"]) == (energy.per_image_j.mean if energy else None)
        ratios = {c.metric: c.ratio for c in report.comparisons if c.cell == cell.key}
        assert number(row["latency_ratio"]) == ratios.get("latency")
        assert number(row["energy_per_image_ratio"]) == ratios.get("energy_per_image")
        assert number(row["energy_bound_ratio"]) == (energy.bound_ratio if energy else None)
        net = energy.net_per_image_j if energy else None
        assert number(row["low_net_energy_per_image_j"]) == (net.low if net else None)
        assert row["net_energy_reliable"] == (str(energy.net_reliable) if energy and net else "")
        assert number(row["variation_ratio"]) == (summary.variation_ratio if summary else None)
        latency = next((c for c in report.comparisons if (c.cell, c.metric) == (cell.key, "latency")), None)
        assert row["latency_verdict"] == (latency.verdict if latency else "")
        assert number(row["latency_worker_count"]) == (latency.worker_count if latency else None)
        assert number(row["latency_cliffs_delta"]) == (latency.cliffs_delta if latency else None)
        disturbed = latency.with_disturbed if latency else None
        assert number(row["latency_ratio_with_disturbed"]) == (disturbed.ratio if disturbed else None)


@pytest.mark.parametrize("report", ["eventful"], indirect=True)
def test_the_report_exercises_what_a_long_run_adds(report: Report) -> None:
    assert all(comparison.with_disturbed for comparison in report.comparisons)
    assert {comparison.worker_count for comparison in report.comparisons} == {3}
    assert all(
        cell.summary and cell.summary.energy and cell.summary.energy.net_per_image_j for cell in report.cells
    )


@pytest.mark.parametrize("report", ["trouble"], indirect=True)
def test_the_report_exercises_what_the_csv_can_say(report: Report) -> None:
    assert {cell.status for cell in report.cells} == {"measured", "failed", "skipped", "overloaded"}
    assert any(comparison.metric == "energy_per_image" for comparison in report.comparisons)


@pytest.mark.parametrize("blocks", [29, 30])
def test_percentiles_have_limits_from_thirty_windows_on(blocks: int) -> None:
    report = assemble(make_journal(blocks=blocks, inferences=30))
    for row, cell in zip(csv.DictReader(io.StringIO(written(report, "csv"))), report.cells, strict=True):
        assert cell.summary
        for name, limits in (
            ("latency_p50_s", cell.summary.latency_p50_limits_s),
            ("latency_p90_s", cell.summary.latency_p90_limits_s),
        ):
            assert (limits is not None) == (blocks == 30)
            assert number(row[f"low_{name}"]) == (limits.low if limits else None)
            assert number(row[f"high_{name}"]) == (limits.high if limits else None)
