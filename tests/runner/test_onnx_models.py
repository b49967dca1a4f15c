from pathlib import Path

import pytest

from runner.errors import AbsentError, UsageError
from runner.onnx_models import open_sources
from tests.models import write_onnx


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("base", "new", "other"):
        (tmp_path / name).mkdir()
    write_onnx(tmp_path / "base" / "net.onnx")
    write_onnx(tmp_path / "new" / "net.onnx", batch="N")
    write_onnx(tmp_path / "other" / "net.onnx", size=8)
    return tmp_path


def test_labelled_files_are_one_model_called_as_the_first_and_others_models_of_their_own(
    folder: Path,
) -> None:
    texts = (
        f"base={folder}/base/net.onnx",
        f"{folder}/other/net.onnx",
        f"new={folder}/new/net.onnx",
    )
    (alone,), (base, new) = open_sources(texts, {}, {})
    assert (alone.name, alone.variant, alone.path.parent.name) == ("net", "fp32", "other")
    assert [(each.name, each.variant) for each in (base, new)] == [("net", "base"), ("net", "new")]
    assert base.sha256 != new.sha256


def test_no_labels_no_variants(folder: Path) -> None:
    ((file,),) = open_sources((f"{folder}/base/net.onnx",), {}, {})
    assert file.variant == "fp32"
    assert open_sources((), {}, {}) == ()


@pytest.mark.parametrize(
    ("second", "error", "message"),
    [
        ("base={}/new/net.onnx", UsageError, "Cannot use --onnx: expected each label once, got base twice"),
        (
            "new={}/other/net.onnx",
            UsageError,
            r"the same inputs, input float32 \(batch, 3, 16, 16\), got input float32 \(batch, 3, 8, 8\)",
        ),
        ("new={}/none.onnx", AbsentError, "expected an ONNX file, got no file"),
    ],
)
def test_what_cannot_be_one_model_is_refused(
    folder: Path, second: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        open_sources((f"base={folder}/base/net.onnx", second.format(folder)), {}, {})


def test_a_fixed_batch_is_another_input_than_a_free_one(folder: Path) -> None:
    write_onnx(folder / "fixed.onnx", batch=4)
    with pytest.raises(UsageError, match=r"\(batch, 3, 16, 16\), got input float32 \(4, 3, 16, 16\)"):
        open_sources((f"base={folder}/base/net.onnx", f"new={folder}/fixed.onnx"), {}, {})
