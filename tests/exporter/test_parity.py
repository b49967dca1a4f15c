from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from exporter.network import build_random, calibrate
from exporter.parity import check_batches, reference_images, reference_outputs
from exporter.torchvision_ops import import_torchvision
from runner.errors import FileError
from runner.modelfile import open_model
from runner.parity import flatness, read_reference

pytestmark = pytest.mark.filterwarnings("ignore")  # of torchvision's import


def test_a_zero_head_is_refused_and_ours_is_not() -> None:
    """torchvision starts a vision transformer with a head of zeros: every image gets the same outputs."""

    images = reference_images(224, 0)[:2]
    theirs = import_torchvision().models.get_model("vit_b_32", weights=None).eval()
    with pytest.raises(FileError, match="nearly any constant would pass"):
        reference_outputs(theirs, images, "vit_b_32")
    ours = build_random("vit_b_32", {"image_size": 224}, 0)
    assert reference_outputs(ours, images, "vit_b_32").shape == (2, 1000)


@pytest.mark.parametrize(
    "name", ["alexnet", "shufflenet_v2_x0_5", "resnet18", "squeezenet1_1", "mobilenet_v3_small"]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_random_networks_are_alive(name: str, seed: int) -> None:
    """No signal dies or explodes on the way, and images are told apart."""

    module = build_random(name, {}, seed)
    images = reference_images(224, seed)
    calibrate(module, images)
    largest: list[float] = []
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.register_forward_hook(lambda *a: largest.append(float(a[2].abs().max())))
    with torch.inference_mode():
        logits = module(torch.from_numpy(images)).numpy()
    assert flatness({"logits": logits}) == ""
    assert min(largest) > 1e-3
    assert max(largest) < 1e3


def test_layer_scale_does_not_hide_the_blocks() -> None:

    scales = [
        parameter
        for name, parameter in build_random("convnext_tiny", {}, 0).named_parameters()
        if name.endswith("layer_scale")
    ]
    assert scales
    assert all(float(scale.min()) == 1 for scale in scales)


def test_images_are_seeded_standardised_and_different() -> None:

    images = reference_images(224, 3)
    np.testing.assert_array_equal(images, reference_images(224, 3))
    assert not np.array_equal(images, reference_images(224, 4))
    assert images.shape == (8, 3, 224, 224)
    assert images.dtype == np.float32
    assert images.std() == pytest.approx(1, abs=0.2)
    assert reference_images(299, 0).shape == (8, 3, 299, 299)


def test_an_export_that_computes_something_else_is_refused(exported: Path) -> None:

    model = open_model(exported, "shufflenet")
    assert model.reference_path is not None
    inputs, outputs = read_reference(model.reference_path)
    check_batches(model.path, model.name, inputs["input"], outputs["logits"], 2)
    wrong = outputs["logits"].copy()
    wrong[7] *= 1.01
    with pytest.raises(FileError, match="at batch 8: got error"):
        check_batches(model.path, model.name, inputs["input"], wrong, 2)
    wrong[0] *= 1.01
    with pytest.raises(FileError, match="at batch 1: got error"):
        check_batches(model.path, model.name, inputs["input"], wrong, 2)
