"""Variants of a model in one run: planned, opened, measured in the same blocks, and resumed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from runner.backends.registry import find_backend
from runner.blocks import run_blocks
from runner.check_parity import check_parity
from runner.contender import Contender
from runner.errors import JoulebatchError
from runner.prepare import open_sessions, prepare_cells
from runner.report.archive import load
from runner.report.journal import JOURNAL_NAME
from runner.variants import CLOSENESS
from runner.workers.child import Worker as Child
from runner.workers.protocol import Check, Checked, Open
from tests.models import write_exported
from tests.processes import ROOT, joulebatch, report_of
from tests.runner.simulated_bench import scene
from tests.variants import write_variant

pytestmark = pytest.mark.live

BOTH = {"A": 0.01, "B": 0.02, "A fp16": 0.005, "B fp16": 0.04}


def test_every_variant_under_every_backend_is_visited_once_in_a_block() -> None:
    on = scene(BOTH, variants=("fp16", "fp32"))
    open_sessions(on.roster)
    prepare_cells(on.roster)
    run_blocks(on.roster)
    assert on.journal.blocks == list(range(len(on.journal.blocks)))
    cells = {cell.key: cell for cell in on.roster.plan.cells}
    for block in on.journal.blocks:
        seen = [cells[window.cell].contender for window in on.journal.windows if window.block == block]
        assert sorted(seen) == sorted(on.roster.plan.contenders)
    assert on.roster.baseline == Contender("fp16", "A"), "the first variant under the first backend"
    assert on.journal.sessions.keys() == BOTH.keys()
    assert on.roster.so_far.workers == {}


def test_a_backend_that_runs_the_reference_alone_is_planned_for_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(type(find_backend("cpu")), "variants", ("fp32",))
    on = scene({"A": 0.01}, variants=("fp16", "fp32"))
    assert on.roster.plan.contenders == (Contender("fp32", "A"),)
    assert on.roster.baseline == Contender("fp32", "A"), "the first variant that it runs"


def test_a_variant_that_does_not_open_costs_no_other() -> None:
    on = scene(BOTH, variants=("fp32", "fp16"))
    on.crew.sessions["A fp16"] = JoulebatchError("no kernel for Conv(fp16)")
    open_sessions(on.roster)
    prepare_cells(on.roster)
    assert {str(cell.contender) for cell in on.roster.ready.values()} == {"A", "B", "B fp16"}
    (failed,) = on.journal.cells.values()
    assert (str(failed.contender), failed.status, failed.reason) == (
        "A fp16",
        "failed",
        "no kernel for Conv(fp16)",
    )


def test_a_variant_is_held_to_its_own_closeness_and_the_reference_to_its_backend_s(tmp_path: Path) -> None:
    path = write_exported(tmp_path)
    on = scene(BOTH, variants=("fp32", "fp16"))
    manifest = write_variant(tmp_path)
    on.roster.plan.files["fp32"] = replace(  # type: ignore[index] # a plan's files are a dict
        on.roster.plan.files["fp32"], path=path, manifest=manifest
    )
    open_sessions(on.roster)
    prepare_cells(on.roster)
    check_parity(on.roster)
    asked = {who: (each.tolerance_ratio, each.least_agreement_ratio) for who, each in on.crew.checked.items()}
    near = CLOSENESS["fp16"]
    assert asked["A"] == asked["B"] == (0.0, 0.0)
    assert asked["A fp16"] == (near.tolerance_ratio, near.least_agreement_ratio)


@pytest.mark.parametrize(("asked_ratio", "expected_ratio"), [(0.0, 1e-4), (0.05, 0.05)])
def test_the_farther_tolerance_of_backend_and_variant_counts(
    asked_ratio: float, expected_ratio: float, exported: Path
) -> None:
    options = {option.name: option.default for option in find_backend("cpu").options}
    child = Child()
    child.answer(Open("cpu", str(exported / "tiny.onnx"), None, options | {"threads": "1"}, (), 0))
    reply = child.answer(Check(str(exported / "tiny.reference.npz"), asked_ratio))
    assert isinstance(reply, Checked)
    assert reply.parity["tolerance_ratio"] == expected_ratio
    assert reply.parity["status"] == "passed"


RUN = (
    "run", "-m", "tiny", "--backend", "cpu:threads=1", "--batch-sizes", "1", "--profile", "quick",
    "--target-ci", "0.001%", "--time-budget", "60s", "--meter", "none",
)  # fmt: skip


def test_two_variants_are_measured_shown_verified_and_resumed(home: Path) -> None:
    write_variant(home / "models")
    result = joulebatch(*RUN, "--variant", "fp32", "--variant", "fp16", cwd=home)
    assert result.returncode == 0, result.stderr
    report, (folder,) = report_of(home), (home / "reports").glob("2*")
    assert [(each.variant, each.quality) for each in report.models] == [
        ("fp32", "reference"),
        ("fp16", "unverified"),
    ]
    assert {each.parity.status for each in report.sessions if each.parity} == {"passed"}
    (latency,) = (each for each in report.comparisons if each.metric == "latency")
    assert (latency.cell.split("/")[1], latency.baseline_cell.split("/")[1]) == ("fp16", "fp32")
    assert latency.pair_count == 10
    assert "fp16 [1]" in result.stdout
    assert "quality unverified (random weights" in result.stdout
    assert joulebatch("reports", "verify", "latest", cwd=home).returncode == 0

    lines = (folder / JOURNAL_NAME).read_text().splitlines(keepends=True)
    second = [place for place, line in enumerate(lines) if '"kind":"block"' in line][1]
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / JOURNAL_NAME).write_text("".join(lines[: second + 2]))  # and a window of the third
    resumed = joulebatch("run", "--resume", "latest", cwd=home)
    assert resumed.returncode == 0, resumed.stderr
    again = load(folder)
    assert again.status == "complete"
    assert {each.worker for each in again.windows} == {0, 1}
    for block in range(10):
        own = [each for each in again.windows if each.block == block]
        taken = [each.cell for each in own if each.paired or each.repeated_by is not None]
        assert sorted(taken) == sorted(cell.key for cell in again.cells)


def test_what_is_not_exported_names_the_command_that_makes_it(home: Path) -> None:
    result = joulebatch(*RUN, "--variant", "fp32", "--variant", "int8-static", cwd=home)
    assert result.returncode == 3
    assert "Run: joulebatch export tiny --variant int8-static --models-dir models" in result.stderr
    assert not (home / "reports").exists()


def test_a_bare_file_has_no_variants_and_pytorch_no_others_than_fp32(home: Path) -> None:
    bare = ("run", "--onnx", "models/tiny.onnx", "--variant", "fp16", "--backend", "cpu")
    refused = joulebatch(*bare, cwd=home)
    assert refused.returncode == 2
    assert "Cannot run --variant fp16 of models/tiny.onnx" in refused.stderr
    write_variant(home / "models")
    alone = joulebatch("run", "-m", "tiny", "--variant", "fp16", "--backend", "torch", cwd=home)
    assert alone.returncode == 2
    assert "Cannot run torch here: expected --variant fp32, got fp16" in alone.stderr
    plan = joulebatch(
        "run", "-m", "tiny", "--variant", "fp16", "--variant", "fp32", "--explain",
        "--backend", "cpu", "--backend", "torch", "--batch-sizes", "1", cwd=home,
    )  # fmt: skip
    assert plan.returncode == 0, plan.stderr
    assert "torch runs fp32 only: fp16 not measured on it" in plan.stdout


def test_variants_are_set_in_toml_too(home: Path) -> None:
    (home / "run.toml").write_text(
        'model = "tiny"\nbackend = "cpu"\nvariant = ["fp32", "int8-dynamic"]\nbatch-sizes = "1"\n'
    )
    result = joulebatch("run", "--config", "run.toml", cwd=home)
    assert result.returncode == 3
    assert "joulebatch export tiny --variant int8-dynamic" in result.stderr


def test_journals_that_kept_variants_apart_are_read_as_before() -> None:
    (folder, *_) = sorted((ROOT / "reports" / "reference").glob("*/"))
    lines = (folder / JOURNAL_NAME).read_text().splitlines()
    block = next(line for line in lines if '"kind":"block"' in line)
    assert json.loads(block)["variant"] == "fp32", "written before variants were compared"
    assert any(window.paired for window in load(folder).windows)
