import sys
from subprocess import run

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.stats.stability import is_steady


@pytest.mark.parametrize(
    ("means", "steady"),
    [
        ([], False),
        ([1.0] * 4, False),
        ([1.0] * 5, True),
        ([9.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0], True),
        ([1.50, 1.00, 1.00, 1.00, 1.00], False),  # the first run's cost
        ([1.00, 1.00, 1.00, 1.10, 1.10], False),  # a jump
        ([1.30, 1.20, 1.10, 1.05, 1.02], False),  # still falling
        ([1.000, 1.003, 1.006, 1.009, 1.012], False),  # a slow climb within the tolerance
        ([1.00, 1.02, 0.99, 1.01, 0.98], True),
        ([1.00, 1.15, 0.95, 1.10, 0.97], True),  # noisy, and its own measure
    ],
)
def test_steady_means_agreement_without_trend(means: list[float], steady: bool) -> None:
    assert is_steady(means) is steady


@given(st.lists(st.floats(0.5, 2), min_size=5, max_size=9), st.floats(1e-6, 1e3))
def test_the_unit_of_time_does_not_matter(means: list[float], factor: float) -> None:
    # A power of two scales exactly, so that no comparison can tip over by rounding.
    exact = 2.0 ** round(np.log2(factor))
    assert is_steady([mean * exact for mean in means]) == is_steady(means)


def test_noise_alone_passes_at_once_in_four_of_five_cases() -> None:
    rng = np.random.default_rng(0)
    assert np.mean([is_steady((1 + 0.1 * rng.standard_normal(5)).tolist()) for _ in range(2000)]) > 0.78


def test_a_warm_up_that_decays_is_waited_for() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        means: list[float] = []
        while not is_steady(means):
            means.append(1 + 0.5 * float(np.exp(-len(means) / 4)) + 0.01 * rng.standard_normal())
        assert means[-1] < 1.1


def test_it_needs_only_numpy_because_it_runs_in_workers() -> None:
    program = (
        "import sys, runner.stats.stability as s; s.is_steady([1.0] * 5);"
        "print({'scipy', 'pydantic', 'onnx'} & {name.partition('.')[0] for name in sys.modules})"
    )
    assert (
        run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
    )
