"""What ``benchmarks.meters`` claims, on little data; what a run costs is for the benchmark alone."""

from itertools import pairwise

import pytest

from benchmarks import integrators, meters
from benchmarks.powercap_writer import ZONES, energy_j
from benchmarks.waveforms import WAVEFORMS, Waveform
from runner.clock import SystemClock
from runner.meters.interface import Unavailable
from runner.meters.recorder import MeterSet


@pytest.mark.parametrize("waveform", WAVEFORMS, ids=lambda waveform: waveform.name)
def test_the_closed_forms_are_the_integrals_of_their_power(waveform: Waveform) -> None:
    step_s = 1e-4
    for started_s, ended_s in pairwise((0.0, 0.3, 1.1, 2.5)):
        middles = (started_s + (n + 0.5) * step_s for n in range(round((ended_s - started_s) / step_s)))
        summed_j = sum(waveform.power_w(at_s) for at_s in middles) * step_s
        assert waveform.between(started_s, ended_s) == pytest.approx(summed_j, rel=1e-3)


@pytest.mark.parametrize("waveform", WAVEFORMS, ids=lambda waveform: waveform.name)
def test_our_integrators_follow_every_waveform(waveform: Waveform) -> None:
    assert abs(integrators.power_error_ratio(waveform, meters.SAMPLE_S)) <= meters.GOAL_ERROR_RATIO
    assert abs(integrators.counter_error_ratio(waveform)) <= meters.GOAL_ERROR_RATIO


def test_unwrapping_is_right_within_a_unit() -> None:
    assert 0 < integrators.unwrap_error_units(300) <= meters.GOAL_UNITS


def test_aligned_windows_are_better_than_unaligned_ones() -> None:
    unaligned, aligned = integrators.alignment_errors(
        WAVEFORMS[:1], integrators.GPU_STEP_J, integrators.GPU_PERIOD_S, 2.0
    )
    assert unaligned > 20 * aligned > 0


def test_the_writers_power_is_a_sine_around_its_mean() -> None:
    _, mean_w = ZONES[0]
    powers_w = [(energy_j(mean_w, (n + 1) / 100) - energy_j(mean_w, n / 100)) * 100 for n in range(1000)]
    assert sum(powers_w) / len(powers_w) == pytest.approx(mean_w, rel=0.001)
    assert min(powers_w) == pytest.approx(0.5 * mean_w, rel=0.01)
    assert max(powers_w) == pytest.approx(1.5 * mean_w, rel=0.01)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((0.001, 1.0, 0.005), 0),
        ((0.0011, 1.0, 0.005), 1),
        ((-0.0011, 1.0, 0.005), 1),
        ((0.0, 1.1, 0.005), 1),
        ((0.0, 1.0, 0.0051), 1),
    ],
)
def test_the_exit_code_is_the_goals(
    found: tuple[float, float, float],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error_ratio, units, core_ratio = found
    monkeypatch.setattr("sys.argv", ["meters", "--seconds", "0.1"])
    monkeypatch.setattr(integrators, "HAS_ZEUS", False)
    monkeypatch.setattr(integrators, "power_error_ratio", lambda *_: error_ratio)
    monkeypatch.setattr(integrators, "alignment_errors", lambda *_: (0.1, 0.01))
    monkeypatch.setattr(integrators, "unwrap_error_units", lambda _: units)
    monkeypatch.setattr(meters, "pyrapl_reads", meters.powercap_reads)  # pyRAPL leaves files open
    monkeypatch.setattr(meters, "poller_ratio", lambda *_: core_ratio)
    assert meters.main() == code
    printed = capsys.readouterr().out
    assert printed.count("MISSED") == code
    assert printed.count(": met") == 3 - code
    assert "zeus SKIPPED: it is not installed; pip install zeus==" in printed


def test_a_window_without_a_figure_is_no_proof_of_a_cheap_poller() -> None:
    class Blind(MeterSet):
        def end(self, started_s: float, ended_s: float) -> tuple[Unavailable, ...]:
            return (Unavailable("gpu", "blind"),)

    with Blind((), (), SystemClock()) as blind, pytest.raises(RuntimeError, match="prove nothing"):
        meters.poller_ratio(blind, 0.01, 0.01)
