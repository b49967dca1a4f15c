import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from exporter.request import OPSETS, Request, find_current
from exporter.weights import Mode, Wanted
from runner.errors import UsageError
from runner.manifest import manifest_path, read_manifest
from tests.exporter.conftest import MODEL

WANTED = Wanted("auto", 0, None, online=False)


def test_requests_survive_the_way_to_the_child() -> None:
    for folder in (None, Path("w")):
        request = Request(MODEL, Path("m"), replace(WANTED, weights_dir=folder), 19)
        assert Request.from_dict(json.loads(json.dumps(request.to_dict()))) == request


@pytest.mark.parametrize("opset", [OPSETS[0] - 1, OPSETS[-1] + 1])
def test_opsets_outside_the_tested_range_are_refused(opset: int) -> None:
    with pytest.raises(UsageError):
        Request(MODEL, Path("m"), WANTED, opset)


@pytest.mark.parametrize(
    ("mode", "changes", "current"),
    [
        ("auto", {}, True),
        ("random", {}, True),
        ("random", {"weights_dir": Path("other")}, True),
        ("pretrained", {}, False),
        ("auto", {"seed": 1}, False),
        ("auto", {"weights_dir": Path("other")}, True),
        ("pretrained", {"weights_dir": Path("other")}, False),
    ],
)
def test_only_what_the_request_would_give_is_current(
    exported: Path, mode: Mode, changes: dict[str, Any], current: bool
) -> None:
    wanted = replace(WANTED, mode=mode, **changes)
    assert bool(find_current((Request(MODEL, exported, wanted, 18),))) == current
    assert not find_current((Request(MODEL, exported, wanted, 19),))


def give_checkpoint(exported: Path, models: Path, checkpoint: Path) -> None:
    """Make a models folder whose manifest says that the weights are from a checkpoint."""
    models.mkdir()
    for path in exported.iterdir():
        if path != manifest_path(exported, MODEL):
            (models / path.name).hardlink_to(path)
    manifest = read_manifest(manifest_path(exported, MODEL))
    kind: Literal["pretrained", "local"] = (
        "pretrained" if checkpoint.name == manifest.recipe["published"] else "local"
    )
    weights = replace(manifest.weights, kind=kind)
    size_bytes = checkpoint.stat().st_size
    recipe = {**manifest.recipe, "checkpoint": str(checkpoint), "checkpoint_bytes": size_bytes}
    manifest_path(models, MODEL).write_text(replace(manifest, weights=weights, recipe=recipe).to_json())


def is_current(models: Path, mode: Mode, weights_dir: Path | None) -> bool:
    wanted = replace(WANTED, mode=mode, weights_dir=weights_dir)
    return MODEL in find_current((Request(MODEL, models, wanted, 18),))


@pytest.mark.parametrize("mode", ["auto", "pretrained"])
def test_a_checkpoint_that_was_replaced_cut_or_deleted_is_not_current(
    mode: Mode, exported: Path, tmp_path: Path
) -> None:
    folder, models = tmp_path / "weights", tmp_path / "m"
    folder.mkdir()
    checkpoint = folder / "shufflenetv2_x0.5-aaaaaaaa.pth"
    checkpoint.write_bytes(b"weights")
    give_checkpoint(exported, models, checkpoint)
    assert is_current(models, mode, folder)
    other = checkpoint.rename(folder / "shufflenetv2_x0.5-bbbbbbbb.pth")
    assert not is_current(models, mode, folder)
    checkpoint.write_bytes(b"weights")
    assert not is_current(models, mode, folder)  # either could be meant: the export says so
    other.unlink()
    assert is_current(models, mode, folder)
    checkpoint.write_bytes(b"weight")
    assert not is_current(models, mode, folder)
    checkpoint.unlink()
    assert not is_current(models, mode, folder)
    assert not is_current(models, mode, None)


def test_a_folder_without_the_network_changes_nothing(exported: Path, tmp_path: Path, cache: Path) -> None:
    folder, models = tmp_path / "weights", tmp_path / "m"
    folder.mkdir()
    published = cache / read_manifest(manifest_path(exported, MODEL)).recipe["published"]
    assert is_current(exported, "auto", folder)
    published.write_bytes(b"weights")
    assert not is_current(exported, "auto", folder)  # random, and the published weights have come
    give_checkpoint(exported, models, published)
    for mode in ("auto", "pretrained"):
        assert is_current(models, mode, folder)
        assert is_current(models, mode, None)
    published.unlink()
    assert not is_current(models, "auto", folder)


def test_weights_trained_elsewhere_stay_until_others_are_asked_for(
    exported: Path, tmp_path: Path, cache: Path
) -> None:
    folder, models = tmp_path / "weights", tmp_path / "m"
    folder.mkdir()
    checkpoint = tmp_path / "shufflenetv2_x0.5-aaaaaaaa.pth"
    checkpoint.write_bytes(b"weights")
    give_checkpoint(exported, models, checkpoint)
    assert is_current(models, "auto", None)
    assert not is_current(models, "auto", folder)
    assert not is_current(models, "pretrained", None)
    (cache / read_manifest(manifest_path(exported, MODEL)).recipe["published"]).write_bytes(b"weights")
    assert not is_current(models, "auto", None)


@pytest.mark.parametrize(
    ("field", "value"),
    [("recipe", {"revision": 0}), ("versions", {"torch": "1.0", "torchvision": "1.0"})],
)
def test_files_of_other_software_are_not_current(
    exported: Path, tmp_path: Path, field: str, value: dict[str, object]
) -> None:
    for path in exported.iterdir():
        (tmp_path / path.name).hardlink_to(path)
    manifest = read_manifest(manifest_path(exported, MODEL))
    request = Request(MODEL, tmp_path, WANTED, 18)
    assert find_current((request,)) == {MODEL: manifest}
    manifest_path(tmp_path, MODEL).unlink()
    changed = replace(manifest, **{field: value})  # type: ignore[arg-type]  # the parameters fit their fields
    manifest_path(tmp_path, MODEL).write_text(changed.to_json())
    assert find_current((request,)) == {}


def test_a_truncated_file_is_exported_again(exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    path = tmp_path / f"{MODEL}.onnx"
    request = Request(MODEL, tmp_path, WANTED, 18)
    assert find_current((request,))
    os.truncate(path, path.stat().st_size // 2)
    assert not find_current((request,))
