"""PyTorch on the CPU, the study's own stack: the baseline with the weights of the ONNX file."""

from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.backends.interface import (
    Array,
    Arrays,
    Call,
    Io,
    Missing,
    OpenRequest,
    Option,
    Placement,
    Session,
)
from runner.errors import AbsentError
from runner.machine.cpu import usable_cores
from runner.modelfile import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn


_RECOMPILE_LIMIT = 256
"""batch sizes that one process may compile a module for, far above PyTorch's own; one more is an error, not eager"""


class TorchBackend:
    """PyTorch in inference mode, eager or compiled."""

    name = "torch"
    summary = "PyTorch on the CPU, rebuilt from the manifest with the same weights"
    device: Literal["cpu"] = "cpu"
    options = (
        Option("threads", "auto", "threads of an operator; auto: the usable cores", check="count"),
        Option("compile", "off", "whether torch.compile makes code for each batch size", ("on", "off")),
    )
    passing = None
    ios: tuple[Io, ...] = ("host",)
    needs_manifest = True

    def parity_tolerance_ratio(self, options: Mapping[str, str]) -> float:  # noqa: ARG002 - part of the interface
        """Return the tolerance for another order of the same fp32 sums."""
        return 1e-4

    def missing(self) -> Missing | None:
        """Return why this machine cannot run it. Imports neither torch nor torchvision."""
        absent = [package for package in ("torch", "torchvision") if find_spec(package) is None]
        if not absent:
            return None
        return Missing(
            f"{' and '.join(absent)} not installed",
            "Install the export extra: pip install 'joulebatch[export]'",
        )

    def open(self, request: OpenRequest) -> Session:
        """Return the session.

        Raises:
            AbsentError: a file without a manifest, from which no network can be rebuilt.
            FileError: the manifest or the weights are not what they were.
        """
        if request.manifest_path is None:
            raise AbsentError(
                f"Cannot open {request.model_path.name} on torch",
                expected="an exported model with its manifest",
                got="none",
                fix="Leave out --backend torch for --onnx files",
            )
        from exporter.torchvision_ops import import_torchvision  # noqa: PLC0415 - only a worker opens

        import_torchvision()
        import torch  # noqa: PLC0415 - the same

        from exporter.network import rebuild  # noqa: PLC0415 - the same

        threads = usable_cores() if request.options["threads"] == "auto" else int(request.options["threads"])
        torch.set_num_threads(threads)
        manifest = read_manifest(request.manifest_path)
        module = rebuild(manifest, request.manifest_path.parent / manifest.reference.name)
        (output,) = manifest.outputs
        return TorchSession(module, output.name, threads, compiled=request.options["compile"] == "on")


class TorchSession:
    """A rebuilt network in evaluation mode."""

    def __init__(self, module: "nn.Module", output: str, threads: int, *, compiled: bool) -> None:
        self._module, self._compiled = module, compiled
        self._output = output
        leaves = sum(1 for part in module.modules() if not any(part.children()))
        self.placement = Placement("full", {"PyTorch": leaves})
        self.facts = {
            "torch": version("torch"),
            "torchvision": version("torchvision"),
            "threads": str(threads),
            "compile": "on" if compiled else "off",
        }

    def bind(self, feeds: Arrays, io: Io) -> Call:
        """Return the call that runs this batch; the tensor shares the array's memory."""
        import torch  # noqa: PLC0415 - as in open

        assert io == "host"
        module = _compile(self._module) if self._compiled else self._module
        (feed,) = feeds.values()
        # A tensor cannot share memory that is read-only.
        images = torch.from_numpy(np.require(feed, requirements=["C", "W"]))
        latest: Array | None = None

        @torch.inference_mode()
        def run() -> None:
            nonlocal latest
            latest = module(images).numpy()

        def outputs() -> dict[str, Array]:
            assert latest is not None
            return {self._output: latest}

        return Call(run, outputs)


def _compile(module: "nn.Module") -> "Callable[[torch.Tensor], torch.Tensor]":
    """Return the module as code for the shape that comes first, and an error instead of a silent way back to eager."""
    import torch  # noqa: PLC0415 - as in open
    from torch import _dynamo  # noqa: PLC0415 - the same

    _dynamo.config.recompile_limit = _RECOMPILE_LIMIT
    _dynamo.config.fail_on_recompile_limit_hit = True
    return torch.compile(module, dynamic=False, fullgraph=True)


BACKEND = TorchBackend()
