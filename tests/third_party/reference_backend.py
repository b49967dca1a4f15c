"""ONNX's own reference evaluator as a backend of joulebatch: right by definition, and slow."""

from collections.abc import Mapping
from typing import Literal

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
from runner.variants import VARIANTS


class ReferenceSession:
    """A model opened: it binds a batch into the call that is timed."""

    def __init__(self, request: OpenRequest) -> None:
        # Imported here, because only a worker that opens a model needs the library.
        import onnx  # noqa: PLC0415
        from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

        model = onnx.load(request.model_path)
        self._evaluator = ReferenceEvaluator(model, verbose=int(request.options["verbosity"]))
        self.placement = Placement("full", {"onnx.reference": len(model.graph.node)})
        self.facts = {"onnx": onnx.__version__}

    def bind(self, feeds: Arrays, io: Io) -> Call:
        latest: dict[str, Array] = {}
        names = self._evaluator.output_names

        def run() -> None:
            latest.update(zip(names, map(np.asarray, self._evaluator.run(None, dict(feeds))), strict=True))

        return Call(run, lambda: latest)


class ReferenceBackend:
    """What a spec such as ``onnx-reference:verbosity=1`` names."""

    name = "onnx-reference"
    summary = "ONNX's reference evaluator, in numpy"
    device: Literal["cpu"] = "cpu"
    options = (Option("verbosity", "0", "how much it prints of every node", check="index"),)
    passing = None
    ios: tuple[Io, ...] = ("host",)
    needs_manifest = False
    variants = VARIANTS

    def parity_tolerance_ratio(self, options: Mapping[str, str]) -> float:
        return 1e-4

    def missing(self) -> Missing | None:
        return None  # its library comes with joulebatch; else say what is missing, and what to install

    def open(self, request: OpenRequest) -> Session:
        return ReferenceSession(request)


BACKEND = ReferenceBackend()
