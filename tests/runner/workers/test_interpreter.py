"""Other Pythons, in real virtual environments: what they need, what they are refused for, and a worker under each."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from venv import EnvBuilder

import pytest

from runner.backends.spec import parse_spec
from runner.backends.wheels import installed_wheels
from runner.errors import AbsentError
from runner.interruption import Interruption
from runner.modelfile import open_model
from runner.workers import interpreter
from runner.workers.interpreter import BOOTSTRAP, probe
from runner.workers.parent import Worker
from runner.workers.protocol import Check, Measure, Open, Prepare
from tests.processes import joulebatch

pytestmark = pytest.mark.live

LIMIT_S = 60.0
OTHER = "JOULEBATCH_TEST_ORT124"
"""names a Python with onnxruntime 1.24, which `make test` prepares"""
WHEEL = "JOULEBATCH_TEST_WHEEL"
"""names an environment with joulebatch's wheel and its base dependencies, which `make test` prepares"""


def _site(env: Path) -> Path:
    (site,) = env.glob("lib/python*/site-packages")
    return site


def _make_env(folder: Path, *packages: str) -> Path:
    """Make a virtual environment with some of our own packages and nothing else; return its folder."""
    EnvBuilder(symlinks=True).create(folder)
    for package in packages:
        installed = distribution(package)
        for name in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            (_site(folder) / name).symlink_to(Path(str(installed.locate_file(name))))
    return folder


def _own_version() -> str:
    (wheel,) = installed_wheels()
    return distribution(wheel).version


def _add_wheel(site: Path, version: str, code: str) -> None:
    """Leave a package onnxruntime and its metadata as pip would."""
    (site / "onnxruntime.py").write_text(code)
    info = site / f"onnxruntime-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: onnxruntime\nVersion: {version}\n")


def _program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make_env(tmp_path_factory.mktemp("whole"), "numpy", *installed_wheels())


@pytest.fixture
def numpy_only(tmp_path: Path) -> Path:
    return _make_env(tmp_path / "env", "numpy")


@pytest.fixture
def worker(whole: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Worker]:
    """A worker under another Python, while our own is pointed to another onnxruntime."""
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('this is not its own')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    python = probe("whole", whole, ["cpu"]).python
    with Interruption() as interruption, Worker(interruption, python) as worker:
        yield worker


def test_a_worker_needs_numpy_and_onnxruntime_alone_and_imports_its_own(
    worker: Worker, exported: Path
) -> None:
    file = open_model(exported, "tiny")
    inputs = tuple(asdict(each) for each in file.inputs)
    opened = worker.open(
        Open("cpu", str(file.path), None, parse_spec("cpu:threads=1").options, inputs, seed=0), LIMIT_S
    )
    assert opened.placement["label"] == "full"
    assert opened.facts["onnxruntime"] == _own_version()
    assert opened.facts["onnxruntime_file"].startswith("<prefix>")  # of that environment, and not of ours
    assert opened.facts["python"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    prepare = Prepare(2, "host", warm_up_inferences=2, warm_up_cap_s=1.0, warm_up_steady=True)
    assert worker.prepare(prepare, LIMIT_S).inference_s > 0
    assert worker.check(Check(str(file.reference_path)), LIMIT_S).parity["status"] == "passed"
    for period_s in (None, 0.01):
        assert len(worker.measure(Measure(2, "host", 3, period_s), LIMIT_S).latencies_s) == 3


def test_a_python_is_named_by_its_executable_or_its_environment(whole: Path) -> None:
    python = whole / "bin" / "python"
    for path in (whole, python, Path(os.path.relpath(python))):
        found = probe("it", path, ["cpu"])
        assert found.python.samefile(python)
        assert found.python.is_relative_to(whole) or ".." in found.python.parts  # its link was not followed
        assert found.missing == {"cpu": None}


@pytest.mark.usefixtures("third_party")
def test_a_backend_of_a_package_that_is_not_there_is_missing_and_costs_the_others_nothing(
    whole: Path,
) -> None:
    missing = probe("it", whole, ["cpu", "faulty"]).missing
    assert missing["cpu"] is None
    assert missing["faulty"]
    assert missing["faulty"].reason == "no package there brings this backend"


def test_cuda_in_a_wheel_for_the_cpu_is_missing(whole: Path) -> None:
    if "onnxruntime-gpu" in installed_wheels():
        pytest.skip("the CPU wheel is not installed")
    missing = probe("it", whole, ["cuda"]).missing["cuda"]
    assert missing
    assert "no GPU wheel (onnxruntime has: " in missing.reason


def test_a_python_without_pillow_runs_backends_and_decodes_no_images(whole: Path, tmp_path: Path) -> None:
    found = probe("it", whole, ["cpu"])
    assert found.missing == {"cpu": None}
    assert found.images
    assert found.images.reason == "Pillow is not installed"
    with_pillow = _make_env(tmp_path / "env", "numpy", "pillow")
    assert probe("it", with_pillow, ["cpu"]).images is None


def test_no_wheel_is_missing(numpy_only: Path) -> None:
    missing = probe("it", numpy_only, ["cpu"]).missing["cpu"]
    assert missing
    assert missing.reason == "onnxruntime is not installed"


@pytest.mark.parametrize(
    ("version", "code", "reason"),
    [
        ("1.23.2", "", "onnxruntime 1.23.2, which cannot say what ran where; 1.24 is the oldest that can"),
        ("1.24.4", "raise ImportError('no glibc')", "onnxruntime does not load: no glibc"),
    ],
)
def test_a_wheel_that_is_too_old_or_broken_is_missing(
    version: str, code: str, reason: str, numpy_only: Path
) -> None:
    _add_wheel(_site(numpy_only), version, code)
    missing = probe("it", numpy_only, ["cpu"]).missing["cpu"]
    assert missing
    assert missing.reason == reason


def test_a_python_without_numpy_is_of_no_use(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match=r"interpreter it \(.*\).* got a Python without numpy .*Make one: "):
        probe("it", _make_env(tmp_path / "env"), ["cpu"])


def test_an_older_python_says_what_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    monkeypatch.setattr("platform.python_version", lambda: "3.10.4")
    monkeypatch.setattr(sys, "argv", [str(BOOTSTRAP), "probe", "cpu"])
    runpy.run_path(str(BOOTSTRAP), run_name="__main__")
    assert json.loads(capsys.readouterr().out) == {"unusable": "Python 3.10.4"}


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("""echo '{"unusable": "Python 3.10.4"}'""", "expected Python 3.11 or newer .*, got Python 3.10.4"),
        ("echo hello", "got the answer 'hello'"),
        ("echo [1]", r"got the answer '\[1\]'"),
        ("""echo '{"parent": 1, "missing": {}}'""", "got the answer "),
        ("exit 3", "got exit code 3 and 'no word'"),
        ("echo one >&2; echo no licence >&2; exit 1", "got exit code 1 and 'no licence'"),
        ("exec sleep 60", "got no answer within 1 s"),
        (f'"{sys.executable}" "$@"', "got a program that starts one"),
    ],
)
def test_a_program_that_is_no_python_to_start_is_refused(
    text: str, got: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "_ANSWER_LIMIT_S", 1.0 if "sleep" in text else LIMIT_S)
    with pytest.raises(AbsentError, match=got) as caught:
        probe("it", _program(tmp_path / "program", text), ["cpu"])
    assert caught.value.exit_code == 3
    assert len(str(caught.value).splitlines()) == 1


def test_a_wrapper_that_becomes_the_python_is_as_good_as_one(tmp_path: Path) -> None:
    wrapper = _program(tmp_path / "wrapper", f'echo Welcome\nexec "{sys.executable}" "$@"')
    assert probe("it", wrapper, ["cpu"]).missing == {"cpu": None}


def test_a_path_that_is_no_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no program")
    (tmp_path / "binary").write_bytes(b"\x7fELF")
    (tmp_path / "binary").chmod(0o755)
    for name, got in (
        ("nowhere", "No such file"),
        ("empty", "No such file"),
        ("text", "Permission denied"),
        ("binary", "Exec format error"),
    ):
        with pytest.raises(AbsentError, match=rf"Cannot use interpreter it \(.*{name}.*\): .*{got}"):
            probe("it", tmp_path / name, ["cpu"])


# Two versions of ONNX Runtime


@pytest.fixture
def other() -> Path:
    if OTHER not in os.environ:
        pytest.skip(f"{OTHER} names no Python with onnxruntime 1.24; make test prepares one")
    return Path(os.environ[OTHER])


@pytest.fixture
def wheel() -> Path:
    if WHEEL not in os.environ:
        pytest.skip(f"{WHEEL} names no environment with joulebatch installed; make test prepares one")
    return Path(os.environ[WHEEL])


def _side_by_side(exported: Path, other: Path) -> list[str]:
    """Return the arguments of a run on both versions."""
    return [
        *("run", "-m", "tiny", "--models-dir", str(exported), "--batch-sizes", "1", "--profile", "quick"),
        *("--backend", "cpu", "--backend", "cpu@old:threads=1", "--interpreter", f"old={other}"),
        *("--time-budget", "10s", "--meter", "none", "-f", "json"),
    ]


def _check_both_were_measured(report: dict[str, Any], other: Path) -> None:
    version = "import onnxruntime; print(onnxruntime.__version__)"
    old = subprocess.run([other, "-c", version], capture_output=True, text=True, check=True).stdout.strip()
    new = _own_version()
    assert old != new
    backends = {each["label"]: each for each in report["backends"]}
    assert backends["cpu"]["interpreter"] is None
    assert Path(backends["cpu@old:threads=1"]["interpreter"]).samefile(other)
    sessions = {each["backend"]: each for each in report["sessions"]}
    assert {label: each["facts"]["onnxruntime"] for label, each in sessions.items()} == {
        "cpu": new,
        "cpu@old:threads=1": old,
    }
    assert {each["placement"] for each in sessions.values()} == {"full"}
    assert {each["parity"]["status"] for each in sessions.values()} == {"passed"}
    assert {cell["status"] for cell in report["cells"]} == {"measured"}
    by_block = {
        (window["block"], window["cell"].split("/")[2]) for window in report["windows"] if window["paired"]
    }
    assert by_block
    assert by_block == {(block, label) for block, _ in by_block for label in backends}


def test_two_versions_are_measured_side_by_side_in_one_run(
    other: Path, exported: Path, tmp_path: Path
) -> None:
    ran = joulebatch(*_side_by_side(exported, other), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    _check_both_were_measured(json.loads(ran.stdout), other)


def test_an_installed_wheel_measures_two_versions_too(
    other: Path, wheel: Path, exported: Path, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def said(program: str, *arguments: str) -> str:
        ran = subprocess.run(
            [wheel / "bin" / program, *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    where = Path(said("python", "-P", "-c", "import runner; print(runner.__file__)"))
    assert where.is_relative_to(_site(wheel)), "this is the checkout"
    _check_both_were_measured(json.loads(said("joulebatch", *_side_by_side(exported, other))), other)
