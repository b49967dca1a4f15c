"""PyTorch against ONNX Runtime on seeded inputs: what every exported file must pass."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from exporter.images import seeded_images
from runner.backends.interface import Array
from runner.errors import AbsentError, FileError
from runner.parity import compare, flatness

SAMPLE_COUNT = 8
BATCH_SIZES = (1, 2, 3, 8)
"""1 and 2 are what an exporter likes to fix in a graph, 3 is odd, 8 is every sample"""
TOLERANCE_RATIO = 1e-4
"""of the reference's range: another order of the same fp32 sums"""


def reference_images(size: int, seed: int) -> Array:
    """Return the images of a reference, shaped (8, 3, size, size)."""
    return seeded_images(size, seed, SAMPLE_COUNT)


def reference_outputs(module: nn.Module, images: Array, model: str) -> Array:
    """Return what PyTorch computes.

    Raises:
        FileError: outputs that hardly vary between samples, or are not finite: they could prove nothing.
    """
    with torch.inference_mode():
        logits: Array = module(torch.from_numpy(images)).numpy()
    if reason := flatness({"logits": logits}):
        raise FileError(f"Cannot check {model}", got=reason, fix="Use pretrained weights, or another --seed")
    return logits


def check_batches(path: Path, model: str, images: Array, logits: Array, threads: int) -> None:
    """Run an exported file at every batch size and compare with PyTorch.

    Raises:
        FileError: another shape or other numbers than PyTorch's.
        AbsentError: no onnxruntime.
    """
    try:
        import onnxruntime as ort  # noqa: PLC0415 - optional
    except ImportError as error:
        raise AbsentError(
            f"Cannot check {model}",
            expected="onnxruntime",
            got="none",
            fix="Install the cpu or the gpu extra",
        ) from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    for size in BATCH_SIZES:
        got = session.run(None, {session.get_inputs()[0].name: images[:size]})[0]
        if got.shape != (size, *logits.shape[1:]):
            raise FileError(
                f"Cannot use the export of {model}",
                expected=f"{size} outputs for {size} images",
                got=f"shape {got.shape}",
            )
        # PyTorch's outputs stand in for the other samples: the range is that of all eight.
        whole = np.concatenate([got, logits[size:]])
        result = compare({"logits": logits}, {"logits": whole}, TOLERANCE_RATIO)
        if result.status == "failed":
            raise FileError(f"Cannot use the export of {model} at batch {size}", got=result.reason)
