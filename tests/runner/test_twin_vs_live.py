"""How the benchmark of the twin judges a cell, and that it holds real windows against twins of its own."""

from pathlib import Path

import pytest

from benchmarks.twin_vs_live import Error, Judge
from runner.report.archive import load

REFERENCE = Path(__file__).parent.parent.parent / "reports" / "reference" / "2026-11-26T20-48-40-yt3k"


@pytest.mark.parametrize(
    ("ratio", "low", "high", "verdict"),
    [
        (1.00, 0.96, 1.04, "pass"),
        (1.03, 1.02, 1.05, "pass"),
        (1.03, 1.00, 1.06, "inconclusive"),  # within, and perhaps not
        (1.06, 1.04, 1.08, "FAIL"),
        (0.90, 0.89, 0.91, "FAIL"),
        (1.10, 1.00, 1.21, "inconclusive"),  # known to 10 %
    ],
)
def test_a_cell_passes_within_five_percent_and_fails_where_it_is_known_to_lie_outside(
    ratio: float, low: float, high: float, verdict: str
) -> None:
    assert Error("service", ratio, low, high).verdict == verdict


def test_every_replayed_cell_is_held_against_twins_calibrated_around_it() -> None:
    judge = Judge(REFERENCE)
    judged = list(judge.cells())
    queue = load(REFERENCE).queue
    assert queue
    assert [cell.key for cell, _ in judged] == [cell.key for cell in queue.cells if cell.summary]
    for _, errors in judged:
        assert [each.figure for each in errors] == ["mean response", "p95 response", "service", "CPU-s"]
        assert all(each.low < each.ratio < each.high for each in errors)
        assert 0.5 < errors[0].ratio < 2
    assert len(judge._twins) > 2, "calibrated from the blocks around each window, not once from all"
