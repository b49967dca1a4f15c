from pathlib import Path

import pytest

from runner import prepare
from runner.check_parity import check_parity
from runner.contender import Contender
from runner.errors import JoulebatchError
from runner.modelfile import ModelFile, open_model
from runner.prepare import open_sessions, prepare_cells
from runner.so_far import ModelSoFar
from runner.variants import CLOSENESS
from runner.workers.crew import BackendLostError
from runner.workers.parent import CellFailedError, WorkerLostError
from runner.workers.protocol import Opened
from tests.models import write_exported
from tests.runner.simulated_bench import CPU, Scene, scene

FALLEN_BACK = Opened(
    0.1,
    {"label": "partial-compute", "nodes_by_provider": {"X": 1, CPU: 9}, "heavy_on_cpu": ["Conv"]},
    {},
    100_000_000,
)


def _key(label: str, load: str) -> str:
    return f"net/fp32/{label}/{load}/host"


def _prepared(on: Scene) -> list[str]:
    return [event for event in on.machine.events if event.startswith("prepare")]


def test_an_opened_session_is_journaled_with_what_is_known_of_it() -> None:
    on = scene({"A": 0.01})
    on.crew.sessions["A"] = Opened(
        0.5,
        {"label": "full", "nodes_by_provider": {CPU: 7}, "heavy_on_cpu": []},
        {"onnxruntime": "1.32.0"},
        100_000_000,
    )
    open_sessions(on.roster)
    entry = on.journal.sessions["A"]
    assert (entry.status, entry.placement, entry.nodes_by_provider, entry.open_s) == (
        "opened",
        "full",
        {CPU: 7},
        0.5,
    )
    assert entry.facts == {"onnxruntime": "1.32.0"}
    assert len(on.roster.live) == 1


def test_parity_is_checked_after_every_first_run_and_joins_the_session(tmp_path: Path) -> None:
    on = scene({"A": 0.01, "B": 0.01}, sizes="1,2", file=open_exported(tmp_path))
    open_sessions(on.roster)
    prepare_cells(on.roster)
    on.crew.faults["check", "B", 0] = CellFailedError("memory", "bad_alloc")
    check_parity(on.roster)
    assert on.machine.events[-2:] == ["check A b0", "check B b0"]
    entry = on.journal.sessions["A"]
    assert entry.placement == "full"
    assert entry.parity is not None
    assert (entry.parity.status, entry.parity.max_error_ratio) == ("passed", 1e-6)
    failed = on.journal.sessions["B"].parity
    assert failed is not None
    assert (failed.status, failed.reason) == (
        "failed",
        "the reference could not be run: out of memory: bad_alloc",
    )


def open_exported(folder: Path) -> ModelFile:
    write_exported(folder, "net")
    return open_model(folder, "net")


def test_without_an_exporter_s_reference_backends_are_compared_with_what_the_baseline_computes() -> None:
    on = scene({"A": 0.01, "B": 0.01}, sizes="2,4,16")
    open_sessions(on.roster)
    prepare_cells(on.roster)
    check_parity(on.roster)
    assert on.machine.events[-3:] == ["record A b4", "check A b0", "check B b0"]
    ((label, request, _),) = on.crew.recorded
    assert (label, request.batch_size, request.run_count) == ("A", 4, 2)
    assert not Path(request.reference_path).parent.exists()  # removed once all have been compared
    for name in "AB":
        parity = on.journal.sessions[name].parity
        assert parity is not None
        assert (parity.status, parity.reference) == ("passed", "outputs of A")


def test_where_the_baseline_is_out_another_backend_s_outputs_are_the_reference() -> None:
    on = scene({"A": 0.01, "B": 0.01}, sizes="1")
    on.crew.sessions["A"] = JoulebatchError("no licence")
    open_sessions(on.roster)
    prepare_cells(on.roster)
    check_parity(on.roster)
    assert on.machine.events[-2:] == ["record B b1", "check B b0"]
    assert on.crew.recorded[0][1].run_count == 8  # of one sample each
    parity = on.journal.sessions["B"].parity
    assert parity is not None
    assert parity.reference == "outputs of B"


def test_labelled_files_are_held_against_the_first_one_s_outputs_or_each_against_its_own() -> None:
    four = {"A": 0.01, "B": 0.01, "A base": 0.01, "B base": 0.01, "A new": 0.02, "B new": 0.02}
    on = scene(four, sizes="1", variants=("base", "new"))
    open_sessions(on.roster)
    prepare_cells(on.roster)
    check_parity(on.roster)
    assert _references(on) == dict.fromkeys(("A base", "B base", "A new", "B new"), "outputs of A base")
    apart = scene(four, sizes="1", variants=("base", "new"), allow_other_outputs=True)
    open_sessions(apart.roster)
    prepare_cells(apart.roster)
    check_parity(apart.roster)
    assert _references(apart) == {
        "A base": "outputs of A base",
        "B base": "outputs of A base",
        "A new": "outputs of A new",
        "B new": "outputs of A new",
    }


def test_a_label_that_is_a_variant_s_name_is_held_to_its_closeness() -> None:
    on = scene(
        {"A": 0.01, "A base": 0.01, "A INT8-static": 0.01}, sizes="1", variants=("base", "INT8-static")
    )
    open_sessions(on.roster)
    prepare_cells(on.roster)
    check_parity(on.roster)
    asked = {who: (each.tolerance_ratio, each.least_agreement_ratio) for who, each in on.crew.checked.items()}
    near = CLOSENESS["int8-static"]
    assert asked == {
        "A base": (0.0, 0.0),
        "A INT8-static": (near.tolerance_ratio, near.least_agreement_ratio),
    }


def test_where_the_baseline_is_out_the_first_file_stays_the_reference() -> None:
    six = {"A": 0.01, "B": 0.01, "A base": 0.01, "B base": 0.01, "A new": 0.02, "B new": 0.02}
    on = scene(six, sizes="1", variants=("base", "new"))
    on.crew.sessions["A base"] = JoulebatchError("no kernel")
    open_sessions(on.roster)
    prepare_cells(on.roster)
    check_parity(on.roster)
    assert _references(on) == dict.fromkeys(("B base", "A new", "B new"), "outputs of B base")


def test_files_are_never_compared_with_a_later_one_s_outputs() -> None:
    on = scene({"A": 0.01, "A base": 0.01, "A new": 0.01}, sizes="1", variants=("base", "new"))
    on.crew.sessions["A base"] = JoulebatchError("no kernel")
    open_sessions(on.roster)
    prepare_cells(on.roster)
    check_parity(on.roster)
    parity = on.journal.sessions["A new"].parity
    assert parity is not None
    assert (parity.status, parity.reason) == (
        "unavailable",
        "base could not be run, whose outputs are the reference",
    )


def _references(on: Scene) -> dict[str, str]:
    return {who: entry.parity.reference for who, entry in on.journal.sessions.items() if entry.parity}


def test_outputs_that_cannot_be_recorded_make_parity_unavailable_and_fail_nobody() -> None:
    on = scene({"A": 0.01, "B": 0.01}, sizes="1")
    on.crew.faults["record", "A", 1] = CellFailedError("memory", "bad_alloc")
    open_sessions(on.roster)
    prepare_cells(on.roster)
    check_parity(on.roster)
    assert on.machine.events[-1] == "record A b1"
    for name in "AB":
        parity = on.journal.sessions[name].parity
        assert parity is not None
        assert (parity.status, parity.reason, parity.max_error_ratio) == (
            "unavailable",
            "its outputs could not be recorded: out of memory: bad_alloc",
            None,
        )


def test_a_backend_that_cannot_open_costs_its_own_cells() -> None:
    on = scene({"A": 0.01, "B": 0.01}, sizes="1,2")
    on.crew.sessions["B"] = JoulebatchError("no licence")
    open_sessions(on.roster)
    assert (on.journal.sessions["B"].status, on.journal.sessions["B"].reason) == ("failed", "no licence")
    failed = on.journal.cells
    assert set(failed) == {_key("B", "b1"), _key("B", "b2")}
    assert {(cell.status, cell.reason) for cell in failed.values()} == {("failed", "no licence")}
    prepare_cells(on.roster)
    assert _prepared(on) == ["prepare A b1", "prepare A b2"]


@pytest.mark.parametrize("label", ["partial-compute", "none"])
def test_a_backend_that_fell_back_is_not_measured_under_its_name(label: str) -> None:
    on = scene({"A": 0.01, "B": 0.01})
    on.crew.sessions["B"] = Opened(0.1, {**FALLEN_BACK.placement, "label": label}, {}, 100_000_000)
    open_sessions(on.roster)
    entry = on.journal.sessions["B"]
    assert (entry.status, entry.placement, entry.heavy_on_cpu) == ("failed", label, ("Conv",))
    reason = f"placement {label} (1 nodes on X, 9 nodes on {CPU}); --allow-fallback measures it all the same"
    assert on.journal.cells[_key("B", "b1")].reason == reason
    assert list(on.roster.live) == [_key("A", "b1")]


def test_a_fallback_that_is_allowed_is_measured_and_keeps_its_label() -> None:
    on = scene({"A": 0.01}, allow_fallback=True)
    on.crew.sessions["A"] = FALLEN_BACK
    open_sessions(on.roster)
    prepare_cells(on.roster)
    assert (on.journal.sessions["A"].status, on.journal.sessions["A"].placement) == (
        "opened",
        "partial-compute",
    )
    assert list(on.roster.ready) == [_key("A", "b1")]


def test_shape_operators_on_the_cpu_are_no_fallback() -> None:
    on = scene({"A": 0.01})
    on.crew.sessions["A"] = Opened(
        0.1, {**FALLEN_BACK.placement, "label": "partial-shape-only"}, {}, 100_000_000
    )
    open_sessions(on.roster)
    assert on.journal.sessions["A"].status == "opened"
    assert on.roster.live


def test_shapes_are_run_once_ascending_whatever_their_loads() -> None:
    on = scene({"A": 0.001, "B": 0.001}, sizes="4,1", paces=("8", "2@4,1"))
    prepare_cells(on.roster)
    assert _prepared(on) == ["prepare A b1", "prepare B b1", "prepare A b4", "prepare B b4"]
    assert list(on.roster.ready) == [cell.key for cell in on.roster.plan.cells]


def test_the_first_run_of_a_shape_belongs_to_its_cell_back_to_back() -> None:
    on = scene({"A": 0.001}, paces=("8",))
    prepare_cells(on.roster)
    hot, paced = on.roster.ready[_key("A", "b1")], on.roster.ready[_key("A", "b1@8")]
    assert hot.first_inference_s == pytest.approx(0.002)
    assert paced.first_inference_s is None
    assert hot.warm_up_inferences == paced.warm_up_inferences == 2


def test_the_first_guess_is_replaced_by_what_smaller_batches_took() -> None:
    on = scene({"A": 0.5}, sizes="1,2,8")
    prepare_cells(on.roster)
    assert on.crew.predicted_s["A", 2] == pytest.approx(1.0)
    assert on.crew.predicted_s["A", 8] == pytest.approx(4.0)


@pytest.mark.parametrize("fault", [CellFailedError("memory", "2 GB"), WorkerLostError("ended by SIGSEGV")])
def test_a_batch_that_fails_takes_all_loads_of_its_shape_and_no_other(fault: JoulebatchError) -> None:
    on = scene({"A": 0.001, "B": 0.001}, sizes="1,2", paces=("2@1,2",))
    on.crew.faults["prepare", "A", 2] = fault
    prepare_cells(on.roster)
    assert set(on.journal.cells) == {_key("A", "b2"), _key("A", "b2@2")}
    assert all(cell.status == "failed" for cell in on.journal.cells.values())
    assert {cell.reason for cell in on.journal.cells.values()} == {str(fault).removesuffix(".")}
    assert len(on.roster.ready) == 6
    assert _prepared(on).count("prepare A b2") == 1


def test_a_backend_that_is_lost_takes_all_its_cells_those_that_were_ready_too() -> None:
    on = scene({"A": 0.001, "B": 0.001}, sizes="1,2,4")
    on.crew.faults["prepare", "A", 2] = BackendLostError("a fresh worker failed too: x")
    prepare_cells(on.roster)
    assert {key for key, cell in on.journal.cells.items() if cell.status == "failed"} == {
        _key("A", load) for load in ("b1", "b2", "b4")
    }
    assert set(on.roster.ready) == {_key("B", load) for load in ("b1", "b2", "b4")}
    assert "prepare A b4" not in _prepared(on)


def test_a_pace_above_capacity_is_overloaded_with_the_capacity() -> None:
    on = scene({"A": 0.2}, paces=("8", "4"))
    prepare_cells(on.roster)
    (cell,) = on.journal.cells.values()
    assert (cell.key, cell.status) == (_key("A", "b1@8"), "overloaded")
    assert cell.reason == "8 images/s asked for, capacity 5"
    assert set(on.roster.ready) == {_key("A", "b1"), _key("A", "b1@4")}


def test_a_cell_that_does_not_fit_the_budget_is_skipped_with_its_prediction() -> None:
    on = scene({"A": 1.0}, sizes="1,2,64", budget_s=60)
    prepare_cells(on.roster)
    (cell,) = on.journal.cells.values()
    assert (cell.key, cell.status) == (_key("A", "b64"), "skipped")
    assert cell.predicted_inference_s == pytest.approx(64)
    assert cell.reason.startswith("budget: needs ")
    assert set(on.roster.ready) == {_key("A", "b1"), _key("A", "b2")}
    assert "prepare A b64" not in _prepared(on)


def test_cells_are_admitted_beside_each_other_and_not_each_alone() -> None:
    # Three blocks of any of these fit 30 s; of all four they do not.
    on = scene(dict.fromkeys("ABCD", 2.0), budget_s=45)
    prepare_cells(on.roster)
    assert 0 < len(on.roster.ready) < 4
    assert {cell.status for cell in on.journal.cells.values()} == {"skipped"}
    assert len(on.roster.ready) + len(on.journal.cells) == 4


def test_a_warm_up_that_was_cut_off_is_noted() -> None:
    on = scene({"A": 0.01}, profile="standard")
    on.crew.unsteady = True
    prepare_cells(on.roster)
    assert on.journal.notes == [
        "net: A at batch 1 reached no steady state in 10 s of warm-up; rerun on a quieter machine"
    ]


def test_what_was_visited_before_a_run_went_on_stays_in_whatever_the_forecasts_say_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prepare, "available_bytes", lambda: 0)
    new = scene({"A": 0.01}, sizes="1,2", budget_s=0.01)
    small, large = new.roster.plan.cells
    so_far = ModelSoFar(
        cells={large.key: large.model_copy(update={"inferences_per_window": 10}), small.key: small}
    )
    on = scene({"A": 0.01}, sizes="1,2", budget_s=0.01, so_far=so_far)
    monkeypatch.setattr(on.roster.memory, "need_bytes", lambda backend, batch_size: 1)
    prepare_cells(on.roster)
    assert list(on.roster.ready) == [large.key]
    assert on.journal.cells[small.key].reason.startswith("budget: ")


@pytest.mark.parametrize(("budget_s", "cap_s"), [(None, 10.0), (60.0, 3.0), (6.0, 0.5)])
def test_warming_up_takes_a_tenth_of_the_budget_and_time_enough_to_be_steady(
    budget_s: float | None, cap_s: float
) -> None:
    on = scene({"A": 0.01, "B": 0.01}, profile="standard", budget_s=budget_s)
    on.crew.unsteady = True
    prepare_cells(on.roster)
    assert on.crew.warm_up_caps_s["A", 1] == pytest.approx(cap_s)
    assert ("larger --time-budget" in on.journal.notes[0]) == (budget_s is not None)


def test_a_mixed_load_is_warmed_up_after_its_sizes_and_predicted_from_them() -> None:
    on = scene({"A": 0.01}, sizes="1,2,4", mixed=True, paces=("8",))
    open_sessions(on.roster)
    prepare_cells(on.roster)
    (cell,) = (cell for cell in on.roster.ready.values() if cell.load.mixed)
    assert _prepared(on) == ["prepare A b1", "prepare A b2", "prepare A b4", "prepare A b7"]
    assert on.crew.predicted_s["A", 7] == pytest.approx(0.07)
    assert cell.first_inference_s == pytest.approx(2 * 0.07)


def test_a_mixed_load_is_skipped_where_a_size_of_it_is_not_measured_alone() -> None:
    on = scene({"A": 0.01, "B": 0.01}, sizes="1,2,4", mixed=True)
    on.crew.faults["prepare", "A", 4] = CellFailedError("memory", "bad_alloc")
    open_sessions(on.roster)
    prepare_cells(on.roster)
    cells = {cell.backend: cell for cell in on.journal.cells.values() if cell.load.mixed}
    assert (cells["A"].status, cells["A"].reason) == ("skipped", "batch 4 is not measured alone")
    assert [cell.backend for cell in on.roster.ready.values() if cell.load.mixed] == ["B"]


def test_a_pass_teaches_nothing_of_the_memory_that_a_batch_needs() -> None:
    on = scene({"A": 0.01}, sizes="1,2,4", mixed=True)
    open_sessions(on.roster)
    prepare_cells(on.roster)
    assert on.roster.memory._growths[Contender("fp32", "A")][0] == 4


def test_inputs_that_cannot_fit_memory_are_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "available_bytes", lambda: 4 * 4 * 8)  # eight samples of four floats
    on = scene({"A": 0.01}, sizes="8,9")
    open_sessions(on.roster)
    prepare_cells(on.roster)
    assert _prepared(on) == ["prepare A b8"]
    cell = on.journal.cells[_key("A", "b9")]
    assert cell.status == "skipped"
    assert cell.reason == "memory: the inputs of batch 9 alone take 0 MB, 0 MB are available"
