import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.backends.placement import CPU_PROVIDER, HEAVY_OPERATORS, placement_of
from runner.graph.multiply_adds import COUNTS

CUDA, OTHER_GPU = "CUDAExecutionProvider", "SomeGpuExecutionProvider"
SHAPE_ONLY = ("Shape", "Gather", "Concat")


@pytest.mark.parametrize(
    ("nodes", "label", "heavy"),
    [
        ([(CUDA, "Conv"), (CUDA, "Shape")], "full", ()),
        ([(CUDA, "Conv"), (CPU_PROVIDER, "Shape")], "partial-shape-only", ()),
        ([(CUDA, "Relu"), (CPU_PROVIDER, "Conv"), (CPU_PROVIDER, "Conv")], "partial-compute", ("Conv",)),
        (
            [(CUDA, "Conv"), (CPU_PROVIDER, "MatMul"), (CPU_PROVIDER, "Gemm")],
            "partial-compute",
            ("Gemm", "MatMul"),
        ),
        ([(CPU_PROVIDER, "Conv"), (CPU_PROVIDER, "Relu")], "none", ("Conv",)),
        ([(CPU_PROVIDER, "Shape")], "none", ()),
        ([], "none", ()),
        # TensorRT leaves to CUDA what it cannot do: no longer TensorRT's figures, and not on the CPU either.
        ([(CUDA, "Relu"), (OTHER_GPU, "Conv"), (CPU_PROVIDER, "Gemm")], "partial-compute", ("Gemm",)),
        ([(CUDA, "Relu"), (OTHER_GPU, "Conv")], "partial-compute", ()),
        ([(CUDA, "Conv"), (OTHER_GPU, "TopK")], "partial-shape-only", ()),
    ],
)
def test_the_label_says_where_a_model_runs(
    nodes: list[tuple[str, str]], label: str, heavy: tuple[str, ...]
) -> None:
    placement = placement_of(nodes, CUDA)
    assert (placement.label, placement.heavy_on_cpu) == (label, heavy)


def test_whatever_multiplies_and_adds_is_heavy() -> None:
    assert COUNTS.keys() - HEAVY_OPERATORS == set()


def test_the_cpu_asked_for_the_cpu_is_no_fallback() -> None:
    placement = placement_of([(CPU_PROVIDER, "Conv"), (CPU_PROVIDER, "Gemm")], CPU_PROVIDER)
    assert (placement.label, placement.heavy_on_cpu) == ("full", ())


nodes = st.lists(
    st.tuples(st.sampled_from([CUDA, CPU_PROVIDER]), st.sampled_from([*SHAPE_ONLY, *sorted(HEAVY_OPERATORS)]))
)


@given(nodes)
def test_every_node_is_counted_once(assigned: list[tuple[str, str]]) -> None:
    placement = placement_of(iter(assigned), CUDA)
    assert sum(placement.nodes_by_provider.values()) == len(assigned)
    assert all(placement.nodes_by_provider.values())


@given(nodes)
def test_a_heavy_operator_elsewhere_is_never_called_full_or_shape_only(
    assigned: list[tuple[str, str]],
) -> None:
    elsewhere = any(provider != CUDA and operator in HEAVY_OPERATORS for provider, operator in assigned)
    assert (placement_of(assigned, CUDA).label in {"partial-compute", "none"}) or not elsewhere
