from pathlib import Path

import pytest

from exporter.catalogue import PUBLICATIONS, resolve
from runner.errors import UsageError
from runner.modelfile import STUDY_MODELS
from tests.exporter.conftest import Run
from tests.models import write_exported


def test_no_name_means_the_study_and_each_of_its_networks_has_its_paper(tmp_path: Path) -> None:
    assert resolve((), tmp_path) == STUDY_MODELS
    assert tuple(PUBLICATIONS) == STUDY_MODELS
    assert [publication.year for publication in PUBLICATIONS.values()] == [2012, 2016, 2018, 2020, 2022]


def test_names_of_the_study_need_no_torchvision(run: Run) -> None:
    code = """
import sys
from pathlib import Path
from exporter.catalogue import resolve
print(*resolve(("ALEXNET", "dense", "shufflenet", "vit", "convnext", "vit_b_16"), Path("none")))
print("torch" in sys.modules)
"""
    names, imported = run(code=code).stdout.splitlines()
    assert tuple(names.split()) == STUDY_MODELS
    assert imported == "False"


def test_what_was_exported_needs_no_torchvision_either(tmp_path: Path) -> None:
    write_exported(tmp_path, "mynet")
    assert resolve(("mynet",), tmp_path) == ("mynet",)


@pytest.mark.filterwarnings("ignore")  # of torchvision's import
def test_other_classification_networks_are_known_and_no_detectors(tmp_path: Path) -> None:
    assert resolve(("ResNet18", "squeezenet1_0", "swin_v2_b"), tmp_path) == (
        "resnet18",
        "squeezenet1_0",
        "swin_v2_b",
    )
    with pytest.raises(UsageError, match="Unknown model 'fasterrcnn'"):
        resolve(("fasterrcnn",), tmp_path)


@pytest.mark.filterwarnings("ignore")  # the same
def test_an_unknown_name_brings_the_nearest_and_not_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(("resnet51",), tmp_path)
    assert "Did you mean resnet" in str(caught.value)
    assert "resnet50" in str(caught.value)
    assert ", ".join(STUDY_MODELS) in str(caught.value)
    assert "regnet_y_400mf" not in str(caught.value)
    assert len(str(caught.value)) < 300
