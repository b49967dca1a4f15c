"""A torchvision network as a module: built, filled with weights, and rebuilt from a manifest."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from exporter.torchvision_ops import import_torchvision
from runner.backends.interface import Array, Arrays
from runner.errors import FileError
from runner.hashing import hash_file
from runner.manifest import Manifest

STATE_PREFIX = "state:"
"""arrays of the reference file that calibration computed and a seed alone would not give again"""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What torchvision's metadata say about a network; nothing is downloaded."""

    name: str
    arguments: Mapping[str, Any]
    """of the builder, so that random and published weights fill the same network"""
    image_size: int
    """height and width in pixels"""
    url: str
    """of the published checkpoint"""
    published_accuracy: Mapping[str, float]
    parameter_count: int
    multiply_adds: int


def describe(name: str) -> Architecture:
    """Return what is known about a network."""
    weights = import_torchvision().models.get_model_weights(name).DEFAULT
    size = weights.transforms.keywords["crop_size"]
    arguments: dict[str, Any] = {}
    if name.startswith("vit_"):
        arguments["image_size"] = size
    if name in {"googlenet", "inception_v3"}:
        # Their builders switch the first on only when they load weights themselves, and warn without the second.
        arguments |= {"transform_input": True, "init_weights": True}
    return Architecture(
        name=name,
        arguments=arguments,
        image_size=size,
        url=weights.url,
        published_accuracy={k: v / 100 for k, v in weights.meta["_metrics"]["ImageNet-1K"].items()},
        parameter_count=weights.meta["num_params"],
        multiply_adds=round(weights.meta["_ops"] * 1e9),
    )


def build_random(name: str, arguments: Mapping[str, Any], seed: int) -> nn.Module:
    """Return a network with weights from a seed whose activations neither vanish nor explode.

    torchvision's own initial weights are made for training and hide errors: a head of zeros gives one output for
    everything, a layer scale of 1e-6 removes every block of ConvNeXt, without normalisation signals fade, and the
    positive mean behind a rectifier gives every image the same best class.
    """
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(seed)
        module: nn.Module = import_torchvision().models.get_model(name, weights=None, **arguments)
        layers = [part for part in module.modules() if isinstance(part, nn.Linear | nn.Conv2d)]
        normalised = any(isinstance(part, _NORMALISATIONS) for part in module.modules())
        for layer in layers[-1:] if normalised else layers:
            # He et al. 2015 (arXiv 1502.01852): the variance that rectifiers keep from layer to layer.
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            # Qiao et al. 2019 (arXiv 1903.10520): without its mean a kernel does not pass on that of its input.
            layer.weight -= layer.weight.mean(dim=tuple(range(1, layer.weight.ndim)), keepdim=True)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        for parameter_name, parameter in module.named_parameters():
            if parameter_name.endswith("layer_scale"):
                nn.init.ones_(parameter)
    return module.eval()


def calibrate(module: nn.Module, images: Array) -> dict[str, Array]:
    """Give batch normalisation the statistics of these images; return what changed, by name.

    One thread, because sums in another order would give another file for the same seed.
    """
    norms = [part for part in module.modules() if isinstance(part, _BATCH_NORMS)]
    if not norms:
        return {}
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over what is seen
        norm.train()
    with torch.no_grad(), _one_thread():
        module(torch.from_numpy(images))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    return {
        name: value.numpy()
        for name, value in module.named_buffers()
        if name.endswith(("running_mean", "running_var"))
    }


def build_from_checkpoint(name: str, arguments: Mapping[str, Any], path: Path) -> nn.Module:
    """Return a network with the weights in a checkpoint file.

    Raises:
        FileError: the file holds no weights, or those of another network.
    """
    module: nn.Module = import_torchvision().models.get_model(name, weights=None, **arguments)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        # Published DenseNets keep the names of an older layout (torchvision's densenet.py, _load_state_dict).
        module.load_state_dict({_OLD_DENSENET.sub(r".\1\2.", key): value for key, value in state.items()})
    except Exception as error:  # torch raises many kinds for a file that is not what it seems
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise FileError(
            f"Cannot load {path}",
            expected=f"weights of {name}",
            got=reason[0],
            fix="Pass another --weights-dir, or --weights random",
        ) from error
    return module.eval()


def rebuild(manifest: Manifest, reference: Path) -> nn.Module:
    """Return the network that was exported, weight by weight.

    Args:
        manifest: of the exported model; its files were verified.
        reference: its reference file, which holds calibrated statistics.

    Raises:
        FileError: the checkpoint is gone or changed, or the recipe is from another version.
    """
    fix = f"Run: joulebatch export {manifest.model} --force --models-dir {reference.parent}"
    try:
        builder, arguments = manifest.recipe["builder"], manifest.recipe["arguments"]
        checkpoint = manifest.recipe["checkpoint"]
    except KeyError as error:
        raise FileError(
            f"Cannot rebuild {manifest.model}", expected=f"{error} in its recipe", fix=fix
        ) from error
    if checkpoint is not None:
        path = Path(checkpoint)
        if not path.is_file() or hash_file(path) != manifest.weights.sha256:
            raise FileError(
                f"Cannot rebuild {manifest.model}", expected=f"its checkpoint {path}", got="none", fix=fix
            )
        return build_from_checkpoint(builder, arguments, path)
    module = build_random(builder, arguments, manifest.weights.seed)
    with np.load(reference) as arrays:
        state = {n.removeprefix(STATE_PREFIX): arrays[n] for n in arrays.files if n.startswith(STATE_PREFIX)}
    _fill(module, state)
    return module


def _fill(module: nn.Module, state: Arrays) -> None:
    buffers = dict(module.named_buffers())
    for name, array in state.items():
        buffers[name].copy_(torch.from_numpy(array))


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_NORMALISATIONS = (*_BATCH_NORMS, nn.LayerNorm)
_OLD_DENSENET = re.compile(r"\.(norm|relu|conv)\.([12])\.")
