import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner import backend_selection
from runner.backend_selection import default_backends
from runner.backends.interface import Missing
from runner.backends.registry import backend_names, find_backend
from runner.config import RunConfig
from runner.errors import AbsentError, FileError, UsageError
from runner.hashing import hash_file
from runner.selection import Selection, select, select_meters
from runner.workers.interpreter import Interpreter
from tests.models import write_exported, write_onnx


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("selection")
    for name in ("tiny", "tidy"):
        write_exported(folder, name)
    write_onnx(folder / "bare.onnx", size="side")
    return folder


def _config(folder: Path, **flags: Any) -> RunConfig:
    values = {
        "batch_sizes": "1,2",
        "target_ci_ratio": "2%",
        "models_dir": folder,
        "reports_dir": folder / "reports",
    }
    return RunConfig.read({**values, **flags})


def _select(folder: Path, **flags: Any) -> Selection:
    return select(_config(folder, **{"models": ("tiny",), "backends": ("cpu",), **flags}))


def _without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Say that the machine lacks all backends but these of the tests."""
    for name in names:
        monkeypatch.setattr(
            type(find_backend(name)), "missing", lambda self: Missing("no such device", "Buy one")
        )


def test_models_backends_and_plan_are_in_the_order_asked_for(folder: Path) -> None:
    chosen = _select(folder, models=("tiny", "tidy"), backends=("cpu:spin=off", "cpu"))
    assert [file.name for file in chosen.files] == ["tiny", "tidy"]
    assert [spec.label for spec in chosen.specs] == ["cpu:spin=off", "cpu"]
    assert [model.file.name for model in chosen.plan] == ["tiny", "tidy"]
    assert all(len(model.cells) == 4 for model in chosen.plan)


def test_a_unique_beginning_of_a_name_will_do(folder: Path) -> None:
    assert [file.name for file in _select(folder, models=("TIN",)).files] == ["tiny"]


@pytest.mark.parametrize(
    ("name", "message"), [("ti", r"ti"), ("tinny", r"Unknown model 'tinny'.*Did you mean tiny\?")]
)
def test_a_name_that_is_unknown_or_could_be_two_is_refused(name: str, message: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=message):
        _select(folder, models=(name,))


def test_a_bare_file_is_a_model_with_its_shape(folder: Path) -> None:
    chosen = _select(folder, models=(), onnx_files=(str(folder / "bare.onnx"),), shapes=("input=3x8x8",))
    (file,) = chosen.files
    assert (file.name, file.manifest, file.inputs[0].shape[1:]) == ("bare", None, (3, 8, 8))


def test_exported_and_bare_files_may_be_compared(folder: Path) -> None:
    chosen = _select(folder, onnx_files=(str(folder / "bare.onnx"),), shapes=("input=3x8x8",))
    assert [file.name for file in chosen.files] == ["tiny", "bare"]


def test_labelled_files_are_variants_that_every_backend_runs_as_it_runs_the_reference(folder: Path) -> None:
    path, shapes = folder / "bare.onnx", ("input=3x8x8",)
    chosen = _select(
        folder,
        models=(),
        onnx_files=(f"base={path}", f"new={path}"),
        shapes=shapes,
        backends=("cpu", "B=cpu"),
    )
    (plan,) = chosen.plan
    assert list(plan.files) == ["base", "new"]
    assert [str(each) for each in plan.contenders] == ["cpu base", "B base", "cpu new", "B new"]
    assert chosen.notes == ()
    with pytest.raises(UsageError, match=r"Model 'bare' was given 2 times.*label those that are one model"):
        _select(folder, models=(), onnx_files=(str(path), f"new={path}"), shapes=shapes)


def test_without_a_model_the_five_of_the_study_are_meant(folder: Path) -> None:
    with pytest.raises(AbsentError, match=r"alexnet.*joulebatch export alexnet"):
        _select(folder, models=())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"models": ("tiny", "tin")}, r"Model 'tiny' was given 2 times"),
        (
            {"allow_other_outputs": True},
            r"--allow-other-outputs: expected --onnx files with labels.*got none.*--onnx base=FILE",
        ),
        ({"shapes": ("input=3x8x8",)}, r"Cannot use --shape input: expected an --onnx file, got none"),
        ({"input_values": ("x=3",)}, r"Cannot use --input x: expected an --onnx file, got none"),
        ({"backends": ("cup",)}, r"Unknown backend 'cup'.*Did you mean cpu\?"),
        ({"backends": ("cpu", "cpu")}, r"Backend 'cpu' was given twice"),
        ({"baseline": "cuda"}, r"Unknown --baseline 'cuda'"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(flags: dict[str, Any], message: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        _select(folder, **flags)
    assert caught.value.exit_code == 2


def test_a_shape_for_no_input_names_the_inputs(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"Unknown input 'inputs' in --shape\. Did you mean input\?"):
        _select(
            folder, models=(), onnx_files=(str(folder / "bare.onnx"),), shapes=("input=3x8x8", "inputs=3x8x8")
        )


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = write_exported(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        FileError, match=r"tiny\.onnx: expected \d+ bytes, got \d+\. Run: joulebatch export tiny"
    ):
        _select(tmp_path)


@pytest.mark.parametrize(
    ("baseline", "label"), [(None, "A"), ("A", "A"), ("B", "B"), ("B=cpu:spin=off", "B"), ("cpu", "cpu")]
)
def test_the_baseline_is_the_first_backend_or_one_by_label_or_spec(
    baseline: str | None, label: str, folder: Path
) -> None:
    backends = ("A=cpu", "B=cpu:spin=off", "cpu")
    assert _select(folder, backends=backends, baseline=baseline).baseline == label


def test_a_backend_that_is_asked_for_and_absent_ends_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without(monkeypatch, "cuda")
    with pytest.raises(AbsentError, match=r"Cannot run backend cuda:tf32=off: got no such device\. Buy one"):
        _select(folder, backends=("cpu", "cuda:tf32=off"))


PYTHON = sys.executable


def test_a_backend_knows_the_python_that_runs_it(folder: Path) -> None:
    chosen = _select(folder, backends=("cpu", "cpu@Same:threads=1"), interpreters=(f"SAME={PYTHON}",))
    assert [spec.python for spec in chosen.specs] == [None, Path(PYTHON)]
    assert chosen.specs[1].label == "cpu@Same:threads=1"
    assert len(chosen.plan[0].cells) == 4


@pytest.mark.parametrize(
    ("backend", "interpreters", "message"),
    [
        (
            "cpu@ort12",
            ("ort124=/nowhere", "b=/nowhere"),
            r"Unknown interpreter 'ort12' in backend cpu@ort12\. Did you mean ort124\? Valid: ort124, b\. Say where",
        ),
        (
            "cpu@old",
            (),
            r"Unknown interpreter 'old' in backend cpu@old\. Say where it is: --interpreter old=PATH",
        ),
        ("cpu", ("old=/nowhere",), r"No backend uses interpreter 'old'\. Add --backend cpu@old, or drop"),
        ("cpu@old", ("old",), r"Cannot read --interpreter: expected NAME=PATH.*, got 'old'"),
        ("cpu@old", ("old=",), r"Cannot read --interpreter"),
        ("cpu@old", ("o:d=/nowhere",), r"Cannot read --interpreter"),
        (
            "cpu@old",
            ("old=/a", "OLD=/b"),
            r"Cannot use --interpreter: expected each name once, got old twice",
        ),
    ],
)
def test_an_interpreter_that_cannot_be_meant_is_a_usage_error(
    backend: str, interpreters: tuple[str, ...], message: str, folder: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        _select(folder, backends=(backend,), interpreters=interpreters)


def test_an_interpreter_of_no_backend_is_a_usage_error_by_default_too(folder: Path) -> None:
    with pytest.raises(UsageError, match="No backend uses interpreter 'old'"):
        _select(folder, backends=(), interpreters=("old=/nowhere",))


def test_an_interpreter_that_is_absent_ends_the_run(folder: Path) -> None:
    with pytest.raises(
        AbsentError, match=r"Cannot use interpreter old \(/nowhere\): .*No such file"
    ) as caught:
        _select(folder, backends=("cpu@old",), interpreters=("old=/nowhere",))
    assert caught.value.exit_code == 3


def test_a_backend_that_is_absent_there_ends_the_run_with_the_pip_to_use(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probed(name: str, path: Path, backends: Sequence[str]) -> Interpreter:
        assert backends == ["cpu", "cuda"]
        return Interpreter(path, {"cpu": None, "cuda": Missing("no GPU wheel", "Install it")})

    monkeypatch.setattr(backend_selection, "probe", probed)
    with pytest.raises(
        AbsentError,
        match=r"Cannot run backend cuda@old: got no GPU wheel\. Install it\. Its own pip is /old -m pip\.",
    ):
        _select(folder, backends=("cpu@old", "cuda@old"), interpreters=("old=/old",))


def test_images_need_pillow_in_every_interpreter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = Interpreter(Path("/old"), {"cpu": None}, Missing("Pillow is not installed", "Install pillow"))
    monkeypatch.setattr(backend_selection, "probe", lambda name, path, backends: python)
    asked: dict[str, Any] = {"backends": ("cpu@old",), "interpreters": ("old=/old",)}
    queue = {"policies": ("greedy:2",), "request_rates_hz": "5", "requests": 10}
    assert _select(folder, **asked, queue=queue).specs
    with pytest.raises(
        AbsentError,
        match=r"cpu@old: got Pillow is not installed\. Install pillow\. Its own pip is /old -m pip",
    ):
        _select(folder, **asked, queue={**queue, "images": folder})


def test_a_backend_may_be_there_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch, "cuda")
    monkeypatch.setattr(
        backend_selection, "probe", lambda name, path, backends: Interpreter(path, {"cuda": None})
    )
    assert _select(folder, backends=("cuda@gpu",), interpreters=("gpu=/gpu",)).specs[0].python == Path("/gpu")


def test_backends_of_the_default_are_those_that_are_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without(monkeypatch, "cuda")
    expected = tuple(
        n for n in ("cpu", "torch") if n in backend_names() and find_backend(n).missing() is None
    )
    assert default_backends(exported_only=True) == expected
    assert tuple(spec.name for spec in _select(folder, backends=()).specs) == expected


def test_a_bare_file_runs_by_default_on_backends_that_need_no_manifest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without(monkeypatch, "cuda")
    monkeypatch.setattr(backend_selection, "DEFAULT_BACKENDS", ("cpu", "cuda"))
    monkeypatch.setattr(type(find_backend("cuda")), "missing", lambda self: None)
    monkeypatch.setattr(type(find_backend("cuda")), "needs_manifest", True)
    assert default_backends(exported_only=False) == ("cpu",)
    assert default_backends(exported_only=True) == ("cpu", "cuda")
    bare = {"models": (), "onnx_files": (str(folder / "bare.onnx"),), "shapes": ("input=3x8x8",)}
    with pytest.raises(UsageError, match=r"bare\.onnx on cuda: expected a model exported by joulebatch"):
        _select(folder, **bare, backends=("cuda",))


def test_what_inputs_hold_is_checked_and_files_of_it_are_hashed(folder: Path, tmp_path: Path) -> None:
    bare = {"models": (), "onnx_files": (str(folder / "bare.onnx"),), "shapes": ("input=3x8x8",)}
    path = tmp_path / "images.npy"
    np.save(path, np.zeros((2, 3, 8, 8), np.float32))
    chosen = _select(folder, **bare, input_values=(f"input={path}",))
    assert chosen.files[0].input_values == {"input": str(path)}
    assert chosen.files_read == {f"input input={path}": hash_file(path)}
    np.save(path, np.ones((2, 3, 8, 8), np.float32))
    assert _select(folder, **bare, input_values=(f"input={path}",)).files_read != chosen.files_read
    assert _select(folder, **bare, input_values=("input=0.5",)).files_read == {}
    for wrong in ("x=1", "input=none.npy"):
        with pytest.raises((UsageError, AbsentError)):
            _select(folder, **bare, input_values=(wrong,))


def test_meters_are_chosen_by_name_and_an_unknown_one_is_refused(folder: Path) -> None:
    with select_meters(_config(folder, meter="none")) as meters:
        assert meters.minimum_window_s == 0
    with pytest.raises(UsageError, match=r"(?i)meter"):
        select_meters(_config(folder, meter="ammeter"))
