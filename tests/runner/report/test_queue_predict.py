"""What the twin says of queue cells, from windows whose law is known."""

import pytest

from runner.report.queue_predict import Twins
from tests.queues import queue_cell
from tests.runner.twin.synthetic import MODEL, Server, measure


@pytest.mark.parametrize(("rate_hz", "is_stable"), [(200.0, True), (450.0, False)])
def test_a_queue_above_capacity_grows_however_few_requests_it_gets(
    rate_hz: float, *, is_stable: bool
) -> None:
    measured = measure({"cpu": Server()})  # a batch of 8 takes 20 ms: 400/s
    twins = Twins(measured.report, measured.latencies_s)
    cell = queue_cell(MODEL, "cpu", "greedy:8", rate_hz, 32)
    unrated = twins.predict(cell, (), None)
    assert unrated is not None
    assert unrated.stable, "32 requests alone do not tell"
    told = twins.predict(cell.model_copy(update={"capacity_hz": 400.0}), (), None)
    assert told is not None
    assert told.stable is is_stable
