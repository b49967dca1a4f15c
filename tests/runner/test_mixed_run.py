"""``joulebatch run --mixed`` with real processes: a session that is slow after a change of shape gives itself away."""

import json
from pathlib import Path

import pytest

from runner.render.archived import RENDERINGS
from runner.report.archive import load
from runner.report.findings.mixed_shapes import THRESHOLD_RATIO
from runner.report.verify import verify
from tests.processes import joulebatch

pytestmark = pytest.mark.live


def test_batch_sizes_in_turn_show_what_a_change_of_shape_costs(home: Path) -> None:
    result = joulebatch(
        "run", "-m", "tiny", "--backend", "cpu:threads=1", "--backend", "R=faulty:threads=1,fault=reshape",
        "--batch-sizes", "1,2,4", "--mixed", "--profile", "quick", "--time-budget", "20s", "--meter", "none", cwd=home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (folder,) = (home / "reports").glob("2*")
    report = load(folder)
    mixed = {cell.backend: cell for cell in report.cells if cell.load.mixed}
    (order,) = {cell.load.mixed for cell in mixed.values()}
    assert sorted(order) == [1, 2, 4]
    for cell in mixed.values():
        assert cell.status == "measured"
        assert cell.summary
        assert cell.first_inference_s
        windows = [window for window in report.windows if window.cell == cell.key and window.paired]
        rates = [7 * window.inference_count / window.wall_s for window in windows]
        assert cell.summary.images_per_s.mean == pytest.approx(sum(rates) / len(rates))
        assert cell.summary.latency_s.mean < 1, "a pass, and not a sum of passes"
    assert any(each.cell == mixed["R"].key for each in report.comparisons), "compared as any other load"
    assert mixed["cpu:threads=1"].key.endswith(f"/mix{','.join(map(str, order))}/host")

    (finding,) = (each for each in report.findings if each.kind == "mixed-shapes")
    (figure,) = finding.figures
    assert (finding.backend, finding.cells) == ("R", (mixed["R"].key,))
    assert figure.low
    assert figure.low > THRESHOLD_RATIO, "10 ms at every change"
    assert "Mixed batch sizes are slower than one at a time: R at mix" in result.stdout
    assert [each for check in verify(folder, RENDERINGS) for each in check.differences] == []
    data = json.loads(joulebatch("reports", "show", "latest", "-f", "json", cwd=home).stdout)
    assert [each["kind"] for each in data["findings"]] == [each.kind for each in report.findings]


def test_one_batch_size_cannot_be_mixed(home: Path) -> None:
    result = joulebatch("run", "-m", "tiny", "--batch-sizes", "4", "--mixed", cwd=home)
    assert result.returncode == 2
    assert (
        "Cannot use --mixed: expected two batch sizes or more, got 4. Add one to --batch-sizes."
        in result.stderr
    )
    assert not (home / "reports").exists()
