from collections import Counter

import pytest

from runner import blocks
from runner.blocks import run_blocks
from runner.interruption import InterruptedRunError
from runner.prepare import prepare_cells
from runner.profiles import PROFILES
from runner.report.lines import BlockLine, CellLine, Line, WindowLine
from runner.shifts import Shifts
from runner.so_far import LATE_FLAG, ModelSoFar
from runner.stats.intervals import RatioInterval, ratio_interval
from runner.visits import UNSETTLED_FLAG
from runner.workers.crew import BackendLostError
from runner.workers.parent import CellFailedError, WorkerLostError
from tests.runner.simulated_bench import Scene, StillObserver, scene

QUICK = PROFILES["quick"]


def _key(label: str, load: str = "b1") -> str:
    return f"net/fp32/{label}/{load}/host"


def _ran(on: Scene) -> Scene:
    prepare_cells(on.roster)
    on.machine.events.clear()
    run_blocks(on.roster)
    return on


def test_a_visit_begins_the_meters_then_measures_then_ends_them() -> None:
    on = _ran(scene({"A": 0.01}))
    assert on.machine.events == ["begin", "measure A b1", "end"] * QUICK.min_blocks


def test_every_block_visits_all_cells_in_its_planned_order() -> None:
    on = _ran(scene({"A": 0.01, "B": 0.02}, sizes="1,2", paces=("2",)))
    planned = [cell.key for block in on.journal.blocks for cell in on.roster.plan.block(block, 0)]
    assert [window.cell for window in on.journal.windows] == planned
    assert on.journal.blocks == list(range(QUICK.min_blocks))
    assert [window.block for window in on.journal.windows] == [b for b in on.journal.blocks for _ in range(6)]


def test_a_window_holds_what_worker_and_meters_said() -> None:
    on = _ran(scene({"A": 0.0625}))
    window = on.journal.windows[0]
    (energy,) = window.energy
    assert window.inference_count == 3
    assert window.latency_mean_s == pytest.approx(0.0625)
    assert window.wall_s == pytest.approx(3 * 0.0625)
    assert energy.status == "measured"
    assert energy.energy_j == pytest.approx(20 * window.wall_s)
    assert [each.poller_cpu_s for each in on.journal.windows] == pytest.approx([0.004 * window.wall_s] * 3)
    assert window.flags == ()
    assert not window.paired
    latencies = [line.latencies_s for line in on.journal.lines if isinstance(line, WindowLine)]
    assert latencies == [(0.0625,) * 3] * 3


def test_backends_of_a_load_get_one_count_which_is_journaled_first() -> None:
    on = _ran(scene({"A": 0.001, "B": 0.003}))
    assert {request.count for _, request in on.crew.asked} == {100}
    kinds = [type(line) for line in on.journal.lines]
    assert kinds.index(WindowLine) > max(i for i, kind in enumerate(kinds) if kind is CellLine)
    assert {cell.inferences_per_window for cell in on.journal.cells.values()} == {100}


def test_a_paced_window_is_asked_for_at_its_period() -> None:
    on = _ran(scene({"A": 0.001}, sizes="4", paces=("8",)))
    assert {request.period_s for _, request in on.crew.asked} == {None, 0.5}


def test_windows_are_as_long_as_the_meters_need() -> None:
    on = _ran(scene({"A": 0.1}, minimum_window_s=2.0))
    assert {request.count for _, request in on.crew.asked} == {20}


@pytest.mark.parametrize("fault", [CellFailedError("memory", "x"), WorkerLostError("ended by SIGSEGV")])
def test_a_window_that_fails_cancels_the_meters_and_takes_its_cell_out(
    fault: CellFailedError | WorkerLostError,
) -> None:
    on = scene({"A": 0.01, "B": 0.01})
    on.crew.faults["measure", "A", 1] = fault
    _ran(on)
    failed = on.machine.events.index("measure A b1")
    assert on.machine.events[failed - 1 : failed + 2] == ["begin", "measure A b1", "cancel"]
    assert on.machine.events.count("measure A b1") == 1
    assert on.machine.events.count("end") == QUICK.min_blocks
    cell = on.journal.cells[_key("A")]
    assert (cell.status, cell.reason) == ("failed", str(fault).removesuffix("."))
    assert [window.cell for window in on.journal.windows] == [_key("B")] * QUICK.min_blocks


def test_a_lost_worker_is_replaced_before_the_meters_begin() -> None:
    on = scene({"A": 0.01})
    on.crew.lost = {"A"}
    _ran(on)
    assert on.machine.events[:4] == ["refresh A b0", "begin", "measure A b1", "end"]
    on = scene({"A": 0.01, "B": 0.01})
    on.crew.lost = {"A"}
    on.crew.faults["refresh", "A", 0] = BackendLostError("a fresh worker failed too")
    _ran(on)
    assert on.journal.cells[_key("A")].status == "failed"
    assert [window.cell for window in on.journal.windows] == [_key("B")] * QUICK.min_blocks


def test_nothing_is_drawn_or_written_between_the_begin_of_the_meters_and_their_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on = scene({"A": 0.01, "B": 0.01})
    events, write = on.machine.events, on.journal.write

    def journal(line: Line) -> None:
        events.append("written")
        write(line)

    monkeypatch.setattr(on.roster.bench.progress, "visit", lambda cell, block: events.append("drawn"))
    monkeypatch.setattr(on.roster.bench.progress, "say", lambda text: events.append("drawn"))
    monkeypatch.setattr(on.journal, "write", journal)
    _ran(on)
    begins = [index for index, event in enumerate(events) if event == "begin"]
    assert len(begins) == 2 * QUICK.min_blocks
    for begin in begins:
        assert events[begin - 1] == "drawn"
        assert events[begin + 1].startswith("measure")
        assert events[begin + 2 : begin + 4] == ["end", "written"]


def test_a_backend_lost_in_a_window_takes_all_its_cells_out() -> None:
    on = scene({"A": 0.01, "B": 0.01}, sizes="1,2")
    on.crew.faults |= {
        ("measure", "A", size): BackendLostError("a fresh worker failed too") for size in (1, 2)
    }
    _ran(on)
    assert {key for key, cell in on.journal.cells.items() if cell.status == "failed"} == {
        _key("A"),
        _key("A", "b2"),
    }
    assert sum("measure A" in event for event in on.machine.events) == 1
    assert len(on.journal.windows) == 2 * QUICK.min_blocks


def test_an_interruption_keeps_the_windows_before_it_and_leaves_the_block_open() -> None:
    on = scene({"A": 0.01, "B": 0.01})
    on.crew.faults["measure", "B", 1] = InterruptedRunError(2)
    prepare_cells(on.roster)
    with pytest.raises(InterruptedRunError):
        run_blocks(on.roster)
    assert on.journal.blocks == []
    assert all(cell.status != "failed" for cell in on.journal.cells.values())


def test_a_model_stops_at_its_target_after_the_fewest_blocks() -> None:
    on = scene({"A": 0.01, "B": 0.02})
    on.crew.noise_ratio = 1e-4
    assert _ran(on).journal.blocks == [0, 1, 2]
    assert on.journal.notes == []


def test_a_model_without_ratios_needs_the_fewest_blocks_only() -> None:
    on = scene({"A": 0.01})
    on.crew.noise_ratio = 0.5
    assert _ran(on).journal.blocks == [0, 1, 2]


def test_an_unsteady_machine_is_measured_to_the_last_block_and_told_what_is_missing() -> None:
    on = scene({"A": 0.01, "B": 0.01})
    on.crew.noise_ratio = 0.2
    assert len(_ran(on).journal.blocks) == QUICK.max_blocks
    _, note = on.journal.notes
    assert "at worst, the target is ±2 %" in note


def test_more_blocks_are_run_until_the_target_is_met() -> None:
    on = scene({"A": 0.01, "B": 0.01})
    on.crew.noise_ratio = 0.015
    assert QUICK.min_blocks < len(_ran(on).journal.blocks) < QUICK.max_blocks
    (note,) = on.journal.notes
    assert "after 3 blocks: the target of ±2 % needs about " in note


def test_blocks_beyond_the_fewest_are_not_begun_when_the_budget_cannot_hold_them() -> None:
    on = scene({"A": 1.0, "B": 1.0}, budget_s=40)
    on.crew.noise_ratio = 0.2
    _ran(on)
    assert QUICK.min_blocks <= len(on.journal.blocks) < QUICK.max_blocks
    assert on.machine.now_s <= 1000 + 40


def test_a_tight_budget_shrinks_windows_before_it_skips_cells_and_says_so() -> None:
    on = _ran(scene({"A": 0.05, "B": 0.05}, sizes="1,2", minimum_window_s=10, budget_s=30))
    assert not [
        cell for cell in on.journal.cells.values() if cell.status == "skipped" and "budget" in cell.reason
    ]
    assert on.journal.blocks == [0, 1, 2]
    (note,) = on.journal.notes
    assert note.startswith("net: windows of ")
    assert "s instead of 10 s and 1 instead of 3 inferences, to fit the time budget" in note
    assert on.machine.now_s <= 1000 + 30


def test_windows_shrink_in_steps_and_no_further_than_they_must() -> None:
    walls_s = [
        _ran(scene({"A": 0.05}, minimum_window_s=10, budget_s=budget_s)).journal.windows[0].wall_s
        for budget_s in (100, 25, 12, 5)
    ]
    assert walls_s == pytest.approx([10, 5, 2.5, 0.1])


def test_a_budget_that_ends_before_the_first_block_skips_with_the_prediction() -> None:
    on = scene({"A": 0.5}, budget_s=30)
    prepare_cells(on.roster)
    on.machine.now_s += 29
    run_blocks(on.roster)
    cell = on.journal.cells[_key("A")]
    assert (cell.status, cell.reason) == ("skipped", "budget: no block fitted")
    assert cell.predicted_inference_s == pytest.approx(0.5)
    assert not on.journal.windows


def test_a_machine_that_slows_down_ends_at_a_whole_block_and_says_how_many_fitted() -> None:
    on = scene({"A": 1.0}, budget_s=20)
    on.crew.slowdown = 3.0
    _ran(on)
    assert 0 < len(on.journal.blocks) < QUICK.min_blocks
    assert f"net: {len(on.journal.blocks)} blocks of 3 fitted the time budget" in on.journal.notes
    assert len(on.journal.windows) == len(on.journal.blocks)


@pytest.mark.parametrize(
    ("late_s", "status"), [([0.3, 0.0, 0.2], "overloaded"), ([0.3, 0.0, 0.0], None), ([0.0] * 3, None)]
)
def test_a_pace_is_overloaded_when_most_windows_ran_late(late_s: list[float], status: str | None) -> None:
    on = scene({"A": 0.01}, paces=("8",))
    on.crew.late_s["A"] = list(late_s)
    _ran(on)
    paced = [window for window in on.journal.windows if window.cell == _key("A", "b1@8")]
    assert [LATE_FLAG in window.flags for window in paced] == [late > 0 for late in late_s]
    cell = on.journal.cells[_key("A", "b1@8")]
    assert (cell.status == "overloaded") == (status == "overloaded")
    if status:
        assert cell.reason == "8 images/s asked for; 2 of 3 windows ran late"


def test_a_window_that_began_beside_a_busy_worker_is_flagged() -> None:
    on = scene({"A": 0.01})
    on.crew.settled = False
    assert {window.flags for window in _ran(on).journal.windows} == {(UNSETTLED_FLAG,)}


def test_nothing_ready_is_nothing_to_do() -> None:
    on = scene({"A": 0.01})
    on.crew.faults["prepare", "A", 1] = WorkerLostError("gone")
    _ran(on)
    assert on.machine.events == []
    assert on.journal.blocks == []
    assert on.journal.notes == []


def test_a_small_budget_gives_slow_backends_windows_of_their_own_before_it_drops_a_block() -> None:
    on = scene({"A": 0.012, "B": 0.09}, sizes="1,2,4", budget_s=6)
    prepare_cells(on.roster)
    run_blocks(on.roster)
    assert len(on.journal.blocks) >= 3
    measured = {window.cell for window in on.journal.windows}
    skipped = {
        key for key, cell in on.journal.cells.items() if cell.status == "skipped" and key not in measured
    }
    assert all(on.journal.cells[key].predicted_inference_s for key in skipped)


def test_blocks_that_take_longer_than_predicted_are_counted_as_long() -> None:
    on = scene({"A": 0.05}, budget_s=8, profile="standard")
    prepare_cells(on.roster)
    on.crew.slowdown = 5.0
    began_s = on.machine.now_s
    run_blocks(on.roster)
    assert on.machine.now_s - began_s <= 8


def test_a_disturbed_block_is_repeated_at_the_end_and_both_are_kept() -> None:
    on = scene({"A": 0.01, "B": 0.01})
    on.crew.stops = [0, 0, 1]
    _ran(on)
    assert on.journal.blocks == [0, 1, 2, 3]
    assert on.journal.repeats == {3: 1}
    assert [bool(window.disturbed) for window in on.journal.windows] == [False, False, True, *[False] * 5]
    assert [window.block for window in on.journal.windows] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert on.journal.notes == []


def test_a_window_is_disturbed_by_what_its_conditions_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StillObserver, "foreign_cpu_s", 0.09)
    on = _ran(scene({"A": 0.01}))
    assert not any(window.disturbed for window in on.journal.windows)
    monkeypatch.setattr(StillObserver, "foreign_cpu_s", 0.11)
    on = _ran(scene({"A": 0.01}))
    assert all("in 0.1 s on 8 cores" in window.disturbed for window in on.journal.windows)


def test_a_repeat_that_is_disturbed_is_repeated_in_its_turn_up_to_a_quarter_of_the_blocks() -> None:
    on = scene({"A": 0.01, "B": 0.01}, target_ci_ratio="0.1%")
    on.crew.noise_ratio = 0.1
    on.crew.stops = [1, *[0] * 19, 1, *[0] * 30]
    _ran(on)
    assert on.journal.repeats == {10: 0, 11: 10}
    on = scene({"A": 0.01, "B": 0.01})
    on.crew.stops = [1] * 100
    _ran(on)
    assert on.journal.repeats == {3: 0}
    assert on.roster.so_far.disturbed.keys() == {1, 2, 3}


def test_workers_are_replaced_between_blocks_where_the_profile_asks_for_several() -> None:
    on = scene({"A": 0.01, "B": 0.01}, profile="publication", target_ci_ratio="99%")
    _ran(on)
    assert len(on.journal.blocks) == 30
    assert [w.worker for w in on.journal.windows] == [b // 3 for b in range(30) for _ in range(2)]
    refreshes = [event for event in on.machine.events if event.startswith("refresh")]
    assert refreshes == ["refresh A b0", "refresh B b0"] * 9


def test_fresh_workers_are_paid_from_the_budget() -> None:
    on = scene({"A": 0.01, "B": 0.01}, profile="publication", budget_s=110)
    on.crew.refresh_s = 5.0
    on.crew.noise_ratio = 0.5
    prepare_cells(on.roster)
    on.roster.fresh_s = 10.0
    run_blocks(on.roster)
    assert on.machine.now_s <= 1000 + 111, "the last block may take longer than predicted"
    assert len(on.journal.blocks) > 30, "more than the fewest, by ten pairs; there is time for others"
    assert on.crew.refreshed == {"A": 9, "B": 9}


def test_every_set_of_workers_takes_as_many_blocks_repeats_included() -> None:
    on = scene({"A": 0.01, "B": 0.01}, profile="standard", target_ci_ratio="0.1%", workers=3)
    on.crew.noise_ratio = 0.5
    on.crew.stops = [1]
    _ran(on)
    shares = list(Counter(window.worker for window in on.journal.windows).values())
    assert set(shares[:-1]) == {2 * 4}, (
        "twelve blocks at the least, by three sets; fresh ones cost nothing here"
    )
    assert on.journal.repeats == {200: 0}
    assert on.journal.windows[-1].worker == 200 // 4, "the repeat begins the next set"


def test_a_long_run_spends_a_fifth_of_its_time_on_fresh_workers_and_no_more() -> None:
    on = scene({"A": 0.01, "B": 0.01}, profile="standard", target_ci_ratio="0.1%", budget_s=300)
    on.crew.noise_ratio, on.crew.refresh_s = 0.3, 1.0
    _ran(on)
    shares = [count // 2 for count in Counter(window.worker for window in on.journal.windows).values()]
    assert shares[:4] == [2] * 4, "the fewest blocks are spread evenly"
    later_s, fresh_s = on.machine.now_s - 1000, 2 * 1.0 * (len(shares) - 5)
    assert 0.15 <= fresh_s / later_s <= 0.2


def test_a_run_does_not_end_for_a_set_of_workers_that_is_left_out() -> None:
    on = scene({"A": 0.01, "B": 0.01}, target_ci_ratio="99%", workers=3)
    on.crew.stops = [*[0] * 4, 1]  # the block of the third set
    _ran(on)
    assert on.journal.repeats == {4: 2}
    assert len(on.journal.blocks) == 5, "a fourth set, then the repeat"


def test_a_backend_that_hangs_when_it_starts_anew_costs_the_others_no_blocks() -> None:
    on = scene({"A": 0.01, "B": 0.01}, profile="standard", budget_s=60)
    on.crew.faults["refresh", "B", 0] = BackendLostError("no reply within 30 s")
    on.crew.refresh_s = 0.1
    prepare_cells(on.roster)
    predicted_s = on.roster.fresh_s
    shift = Shifts(on.roster, 0)
    shift.change(2)
    assert on.roster.fresh_s == predicted_s
    on.crew.faults.clear()
    shift.change(4)
    assert on.roster.fresh_s == pytest.approx(0.1)


def test_what_a_target_will_take_counts_fresh_workers() -> None:
    notes = []
    for refresh_s in (0.0, 2.0):
        on = scene({"A": 0.01, "B": 0.01}, profile="standard", target_ci_ratio="1%")
        on.crew.noise_ratio, on.crew.refresh_s = 0.03, refresh_s
        notes.append(_ran(on).journal.notes[0])
    plain_s, dear_s = (float(note.split(" blocks, ")[1].split(" s more")[0]) for note in notes)
    assert dear_s > plain_s + 5


def test_a_resumed_run_in_which_nothing_is_ready_ends_in_order() -> None:
    so_far = ModelSoFar(blocks=10, disturbed={3: "stopped"})
    on = scene({"A": 0.01}, profile="standard", so_far=so_far)
    on.crew.faults["prepare", "A", 1] = CellFailedError("memory", "bad_alloc")
    _ran(on)
    assert on.journal.blocks == []
    assert on.journal.cells[_key("A")].status == "failed"


def test_room_for_fresh_workers_is_kept_before_windows_are_long_and_cells_let_in() -> None:
    on = scene({"A": 0.5}, sizes="1,2", profile="publication", budget_s=200)
    on.roster.fresh_s = 10.0  # opening took so long
    _ran(on)
    assert set(on.journal.cells[_key("A", "b2")].reason.split()) >= {"budget:", "needs"}
    on = scene({"A": 0.05}, profile="publication", budget_s=100, minimum_window_s=2)
    prepare_cells(on.roster)
    on.roster.fresh_s = 5.0
    run_blocks(on.roster)
    assert on.journal.windows[0].wall_s < 2


def test_a_resumed_run_begins_with_fresh_workers_and_replaces_them_when_their_shift_ends() -> None:
    so_far = ModelSoFar(blocks=6)
    on = _ran(scene({"A": 0.01}, profile="publication", so_far=so_far))
    assert on.journal.blocks == list(range(6, 30))
    assert [w.worker for w in on.journal.windows] == [b // 3 - 2 for b in range(6, 30)]


def test_the_target_goes_by_the_processes_that_took_the_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []

    def remember(values: list[float], baseline: list[float], workers: list[int]) -> RatioInterval:
        asked.append(workers)
        return ratio_interval(values, baseline, workers)

    monkeypatch.setattr(blocks, "ratio_interval", remember)
    so_far = ModelSoFar(blocks=8)  # two of the blocks that were planned for the third pair
    so_far.means_s |= {_key(label): dict.fromkeys(range(8), 0.01) for label in "AB"}
    so_far.takers |= {_key(label): {block: block // 3 for block in range(8)} for label in "AB"}
    on = scene({"A": 0.01, "B": 0.01}, profile="publication", target_ci_ratio="99%", so_far=so_far)
    on.crew.refreshed.update({"A": 3, "B": 3})
    _ran(on)
    assert asked[-1] == [block // 3 for block in range(8)] + [3 + block // 3 for block in range(22)]


def test_a_backend_whose_fresh_worker_does_not_open_goes_out_alone() -> None:
    on = scene({"A": 0.01, "B": 0.01}, profile="publication", target_ci_ratio="99%")
    on.crew.faults["refresh", "B", 0] = BackendLostError("a fresh worker failed too")
    _ran(on)
    assert on.journal.cells[_key("B")].status == "failed"
    assert sum(window.cell == _key("B") for window in on.journal.windows) == 3
    assert sum(window.cell == _key("A") for window in on.journal.windows) == 30


def test_after_three_blocks_the_report_says_whether_the_target_can_be_reached() -> None:
    on = scene({"A": 0.01, "B": 0.01}, profile="standard", target_ci_ratio="0.1%")
    on.crew.noise_ratio = 0.05
    _ran(on)
    assert on.journal.notes[0].startswith("net: after 3 blocks: the target of ±0.1 % ")
    assert "more than the profile's 200" in on.journal.notes[0]


def test_a_block_waits_until_the_cpu_is_as_cool_as_at_the_first() -> None:
    on = scene({"A": 0.01})
    on.machine.celsius = 50.0
    prepare_cells(on.roster)
    readings = iter([50.0, 60.0, 51.0, 90.0, *[90.0] * 40])
    on.roster.bench.cool_down._read_celsius = lambda: next(readings)
    run_blocks(on.roster)
    assert on.journal.blocks == [0, 1, 2]
    assert on.journal.notes == ["net: block 3 began hot: 30 s did not cool the CPU down"]


def test_a_resumed_model_goes_on_where_it_was() -> None:
    whole = _ran(scene({"A": 0.01, "B": 0.01}))
    so_far = ModelSoFar()
    for line in whole.journal.lines:
        if isinstance(line, CellLine):
            so_far.cells[line.entry.key] = line.entry
    first = [window for window in whole.journal.windows if window.block == 0]
    so_far.finish_block(BlockLine(model="net", variant="fp32", block=0), first)
    on = _ran(scene({"A": 0.01, "B": 0.01}, so_far=so_far))
    assert on.journal.blocks == [1, 2]
    assert [w.cell for w in first + on.journal.windows] == [w.cell for w in whole.journal.windows]
    assert not on.journal.cells, "what is known of the cells is in the journal"


def test_a_target_is_reached_by_the_blocks_that_count() -> None:
    on = scene({"A": 0.01, "B": 0.01}, profile="standard")
    on.crew.noise_ratio = 0.02
    on.crew.stops = [1 if place % 10 == 0 else 0 for place in range(400)]
    _ran(on)
    assert len(on.journal.repeats) >= 2
    assert on.journal.notes[-1].startswith("net: after 3 blocks"), "no note that the target was missed"
