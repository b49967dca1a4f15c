"""PyTorch on the CPU or an NVIDIA GPU, the study's own stack: the baseline with the weights of the ONNX file."""

import re
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.backends.interface import (
    HALF,
    SINGLE,
    Array,
    Arrays,
    Call,
    Device,
    Io,
    Missing,
    OpenRequest,
    Option,
    Placement,
    Session,
)
from runner.backends.nvidia import missing_driver
from runner.errors import AbsentError
from runner.machine.cpu import usable_cores
from runner.manifest import read_manifest
from runner.variants import REFERENCE_VARIANT

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn


_RECOMPILE_LIMIT = 256
"""batch sizes that one process may compile a module for, far above PyTorch's own; one more is an error, not eager"""


_THREADS = Option("threads", "auto", "threads of an operator; auto: the usable cores", check="count")
_COMPILE = Option("compile", "off", "whether torch.compile makes code for each batch size", ("on", "off"))
_CHANNELS_LAST = Option(
    "channels_last", "off", "whether weights and images are laid out channels last", ("on", "off")
)
_TF32 = Option("tf32", "on", "whether matrix products and convolutions may round to TF32", ("on", "off"))
_DEVICE = Option("device", "0", "index of the GPU as CUDA counts", check="index")


class TorchBackend:
    """PyTorch in inference mode, eager or compiled, on one kind of device.

    Args:
        name: in a backend spec.
        summary: one line for help.
        torch_device: as PyTorch calls it.
    """

    passing = None
    needs_manifest = True
    variants = (REFERENCE_VARIANT,)

    def __init__(self, name: str, summary: str, torch_device: Literal["cpu", "cuda"]) -> None:
        self.name, self.summary, self._torch_device = name, summary, torch_device
        on_gpu = torch_device == "cuda"
        self.device: Device = "gpu" if on_gpu else "cpu"
        self.options = (_THREADS, _COMPILE, _CHANNELS_LAST, *((_DEVICE, _TF32) if on_gpu else ()))
        self.ios: tuple[Io, ...] = ("host", "device") if on_gpu else ("host",)

    def parity_tolerance_ratio(self, options: Mapping[str, str]) -> float:
        """Return the tolerance for another order of the same fp32 sums; TF32 keeps 10 bits of mantissa."""
        return HALF if options.get("tf32") == "on" else SINGLE

    def missing(self) -> Missing | None:
        """Return why this machine cannot run it. Imports neither torch nor torchvision."""
        absent = [package for package in ("torch", "torchvision") if find_spec(package) is None]
        if absent:
            return Missing(
                f"{' and '.join(absent)} not installed",
                "Install the export extra: pip install 'joulebatch[export]'",
            )
        if self.device == "cpu":
            return None
        parts = [part for part in (_missing_cuda_build(), missing_driver()) if part]
        if not parts:
            return None
        return Missing(
            f"no {'; no '.join(parts)}",
            "Install a CUDA build of torch on a machine with an NVIDIA driver, or pass --backend torch",
        )

    def open(self, request: OpenRequest) -> Session:
        """Return the session.

        Raises:
            AbsentError: a file without a manifest, from which no network can be rebuilt.
            FileError: the manifest or the weights are not what they were.
        """
        if request.manifest_path is None:
            raise AbsentError(
                f"Cannot open {request.model_path.name} on {self.name}",
                expected="an exported model with its manifest",
                got="none",
                fix=f"Leave out --backend {self.name} for --onnx files",
            )
        from exporter.torchvision_ops import import_torchvision  # noqa: PLC0415 - only a worker opens

        import_torchvision()
        import torch  # noqa: PLC0415 - the same

        from exporter.network import rebuild  # noqa: PLC0415 - the same

        options = request.options
        threads = usable_cores() if options["threads"] == "auto" else int(options["threads"])
        torch.set_num_threads(threads)
        if "tf32" in options:
            allow_tf32(allowed=options["tf32"] == "on")
        manifest = read_manifest(request.manifest_path)
        module = rebuild(manifest, request.manifest_path.parent / manifest.reference.name)
        (output,) = manifest.outputs
        device = torch.device(f"cuda:{options['device']}" if self._torch_device == "cuda" else "cpu")
        return TorchSession(module, output.name, device, {**options, "threads": str(threads)})


class TorchSession:
    """A rebuilt network in evaluation mode on one device.

    Args:
        module: the network.
        output: the name of what it returns.
        device: where it computes.
        options: of the backend, in force.
    """

    def __init__(
        self, module: "nn.Module", output: str, device: "torch.device", options: Mapping[str, str]
    ) -> None:
        import torch  # noqa: PLC0415 - as in open

        self._layout = torch.channels_last if options["channels_last"] == "on" else torch.preserve_format
        self._module, self._device = module.to(device), device
        self._module.to(memory_format=self._layout)  # type: ignore[call-overload]  # PyTorch's stubs lack it
        self._compiled = options["compile"] == "on"
        self._output = output
        leaves = sum(1 for part in module.modules() if not any(part.children()))
        self.placement = Placement("full", {"PyTorch": leaves})
        on_gpu = device.type == "cuda"
        self.facts = {
            "torch": version("torch"),
            "torchvision": version("torchvision"),
            **(
                {"gpu": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda)} if on_gpu else {}
            ),
            **options,
        }

    def bind(self, feeds: Arrays, io: Io) -> Call:
        """Return the call that runs this batch; in the host's memory the tensor shares the array's."""
        import torch  # noqa: PLC0415 - as in open

        module = _compile(self._module) if self._compiled else self._module
        (feed,) = feeds.values()
        # A tensor cannot share memory that is read-only.
        images = torch.from_numpy(np.require(feed, requirements=["C", "W"]))
        latest: torch.Tensor | None = None

        @torch.inference_mode()
        def run_through_host() -> None:
            nonlocal latest
            latest = module(self._on_device(images)).cpu()  # which waits for the device

        resident = self._on_device(images) if io == "device" else images
        wait = partial(torch.cuda.synchronize, self._device) if self._device.type == "cuda" else _do_nothing

        @torch.inference_mode()
        def run_on_device() -> None:
            nonlocal latest
            latest = module(resident)
            wait()

        def outputs() -> dict[str, Array]:
            assert latest is not None
            return {self._output: latest.cpu().numpy()}

        return Call(run_on_device if io == "device" else run_through_host, outputs)

    def _on_device(self, images: "torch.Tensor") -> "torch.Tensor":
        """Return the images in the memory and the layout in which the network computes."""
        return images.to(self._device, memory_format=self._layout)


def allow_tf32(*, allowed: bool) -> None:
    """Let matrix products and convolutions on a GPU round to TF32, or forbid it: PyTorch's defaults differ for the two.

    Source: PyTorch's notes on numerical accuracy and CUDA semantics, ``fp32_precision``, from 2.9 on.
    """
    import torch  # noqa: PLC0415 - as in open

    precision = "tf32" if allowed else "ieee"
    torch.backends.cuda.matmul.fp32_precision = precision
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]


def _missing_cuda_build() -> str:
    """Return what an installed torch lacks to compute on a GPU, read from its version file and without importing it."""
    found = find_spec("torch")
    assert found
    assert found.origin
    text = (Path(found.origin).parent / "version.py").read_text()
    cuda = re.search(r"^cuda\b.*= *(.+)$", text, re.MULTILINE)
    return "" if cuda and cuda[1] != "None" else f"CUDA build of torch ({version('torch')} is none)"


def _do_nothing() -> None:
    """Wait for a CPU, which is done when a call returns."""


def _compile(module: "nn.Module") -> "Callable[[torch.Tensor], torch.Tensor]":
    """Return the module as code for the shape that comes first, and an error instead of a silent way back to eager."""
    import torch  # noqa: PLC0415 - as in open
    from torch import _dynamo  # noqa: PLC0415 - the same

    _dynamo.config.recompile_limit = _RECOMPILE_LIMIT
    _dynamo.config.fail_on_recompile_limit_hit = True
    return torch.compile(module, dynamic=False, fullgraph=True)


BACKEND = TorchBackend("torch", "PyTorch on the CPU, rebuilt from the manifest with the same weights", "cpu")
CUDA_BACKEND = TorchBackend(
    "torch-cuda", "PyTorch on an NVIDIA GPU, rebuilt from the manifest with the same weights", "cuda"
)
