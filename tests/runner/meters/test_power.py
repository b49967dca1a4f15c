import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.meters.interface import MeterFault
from runner.meters.power import PowerTrack
from tests.runner.meters.simulated import Waveform, grid

waveforms = st.lists(st.tuples(st.floats(0.5, 1.0), st.floats(20, 700)), min_size=1, max_size=4).map(
    lambda steps: Waveform(tuple(steps))
)


def sample(wave: Waveform, times_s: tuple[float, ...], period_s: float) -> PowerTrack:
    track = PowerTrack("GPU-0", period_s)
    for at_s in times_s:
        track.add(at_s, wave.power_w(at_s))
    return track


def test_power_is_held_from_each_sample_to_the_next_and_out_to_both_edges() -> None:
    track = PowerTrack("GPU-0", 0.1)
    for second in range(12):
        track.add(float(second), 100.0 if second < 6 else 300.0)
    energy_j, _ = track.energy(0.25, 10.5)
    assert energy_j == pytest.approx(5.75 * 100 + 4.5 * 300)


def test_equal_samples_are_not_dropped() -> None:
    track = PowerTrack("GPU-0", 0.1)
    for at_s in grid(0.1, 3.0):
        track.add(at_s, 250.0)
    energy_j, bound_j = track.energy(0.5, 2.5)
    assert energy_j == pytest.approx(500.0)
    assert bound_j == 0.0


@given(
    wave=waveforms,
    late=st.lists(st.floats(0, 0.9), min_size=1, max_size=7),
    edges_s=st.tuples(st.floats(0.2, 1.0), st.floats(3.0, 4.0)),
)
def test_the_integral_follows_the_closed_form(
    wave: Waveform, late: list[float], edges_s: tuple[float, float]
) -> None:
    track = sample(wave, grid(0.01, 4.5, late), 0.1)
    energy_j, _ = track.energy(*edges_s)
    # Zero-order hold misplaces each step of the wave by at most the time between two samples.
    powers_w = [power_w for _, power_w in wave.steps]
    steps = 4.5 / 0.5 + 1
    assert abs(energy_j - wave.between(*edges_s)) <= steps * 0.02 * (max(powers_w) - min(powers_w)) + 1e-6


def test_the_bound_is_twice_the_period_times_the_range_of_power() -> None:
    track = sample(Waveform(((1.0, 100.0), (1.0, 300.0))), grid(0.01, 4.0), 0.1)
    assert track.energy(0.5, 3.5)[1] == pytest.approx(2 * 0.1 * 200)


@pytest.mark.parametrize(
    ("edges_s", "reason"), [((0.0, 2.0), "not sampled before"), ((0.5, 0.595), "below resolution: 9 samples")]
)
def test_too_few_samples_have_no_figure(edges_s: tuple[float, float], reason: str) -> None:
    track = sample(Waveform(((1.0, 100.0),)), grid(0.01, 4.0), 0.1)
    with pytest.raises(MeterFault, match=reason):
        track.energy(*edges_s)
