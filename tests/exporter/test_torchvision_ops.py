from pathlib import Path

import pytest

from tests.exporter.conftest import Run

PROBE = """
import sys
sys.path.insert(0, sys.argv[1])
from exporter.torchvision_ops import import_torchvision
from runner.errors import AbsentError
try:
    print(import_torchvision().__file__)
except AbsentError as error:
    print(error)
import torch
print(any(schema.name == "torchvision::nms" for schema in torch._C._jit_get_all_schemas()))
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    (tmp_path / "torchvision").mkdir()
    return tmp_path / "torchvision" / "__init__.py"


def test_a_matched_build_is_left_as_it_is(fake: Path, run: Run) -> None:
    fake.write_text("models = None")
    where, schemas = run(fake.parents[1], code=PROBE).stdout.splitlines()
    assert where == str(fake)
    assert schemas == "False"


def test_missing_operators_get_their_schemas(fake: Path, run: Run) -> None:
    fake.write_text("""
import torch
@torch.library.register_fake("torchvision::nms")
def meta_nms(dets, scores, iou_threshold):
    return dets
""")
    result = run(fake.parents[1], code=PROBE)
    where, schemas = result.stdout.splitlines()
    assert where == str(fake)
    assert schemas == "True"


def test_the_installed_torchvision_imports(tmp_path: Path, run: Run) -> None:
    where, _ = run(tmp_path, code=PROBE).stdout.splitlines()
    assert "torchvision" in where


def test_another_failure_is_one_line_with_the_fix(fake: Path, run: Run) -> None:
    fake.write_text("raise RuntimeError('no driver')")
    message, schemas = run(fake.parents[1], code=PROBE).stdout.splitlines()
    assert "Cannot import torchvision: got no driver. Install the export extra" in message
    assert schemas == "False"
