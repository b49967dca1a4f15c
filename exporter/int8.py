"""Eight bits: weights alone with activations quantised on the way, or both beforehand.

Static: weights and activations are signed and weights have a scale per channel, the form that ONNX Runtime's
documentation names first for CPUs, and the one that GPUs run ("Quantize ONNX models"). Weights keep all eight bits.
``reduce_range`` would leave them seven, against sums of two products that saturate at 16 bits on CPUs without VNNI. It
doubles the file's own error (EfficientNet-Lite0 with published weights: 13 instead of 6 % of the range), everywhere and
for ever, while saturation is of some machines (18 % on an EPYC with AVX2 alone): there the parity of a run fails.

Dynamic: weights are unsigned, as the activations are there, and such products do not saturate. With signed ones
vit_b_16 came to 20.5 % of the range on that EPYC, with these to 1.8 %.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.backends.interface import Array
from runner.errors import FileError

_DYNAMIC_TYPES = ("MatMul", "Gemm")
"""Matrix products, as ONNX Runtime's documentation recommends dynamic quantisation for transformers and static for
convolutional networks. With ConvInteger ShuffleNet took 40 to 60 ms instead of 11 on 2 busy cores, at 13 times the
error."""
_QUANTISED = ("MatMulInteger", "DynamicQuantizeMatMul")
"""what such a product becomes"""


def write_int8_static(source: Path, target: Path, batches: Iterator[dict[str, Array]]) -> None:
    """Write the variant whose activations have their ranges from these batches, in QDQ form."""
    from onnxruntime.quantization import (  # noqa: PLC0415 - heavy
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Batches(CalibrationDataReader):  # type: ignore[misc] # untyped
        """Gives one batch after another."""

        def get_next(self) -> dict[str, Array] | None:
            return next(batches, None)

    with _temporary_files(target.parent) as folder:
        quantize_static(
            _prepared(source, folder),
            target,
            Batches(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )


def write_int8_dynamic(source: Path, target: Path) -> None:
    """Write the variant whose matrix products quantise their activations when they run.

    Raises:
        FileError: it has no matrix product with a constant weight.
    """
    import onnx  # noqa: PLC0415 - heavy
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - the same

    with _temporary_files(target.parent) as folder:
        quantize_dynamic(
            _prepared(source, folder),
            target,
            op_types_to_quantize=list(_DYNAMIC_TYPES),
            per_channel=True,
            weight_type=QuantType.QUInt8,
        )
    nodes = onnx.load(target, load_external_data=False).graph.node
    if not any(node.op_type in _QUANTISED for node in nodes):
        raise FileError(
            f"Cannot quantise {source.name}",
            expected="matrix products with constant weights",
            got="none",
            fix="Pass --variant int8-static, which quantises convolutions, too",
        )


@contextmanager
def _temporary_files(parent: Path) -> Iterator[Path]:
    """Give a folder to all temporary files, onnxruntime's own included: what a killed export leaves is found there."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before


def _prepared(source: Path, folder: Path) -> Path:
    """Return the file as quantisation wants it: optimised, and with the shape of every tensor."""
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415 - heavy

    path = folder / "prepared.onnx"
    # The exporter's file has symbolic shapes already; inferring them anew would need sympy, and minutes.
    quant_pre_process(source, path, skip_symbolic_shape=True)
    return path
