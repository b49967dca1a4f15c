import json
from pathlib import Path

import pytest

from runner.config import RunConfig
from runner.errors import UsageError
from runner.queue.config import PAPER_POLICIES, QueueConfig, ladder

BASE = {"batch_sizes": "1", "target_ci_ratio": "2%", "models_dir": Path(), "reports_dir": Path()}


def read(**queue: object) -> QueueConfig:
    config = RunConfig.read(BASE | {"queue": queue}).queue
    assert config
    return config


def test_specs_become_canonical_and_rates_numbers() -> None:
    config = read(policies=("Fixed:16", "timeout:8@0.02s"), request_rates_hz="16, 32", relative_loads="0.3")
    assert config.policies == ("fixed:16", "timeout:8@20ms")
    assert (config.request_rates_hz, config.relative_loads) == ((16.0, 32.0), (0.3,))
    assert (config.arrivals, config.requests) == ("uniform", 8192)


def test_a_dump_reads_back_as_the_same() -> None:
    config = RunConfig.read(BASE | {"queue": {"policies": PAPER_POLICIES, "request_rates_hz": "16,32"}})
    assert RunConfig.read(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        (
            {"policies": ("fixed:4",)},
            "expected a rate at which requests arrive, got none. Pass --request-rate",
        ),
        ({"request_rates_hz": "0"}, "Cannot read --request-rate: expected numbers above 0, got '0'"),
        ({"request_rates_hz": "16,fast"}, "got 'fast'"),
        ({"request_rates_hz": "-3"}, "got '-3'"),
        ({"request_rates_hz": "inf"}, "got 'inf'"),
        ({"relative_loads": "0.3,0.3"}, "Cannot use --relative-load: expected each once, got 0.3 twice"),
        ({"policies": ("fixed:4", "fixed:4"), "request_rates_hz": "1"}, "fixed:4 twice"),
        ({"policies": ("slow:4",), "request_rates_hz": "1"}, "Unknown policy 'slow'"),
        ({"policies": ("timeout:4@20",), "request_rates_hz": "1"}, "a positive number with ms, s or m"),
        ({"arrivals": "random"}, "Unknown arrivals 'random'"),
        ({"requests": 0}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_queue_is_refused_in_one_line(queue: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(**queue)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_trace_takes_no_rate(tmp_path: Path) -> None:
    trace = tmp_path / "times.txt"
    trace.write_text("0.1\n0.2\n")
    assert read(policies=("fixed:2",), arrivals=f"trace:{trace}").request_rates_hz == ()
    with pytest.raises(UsageError, match="Drop it"):
        read(policies=("fixed:2",), arrivals=f"trace:{trace}", request_rates_hz="3")


@pytest.mark.parametrize(
    ("largest", "sizes"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (128, (1, 2, 4, 8, 16, 32, 64, 128))]
)
def test_the_ladder_has_powers_of_two_and_the_largest(largest: int, sizes: tuple[int, ...]) -> None:
    assert ladder(largest) == sizes
