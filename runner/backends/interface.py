"""What a backend is: it opens a model as a session, and a session binds a batch into a timed call.

Everything here needs only the standard library and numpy, because it also runs in workers under other interpreters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Arrays = Mapping[str, Array]
"""tensors by the name of the input or output"""
Io = Literal["host", "device"]
"""host: host array in, host array out, copies included. device: buffers already on the device, outputs left there"""
Device = Literal["cpu", "gpu", "other"]
"""The kind of device that computes. other: what no meter reads: an NPU, an AMD GPU, whatever Apple's systems pick"""


HALF = 1e-2
"""Parity tolerance, as a share of the reference's range, of ten bits of mantissa, fp16's and TF32's. bf16 and integers
are coarser, and held to it all the same: more would let an answer pass that ignores its input
(``parity.MIN_VARIATION_RATIO``)."""
SINGLE = 1e-4
"""Parity tolerance of another order of the same fp32 sums."""


@dataclass(frozen=True, slots=True)
class Option:
    """A setting that a backend spec may carry as ``key=value``."""

    name: str
    default: str
    summary: str
    choices: tuple[str, ...] = ()
    """empty: any value that ``check`` accepts"""
    check: Literal["choice", "count", "index", "size", "cores"] = "choice"
    """count: a whole number from 1 up. index: from 0 up. size: bytes, with an optional K, M or G. cores: as 0-1+4"""
    needs: tuple[str, str] | None = None
    """another option and the value without which this one would do nothing"""


@dataclass(frozen=True, slots=True)
class Passing:
    """That a backend takes options that are not its own, and passes them on as they are written."""

    reserved: Mapping[str, str]
    """keys that may not be passed on, by name in lower case, each with the option that sets it; empty: nothing may"""


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a backend cannot run on this machine, and what would help."""

    reason: str
    """what is missing: the wheel, the driver, cuDNN"""
    fix: str


@dataclass(frozen=True, slots=True)
class Placement:
    """What ran where, counted from the session itself and not from what was asked for."""

    label: Literal["full", "partial-shape-only", "partial-compute", "none"]
    nodes_by_provider: Mapping[str, int]
    heavy_on_cpu: tuple[str, ...] = ()
    """operator types that compute (Conv, MatMul) and sit on the CPU although another provider was asked for"""


@dataclass(frozen=True, slots=True)
class Call:
    """One bound batch: ``run`` is what is timed; ``outputs`` fetches the last results, untimed."""

    run: Callable[[], object]
    outputs: Callable[[], dict[str, Array]]


class Session(Protocol):
    """A model opened under exactly one backend."""

    @property
    def placement(self) -> Placement:
        """What ran where."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Versions, files and settings in force, for the report."""

    def bind(self, feeds: Arrays, io: Io) -> Call:
        """Return the call that runs this batch.

        Args:
            feeds: contiguous arrays by input name, the batch where the model has it; with ``io="host"`` every run reads
                them anew.
            io: whether copies between host and device belong to the call.
        """


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """What a worker is asked to open."""

    model_path: Path
    manifest_path: Path | None
    options: Mapping[str, str]
    """every option of the backend with its value in force, and those that are passed on"""
    shapes: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    """of the inputs by name, the batch as a text; of an input that is not here, the batch is in front"""


class Backend(Protocol):
    """What executes a model: a provider, or PyTorch, with its options. One file and one registry entry each."""

    @property
    def name(self) -> str:
        """The word in a backend spec."""

    @property
    def summary(self) -> str:
        """One line for help and docs."""

    @property
    def device(self) -> Device:
        """The kind of device that computes; only equal kinds rank by CPU time."""

    @property
    def options(self) -> tuple[Option, ...]:
        """The settings a spec may carry."""

    @property
    def passing(self) -> Passing | None:
        """How options that are none of its own are passed on, or None where a spec may carry no others."""

    @property
    def ios(self) -> tuple[Io, ...]:
        """The ways of passing batches that differ on this device."""

    def parity_tolerance_ratio(self, options: Mapping[str, str]) -> float:
        """Return the largest difference accepted, as a share of the reference's range."""

    def missing(self) -> Missing | None:
        """Return why this machine cannot run it, or None when it can. Imports nothing heavy."""

    @property
    def needs_manifest(self) -> bool:
        """Whether it can only run exported models (PyTorch rebuilds the network from the recipe)."""

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants of a model that it can run (PyTorch has the network of fp32 alone)."""

    def open(self, request: OpenRequest) -> Session:
        """Return the session. Runs in a worker."""
