"""The array that github-action-benchmark reads, and what of a report is in it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it brings no types

from runner.convert.github_action_benchmark import convert
from runner.convert.interface import Request
from runner.errors import AbsentError
from runner.report.archive import load
from runner.report.lines import Line
from tests.fakes import cell_key, make_journal
from tests.processes import ROOT
from tests.queues import with_queue

Requested = Callable[[Sequence[Line]], Request]

# src/extract.ts of github-action-benchmark 1.22: z.object of these, name, value and unit required.
SCHEMA = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "value": {"type": "number", "exclusiveMinimum": 0},
            "unit": {"enum": ["ms", "ms/image", "mJ/image"]},
            "range": {"type": "string", "pattern": r"^± \d+(\.\d+)?$"},
            "extra": {"type": "string"},
        },
        "required": ["name", "value", "unit"],
        "additionalProperties": False,
    },
}


def entries_of(request: Request) -> dict[str, dict[str, Any]]:
    """Return the entries by name, of which each has one."""
    entries = json.loads(convert(request).data)
    Draft202012Validator(SCHEMA).validate(entries)
    by_name = {entry["name"]: entry for entry in entries}
    assert len(by_name) == len(entries)
    return by_name


@pytest.mark.parametrize(
    "folder", sorted((ROOT / "reports" / "reference").glob("20*")), ids=lambda folder: folder.name
)
def test_every_real_report_fits_the_format(folder: Path) -> None:
    report = load(folder)
    entries = entries_of(Request(folder, report))
    if not report.queue:
        assert all(f"{cell.key} latency" in entries for cell in report.cells if cell.status == "measured")


def test_a_figure_is_the_report_s_in_thousandths_with_its_limits(requested: Requested) -> None:
    request = requested(make_journal(pace_hz=2, energy="measured"))
    entries = entries_of(request)
    for cell in request.report.cells:
        assert cell.summary
        assert cell.summary.energy
        latency_s, energy = cell.summary.latency_s, cell.summary.energy
        entry = entries[f"{cell.key} latency"]
        assert entry["value"] == pytest.approx(latency_s.mean * 1000)
        assert entry["unit"] == "ms"
        assert latency_s.low is not None
        assert float(entry["range"][2:]) == pytest.approx((latency_s.mean - latency_s.low) * 1000, rel=0.01)
        assert entries[f"{cell.key} energy"]["value"] == pytest.approx(energy.per_image_j.mean * 1000)
        assert entry["extra"].splitlines() == [
            f"report: {request.report.report_id}, standard profile, complete",
            "host: bench, Intel(R) Xeon(R) Platinum 8481C",
            "parity: passed",
            "windows: 5",
            "energy of: CPU package + DRAM + GPU",
        ]


def test_cpu_time_counts_at_a_pace_and_is_no_cost_back_to_back(requested: Requested) -> None:
    request = requested(make_journal(pace_hz=2))
    entries = entries_of(request)
    paced = {cell.key for cell in request.report.cells if cell.load.pace_hz is not None}
    assert {name.removesuffix(" CPU time") for name in entries if name.endswith(" CPU time")} == paced


@pytest.mark.parametrize("energy", ["estimated", "unavailable"])
def test_energy_that_was_not_measured_is_absent(requested: Requested, energy: Any) -> None:
    entries = entries_of(requested(make_journal(energy=energy)))
    assert not any(name.endswith(" energy") for name in entries)


def test_of_a_queue_its_policies_are_followed(requested: Requested) -> None:
    lines = make_journal(energy="measured")
    request = requested(with_queue(lines, energy=True, outcomes={"greedy:4": ("failed", "crash")}))
    assert request.report.queue
    entries = entries_of(request)
    for cell in request.report.queue.cells:
        if cell.summary:
            assert cell.summary.energy
            joules = entries[f"{cell.key} energy"]["value"] / 1000
            assert joules == pytest.approx(cell.summary.energy.per_image_j.mean)
            response = cell.summary.response
            assert entries[f"{cell.key} response"]["value"] == pytest.approx(response.mean_s.mean * 1000)
            assert response.p95_s is not None
            assert entries[f"{cell.key} response p95"]["value"] == pytest.approx(response.p95_s * 1000)
            assert "range" not in entries[f"{cell.key} response p95"]
    assert not any("greedy" in name or name.endswith(" latency") for name in entries)
    assert convert(request).notes == (
        "left out: 2 of 4 cells, which were not measured or whose figures are in doubt",
    )


def test_figures_in_doubt_are_not_followed(requested: Requested) -> None:
    request = requested(with_queue(make_journal(), late_s=1.0))
    assert request.report.queue
    assert all(cell.summary and cell.summary.doubt for cell in request.report.queue.cells)
    with pytest.raises(AbsentError, match="expected a measured cell, got none"):
        convert(request)


def test_one_window_gives_a_value_without_a_range(requested: Requested) -> None:
    entries = entries_of(requested(make_journal(blocks=1)))
    assert entries
    assert not any("range" in entry for entry in entries.values())


def test_cells_that_were_not_measured_are_left_out_and_said(requested: Requested) -> None:
    gone = cell_key("alexnet", "cpu", 4, pace_hz=2)
    request = requested(make_journal(pace_hz=2, outcomes={gone: ("overloaded", "too slow")}))
    assert not any(name.startswith(gone) for name in entries_of(request))
    assert convert(request).notes[0].startswith("left out: 1 of 8 cells")


def test_nothing_measured_is_one_line(requested: Requested) -> None:
    with pytest.raises(AbsentError, match="expected a measured cell, got none"):
        convert(requested(make_journal(blocks=0)))
