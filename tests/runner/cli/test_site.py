"""``joulebatch reports site``, as a shell sees it."""

import os
import shutil
from pathlib import Path

import pytest

from runner.cli import main
from runner.hashing import hash_file
from runner.render.html import assets
from tests.runner.report.comparison.runs import make_run


@pytest.fixture
def reports_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    for name, seed in (("one", 1), ("two", 2)):
        report = make_run(name, seed)
        (folder / report.report_id).mkdir(parents=True)
        (folder / report.report_id / "report.json").write_text(report.model_dump_json())
    return folder


def _hashes(folder: Path) -> dict[str, str]:
    return {str(path): hash_file(path) for path in folder.rglob("*") if path.is_file()}


def test_it_writes_one_page_beside_the_reports_and_changes_none(
    reports_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _hashes(reports_dir)
    assert main(["reports", "site", "--reports-dir", str(reports_dir)]) == 0
    out = capsys.readouterr()
    page = reports_dir / "site" / "index.html"
    assert out.out.startswith(f"{page}: 2 reports, 0.1 MB")
    assert out.err == ""
    after = _hashes(reports_dir)
    assert {path: after[path] for path in before} == before
    assert {Path(path).parts[len(reports_dir.parts)] for path in set(after) - set(before)} == {"site"}
    assert 'href="../2026-11-23T21-34-05-one/report.json"' in page.read_text()
    # Built again it is no report of its own.
    assert main(["reports", "site", "--reports-dir", str(reports_dir)]) == 0
    assert "2 reports" in capsys.readouterr().out


def test_links_are_right_from_wherever_the_page_lies(reports_dir: Path, tmp_path: Path) -> None:
    output = tmp_path / "public" / "deep"
    assert main(["reports", "site", "--reports-dir", str(reports_dir), "-o", str(output)]) == 0
    text = (output / "index.html").read_text()
    assert 'href="../../reports/2026-11-23T21-34-05-one/report.json"' in text
    assert not (reports_dir / "site").exists()


def test_what_cannot_be_read_is_said_and_listed(
    reports_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (reports_dir / "2026-torn").mkdir()
    (reports_dir / "2026-torn" / "report.json").write_text("[]")
    assert main(["reports", "site", "--reports-dir", str(reports_dir)]) == 0
    out = capsys.readouterr()
    assert "3 reports" in out.out
    assert "unreadable, and listed so: Cannot read" in out.err
    assert "unreadable</span>" in (reports_dir / "site" / "index.html").read_text()


def test_an_empty_archive_is_a_page_and_none_at_all_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reports", "site", "--reports-dir", str(tmp_path / "none")]) == 4
    assert "expected a folder of reports, got nothing" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    (tmp_path / "empty").mkdir()
    assert main(["reports", "site", "--reports-dir", str(tmp_path / "empty")]) == 0
    assert "No reports yet" in (tmp_path / "empty" / "site" / "index.html").read_text()


def test_it_never_writes_into_a_report(reports_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = next(reports_dir.iterdir())
    for output in (own, own / "site"):
        assert main(["reports", "site", "--reports-dir", str(reports_dir), "-o", str(output)]) == 4
        assert "a folder that is not archived" in capsys.readouterr().err
    assert [path.name for path in own.iterdir()] == ["report.json"]


def test_a_page_that_is_not_ours_is_kept(
    reports_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "index.html"
    page.write_text("<title>mine</title>")
    assert main(["reports", "site", "--reports-dir", str(reports_dir), "-o", str(tmp_path)]) == 4
    assert "expected none, or one that joulebatch built, got another page" in capsys.readouterr().err
    assert page.read_text() == "<title>mine</title>"
    assert not (tmp_path / "assets").exists()


def test_where_it_cannot_write_what_was_there_stays(
    reports_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["reports", "site", "--reports-dir", str(reports_dir), "-o"]
    (tmp_path / "file").write_text("mine")
    assert main([*asked, str(tmp_path / "file")]) == 4
    assert (tmp_path / "file").read_text() == "mine"
    output = tmp_path / "public"
    assert main([*asked, str(output)]) == 0
    before = (output / "index.html").read_text()
    capsys.readouterr()

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    assert main([*asked, str(output)]) == 4
    assert "No space left on device" in capsys.readouterr().err
    assert (output / "index.html").read_text() == before


def test_without_plotly_the_page_has_all_but_plots(
    reports_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(assets, "_installed", lambda: None)
    assert main(["reports", "site", "--reports-dir", str(reports_dir)]) == 0
    assert "Run: pip install 'plotly>=7,<8'" in capsys.readouterr().err
    text = (reports_dir / "site" / "index.html").read_text()
    assert "<script src=" not in text
    assert "two" in text


def test_a_spread_that_is_none_is_an_error(reports_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (reports_dir / "spread.json").write_text("{}")
    assert main(["reports", "site", "--reports-dir", str(reports_dir)]) == 4
    assert "expected a spread of version 1" in capsys.readouterr().err


def test_a_folder_whose_name_is_no_text_or_means_something_in_an_address(reports_dir: Path) -> None:
    own = next(reports_dir.iterdir())
    shutil.copytree(own, reports_dir / "a #1?&%41")
    shutil.copytree(own, Path(os.fsdecode(os.fsencode(reports_dir) + b"/b\xff")))
    assert main(["reports", "site", "--reports-dir", str(reports_dir)]) == 0
    text = (reports_dir / "site" / "index.html").read_text()
    assert 'href="../a%20%231%3F%26%2541/report.json"' in text
    assert 'href="../b%FF/report.json"' in text
