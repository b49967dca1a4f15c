from dataclasses import replace

import pytest

from runner.meters.interface import Energy, Estimated, Measured, Unavailable
from runner.report.evidence import Evidence, energy_ranks
from runner.report.figures import summarise
from runner.report.joules import Metering
from runner.report.schema import Cell, CellSummary, EnergySummary, IdleWindow, Load, Window

CELL = Cell(
    key="m/fp32/cpu/b4/host",
    model="m",
    variant="fp32",
    backend="cpu",
    load=Load(batch_size=4, pace_hz=None),
    io="host",
    status="measured",
)
METERING = Metering("cpu", ("cpu_package", "dram"))
LATENCIES_S = (0.10, 0.11, 0.10, 0.12)


def package(energy_j: float, sampled_ratio: float | None = None) -> Measured:
    return Measured("cpu_package", "pyRAPL", energy_j, 0.1, sampled_ratio=sampled_ratio)


def dram(energy_j: float) -> Measured:
    return Measured("dram", "pyRAPL", energy_j, 0.1)


def window(number: int, *energy: Energy, latency_s: float = 0.1) -> Window:
    return Window(
        cell=CELL.key,
        block=number,
        paired=True,
        started_s=float(number),
        wall_s=0.5,
        inference_count=5,
        latency_mean_s=latency_s,
        cpu_s=0.5,
        energy=energy,
    )


def idle(moment: str, *energy: Energy) -> IdleWindow:
    return IdleWindow.model_validate(
        {
            "moment": moment,
            "model": None,
            "started_s": 0.0,
            "wall_s": 30.0,
            "foreign_cpu_s": 0.1,
            "energy": energy,
        }
    )


def energy_of(windows: tuple[Window, ...], *resting: IdleWindow) -> EnergySummary:
    energy = summarise(CELL, windows, (LATENCIES_S,), replace(METERING, idle=resting)).energy
    assert energy is not None
    return energy


WINDOWS = tuple(window(number, package(20 + number), dram(2)) for number in range(3))
"""gross 22, 23 and 24 J for 20 images in 0.5 s"""


def test_net_energy_leaves_out_what_the_resting_machine_draws_in_that_time() -> None:
    # 4.0 W before and 4.1 W after, memory included: 2.025 J in half a second.
    found = energy_of(WINDOWS, idle("before", package(90), dram(30)), idle("after", package(93), dram(30)))
    net, gross = found.net_per_image_j, found.per_image_j
    assert net is not None
    assert gross.low is not None
    assert (net.mean, gross.mean) == pytest.approx(((23 - 2.025) / 20, 23 / 20))
    assert net.low == pytest.approx(gross.low - 2.025 / 20)
    assert found.net_reliable


@pytest.mark.parametrize(("after_j", "reliable"), [(126, True), (127, False), (115, True), (113, False)])
def test_net_energy_is_unreliable_when_idle_power_moved_by_more_than_5_percent(
    after_j: float, reliable: bool
) -> None:
    resting = idle("before", package(90), dram(30)), idle("after", package(after_j - 30), dram(30))
    assert energy_of(WINDOWS, *resting).net_reliable is reliable


def test_an_interrupted_run_has_net_energy_from_before_alone_and_unreliable() -> None:
    found = energy_of(WINDOWS, idle("before", package(90), dram(30)))
    assert found.net_per_image_j is not None
    assert found.net_per_image_j.mean == pytest.approx((23 - 2) / 20)
    assert not found.net_reliable


@pytest.mark.parametrize(
    "resting",
    [
        (),
        (idle("after", package(90), dram(30)),),
        (idle("loaded", package(90), dram(30)),),
        (idle("before", package(90)), idle("after", package(90), dram(30))),
        (idle("before", package(90), Unavailable("dram", "not read")),),
        (idle("before", Estimated("cpu_package", "cpu-watts", 90, 45, 180), dram(30)),),
    ],
)
def test_without_idle_power_of_exactly_these_domains_before_there_is_no_net_energy(
    resting: tuple[IdleWindow, ...],
) -> None:
    found = energy_of(WINDOWS, *resting)
    assert (found.net_per_image_j, found.net_reliable) == (None, False)


def test_domains_that_the_energy_does_not_count_are_not_taken_from_it() -> None:
    windows = tuple(window(number, package(20)) for number in range(3))
    gpu = Measured("gpu", "nvml-counter", 3000, 1)
    found = energy_of(windows, idle("before", package(90), dram(30), gpu))
    assert found.net_per_image_j is not None
    assert found.net_per_image_j.mean == pytest.approx((20 - 1.5) / 20)


def test_several_baselines_of_a_moment_are_averaged() -> None:
    found = energy_of(WINDOWS, idle("before", package(90), dram(30)), idle("before", package(150), dram(30)))
    assert found.net_per_image_j is not None
    assert found.net_per_image_j.mean == pytest.approx((23 - 2.5) / 20)


def test_sampled_power_is_compared_with_the_counter_where_both_were_read() -> None:
    ratios = (0.9, None, 1.0)
    windows = tuple(window(number, package(20, ratio), dram(1)) for number, ratio in enumerate(ratios))
    assert energy_of(windows).sampled_ratio == pytest.approx(0.95)
    assert energy_of(WINDOWS).sampled_ratio is None


def test_the_bound_is_the_worst_windows_over_what_it_counts() -> None:
    gpu = Measured("gpu", "nvml-counter", 3000, 500)
    windows = (window(0, package(20), dram(5), gpu), window(1, package(7), dram(1), gpu))
    assert energy_of(windows).bound_ratio == pytest.approx(0.2 / 8)


def test_an_estimate_has_no_net() -> None:
    windows = (window(0, Estimated("cpu_package", "cpu-watts", 10, 5, 20)),)
    found = energy_of(windows, idle("before", package(90), dram(30)), idle("after", package(90), dram(30)))
    assert (found.status, found.net_per_image_j, found.bound_ratio) == ("estimated", None, None)


def summary_of(latencies_s: list[float]) -> CellSummary:
    windows = [window(number, latency_s=each) for number, each in enumerate(latencies_s)]
    return summarise(CELL, windows, (LATENCIES_S,), METERING)


def test_a_steady_cell_says_how_much_it_varies_and_nothing_else() -> None:
    summary = summary_of([0.10, 0.11, 0.10, 0.11] * 3)
    assert summary.variation_ratio == pytest.approx(0.0497, abs=0.001)
    assert (summary.outlier_count, summary.unstable) == (0, "")
    assert summary_of([0.1]).variation_ratio is None


def test_outliers_are_counted_and_stay_in_the_mean() -> None:
    summary = summary_of([0.10, 0.101, 0.102, 0.103, 0.104, 0.2])
    assert summary.outlier_count == 1
    assert summary.latency_s.mean == pytest.approx(0.71 / 6)


def test_an_unstable_cell_says_why_and_what_to_do() -> None:
    summary = summary_of([0.1 * 1.1**number for number in range(12)])
    assert summary.unstable.startswith("it grew slower throughout: ")
    assert "; its windows scatter by more than 10 %: " in summary.unstable
    assert "--profile publication" in summary.unstable


def test_a_device_that_no_meter_reads_has_no_energy_and_ranks_by_none() -> None:
    gpu = Measured("gpu", "nvml-counter", 3000, 1)
    windows = tuple(window(number, package(10.0), dram(1.0), gpu) for number in range(3))
    metering = Metering("other", ("cpu_package", "dram", "gpu"))
    summary = summarise(CELL, windows, (LATENCIES_S,), metering)
    assert summary.energy is None
    read = CELL.model_copy(update={"summary": summarise(CELL, windows, (LATENCIES_S,), METERING)})
    assert energy_ranks(Evidence((read,), {}, {}, {"cpu": "cpu"}, all_gpus_counted=True), [read])
    assert not energy_ranks(Evidence((read,), {}, {}, {"cpu": "other"}, all_gpus_counted=True), [read])
