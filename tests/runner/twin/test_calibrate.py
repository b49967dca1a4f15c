from dataclasses import dataclass, field, replace
from math import log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from runner.arrivals.registry import parse_arrivals
from runner.policies.registry import parse_policy
from runner.report.assemble import Assembled, collect
from runner.report.derive import derive
from runner.report.evidence import figure_windows
from runner.twin.calibrate import calibrate, what_to_run
from runner.twin.calibration import Calibration, Uncalibrated
from runner.twin.service import Counts, Floats, Rows, Service
from runner.twin.simulate import simulate
from tests.fakes import make_journal
from tests.runner.twin.synthetic import (
    GAPS_S,
    SIZES,
    Run,
    Server,
    affine_s,
    calibrated,
    calibrated_of,
    measure,
    spinning,
)


def noisy(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return rng.gamma(25, 1 / 25, count)


def warming_s(count: int, gap_s: float) -> float:
    """Services are slower after a gap, the more the longer it was, up to a point."""
    return affine_s(count, gap_s) * (1 + 0.1 * log1p(1000 * min(gap_s, 0.2)))


def test_means_at_measured_points_are_those_of_the_windows() -> None:
    server = Server(time_s=warming_s, cost=spinning(warming_s), noise=noisy, wander=0.1)
    measured = measure({"cpu": server})
    calibration = calibrated_of(measured, "cpu")
    assert isinstance(calibration, Calibration)
    for cell in measured.report.cells:
        places = figure_windows(measured.report.windows)[cell.key]
        latency_s = np.mean([measured.latencies_s[place] for place in places])
        cost = np.mean([measured.report.windows[place].cpu_s / 30 for place in places])
        at = (cell.load.batch_size, cell.load.gap_s)
        assert calibration.mean_service_s(*at) == pytest.approx(latency_s, rel=1e-9)
        assert calibration.mean_cost(*at) == pytest.approx(cost, rel=1e-9)


@given(st.integers(1, SIZES[-1]), st.floats(0, 1))
def test_means_of_an_affine_server_are_exact_between_all_batch_sizes(count: int, gap_s: float) -> None:
    assert AFFINE.error_ratio == pytest.approx(0, abs=1e-12)
    assert AFFINE.mean_service_s(count, gap_s) == pytest.approx(affine_s(count, gap_s), rel=1e-9)


@given(st.integers(1, SIZES[-1]), st.floats(0, 1))
def test_threads_that_spin_for_a_while_cost_the_same_between_all_gaps(count: int, gap_s: float) -> None:
    assert AFFINE.mean_cost(count, gap_s) == pytest.approx(spinning(affine_s)(count, gap_s), rel=1e-9)


AFFINE = calibrated(Server())


def test_latency_between_gaps_is_linear_below_the_smallest_and_in_the_logarithm_above() -> None:
    calibration = calibrated(Server(time_s=lambda count, gap_s: 0.01 + 0.1 * gap_s, cost=lambda *_: 0.1))
    assert calibration.mean_service_s(1, 0.001) == pytest.approx(0.0101)
    halfway_s = (0.002 * 0.02) ** 0.5
    assert calibration.mean_service_s(1, halfway_s) == pytest.approx((0.0102 + 0.012) / 2)
    assert calibration.mean_service_s(1, 0.2) == pytest.approx(0.03)
    assert calibration.mean_service_s(1, 5.0) == pytest.approx(0.03)
    assert calibration.longest_gap_s == 0.2


def test_latency_does_not_jump_anywhere() -> None:
    server = Server(time_s=warming_s, cost=spinning(warming_s))
    calibration = calibrated(replace(server, paces=((1, 10.0), (4, 10.0))))
    for gap_s in (*GAPS_S[1:], *calibration.surface.edges_s[1:]):
        for means in (calibration.mean_service_s, calibration.mean_cost):
            for count in (1, 3, 8):
                assert means(count, gap_s * (1 - 1e-9)) == pytest.approx(means(count, gap_s), rel=1e-6)


def power_law_s(count: int, gap_s: float) -> float:
    return 0.002 * float(count**0.5)


def test_the_error_of_interpolation_is_that_of_the_worst_inner_size_left_out() -> None:
    server = Server(time_s=power_law_s, cost=spinning(power_law_s), gaps_s=(0.0, 0.02))
    calibration = calibrated(server)
    expected = max(
        abs((low**0.5 + (own - low) / (high - low) * (high**0.5 - low**0.5)) / own**0.5 - 1)
        for low, own, high in ((1, 2, 4), (2, 4, 8))
    )
    assert calibration.error_ratio == pytest.approx(expected)
    # The promise: sizes that lie between are within it.
    for count in range(1, 9):
        assert calibration.mean_service_s(count, 0.0) == pytest.approx(power_law_s(count, 0), rel=expected)
    assert calibrated(replace(server, sizes=(1, 2, 3, 4))).error_ratio == 0


def joules(count: int, gap_s: float) -> float:
    """40 W in service, 30 W while threads spin, 10 W at rest."""
    return 40 * affine_s(count, gap_s) + 30 * min(gap_s, 0.05) + 10 * max(gap_s - 0.05, 0)


LAST_SLOPE_W = (joules(1, 0.2) - joules(1, 0.02)) / 0.18


@pytest.mark.parametrize(
    ("idle_w", "rest_w"),
    [((("before", 9.0), ("loaded", 10.0)), 10.0), ((("before", 9.0),), 9.0), ((), LAST_SLOPE_W)],
)
def test_energy_beyond_the_longest_gap_is_the_power_of_the_loaded_machine_at_rest(
    idle_w: tuple[tuple[str, float], ...], rest_w: float
) -> None:
    calibration = calibrated(Server(energy_j=joules), Run(idle_w=idle_w))
    assert calibration.metric == "energy_per_image"
    assert calibration.mean_cost(4, 0.2) == pytest.approx(joules(4, 0.2))
    assert calibration.mean_cost(4, 1.2) == pytest.approx(joules(4, 0.2) + rest_w)


def test_energy_between_gaps_is_exact_where_rest_follows_spinning() -> None:
    calibration = calibrated(Server(energy_j=joules), Run(idle_w=(("loaded", 10.0),)))
    for gap_s in (0.001, 0.01, 0.03, 0.05, 0.1, 0.3):
        for count in (1, 3, 8):
            assert calibration.mean_cost(count, gap_s) == pytest.approx(joules(count, gap_s))


def test_a_pace_gives_the_gap_that_it_leaves_and_gaps_nearly_alike_are_one() -> None:
    paced = calibrated(Server(gaps_s=(0.0,), paces=((1, 10.0), (2, 10.0), (4, 10.0))))
    assert paced.sizes == (1, 2, 4)
    assert [paced.curves[size].gaps_s[1] for size in paced.sizes] == pytest.approx([0.094, 0.192, 0.388])
    both = calibrated(Server(paces=((1, 1 / 0.205), (2, 2.0))))
    assert both.curves[1].gaps_s == pytest.approx(GAPS_S, rel=0.01)
    assert both.curves[2].gaps_s == pytest.approx((*GAPS_S, 0.992))


def changed(measured: Assembled, key_part: str, **facts: object) -> Assembled:
    """Return a report in which all cells whose key has this part are otherwise."""
    cells = tuple(
        cell.model_copy(update=facts) if key_part in cell.key else cell for cell in measured.report.cells
    )
    return Assembled(measured.report.model_copy(update={"cells": cells}), measured.latencies_s)


def lacking(measured: Assembled) -> tuple[str, tuple[int, ...]]:
    found = calibrated_of(measured, "cpu")
    assert isinstance(found, Uncalibrated)
    return found.reason, found.sizes


def test_cells_that_failed_are_no_calibration() -> None:
    measured = measure({"cpu": Server()})
    found = calibrated_of(changed(measured, "/b4@None+0.0/", status="failed"), "cpu")
    assert isinstance(found, Calibration)
    assert found.sizes == (1, 2, 8)
    found = calibrated_of(changed(measured, "/b4@None+0.02/", status="overloaded"), "cpu")
    assert isinstance(found, Calibration)
    assert found.curves[4].gaps_s.tolist() == [0.0, 0.002, 0.2]


def slow_s(count: int, gap_s: float) -> float:
    """A batch of 4 lasts 1.4 s and one of 8 2.6 s; a gap adds 3 ms to each."""
    return 0.2 + 0.3 * count + 0.003 * (gap_s > 0)


SLOW = Server(time_s=slow_s, cost=spinning(slow_s))


def without_gaps(measured: Assembled, *sizes: int) -> Assembled:
    """Return a report in which these batch sizes were measured back to back alone."""
    for size in sizes:
        for gap_s in GAPS_S[1:]:
            measured = changed(measured, f"/b{size}@None+{gap_s}/", status="skipped")
    return measured


def test_a_batch_that_outlasts_the_gaps_takes_what_they_add_from_a_smaller_one() -> None:
    whole = calibrated_of(measure({"cpu": SLOW}), "cpu")
    found = calibrated_of(without_gaps(measure({"cpu": SLOW}), 4, 8), "cpu")
    assert isinstance(whole, Calibration)
    assert isinstance(found, Calibration)
    assert found.sizes == SIZES
    for size in (4, 5, 8):
        for gap_s in (0.0, 0.001, 0.02, 0.2, 3.0):
            assert found.mean_service_s(size, gap_s) == pytest.approx(whole.mean_service_s(size, gap_s))
            assert found.mean_cost(size, gap_s) == pytest.approx(whole.mean_cost(size, gap_s))


def test_a_batch_in_which_gaps_would_show_is_no_calibration_without_them() -> None:
    found = calibrated_of(without_gaps(measure({"cpu": Server()}), 8), "cpu")
    assert isinstance(found, Calibration)
    assert found.sizes == (1, 2, 4)
    # Batch 2 lasts 0.8 s, less than five times the longest gap of 0.2 s.
    found = calibrated_of(without_gaps(measure({"cpu": SLOW}), 2, 4, 8), "cpu")
    assert isinstance(found, Calibration)
    assert found.sizes == (1, 4, 8)
    # What 80 ms at a pace of 2/s add says nothing of longer gaps.
    paced = Server(time_s=slow_s, cost=spinning(slow_s), gaps_s=(0.0,), paces=((1, 1 / 0.58),))
    short = calibrated_of(measure({"cpu": paced}), "cpu")
    assert isinstance(short, Calibration)
    assert short.sizes == (1,)
    assert lacking(without_gaps(measure({"cpu": SLOW}), 1)) == (
        "batch size 1 was not measured both back to back and after idle gaps",
        SIZES,
    )


def test_only_the_windows_that_figures_are_made_of_count() -> None:
    measured = measure({"cpu": Server()})
    windows = tuple(
        window.model_copy(update={"paired": False, "repeated_by": 9, "cpu_s": 99.0})
        if window.block == 3
        else window
        for window in measured.report.windows
    )
    report = measured.report.model_copy(update={"windows": windows})
    found = calibrated_of(Assembled(report, measured.latencies_s), "cpu")
    assert isinstance(found, Calibration)
    assert found.mean_cost(1, 0.0) == pytest.approx(2 * affine_s(1, 0))
    assert found.windows.blocks == (0, 1, 2, 4, 5, 6, 7, 8, 9)


def test_what_a_twin_lacks_is_said_with_the_sizes_to_measure() -> None:
    default = (1, 2, 4, 8, 16, 32)
    no_gaps = "no batch size was measured both back to back and after idle gaps"
    assert lacking(measure({"cpu": Server(gaps_s=(0.0,))})) == (no_gaps, SIZES)
    assert lacking(measure({"cpu": Server(gaps_s=(0.02,))})) == (no_gaps, SIZES)
    assert lacking(measure({"cpu": Server(sizes=(2, 4, 8))})) == (
        "batch size 1 was not measured both back to back and after idle gaps",
        SIZES,
    )
    assert lacking(measure({"cpu": Server(sizes=(1, 8))})) == (
        "batch sizes between 1 and 8 would be interpolated from these two alone",
        default,
    )
    assert lacking(measure({"cpu": Server()}, Run(blocks=2))) == (
        "measured in 2 blocks, and 3 are the least",
        SIZES,
    )
    measured = measure({"torch": Server()})
    assert lacking(measured) == ("nothing was measured with io=host", default)


def test_what_to_run_names_backends_as_they_were_written() -> None:
    report = measure({"A": Server(), "B": Server()}, Run(blocks=1)).report
    first = report.backends[0].model_copy(update={"spec": "A=cpu:spin=off"})
    changed_report = report.model_copy(update={"backends": (first, report.backends[1])})
    assert what_to_run(changed_report, "alexnet", ("A", "B"), (1, 8)) == (
        "Run: joulebatch run -m alexnet --backend A=cpu:spin=off --backend B --batch-sizes 1,8 "
        "--gaps 2ms,20ms,100ms"
    )


def test_what_to_run_names_files_and_shapes_as_they_were_given() -> None:
    report = measure({"A": Server()}, Run(blocks=1)).report

    def asked(files: tuple[str, ...], **config: object) -> str:
        asked_for = report.provenance.model_copy(update={"config": {"onnx_files": files, **config}})
        text = what_to_run(
            report.model_copy(update={"provenance": asked_for}), "alexnet", ("A",), (1,), ("base", "new")
        )
        return text.partition(" --backend")[0]

    given = {"shapes": {"x": (3, 8)}, "input_values": {"a b": "0:3"}}
    pair = ("base=old/alexnet.onnx", "new=my nets/alexnet.onnx")
    assert asked(pair, **given) == (
        "Run: joulebatch run --onnx base=old/alexnet.onnx --onnx 'new=my nets/alexnet.onnx' "
        "--shape x=3x8 --input 'a b=0:3'"
    )
    assert asked(("alexnet.onnx",)) == "Run: joulebatch run --onnx alexnet.onnx"
    # Whose inputs these are, nobody knows without reading the files.
    assert asked(("alexnet.onnx", "net.onnx"), **given) == "Run: joulebatch run --onnx alexnet.onnx"
    assert asked(("net.onnx",)) == "Run: joulebatch run -m alexnet --variant base --variant new"


def test_one_size_alone_is_a_twin_of_batches_of_one() -> None:
    alone = calibrated(Server(sizes=(1,)))
    assert (alone.sizes, alone.error_ratio) == ((1,), 0)
    times_s, _ = alone.start(3, np.random.default_rng(0)).draw(
        np.arange(3), np.ones(3, np.int64), np.zeros(3)
    )
    assert times_s == pytest.approx(affine_s(1, 0), rel=0.05)


def counted(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Latencies that tell their place in the window."""
    return 1 + np.arange(count) / 1000


def test_a_server_reads_a_window_in_order_and_then_another_block() -> None:
    calibration = calibrated(Server(noise=counted, wander=0.3), Run(workers=3))
    rows = np.arange(200)
    server = calibration.start(rows.size, np.random.default_rng(1))
    ones, none = np.ones(rows.size, np.int64), np.zeros(rows.size)
    times_s = np.array([server.draw(rows, ones, none)[0] for _ in range(300)])
    own_s = calibration.windows.relative[: 30 * 10].reshape(10, 30) * calibration.mean_service_s(1, 0)
    block, place = np.unravel_index(np.abs(own_s.ravel() - times_s[..., None]).argmin(axis=2), own_s.shape)
    assert np.abs(own_s[block, place] - times_s).max() < 1e-12
    assert ((place[1:] - place[:-1]) % 30 == 1).all()
    assert not (block[1:] != block[:-1])[place[1:] > 0].any()
    assert max(len(set(of_row)) for of_row in block.T) < 10
    used = np.bincount(block.ravel(), minlength=10) / block.size
    assert used == pytest.approx(np.full(10, 0.1), abs=0.03)


def test_batches_of_one_block_share_its_speed() -> None:
    calibration = calibrated(Server(wander=0.3))
    rows = np.arange(500)
    server = calibration.start(rows.size, np.random.default_rng(1))
    small_s, _ = server.draw(rows, np.ones(rows.size, np.int64), np.zeros(rows.size))
    large_s, _ = server.draw(rows, np.full(rows.size, 8), np.full(rows.size, 0.02))
    assert np.corrcoef(small_s, large_s)[0, 1] > 0.8


@dataclass
class Recorder:
    """Servers that keep what they were asked and what they answered."""

    service: Service
    drawn: list[tuple[Counts, Floats, Floats, Floats]] = field(default_factory=list)

    def start(self, rows: int, rng: np.random.Generator) -> "Recorder":
        self.servers = self.service.start(rows, rng)
        return self

    def draw(self, rows: Rows, counts: Counts, idle_s: Floats) -> tuple[Floats, Floats]:
        service_s, cost = self.servers.draw(rows, counts, idle_s)
        self.drawn.append((counts, idle_s, service_s, cost))
        return service_s, cost


@pytest.mark.parametrize("spec", ["greedy:1", "greedy:8", "fixed:3", "timeout:8@30ms"])
def test_costs_are_conserved(spec: str) -> None:
    """What a simulation spends is its services at their power and its idle gaps at theirs, whatever they are."""
    server = Server(energy_j=joules, noise=noisy)
    recorder = Recorder(calibrated(server, Run(blocks=30, workers=3, idle_w=(("loaded", 10.0),))))
    arrivals = parse_arrivals("poisson").chunks(20.0, 20, 500, np.random.default_rng(3))
    figures = simulate(parse_policy(spec).policy(), recorder, arrivals, 1200, np.random.default_rng(4))
    counts, idle_s, service_s, cost_j = map(np.concatenate, zip(*recorder.drawn, strict=True))
    assert figures.cost.sum() == pytest.approx(cost_j.sum())
    assert figures.busy_s.sum() == pytest.approx(service_s.sum())
    assert figures.idle_s.sum() == pytest.approx(idle_s.sum())
    expected_j = 40 * service_s + 30 * np.minimum(idle_s, 0.05) + 10 * np.maximum(idle_s - 0.05, 0)
    # In the windows energy does not follow the scatter of latencies, so that single batches differ, and sums hardly do.
    assert cost_j.sum() == pytest.approx(expected_j.sum(), rel=0.01)
    for each in np.unique(counts):
        chosen = counts == each
        if chosen.sum() > 500:
            assert cost_j[chosen].sum() == pytest.approx(expected_j[chosen].sum(), rel=0.02)


def test_a_mixed_load_calibrates_nothing() -> None:
    lines = make_journal(("alexnet",), ("cpu",), (1, 4), mixed=(4, 1), inferences=30)
    with_it = collect(lines)
    report = derive(with_it.report, with_it.latencies_s)
    found = calibrate(report, with_it.latencies_s, "alexnet", "fp32", "cpu", ())
    assert isinstance(found, Uncalibrated)
    assert 5 not in found.sizes
