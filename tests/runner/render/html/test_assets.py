"""What draws the plots, beside the reports: once, whole, and never in the way of a run."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from runner.errors import FileError
from runner.render.archived import prepare_plots
from runner.render.html import assets, to_html
from runner.render.html.assets import PLOTLY_NAME, place_plotly, plotly_text
from runner.report.archive import load
from tests.disks import small_disk
from tests.processes import ROOT

REFERENCE = ROOT / "reports" / "reference" / "2026-11-24T02-54-50-r2mc"


def test_plotly_lies_once_beside_the_reports(tmp_path: Path) -> None:
    path = place_plotly(tmp_path)
    assert path == tmp_path / "assets" / PLOTLY_NAME
    assert path.read_text(encoding="utf-8") == plotly_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    before = path.stat()
    assert place_plotly(tmp_path) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("damage", [b"", b"/**\n* plotly.js v4.0.0\n*/ cut short", b"something else"])
def test_a_damaged_or_older_file_is_replaced(tmp_path: Path, damage: bytes) -> None:
    path = place_plotly(tmp_path)
    path.write_bytes(damage)
    place_plotly(tmp_path)
    assert path.read_text(encoding="utf-8") == plotly_text()


def test_a_file_of_the_same_size_and_other_content_is_replaced(tmp_path: Path) -> None:
    path = place_plotly(tmp_path)
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    place_plotly(tmp_path)
    assert path.read_text(encoding="utf-8") == plotly_text()


def test_a_newer_file_stays(tmp_path: Path) -> None:
    path = place_plotly(tmp_path)
    newer = b"/**\n* plotly.js v999.0.0\n*/"
    path.write_bytes(newer)
    place_plotly(tmp_path)
    assert path.read_bytes() == newer


def test_processes_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    with get_context("spawn").Pool(3) as pool:
        paths = pool.map(place_plotly, [tmp_path] * 6)
    assert set(paths) == {tmp_path / "assets" / PLOTLY_NAME}
    assert [each.name for each in (tmp_path / "assets").iterdir()] == [PLOTLY_NAME]
    assert paths[0].read_text(encoding="utf-8") == plotly_text()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "1m") as folder:
        yield folder


def test_a_full_disk_is_one_line_and_leaves_what_was_there(small: Path) -> None:
    (small / "assets").mkdir()
    (small / "assets" / PLOTLY_NAME).write_bytes(b"an old one")
    with pytest.raises(
        FileError, match=r"Cannot write .*: expected 5 MB .*No space left.* Free some space"
    ) as caught:
        place_plotly(small)
    assert "\n" not in str(caught.value)
    assert {each.name: each.read_bytes() for each in (small / "assets").iterdir()} == {
        PLOTLY_NAME: b"an old one"
    }
    assert prepare_plots(small).startswith("report.html has no plots: Cannot write ")


def test_a_file_in_the_place_of_the_folder_costs_the_plots_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "assets").write_text("mine")
    note = prepare_plots(tmp_path)
    assert note.startswith("report.html has no plots: Cannot write ")
    assert (tmp_path / "assets").read_text() == "mine"


def test_without_plotly_a_run_is_told_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_installed", lambda: None)
    assert prepare_plots(tmp_path) == (
        "report.html has no plots: Cannot draw plots: expected plotly.js 4, got none. "
        "Run: pip install 'plotly>=7,<8'"
    )
    assert list(tmp_path.iterdir()) == []


def test_another_major_version_is_refused_and_changes_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = load(REFERENCE)
    page = to_html(report)
    newer = tmp_path / "plotly.min.js"
    newer.write_text("/**\n* plotly.js v5.0.0\n")
    monkeypatch.setattr(assets, "_installed", lambda: newer)
    assert "expected plotly.js 4, got 5.0.0. Run: pip install" in prepare_plots(tmp_path)
    assert to_html(report) == page


def test_no_heavy_library_is_loaded_for_a_page() -> None:
    code = (
        "import sys; from runner.render.html import to_html; from runner.render.html.assets import plotly_text; "
        "plotly_text(); print([name for name in ('plotly', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
