import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import AbsentError, FileError, JoulebatchError, UsageError
from runner.manifest import manifest_path, read_manifest
from runner.modelfile import open_model
from tests.models import write_exported


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in ("tiny", "tinier", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0"):
        write_exported(tmp_path, name)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("tiny", "tiny"),
        ("TINY", "tiny"),
        ("tini", "tinier"),
        ("shufflenet", "shufflenet_v2_x0_5"),
        ("shufflenet_v2_x1", "shufflenet_v2_x1_0"),
    ],
)
def test_names_in_any_case_and_unique_beginnings(models: Path, name: str, model: str) -> None:
    file = open_model(models, name)
    assert (file.name, file.path) == (model, models / f"{model}.onnx")
    assert file.fixed_batch is None
    assert file.manifest is not None


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("tin", UsageError, "tinier or tiny"),
        ("tniy", UsageError, "Did you mean tiny?"),
        ("resnet18", UsageError, "joulebatch export resnet18"),
        ("vit", AbsentError, "Run: joulebatch export vit_b_16"),
    ],
)
def test_unknown_and_absent_names(models: Path, name: str, kind: type[JoulebatchError], message: str) -> None:
    with pytest.raises(kind, match=message):
        open_model(models, name)


@pytest.mark.parametrize("suffix", [".onnx", ".reference.npz"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "changed"])
def test_damaged_files_are_refused_with_the_fix(models: Path, suffix: str, damage: str) -> None:
    path = models / f"tiny{suffix}"
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        os.truncate(path, path.stat().st_size - 1)
    else:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    with pytest.raises(FileError, match="Run: joulebatch export tiny --models-dir"):
        open_model(models, "tiny")
    assert open_model(models, "tinier").name == "tinier"


def test_a_manifest_cannot_point_out_of_its_folder(
    models: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    shutil.copy(models / "tiny.onnx", outside)
    manifest = read_manifest(manifest_path(models, "tiny"))
    name = f"../{outside.name}/tiny.onnx"
    changed = replace(manifest, external_data=(replace(manifest.file, name=name),))
    manifest_path(models, "tiny").write_text(changed.to_json())
    with pytest.raises(FileError, match="got a path"):
        open_model(models, "tiny")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 99}', '{"version": 1}'])
def test_a_broken_manifest_is_refused_with_the_fix(models: Path, text: str) -> None:
    manifest_path(models, "tiny").write_text(text)
    with pytest.raises(FileError, match="Run: joulebatch export tiny"):
        open_model(models, "tiny")
