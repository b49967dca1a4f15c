import pytest

from runner.backends.registry import backend_names, find_backend
from runner.backends.spec import parse_specs
from runner.contender import Contender, contenders
from runner.variants import CLOSENESS, REFERENCE_VARIANT, VARIANTS


def test_a_contender_is_called_by_its_backend_and_a_variant_that_is_not_the_reference() -> None:
    assert str(Contender("fp32", "A")) == f"{Contender('fp32', 'A')}" == "A"
    assert f"{Contender('fp16', 'cpu:spin=off')}" == "cpu:spin=off fp16"


def test_a_backend_takes_part_with_the_variants_that_it_can_run() -> None:
    specs = parse_specs(("cpu", "torch"))
    assert contenders(("fp16", "fp32"), specs) == (
        Contender("fp16", "cpu"),
        Contender("fp32", "cpu"),
        Contender("fp32", "torch"),
    )


def test_a_label_of_somebody_s_own_takes_part_where_the_reference_does() -> None:
    specs = parse_specs(("cpu", "torch"))
    assert contenders(("base", "FP16"), specs) == (
        Contender("base", "cpu"),
        Contender("base", "torch"),
        Contender("FP16", "cpu"),
    )


@pytest.mark.parametrize("name", backend_names())
def test_every_backend_runs_the_reference_and_no_unknown_variant(name: str) -> None:
    assert REFERENCE_VARIANT in find_backend(name).variants
    assert set(find_backend(name).variants) <= set(VARIANTS)


def test_every_variant_says_how_near_it_must_come() -> None:
    assert (REFERENCE_VARIANT, *CLOSENESS) == VARIANTS
    for closeness in CLOSENESS.values():
        assert 0 < closeness.tolerance_ratio < 1
        assert 0.5 < closeness.least_agreement_ratio <= 1
