"""The queue of one model on a bench whose time is scripted."""

from typing import Any

import pytest

from runner.blocks import run_blocks
from runner.prepare import open_sessions, prepare_cells
from runner.queue.blocks import run_queue
from runner.so_far import ModelSoFar, QueueSoFar
from runner.workers.crew import BackendLostError
from runner.workers.parent import WorkerLostError
from tests.runner.simulated_bench import Scene, scene

QUEUE = {
    "policies": ("fixed:4", "greedy:4"),
    "request_rates_hz": "20",
    "requests": 60,
    "arrivals": "constant",
}


def ran(inference_s: dict[str, float] | None = None, **facts: Any) -> Scene:
    return run(staged(inference_s, **facts))


def staged(inference_s: dict[str, float] | None = None, queue: Any = None, **facts: Any) -> Scene:
    """Return a bench whose batches are measured."""
    asked = QUEUE | (queue or {})
    on = scene(inference_s or {"A": 0.01, "B": 0.02}, sizes="1,2,4", queue=asked, **facts)
    open_sessions(on.roster)
    prepare_cells(on.roster)
    run_blocks(on.roster)
    return on


def run(on: Scene) -> Scene:
    run_queue(on.roster)
    return on


def test_every_cell_is_replayed_in_every_block_on_the_same_arrivals() -> None:
    on = ran()
    assert len(on.journal.queue_windows) == 3 * 4
    assert [line.block for line in on.journal.queue_blocks] == [0, 1, 2]
    by_block: dict[int, set[tuple[float, ...]]] = {}
    for (_, request), window in zip(on.crew.served, on.journal.queue_windows, strict=True):
        by_block.setdefault(window.block, set()).add(request.arrivals_s)
    assert {block: len(found) for block, found in by_block.items()} == {0: 1, 1: 1, 2: 1}
    orders = [[w.cell for w in on.journal.queue_windows if w.block == block] for block in range(3)]
    assert len({tuple(order) for order in orders}) > 1, "in another order"
    assert len({tuple(sorted(order)) for order in orders}) == 1


def test_batches_are_measured_once_more_before_each_block() -> None:
    on = ran()
    kinds = [line.kind for line in on.journal.lines if line.kind in {"block", "queue_block"}]
    assert kinds == ["block"] * 3 + ["block", "queue_block"] * 3


def test_blocks_of_batches_leave_the_queue_its_time() -> None:
    on = staged(budget_s=60.0, queue={"requests": 240})  # 4 cells x 3 blocks x 4 s
    assert on.machine.now_s - 1000 < 60 - 48
    assert len(run(on).journal.queue_windows) == 12


def test_gaps_are_not_measured_before_batches_that_outlast_them() -> None:
    on = ran({"A": 0.01, "B": 0.3}, gaps_s="2ms,100ms")
    left_out = {cell.key for cell in on.roster.plan.cells} - on.roster.ready.keys()
    assert left_out == {"net/fp32/B/b4+2ms/host", "net/fp32/B/b4+100ms/host"}
    cell = on.journal.cells["net/fp32/B/b4+2ms/host"]
    assert cell.status == "skipped"
    assert cell.reason == (
        "no idle gap shows in a batch of 1.2 s; the twin has what it adds from a smaller one"
    )


def test_the_smallest_batch_keeps_its_gaps_however_long_it_takes() -> None:
    on = ran({"A": 3.0}, gaps_s="2ms,100ms", queue={"request_rates_hz": "0.1", "requests": 12})
    with_gaps = {key for key in on.roster.ready if "+" in key}
    assert with_gaps == {"net/fp32/A/b1+2ms/host", "net/fp32/A/b1+100ms/host"}


def test_gaps_that_no_smaller_batch_shows_are_measured_before_long_ones() -> None:
    on = scene({"A": 0.6}, sizes="1,2", gaps_s="2ms", queue=QUEUE)
    del on.roster.live["net/fp32/A/b1+2ms/host"]
    open_sessions(on.roster)
    prepare_cells(on.roster)
    assert "net/fp32/A/b2+2ms/host" in on.roster.ready


def test_who_asks_for_gaps_gets_them_before_long_batches_too() -> None:
    on = scene({"A": 0.3}, sizes="1,2,4", gaps_s="2ms,100ms")
    open_sessions(on.roster)
    prepare_cells(on.roster)
    assert len(on.roster.ready) == 9


def test_a_deadline_allows_for_what_gaps_add_to_smaller_batches() -> None:
    deadline = {"policies": ("deadline:4@9s", "deadline:2@9s"), "request_rates_hz": "1"}
    on = staged({"A": 0.3}, gaps_s="100ms", queue=deadline)
    on.roster.so_far.means_s["net/fp32/A/b2+100ms/host"] = {0: 0.65}
    run(on)
    smaller_s, larger_s = (
        on.journal.queue_cells[f"deadline:{size}@9s"].expected_service_s or () for size in (2, 4)
    )
    assert larger_s[1:] == pytest.approx((0.3, 0.65, 0.95, 1.25), abs=1e-6)
    assert smaller_s[1:] == pytest.approx((0.3, 0.65), abs=1e-6)


def test_all_batch_sizes_in_turn_are_no_batch_that_was_measured() -> None:
    on = ran({"A": 0.01}, mixed=True, queue={"policies": ("greedy:7",)})
    assert on.journal.queue_cells["A greedy:7"].reason == "batch 7 was not measured on A"


def test_relative_loads_are_shares_of_what_each_backend_can_serve() -> None:
    on = ran(queue={"request_rates_hz": "", "relative_loads": "0.5"})
    assert on.journal.queue_cells["A fixed:4"].load.request_rate_hz == pytest.approx(50)
    assert on.journal.queue_cells["B fixed:4"].load.request_rate_hz == pytest.approx(25)
    assert on.journal.queue_cells["A fixed:4"].capacity_hz == pytest.approx(100)


def test_the_variants_of_a_backend_are_served_side_by_side_each_within_its_own_capacity() -> None:
    on = ran(
        {"A": 0.01, "A fp16": 0.005},
        variants=("fp32", "fp16"),
        queue={"request_rates_hz": "", "relative_loads": "0.5"},
    )
    assert on.journal.queue_cells["A fixed:4"].load.request_rate_hz == pytest.approx(50)
    assert on.journal.queue_cells["A fp16 fixed:4"].load.request_rate_hz == pytest.approx(100)
    windows = {window.cell for window in on.journal.queue_windows if window.block == 0}
    assert windows == {cell.key for cell in on.roster.plan.queue}, "all of them in one block"


def test_a_rate_above_capacity_is_said_and_nothing_is_replayed() -> None:
    on = ran(queue={"request_rates_hz": "60"})
    overloaded = on.journal.queue_cells["B fixed:4"]
    assert (overloaded.status, overloaded.reason) == ("overloaded", "60 requests/s, capacity 50/s")
    assert {label for label, _ in on.crew.served} == {"A"}


def test_a_queue_that_only_grows_is_given_up_at_once_and_never_again() -> None:
    on = staged({"A": 0.01}, queue={"policies": ("greedy:1",), "request_rates_hz": "90", "requests": 9000})
    on.crew.slowdown = 3.0  # whatever was measured before
    run(on)
    (window,) = on.journal.queue_windows
    assert window.served_count < window.request_count
    cell = on.journal.queue_cells["greedy:1"]
    assert cell.status == "overloaded"
    assert "a request waited longer than 2.11 s at 90 requests/s; stopped after" in cell.reason


def test_what_the_budget_does_not_hold_is_skipped_with_the_reason() -> None:
    on = ran({"A": 0.01}, budget_s=7.0, queue={"requests": 60})
    cells = on.journal.queue_cells
    assert cells["fixed:4"].status == "skipped"
    assert cells["fixed:4"].reason == "not reached", "it was replayed"
    assert cells["greedy:4"].reason.startswith("budget: needs ")
    assert on.machine.now_s <= 1000 + 7


def test_a_batch_that_was_not_measured_cannot_be_served() -> None:
    on = scene({"A": 0.01}, sizes="1,2", queue=QUEUE)
    open_sessions(on.roster)
    prepare_cells(on.roster)
    run_blocks(on.roster)
    run_queue(on.roster)
    assert on.journal.queue_cells["fixed:4"].reason == "batch 4 was not measured on A"
    assert on.journal.queue_blocks == []


def test_a_worker_that_is_lost_costs_its_own_cell() -> None:
    on = staged()
    on.crew.faults["serve", "B", 0] = WorkerLostError("the worker was ended by SIGSEGV")
    run(on)
    cells = on.journal.queue_cells
    assert {cells["B fixed:4"].status, cells["B greedy:4"].status} == {"failed"}
    assert "SIGSEGV" in cells["B fixed:4"].reason
    assert len(on.journal.queue_windows) == 3 * 2


def test_a_disturbed_block_is_repeated_on_other_arrivals() -> None:
    on = staged(queue={"arrivals": "poisson"})
    on.crew.stops = [*[0] * 6, 0, 1]  # after the batches of both backends
    run(on)
    assert [(line.block, line.repeats) for line in on.journal.queue_blocks] == [
        (0, None),
        (1, None),
        (2, None),
        (3, 0),
    ]
    served = zip(on.journal.queue_windows, on.crew.served, strict=True)
    patterns = {window.block: request.arrivals_s for window, (_, request) in served}
    assert len(set(patterns.values())) == 4


def test_a_deadline_is_told_what_batches_take_and_others_need_not_know() -> None:
    on = ran({"A": 0.01}, queue={"policies": ("deadline:4@200ms", "greedy:4")})
    told = {request.policy: request.service_s for _, request in on.crew.served}
    assert told["deadline:4@200ms"][1:] == pytest.approx((0.01, 0.02, 0.03, 0.04))
    assert told["greedy:4"] == ()


@pytest.mark.parametrize(("blocks", "more"), [(5, 1), (6, 0)])
def test_a_resumed_queue_goes_on_where_it_was(blocks: int, more: int) -> None:
    whole = ran()
    known = {cell.key: cell for cell in whole.journal.queue_cells.values()}
    so_far = ModelSoFar(blocks=blocks, queue=QueueSoFar(blocks=2, cells=known))
    on = scene({"A": 0.01, "B": 0.02}, sizes="1,2,4", queue=QUEUE, so_far=so_far)
    open_sessions(on.roster)
    prepare_cells(on.roster)
    run_blocks(on.roster)
    run_queue(on.roster)
    assert [line.block for line in on.journal.queue_blocks] == [2]
    assert len(on.journal.blocks) == more, "the batches of the open block, unless they are measured already"
    expected = [window.cell for window in whole.journal.queue_windows if window.block == 2]
    assert [window.cell for window in on.journal.queue_windows] == expected


def test_a_backend_that_is_lost_when_it_is_started_anew_costs_the_others_nothing() -> None:
    on = staged(profile="standard", queue={"requests": 200})
    on.crew.faults["refresh", "B", 0] = BackendLostError("no reply within 30 s")
    run(on)
    cells = on.journal.queue_cells
    assert {cells["B fixed:4"].status, cells["B greedy:4"].status} == {"failed"}
    assert "lost" in cells["B fixed:4"].reason
    assert sum(window.cell.split("/")[2] == "A" for window in on.journal.queue_windows) == 10 * 2


def test_short_queues_are_spread_over_all_workers_though_these_are_dear() -> None:
    on = staged({"A": 0.01}, profile="standard", queue={"requests": 50})
    on.roster.fresh_s = on.crew.refresh_s = 8.0
    run(on)
    assert len({window.worker for window in on.journal.queue_windows}) == 5


def test_long_queues_are_served_by_fresh_workers_too() -> None:
    on = ran(profile="standard", queue={"requests": 200})
    workers = {window.worker for window in on.journal.queue_windows}
    assert len(workers) == 5
