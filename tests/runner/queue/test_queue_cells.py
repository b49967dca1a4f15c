from pathlib import Path

import pytest

from runner.contender import Contender
from runner.errors import UsageError
from runner.manifest import TensorSpec
from runner.modelfile import ModelFile
from runner.queue.arrivals import arrivals_s, mean_rate_hz
from runner.queue.cells import load_label, queue_cells, requests_per_window
from runner.queue.config import QueueConfig
from runner.report.schema import QueueCell


def file(fixed_batch: int | None = None) -> ModelFile:
    tensor = TensorSpec("x", "float32", ("batch" if fixed_batch is None else fixed_batch, 4))
    return ModelFile("net", "fp32", Path("net.onnx"), "0" * 64, 1, (tensor,), (tensor,), None)


def cells(windows: int = 10, fixed_batch: int | None = None, **facts: object) -> tuple[QueueCell, ...]:
    config = QueueConfig(**facts)  # type: ignore[arg-type]
    return queue_cells(config, file(fixed_batch), (Contender("fp32", "A"), Contender("fp32", "B")), windows)


def test_backends_lie_side_by_side_and_policies_within_a_rate() -> None:
    planned = cells(
        policies=("fixed:4", "greedy:8"), request_rates_hz="16", relative_loads="0.5", requests=100
    )
    assert [cell.key for cell in planned] == [
        f"net/fp32/{label}/{policy},{rate},uniform"
        for rate in ("16/s", "0.5C")
        for policy in ("fixed:4", "greedy:8")
        for label in ("A", "B")
    ]
    assert {cell.load.request_count for cell in planned} == {10}
    assert {(cell.status, cell.reason) for cell in planned} == {("skipped", "not reached")}
    assert planned[0].key.endswith(load_label(planned[0].load))


def test_a_calibration_has_no_queue_cells() -> None:
    assert cells() == ()


def test_requests_are_spread_over_windows_and_a_trace_is_replayed_whole(tmp_path: Path) -> None:
    assert requests_per_window(QueueConfig(requests=8192), 10) == 820
    trace = tmp_path / "times.txt"
    trace.write_text("0.5\n1.5\n3\n")
    assert requests_per_window(QueueConfig(requests=8192, arrivals=f"trace:{trace}"), 10) == 3
    assert requests_per_window(QueueConfig(requests=2, arrivals=f"trace:{trace}"), 10) == 2
    assert arrivals_s(f"trace:{trace}", 99.0, 3, seed=0, block=7) == (0.5, 1.5, 3.0)
    assert mean_rate_hz(f"trace:{trace}", 3) == 1.0


def test_a_fixed_batch_larger_than_a_window_is_refused_with_what_would_do() -> None:
    with pytest.raises(UsageError) as raised:
        cells(policies=("fixed:16",), request_rates_hz="16", requests=100)
    assert str(raised.value) == (
        "Cannot run fixed:16: expected at least 16 requests in a window, got 10 (100 over 10 windows). "
        "Pass --requests 160, or a smaller batch."
    )
    assert cells(policies=("greedy:16",), request_rates_hz="16", requests=100)


def test_a_model_with_a_fixed_batch_has_no_queue() -> None:
    with pytest.raises(
        UsageError, match="expected a model with a dynamic batch, got one whose batch is fixed at 4"
    ):
        cells(policies=("greedy:4",), request_rates_hz="16", requests=100, fixed_batch=4)
    assert cells(policies=("greedy:1",), request_rates_hz="16", requests=100, fixed_batch=1)


def test_a_block_has_one_pattern_at_every_rate_and_each_block_its_own() -> None:
    slow, fast = (arrivals_s("poisson", rate_hz, 50, seed=3, block=2) for rate_hz in (10.0, 40.0))
    assert slow == pytest.approx([4 * time_s for time_s in fast])
    assert slow == arrivals_s("poisson", 10.0, 50, seed=3, block=2)
    assert slow != arrivals_s("poisson", 10.0, 50, seed=3, block=3)
    assert slow != arrivals_s("poisson", 10.0, 50, seed=4, block=2)
