"""What ran where, counted from the session itself: neither ``get_providers`` nor ``get_device`` proves anything."""

from collections import Counter
from collections.abc import Iterable

from runner.backends.interface import Placement

CPU_PROVIDER = "CPUExecutionProvider"

HEAVY_OPERATORS = frozenset({
    "Attention", "BiasGelu", "Conv", "ConvInteger", "ConvTranspose", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul",
    "Einsum", "FusedConv", "FusedGemm", "FusedMatMul", "GRU", "Gemm", "LSTM", "MatMul", "MatMulInteger",
    "MatMulIntegerToFloat", "MatMulNBits", "MultiHeadAttention", "NhwcFusedConv", "QAttention", "QGemm", "QLinearConv",
    "QLinearMatMul", "RNN",
})  # fmt: skip
"""Operators whose work grows with channels x channels: where these run is where the model runs."""


def placement_of(assigned: Iterable[tuple[str, str]], asked_provider: str) -> Placement:
    """Return the placement of a session.

    Args:
        assigned: provider and operator type of every node after optimisation.
        asked_provider: the provider that the backend stands for.
    """
    nodes = tuple(assigned)
    counts = Counter(provider for provider, _ in nodes)
    elsewhere = {
        (provider, op) for provider, op in nodes if provider != asked_provider and op in HEAVY_OPERATORS
    }
    heavy_on_cpu = tuple(sorted(op for provider, op in elsewhere if provider == CPU_PROVIDER))
    if counts[asked_provider] == 0:
        return Placement("none", dict(counts), heavy_on_cpu)
    if counts[asked_provider] == len(nodes):
        return Placement("full", dict(counts))
    return Placement("partial-compute" if elsewhere else "partial-shape-only", dict(counts), heavy_on_cpu)
