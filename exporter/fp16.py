"""Half precision: every weight and operator that can be, inputs and outputs as before."""

from pathlib import Path

_KEPT = ("LayerNormalization",)
"""Operators that stay in fp32 beside those that ONNX Runtime's tool keeps itself. PyTorch's autocast runs layer_norm in
float32, too. In half precision ONNX Runtime 1.24 and 1.32 end with a segmentation fault when they open vit_b_16 on the
CPU (its NchwcTransformer), and may corrupt outputs from the second run on (microsoft/onnxruntime issue 27768)."""


def write_fp16(source: Path, target: Path) -> None:
    """Write the half-precision variant of a file.

    Inputs and outputs stay float32, so that every backend and every input is the same for both. The conversion puts
    the casts at the end of the graph, where no checker accepts them: nodes are sorted afterwards.
    """
    import onnx  # noqa: PLC0415 - heavy
    from onnxruntime.transformers.float16 import (  # noqa: PLC0415 - the same
        DEFAULT_OP_BLOCK_LIST,
        convert_float_to_float16,
    )
    from onnxruntime.transformers.onnx_model import OnnxModel  # noqa: PLC0415 - the same

    kept = [*DEFAULT_OP_BLOCK_LIST, *_KEPT]
    model = convert_float_to_float16(onnx.load(source), keep_io_types=True, op_block_list=kept)
    OnnxModel.graph_topological_sort(model.graph)
    onnx.save(model, target)
