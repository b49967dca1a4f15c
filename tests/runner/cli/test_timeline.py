import json
import sys
from pathlib import Path

import pytest

from runner.cli import main
from tests.fakes import YEARS
from tests.processes import ROOT

REFERENCE = str(ROOT / "reports" / "reference" / "2026-11-24T02-49-53-b9yx")
ONE_MODEL = str(ROOT / "reports" / "reference" / "2026-11-24T02-54-50-r2mc")


def show(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["reports", "show", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_timeline_of_a_real_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    code, out, err = show(capsys, REFERENCE, "--timeline")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines() if line.startswith(tuple(YEARS))] == list(YEARS)
    text = " ".join(out.split())
    assert (
        "holds: cost grows faster than accuracy. From 2012 to 2022, along the trends, cost goes to 4.84x"
        in text
    )
    assert "holds: shufflenet_v2_x0_5 stands out. Its cost is 0.36x of the trend in 2018" in text
    guide = (ROOT / "docs/guide.md").read_text()
    for line in out.splitlines():
        if line.startswith(tuple(YEARS)):
            assert line in guide  # where the same output is shown


def test_another_backend(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = show(capsys, REFERENCE, "--timeline", "--backend", "torch", "-f", "json")
    assert code == 0
    assert {row["cell"].split("/")[2] for row in json.loads(out)["models"]} == {"torch"}


@pytest.mark.parametrize(("name", "begins"), [("t.svg", b"<?xml"), ("t.PNG", b"\x89PNG")])
def test_a_plot_file_is_written_beside_the_table(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, begins: bytes
) -> None:
    path = tmp_path / name
    code, out, err = show(capsys, REFERENCE, "--timeline", "--plot-file", str(path))
    assert (code, err) == (0, f"plot: {path}\n")
    assert out == show(capsys, REFERENCE, "--timeline")[1]
    assert path.read_bytes().startswith(begins)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((REFERENCE, "--timeline", "--plot-file", "t.pdf"), 2, "ends in .svg or .png, got '.pdf'"),
        ((REFERENCE, "--plot-file", "t.svg"), 2, "Cannot use --plot-file: expected --timeline"),
        ((REFERENCE, "--backend", "torch"), 2, "Cannot use --backend: expected --timeline"),
        ((REFERENCE, "--timeline", "--backend", "cuda"), 2, "Valid: cpu, torch"),
        ((REFERENCE, "--timeline", "--plot-file", "not/there/t.svg"), 4, "Pass another --plot-file"),
        ((ONE_MODEL, "--timeline"), 3, "got only shufflenet_v2_x0_5. Run: joulebatch run --pace 2"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_leaves_no_file(  # noqa: PLR0913, PLR0917 - fixtures
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = show(capsys, *arguments)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_table_still_shows_and_a_plot_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert show(capsys, REFERENCE, "--timeline")[0] == 0
    code, out, err = show(capsys, REFERENCE, "--timeline", "--plot-file", str(tmp_path / "t.svg"))
    assert (code, out) == (3, "")
    assert "pip install 'joulebatch[plot]'" in err
    assert list(tmp_path.iterdir()) == []


def test_the_help_names_every_flag_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reports", "show", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "joulebatch reports show latest --timeline --plot-file timeline.svg" in shown
    assert "[default: (the baseline)]" in shown
