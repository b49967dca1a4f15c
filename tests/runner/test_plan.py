from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.backends.spec import parse_specs
from runner.config import RunConfig
from runner.durations import (
    LONGEST_SHARED_WINDOW,
    fewest_inferences,
    period_s,
    predict_inference_s,
    share_windows,
    smallest_run_s,
    visit_s,
)
from runner.errors import UsageError
from runner.manifest import TensorSpec
from runner.modelfile import Counts, ModelFile
from runner.plan import ModelPlan, load_label, make_plan, pass_of
from runner.profiles import PROFILES, profile_of
from runner.report.schema import Cell, Load


def _file(name: str = "net", batch: int | str = "batch") -> ModelFile:
    spec = TensorSpec("input", "float32", (batch, 3, 8, 8))
    return ModelFile(name, "fp32", Path(f"{name}.onnx"), "0" * 64, 1, (spec,), (spec,), None)


def _config(sizes: str = "1", **flags: Any) -> RunConfig:
    values = {"batch_sizes": sizes, "target_ci_ratio": "2%", "models_dir": Path(), "reports_dir": Path()}
    return RunConfig.read({**values, **flags})


def _plan(
    *backends: str, sizes: str = "1,2,4", batch: int | str = "batch", name: str = "net", **flags: Any
) -> ModelPlan:
    (plan,) = make_plan(
        _config(sizes, **flags), [_file(name, batch)], parse_specs(backends or ("cpu", "cpu:spin=off"))
    )
    return plan


def _cell(backend: str, batch_size: int = 1, pace_hz: float | None = None) -> Cell:
    return Cell(
        key=f"{backend}/{batch_size}@{pace_hz}",
        model="net",
        variant="fp32",
        backend=backend,
        load=Load(batch_size=batch_size, pace_hz=pace_hz),
        io="host",
        status="skipped",
    )


def test_a_queue_plans_no_time_for_gaps_before_batches_that_outlast_them() -> None:
    def added_s(queue: dict[str, Any] | None, sizes: str) -> float:
        with_gap, without = (
            _plan("cpu", sizes=sizes, gaps_s=gaps, queue=queue).predicted_s for gaps in ("10ms", "")
        )
        return with_gap - without

    calibrating = {"policies": ()}
    # Of an unknown model a batch of 2 is guessed to take less than 0.1 s, and one of 4096 more on 1000 cores.
    assert added_s(calibrating, "1,4096") == pytest.approx(added_s(calibrating, "1"))
    assert added_s(calibrating, "1,2") > 1.5 * added_s(calibrating, "1")
    assert added_s(None, "1,4096") > 100 * added_s(None, "1")


def test_the_time_of_each_variant_is_predicted_from_its_own_file() -> None:
    def predicted_s(*operations: int) -> float:
        files = [
            replace(_file(), variant=variant, counts=Counts(17, 0, count))
            for variant, count in zip(("base", "new"), operations, strict=True)
        ]
        (plan,) = make_plan(_config(), files, parse_specs(("cpu",)))
        return plan.predicted_s

    light, heavy = 1_000_000, 10**12
    assert predicted_s(light, light) < predicted_s(light, heavy) < predicted_s(heavy, heavy)
    assert predicted_s(light, heavy) == pytest.approx(predicted_s(heavy, light))


def test_every_backend_runs_every_load_ascending_back_to_back_before_paced() -> None:
    plan = _plan(sizes="4,1,2", paces=("8", "2@4,2"))
    assert list(dict.fromkeys((c.load.batch_size, c.load.pace_hz) for c in plan.cells)) == [
        (1, None),
        (2, None),
        (4, None),
        (1, 8),
        (2, 2),
        (4, 2),
    ]
    assert [c.backend for c in plan.cells] == ["cpu", "cpu:spin=off"] * 6
    assert all((c.status, c.reason) == ("skipped", "not reached") for c in plan.cells)


def test_a_backend_with_a_device_of_its_own_runs_both_ways() -> None:
    assert [c.io for c in _plan("cuda", sizes="1").cells] == ["host", "device"]


def test_a_model_with_a_fixed_batch_runs_at_that() -> None:
    plan = _plan("cpu", sizes="1,2,4", batch=3, paces=("8", "2@1,4"))
    assert [(c.load.batch_size, c.load.pace_hz) for c in plan.cells] == [(3, None), (3, 8), (3, 2)]


def test_a_bare_file_is_predicted_from_the_operations_that_were_counted_in_it() -> None:
    tensor = TensorSpec("x", "float32", ("batch", 4))
    bare = ModelFile("net", "fp32", Path("net.onnx"), "0" * 64, 1, (tensor,), (tensor,), None)
    small, large = (replace(bare, counts=Counts(18, 1, count)) for count in (10**6, 10**12))
    assert predict_inference_s(small, 1) < predict_inference_s(bare, 1) < predict_inference_s(large, 1)


labels = st.lists(
    st.sampled_from(["cpu", "A=cpu", "B=cpu", "cuda", "cpu:spin=off", "cpu:threads=1"]), unique=True
)


@given(
    labels.filter(bool), st.sets(st.integers(1, 64), min_size=1, max_size=5), st.sampled_from([(), ("2",)])
)
def test_keys_are_unique_and_say_what_they_stand_for(
    backends: list[str], sizes: set[int], paces: tuple[str, ...]
) -> None:
    cells = _plan(*backends, sizes=",".join(map(str, sizes)), paces=paces).cells
    assert len({cell.key for cell in cells}) == len(cells)
    for cell in cells:
        assert cell.key.startswith(f"net/fp32/{cell.backend}/b{cell.load.batch_size}")
        assert ("@2/" in cell.key) == (cell.load.pace_hz == 2)
        assert cell.key.endswith(f"/{cell.io}")


@given(st.integers(0, 10_000), st.integers(0, 500))
def test_a_block_is_a_permutation_that_a_seed_gives_again(seed: int, block: int) -> None:
    plan = _plan()
    order = plan.block(block, seed)
    assert sorted(cell.key for cell in order) == sorted(cell.key for cell in plan.cells)
    assert order == plan.block(block, seed)


def test_blocks_seeds_and_models_have_orders_of_their_own() -> None:
    plan = _plan(sizes="1,2,4,8")
    orders = [
        [cell.key.split("/", 1)[1] for cell in order]
        for order in (
            plan.block(0, 0),
            plan.block(1, 0),
            plan.block(0, 1),
            _plan(sizes="1,2,4,8", name="x").block(0, 0),
        )
    ]
    assert all(orders.count(order) == 1 for order in orders)


def test_every_cell_comes_first_about_equally_often() -> None:
    plan = _plan(sizes="1,2")
    firsts = [plan.block(block, 0)[0].key for block in range(400)]
    assert all(60 < firsts.count(cell.key) < 140 for cell in plan.cells)


times = st.dictionaries(st.sampled_from("abcdef"), st.floats(1e-4, 3), min_size=1)


@given(times, st.floats(0.1, 10), st.integers(1, 5))
def test_backends_of_a_load_share_one_count_unless_that_takes_four_windows(
    inference_s: dict[str, float], window_s: float, floor: int
) -> None:
    cells = [_cell(backend) for backend in inference_s]
    by_key = {cell.key: inference_s[cell.backend] for cell in cells}
    counts = share_windows(cells, by_key, window_s, floor)
    assert counts.keys() == by_key.keys()
    shared = max(counts.values())
    fastest = min(by_key, key=lambda key: by_key[key])
    assert counts[fastest] == shared
    assert shared * by_key[fastest] >= window_s * (1 - 1e-9)
    for key, count in counts.items():
        longest_s = LONGEST_SHARED_WINDOW * max(window_s, by_key[key] * floor)
        assert count >= floor
        assert (count == shared) or shared * by_key[key] > longest_s
        assert (count - 1) * by_key[key] <= longest_s  # never longer than that by a whole inference


@given(times, st.floats(0.1, 10), st.integers(1, 5), st.floats(0.5, 100), st.integers(1, 8))
def test_a_paced_window_is_whole_periods_and_the_same_for_all(
    inference_s: dict[str, float], window_s: float, floor: int, pace_hz: float, batch_size: int
) -> None:
    cells = [_cell(backend, batch_size, pace_hz) for backend in inference_s]
    counts = share_windows(cells, {c.key: inference_s[c.backend] for c in cells}, window_s, floor)
    (count,) = set(counts.values())
    period = batch_size / pace_hz
    assert count >= floor
    assert count * period >= window_s * (1 - 1e-9)
    assert count == floor or (count - 1) * period < window_s * (1 + 1e-9)


def test_loads_have_counts_of_their_own() -> None:
    cells = [_cell("a", 1), _cell("a", 8), _cell("a", 1, pace_hz=10)]
    counts = share_windows(
        cells, dict(zip((c.key for c in cells), (0.001, 0.02, 0.001), strict=True)), 0.1, 3
    )
    assert [counts[cell.key] for cell in cells] == [100, 5, 3]


def test_one_gpu_does_not_make_a_cpu_crawl() -> None:
    gpu, cpu = _cell("gpu"), _cell("cpu")
    counts = share_windows((gpu, cpu), {gpu.key: 1 / 1024, cpu.key: 0.125}, 0.125, 3)
    assert counts[gpu.key] == 128  # 16 s of the CPU
    assert counts[cpu.key] * 0.125 == LONGEST_SHARED_WINDOW * 0.125 * 3


def test_the_period_is_that_of_a_batch() -> None:
    assert period_s(Load(batch_size=4, pace_hz=8)) == pytest.approx(0.5)
    assert period_s(Load(batch_size=4, pace_hz=None)) is None
    assert fewest_inferences(_cell("a", 4, 8), 0.001, 2.0, 1) == 4


def test_a_visit_lasts_its_periods_or_its_inferences_whichever_is_longer() -> None:
    hot, paced = _cell("a"), _cell("a", 1, pace_hz=2)
    assert visit_s(hot, 0.01, 20) - visit_s(hot, 0.01, 10) == pytest.approx(0.1)
    assert visit_s(paced, 0.01, 20) - visit_s(paced, 0.01, 10) == pytest.approx(5)
    assert visit_s(paced, 0.8, 20) - visit_s(paced, 0.8, 10) == pytest.approx(8)


def test_predictions_grow_with_batches_blocks_and_cells() -> None:
    assert predict_inference_s(_file(), 8) > predict_inference_s(_file(), 1) > 0
    quick, publication = (_plan("cpu", profile=profile).predicted_s for profile in ("quick", "publication"))
    assert publication > quick
    assert _plan("cpu", "cpu:spin=off", profile="quick").predicted_s > quick
    cell = _cell("a")
    fewest = smallest_run_s([cell], {cell.key: 0.01}, PROFILES["quick"])
    assert fewest >= PROFILES["quick"].min_blocks * visit_s(cell, 0.01, 10)


@pytest.mark.parametrize("profile", PROFILES)
def test_workers_are_those_of_the_profile_unless_asked_for(profile: str) -> None:
    own = PROFILES[profile]
    assert profile_of(_config(profile=profile)) == own
    fewest = 4 if profile == "quick" else own.min_blocks
    assert profile_of(_config(profile=profile, workers=2)) == replace(own, workers=2, min_blocks=fewest)


def test_each_worker_that_is_asked_for_takes_as_many_blocks() -> None:
    quick = profile_of(_config(profile="quick", workers=12))
    assert (quick.workers, quick.min_blocks, quick.max_blocks) == (12, 12, 12)
    assert profile_of(_config(profile="publication", workers=12)).min_blocks == 36


def test_more_workers_warm_up_again_but_take_no_more_blocks() -> None:
    one, four = (replace(PROFILES["standard"], workers=workers) for workers in (1, 4))
    hot, paced = _cell("a"), _cell("a", 1, pace_hz=2)
    inference_s = {hot.key: 0.01, paced.key: 0.01}
    more_s = smallest_run_s([hot], inference_s, four) - smallest_run_s([hot], inference_s, one)
    assert more_s == pytest.approx(3 * (0.01 + 0.01)), "a first inference and one more"
    # A paced cell finds its shape warm: back to back comes before it.
    assert smallest_run_s([paced], inference_s, four) == smallest_run_s([paced], inference_s, one)


def test_each_worker_is_opened_and_warmed_up() -> None:
    one, two, five = (_plan("cpu", sizes="1", workers=workers).predicted_s for workers in (1, 2, 5))
    first_s = predict_inference_s(_file(), 1)
    assert two - one > 2 * first_s + 1  # a second at the least for starting a process and opening its session
    assert five - one == pytest.approx(4 * (two - one))


def test_a_time_budget_is_the_end_and_no_count_of_blocks_unless_the_profile_is_quick() -> None:
    assert profile_of(_config(profile="standard", time_budget_s="1m")).max_blocks == inf
    assert profile_of(_config(profile="quick")).max_blocks == PROFILES["quick"].max_blocks


def test_loads_with_gaps_are_back_to_back_loads_beside_them() -> None:
    plan = _plan("cpu", sizes="1,4", gaps_s="20ms,2ms")
    assert [load_label(cell.load) for cell in plan.cells] == [
        "b1",
        "b4",
        "b1+2ms",
        "b4+2ms",
        "b1+20ms",
        "b4+20ms",
    ]
    gapped = plan.cells[-1]
    assert visit_s(gapped, 0.01, 20) - visit_s(gapped, 0.01, 10) == pytest.approx(10 * 0.03)
    assert fewest_inferences(gapped, 0.01, 0.3, 1) == 10


def test_a_mixed_load_is_one_pass_over_the_batch_sizes_the_same_for_all() -> None:
    plan = _plan(sizes="1,2,4,8", mixed=True, paces=("8",), gaps_s="2ms")
    mixed = [cell for cell in plan.cells if cell.load.mixed]
    assert [cell.backend for cell in mixed] == ["cpu", "cpu:spin=off"]
    (load,) = {cell.load for cell in mixed}
    assert (sorted(load.mixed), load.batch_size, load.sizes) == ([1, 2, 4, 8], 15, load.mixed)
    assert mixed[0].key == f"net/fp32/cpu/mix{','.join(map(str, load.mixed))}/host"
    assert not load.is_back_to_back
    assert not load.has_gaps
    assert load.mixed != (1, 2, 4, 8), "an order that is not the one of the warm-up"
    others = _plan("cpu", sizes="1,2,4,8", mixed=True, name="another")
    assert {cell.load for cell in others.cells if cell.load.mixed} == {load}


@given(st.sets(st.integers(1, 64), min_size=2, max_size=8), st.integers(0, 2**32))
def test_a_pass_holds_every_size_once_in_an_order_that_the_seed_gives(sizes: set[int], seed: int) -> None:
    order = pass_of(sorted(sizes), seed)
    assert sorted(order) == sorted(sizes)
    assert order == pass_of(sorted(sizes), seed)


def test_a_fixed_batch_has_nothing_to_mix_and_one_batch_size_is_refused() -> None:
    assert not any(cell.load.mixed for cell in _plan(sizes="1,4", batch=2, mixed=True).cells)
    with pytest.raises(UsageError, match="Cannot use --mixed: expected two batch sizes or more, got 4"):
        _plan(sizes="4", mixed=True)


def test_a_mixed_load_takes_as_long_as_its_sizes_and_is_warmed_up_for_itself() -> None:
    plain, mixed = _plan("cpu", sizes="1,4"), _plan("cpu", sizes="1,4", mixed=True)
    (cell,) = (cell for cell in mixed.cells if cell.load.mixed)
    each_s = sum(predict_inference_s(_file(), size) for size in (1, 4))
    alone_s = smallest_run_s((cell,), {cell.key: each_s}, profile_of(_config()))
    assert alone_s > visit_s(cell, each_s, 1)
    assert mixed.predicted_s == pytest.approx(plain.predicted_s + alone_s)
