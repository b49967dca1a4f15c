import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.request import OPSETS, Request, find_current
from exporter.weights import Mode, Wanted
from runner.errors import UsageError
from runner.modelfile import manifest_path, read_manifest
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
        ("auto", {"weights_dir": Path("other")}, False),
    ],
)
def test_only_what_the_request_would_give_is_current(
    exported: Path, mode: Mode, changes: dict[str, Any], current: bool
) -> None:
    wanted = replace(WANTED, mode=mode, **changes)
    assert bool(find_current((Request(MODEL, exported, wanted, 18),))) == current
    assert not find_current((Request(MODEL, exported, wanted, 19),))


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
