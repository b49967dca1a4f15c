"""``joulebatch run`` as its users meet it: real processes, real models, real signals."""

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

from runner.machine.cpu import usable_cores
from runner.report.archive import load
from runner.report.schema import Report
from tests.models import write_onnx
from tests.processes import joulebatch, report_of

pytestmark = pytest.mark.live

QUICK = ("--profile", "quick", "--time-budget", "20s")


def failure(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a failed command said."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("joulebatch: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]


def test_a_run_prints_its_table_and_archives_everything(home: Path) -> None:
    result = joulebatch(
        "run", "-m", "tiny", "--backend", "cpu", "--backend", "B=cpu:threads=1,spin=off",
        "--batch-sizes", "4,1", "--pace", "50", "--name", "First try", *QUICK, cwd=home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (folder,) = (home / "reports").glob("2*")
    assert f"Report: reports/{folder.name}" in result.stderr
    assert "RANDOM weights: tiny" in result.stderr
    for text in ("cpu", "b1", "b4", "b1 @ 50/s", "baseline", "full, ok", "Summary", "No energy of"):
        assert text in result.stdout, text

    report = load(folder)
    assert report.status == "complete"
    assert report.name == "First try"
    assert report.models[0].weights_kind == "random"
    assert [(cell.backend, cell.load.batch_size, cell.load.pace_hz) for cell in report.cells] == [
        (backend, *load) for load in ((1, None), (4, None), (1, 50.0)) for backend in ("cpu", "B")
    ]
    for cell in report.cells:
        assert cell.status == "measured", cell
        assert cell.summary is not None
        assert cell.summary.window_count >= 3
        assert cell.inferences_per_window is not None
        assert cell.summary.inference_count == cell.summary.window_count * cell.inferences_per_window
    for load_of in {cell.load for cell in report.cells}:
        assert len({cell.inferences_per_window for cell in report.cells if cell.load == load_of}) == 1
    assert all(session.parity and session.parity.status == "passed" for session in report.sessions)
    assert {session.facts["intra_op_num_threads"] for session in report.sessions} >= {"1"}
    if usable_cores() > 1:  # a pool of one thread has nobody to wait for
        (finding,) = (each for each in report.findings if each.kind == "spinning")
        assert (finding.backend, finding.figures[0].value > 2) == ("cpu", True)
        assert "Spinning threads burn CPU time between inferences: cpu at b1 @ 50/s" in result.stdout

    with duckdb.connect() as database:
        rows = database.execute(
            "select count(*) from read_parquet(?)", [str(folder / "samples.parquet")]
        ).fetchone()
    assert rows == (sum(window.inference_count for window in report.windows),)
    sums = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    assert sums.stdout.count(b": OK") == 5
    drawn_by = re.search(r'src="\.\./(assets/plotly-\d+\.min\.js)"', (folder / "report.html").read_text())
    assert drawn_by
    assert (home / "reports" / drawn_by[1]).is_file(), "the page asks for what lies beside the reports"
    assert "report.html" not in "".join(report.notes)

    shown = joulebatch("reports", "show", "latest", cwd=home)
    assert shown.stdout == result.stdout


def test_every_block_visits_every_cell_once_in_a_seeded_order(home: Path) -> None:
    arguments = (
        "run",
        "-m",
        "tiny",
        "--backend",
        "cpu",
        "--backend",
        "B=cpu",
        "--batch-sizes",
        "1,2,4",
        "--seed",
        "7",
    )
    for _ in range(2):
        assert joulebatch(*arguments, *QUICK, cwd=home).returncode == 0
    orders = []
    for folder in sorted((home / "reports").glob("2*")):
        report = load(folder)
        blocks = sorted({window.block for window in report.windows})
        order = [[window.cell for window in report.windows if window.block == block] for block in blocks]
        assert all(sorted(cells) == sorted(cell.key for cell in report.cells) for cells in order)
        assert all(window.paired != (window.repeated_by is not None) for window in report.windows)
        orders.append(order[:3])
    assert orders[0] == orders[1]
    assert len({tuple(cells) for cells in orders[0]}) == 3, "the order must differ between blocks"


def test_what_fails_costs_its_own_cell_and_the_run_goes_on(home: Path) -> None:
    faults = ("crash", "memory", "garbage", "leave", "late-crash")
    backends = [f"{fault}=faulty:fault={fault},at=4" for fault in faults]
    result = joulebatch(
        "run", "-m", "tiny", "--backend", "cpu", *[part for text in backends for part in ("--backend", text)],
        "--batch-sizes", "1,4,8", *QUICK, cwd=home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    report = report_of(home)
    cells = {(cell.backend, cell.load.batch_size): cell for cell in report.cells}
    expected = {
        "crash": "SIGSEGV during prepare",
        "memory": "out of memory",
        "garbage": "it answered b'this is no reply'",
        "leave": "exited with 7 during prepare; it said: the licence has expired",
        "late-crash": "SIGABRT during measure",
    }
    for fault in faults:
        assert cells[fault, 4].status == "failed"
        assert expected[fault] in cells[fault, 4].reason
        assert expected[fault] in " ".join(result.stdout.split()), "the reason belongs into the table"
        for other in (1, 8):
            assert cells[fault, other].status == "measured", cells[fault, other]
            assert cells[fault, other].summary is not None
    assert cells["cpu", 4].status == "measured"


def test_a_backend_that_fell_back_fails_unless_that_is_allowed(home: Path) -> None:
    arguments = (
        "run",
        "-m",
        "tiny",
        "--backend",
        "cpu",
        "--backend",
        "faulty:fault=fallback",
        "--batch-sizes",
        "1",
    )
    assert joulebatch(*arguments, *QUICK, cwd=home).returncode == 0
    (cell,) = (cell for cell in report_of(home).cells if cell.backend != "cpu")
    assert cell.status == "failed"
    assert "placement partial-compute" in cell.reason
    assert [finding.kind for finding in report_of(home).findings] == ["ran-on-cpu"]
    shutil.rmtree(home / "reports")
    assert joulebatch(*arguments, "--allow-fallback", *QUICK, cwd=home).returncode == 0
    report = report_of(home)
    (cell,) = (cell for cell in report.cells if cell.backend != "cpu")
    assert cell.status == "measured"
    assert all(cell.key not in best.members for best in report.best_sets), "measured, but never ranked"
    (finding,) = (each for each in report.findings if each.kind == "ran-on-cpu")
    assert (finding.backend, finding.detail) == ("faulty:fault=fallback", "Conv there")


def test_a_backend_that_fails_parity_is_shown_and_never_ranked(home: Path) -> None:
    result = joulebatch(
        "run",
        "-m",
        "tiny",
        "--backend",
        "cpu",
        "--backend",
        "W=faulty:fault=wrong",
        "--batch-sizes",
        "1",
        *QUICK,
        cwd=home,
    )
    assert result.returncode == 0
    assert "FAILED" in result.stdout
    report = report_of(home)
    (session,) = (session for session in report.sessions if session.backend == "W")
    assert session.parity is not None
    assert session.parity.status == "failed"
    (wrong,) = (cell for cell in report.cells if cell.backend == "W")
    assert wrong.status == "measured"
    assert all(wrong.key not in best.members for best in report.best_sets)
    assert not report.comparisons


def test_nothing_measured_is_exit_3(home: Path) -> None:
    result = joulebatch(
        "run", "-m", "tiny", "--backend", "faulty:fault=open", "--batch-sizes", "1", *QUICK, cwd=home
    )
    assert result.returncode == 3
    assert "Nothing could be measured: got no licence" in failure(result)
    assert report_of(home).status == "complete", "what failed is archived too"


def test_asking_for_cuda_without_it_is_exit_3_and_never_a_cpu_run(home: Path) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has an NVIDIA GPU")
    result = joulebatch("run", "-m", "tiny", "--backend", "cpu", "--backend", "cuda", *QUICK, cwd=home)
    assert result.returncode == 3
    line = failure(result)
    for text in ("Cannot run backend cuda", "wheel", "libcuda.so.1", "--backend cpu"):
        assert text in line
    assert not (home / "reports").exists(), "nothing was measured"


def test_any_onnx_file_runs(tmp_path: Path) -> None:
    write_onnx(tmp_path / "sized.onnx", size="side")
    write_onnx(tmp_path / "fixed.onnx", batch=2, external=True)
    result = joulebatch(
        "run", "--onnx", "sized.onnx", "--onnx", "fixed.onnx", "--shape", "input=3x8x8", "--batch-sizes", "1,4",
        *QUICK, cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 2, "the shape does not fit the second file"
    result = joulebatch(
        "run", "--onnx", "sized.onnx", "--shape", "input=3x8x8", "--batch-sizes", "1,4", *QUICK, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert [cell.load.batch_size for cell in report_of(tmp_path).cells] == [1, 4]
    shutil.rmtree(tmp_path / "reports")
    result = joulebatch("run", "--onnx", "fixed.onnx", "--batch-sizes", "1,4", *QUICK, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "batch fixed at 2" in result.stdout
    assert [cell.load.batch_size for cell in report_of(tmp_path).cells] == [2]


def test_formats_for_pipes(home: Path) -> None:
    arguments = ("run", "-m", "tiny", "--backend", "cpu", "--batch-sizes", "1,2", *QUICK, "-q")
    as_json = joulebatch(*arguments, "-f", "json", cwd=home)
    assert Report.model_validate_json(as_json.stdout) == report_of(home)
    shutil.rmtree(home / "reports")
    rows = list(csv.DictReader(io.StringIO(joulebatch(*arguments, "-f", "csv", cwd=home).stdout)))
    assert len(rows) == 2
    assert {row["status"] for row in rows} == {"measured"}
    assert "| --" in joulebatch(*arguments, "-f", "md", cwd=home).stdout.replace("|:", "|").replace(
        "|--", "| --"
    )


def test_explain_prints_the_plan_and_measures_nothing(home: Path) -> None:
    result = joulebatch("run", "-m", "tiny", "--backend", "cpu", "--explain", *QUICK, cwd=home)
    assert result.returncode == 0
    assert "Predicted time: at least" in result.stdout
    assert not (home / "reports").exists()


def test_a_budget_too_small_skips_with_the_prediction_and_says_so(home: Path) -> None:
    result = joulebatch(
        "run", "-m", "tiny", "--backend", "cpu", "--batch-sizes", "1,4096", "--profile", "standard",
        "--time-budget", "3s", cwd=home,
    )  # fmt: skip
    assert result.returncode in (0, 3), result.stderr
    skipped = [cell for cell in report_of(home).cells if cell.status == "skipped"]
    assert skipped
    for cell in skipped:
        assert cell.reason.startswith("budget: ")
        assert cell.predicted_inference_s is not None


def test_flags_win_over_the_configuration_file(home: Path) -> None:
    (home / "run.toml").write_text(
        'model = ["tiny"]\nbackend = "cpu"\nbatch-sizes = [1, 2]\nprofile = "quick"\n'
    )
    result = joulebatch("run", "--config", "run.toml", "--batch-sizes", "4", cwd=home)
    assert result.returncode == 0, result.stderr
    assert [cell.load.batch_size for cell in report_of(home).cells] == [4]
    assert report_of(home).provenance.profile == "quick"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("-m", "tinny"), 2, "Unknown model 'tinny'"),
        (("-m", "tiny", "--backend", "cpuu"), 2, "Did you mean cpu?"),
        (("-m", "tiny", "--backend", "cpu:thread=1"), 2, "Did you mean threads?"),
        (("-m", "tiny", "--backend", "cpu:threads=none"), 2, "expected a whole number from 1 up, got 'none'"),
        (("-m", "tiny", "--backend", "cpu", "--backend", "cpu"), 2, "--backend A=cpu --backend B=cpu"),
        (("-m", "tiny", "--batch-sizes", "0"), 2, "got '0'"),
        (("-m", "tiny", "--batch-sizes", "-1"), 2, "got '-1'"),
        (("-m", "tiny", "--batch-sizes", "many"), 2, "got 'many'"),
        (("-m", "tiny", "--batch-sizes", "1,2,1"), 2, "got 1 twice"),
        (("-m", "tiny", "--pace", "8", "--pace", "8@1"), 2, "got b1@8 twice"),
        (("-m", "tiny", "--seed", "-5"), 2, "--seed"),
        (("-m", "tiny", "--explain", "--meter", "bogus"), 2, "Unknown meter 'bogus'"),
        (("-m", "tiny", "--pace", "0"), 2, "images per second above 0"),
        (("-m", "tiny", "--time-budget", "5"), 2, "expected a positive number with ms, s or m, got '5'"),
        (("-m", "tiny", "--target-ci", "2"), 2, "percent sign"),
        (("-m", "tiny", "--meter", "rappl"), 2, "Did you mean rapl?"),
        (("-m", "tiny", "--cpu-watts", "9"), 2, "--cpu-watts"),
        (("-m", "tiny", "--baseline", "gpu"), 2, "Unknown --baseline"),
        (("-m", "tiny", "--shape", "input=3x8x8"), 2, "--shape"),
        (("-m", "alexnet"), 3, "joulebatch export alexnet"),
        (("--onnx", "absent.onnx"), 3, "got no file"),
        (("--onnx", "text.onnx"), 4, "expected a whole ONNX file"),
        (("--onnx", "cut.onnx"), 4, "expected a whole ONNX file"),
        (("--onnx", "orphan.onnx"), 4, "external data"),
        (("--config", "absent.toml"), 4, "absent.toml"),
        (("--config", "wrong.toml"), 2, "Did you mean batch-sizes?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_bad_input_is_one_line_with_the_exit_code(
    home: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (home / "text.onnx").write_text("this is no model")
    write_onnx(home / "whole.onnx")
    (home / "cut.onnx").write_bytes((home / "whole.onnx").read_bytes()[:-200])
    write_onnx(home / "orphan.onnx", external=True)
    (home / "orphan.onnx.data").unlink()
    (home / "wrong.toml").write_text("batch-size = 1\n")
    result = joulebatch("run", *QUICK, *arguments, cwd=home)
    assert says in failure(result)
    assert result.returncode == code
    assert not (home / "reports").exists()


@pytest.mark.parametrize("how", ["changed", "truncated", "missing", "torn-manifest"])
def test_a_model_that_is_not_what_its_manifest_says_is_refused(home: Path, how: str) -> None:
    path = home / "models" / "tiny.onnx"
    data = path.read_bytes()
    match how:
        case "changed":
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "truncated":
            path.write_bytes(data[:-1])
        case "missing":
            path.unlink()
        case _:
            manifest = home / "models" / "tiny.manifest.json"
            manifest.write_text(manifest.read_text()[:100])
    result = joulebatch("run", "-m", "tiny", *QUICK, cwd=home)
    assert result.returncode == 4
    assert "Run: joulebatch export tiny" in failure(result)


def test_a_reports_folder_that_cannot_be_written_is_exit_4(home: Path) -> None:
    (home / "taken").write_text("a file")
    result = joulebatch("run", "-m", "tiny", "--reports-dir", "taken", *QUICK, cwd=home)
    assert result.returncode == 4
    assert "--reports-dir" in failure(result)


def test_estimated_energy_is_marked_and_never_ranked(home: Path) -> None:
    result = joulebatch(
        "run", "-m", "tiny", "--backend", "cpu", "--backend", "B=cpu", "--batch-sizes", "1", "--meter", "none",
        "--cpu-watts", "10:65", *QUICK, "-f", "json", cwd=home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    for cell in report["cells"]:
        energy = cell["summary"]["energy"]
        assert energy["status"] == "estimated"
        assert energy["per_image_j"]["high"] == pytest.approx(4 * energy["per_image_j"]["low"])
    assert {comparison["metric"] for comparison in report["comparisons"]} == {"latency"}
