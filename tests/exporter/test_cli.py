import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import click
import numpy as np
import psutil
import pytest
import torch
from click.testing import CliRunner

from exporter.cli import MAX_SEED, export
from exporter.request import Request
from exporter.staging import remove_stale
from exporter.weights import AUTO_BYTES_PER_S
from runner.errors import JoulebatchError, UsageError
from runner.manifest import MANIFEST_SUFFIX
from runner.modelfile import open_model
from tests.exporter.conftest import COMMAND, MODEL, Run, environment

pytestmark = pytest.mark.live


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "models"))


def files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_the_help_has_an_example_and_every_default() -> None:
    text = CliRunner().invoke(export, ["--help"]).output
    assert "joulebatch export shufflenet" in text
    options = [param for param in export.params if isinstance(param, click.Option)]
    assert text.count("[default:") == len(options)


def test_importing_the_command_imports_nothing_heavy(run: Run) -> None:
    code = "import sys, exporter.cli; print(*{'torch', 'torchvision', 'onnx', 'numpy', 'rich'} & sys.modules.keys())"
    assert run(code=code).stdout.strip() == ""


def test_a_repeated_export_touches_nothing_and_needs_no_torch(copy: Path, run: Run) -> None:
    before = files(copy)
    code = "import sys; from exporter.cli import export; export(standalone_mode=False); print('torch' in sys.modules)"
    result = run("shufflenet", "--models-dir", copy, code=code)
    assert result.returncode == 0, result.stderr
    assert "unchanged" in result.stdout
    assert result.stdout.splitlines()[-1] == "False"
    assert f"RANDOM weights (seed 0) in {MODEL}" in result.stderr
    assert files(copy) == before


def test_a_variant_is_made_from_what_is_there_once_and_told_of_with_its_size(copy: Path, run: Run) -> None:
    arguments = ("shufflenet", "--models-dir", copy, "--variant", "fp16")
    before = files(copy)
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    reference, half = result.stdout.splitlines()
    assert reference.endswith("MB  unchanged, random, seed 0")
    # With random weights ShuffleNet's fp16 is 2.4 % off, beyond its tolerance: written all the same.
    assert half.startswith(f"{copy / MODEL}.fp16.onnx  2.8 MB (50% of fp32)  exported, quality LOST: error ")
    made = files(copy)
    assert made.keys() - before.keys() == {f"{MODEL}.fp16.onnx", f"{MODEL}.fp16.manifest.json"}
    assert before.items() <= made.items()
    again = run(*arguments)
    assert "  unchanged, quality LOST" in again.stdout.splitlines()[1]
    assert files(copy) == made


def test_images_without_a_variant_that_is_calibrated_are_refused(tmp_path: Path, run: Run) -> None:
    result = run("shufflenet", "--models-dir", tmp_path / "models", "--images", tmp_path)
    assert result.returncode != 0
    assert "Add --variant int8-static, or drop --images" in result.stderr
    assert not (tmp_path / "models").exists()


def test_quiet_still_says_random(copy: Path, run: Run) -> None:
    result = run("shufflenet", "--models-dir", copy, "-q")
    assert result.stdout == ""
    assert result.stderr.startswith("joulebatch: RANDOM weights")


def test_a_killed_export_leaves_nothing_that_a_run_accepts_and_the_next_one_cleans_up(
    tmp_path: Path, run: Run
) -> None:
    process = subprocess.Popen(
        [*COMMAND, MODEL, "--weights", "random", "--models-dir", str(tmp_path)],
        env=environment(),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    stale = tmp_path / f".export-{MODEL}"
    deadline_s = time.monotonic() + 60
    while not (stale / f"{MODEL}.onnx").exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert stale.exists()
    assert not list(tmp_path.glob(f"*{MANIFEST_SUFFIX}"))
    with pytest.raises(JoulebatchError, match="joulebatch export"):
        open_model(tmp_path, MODEL)
    assert run(MODEL, "--weights", "random", "--models-dir", tmp_path).returncode == 0
    assert not stale.exists()
    assert open_model(tmp_path, MODEL).name == MODEL


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)  # nobody may be there to reap it
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_jobs_die_with_their_parent(signum: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, MODEL, "--weights", "random", "--models-dir", str(tmp_path)],
        env=environment(),
        stderr=subprocess.DEVNULL,
    )
    deadline_s = time.monotonic() + 60
    stale = tmp_path / f".export-{MODEL}"
    while not stale.exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    jobs = psutil.Process(process.pid).children(recursive=True)
    assert jobs
    process.send_signal(signum)
    process.wait()
    while any(is_alive(job) for job in jobs):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert stale.exists()  # a job that had gone on to its next message would have cleaned up
    while list(tmp_path.iterdir()):  # a process is a zombie, with its lock, until its last thread has ended
        assert time.monotonic() < deadline_s
        remove_stale(tmp_path)
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shuflenet"], "Did you mean shufflenet_v2_"),
        (["resnet"], "resnet101 or resnet152 or resnet18"),
        (["alexnet", "--opset", "17"], "expected opset 18 to 20, got 17"),
        (["alexnet", "--jobs", "0"], "expected auto or a whole number from 1 up, got '0'"),
        (["alexnet", "--jobs", "two"], "got 'two'"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of libraries that are imported for the names of all networks
def test_bad_input_is_an_error_before_anything_is_written(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        export([*arguments, "--models-dir", str(tmp_path / "models")], standalone_mode=False)
    assert message in str(caught.value)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_a_seed_that_no_generator_takes_is_refused(seed: int, tmp_path: Path) -> None:
    result = CliRunner().invoke(export, ["alexnet", "--seed", str(seed), "--models-dir", str(tmp_path / "m")])
    assert result.exit_code == 2
    assert f"{seed} is not in the range" in result.output


def test_the_largest_seed_is_taken_by_both_generators() -> None:
    assert np.random.default_rng(MAX_SEED).random() != np.random.default_rng(MAX_SEED - 1).random()
    with torch.random.fork_rng(devices=()):
        assert torch.manual_seed(MAX_SEED).initial_seed() == MAX_SEED


@pytest.mark.parametrize(("mode", "least"), [("auto", AUTO_BYTES_PER_S / 2), ("pretrained", 0.0)])
def test_only_auto_gives_slow_downloads_up_and_all_jobs_share_its_rate(
    mode: str, least: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def fail(requests: tuple[Request, ...], jobs: int, _progress: object) -> tuple[JoulebatchError, ...]:
        assert jobs == 2
        asked.extend(requests)
        return (JoulebatchError("stop"),) * len(requests)

    monkeypatch.setattr("exporter.jobs.export_all", fail)
    monkeypatch.setattr("exporter.weights.is_online", lambda: True)
    with pytest.raises(JoulebatchError, match="stop"):
        export(["--weights", mode, "--jobs", "2", "--models-dir", str(tmp_path)], standalone_mode=False)
    assert {request.wanted.least_bytes_per_s for request in asked} == {least}


def test_one_failing_network_does_not_lose_the_others(copy: Path, tmp_path: Path, run: Run) -> None:
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "alexnet-owt-7be5be79.pth").write_bytes(b"no checkpoint")
    code = f"""
import os
os.environ["TORCH_HOME"] = {str(tmp_path)!r}
from exporter import weights
weights.is_online = lambda: False
from exporter.cli import export
try:
    export(standalone_mode=False)
except Exception as error:
    print(type(error).__name__, error)
"""
    result = run("alexnet", "shufflenet", "--models-dir", copy, code=code)
    assert f"{MODEL}.onnx" in result.stdout
    assert "FileError Cannot use" in result.stdout
    assert "expected sha256 7be5be79…" in result.stdout
    assert "alexnet: failed after" in result.stderr
