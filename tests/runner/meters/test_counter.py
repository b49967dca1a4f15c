import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.meters.counter import Counter, CounterTrack, Reading
from runner.meters.interface import MeterFault
from tests.runner.meters.simulated import Waveform, grid

STEP_COUNTS = 61
STEP_J = STEP_COUNTS * 1e-6
MODULUS = STEP_COUNTS * 2**20  # 64 J, so that a window wraps several times
MAX_POWER_W = 250.0


def make_counter(update_period_s: float, modulus: int | None = MODULUS) -> Counter:
    return Counter("package-0", 1e-6, STEP_J, update_period_s, modulus, MAX_POWER_W)


def shown(energy_j: float, modulus: int | None = MODULUS) -> int:
    """Return what a counter shows: whole steps, wrapped."""
    counts = int(energy_j / STEP_J) * STEP_COUNTS
    return counts if modulus is None else counts % modulus


def observe(wave: Waveform, counter: Counter, polls_s: tuple[float, ...], start_j: float) -> CounterTrack:
    """Return a track of a counter that updates on its own beat and is read on another."""
    track = CounterTrack(counter)
    for at_s in polls_s:
        updated_s = math.floor(at_s / counter.update_period_s) * counter.update_period_s
        track.add(Reading(at_s, 0.0, shown(start_j + wave.energy_j(updated_s))))
    return track


powers_w = st.floats(5, MAX_POWER_W - 50)
waveforms = st.lists(st.tuples(st.floats(0.5, 1.0), powers_w), min_size=1, max_size=4).map(
    lambda steps: Waveform(tuple(steps))
)
late = st.lists(st.floats(0, 0.9), min_size=1, max_size=7)


@given(
    wave=waveforms,
    periods_s=st.sampled_from([(0.001, 0.01), (0.001, 0.1), (0.02, 0.01), (0.1, 0.01)]),
    late=late,
    edges_s=st.tuples(st.floats(0.4, 1.0), st.floats(3.0, 4.0)),
    start_j=st.floats(0, 1e6),
)
def test_a_window_is_right_within_its_own_bound(
    wave: Waveform,
    periods_s: tuple[float, float],
    late: list[float],
    edges_s: tuple[float, float],
    start_j: float,
) -> None:
    update_period_s, poll_s = periods_s
    track = observe(wave, make_counter(update_period_s), grid(poll_s, 4.5, late), start_j)
    energy_j, bound_j = track.energy(*edges_s)
    assert abs(energy_j - wave.between(*edges_s)) <= bound_j + 1e-9


@given(
    load_w=st.floats(50, MAX_POWER_W - 50),
    rest_ratio=st.floats(0, 0.9),
    periods_s=st.sampled_from([(0.001, 0.01), (0.001, 0.1), (0.02, 0.01), (0.1, 0.01)]),
    last_s=st.floats(0.001, 0.1),
    seen_s=st.floats(0.0005, 0.02),
)
def test_the_bound_holds_where_load_ends_with_the_window(
    load_w: float, rest_ratio: float, periods_s: tuple[float, float], last_s: float, seen_s: float
) -> None:
    # The last poll before the end may be long ago, and the first after it sees both powers in one change.
    update_period_s, poll_s = periods_s
    wave = Waveform(((2.0, load_w), (2.0, rest_ratio * load_w)))
    last_s = min(last_s, poll_s)
    polls_s = (
        *grid(poll_s, 2.0 - last_s),
        2.0 - last_s,
        *(2.0 + seen_s + each_s for each_s in (0.0, *grid(poll_s, 0.3))),
    )
    energy_j, bound_j = observe(wave, make_counter(update_period_s), polls_s, 0.0).energy(0.355, 2.0)
    assert abs(energy_j - wave.between(0.355, 2.0)) <= bound_j + 1e-9


@given(
    power_w=powers_w,
    update_period_s=st.sampled_from([0.02, 0.1]),
    edges_s=st.tuples(st.floats(0.4, 1.0), st.floats(3.0, 4.0)),
)
def test_the_bound_of_steady_power_is_one_poll_and_not_one_update(
    power_w: float, update_period_s: float, edges_s: tuple[float, float]
) -> None:
    wave = Waveform(((1.0, power_w),))
    _, bound_j = observe(wave, make_counter(update_period_s), grid(0.002, 4.5), 0.0).energy(*edges_s)
    # The polls see each update up to 2 ms late, which also blurs the power between two changes.
    assert bound_j <= power_w * 0.002 * 6 + 8 * STEP_J


def test_lateness_that_drifts_is_inside_the_bound() -> None:
    # Polls on a slightly longer beat than the updates see each a little later than the one before.
    track, power_w, late_s = CounterTrack(make_counter(0.1)), 100.0, 0.009
    for update in range(1, 31):
        before_j, after_j = ((update - 1) * 0.1 * power_w, update * 0.1 * power_w)
        at_s = update * 0.1 + late_s * update / 30
        track.add(Reading(at_s - 0.01, 0.0, shown(before_j)))
        track.add(Reading(at_s, 0.0, shown(after_j)))
    energy_j, bound_j = track.energy(0.25, 2.95)
    error_j = abs(energy_j - power_w * 2.7)
    assert 0.5 * late_s * power_w < error_j <= bound_j


@given(
    increments=st.lists(st.floats(2 * STEP_J, 2.0), min_size=13, max_size=100),
    start_j=st.floats(0, 1e6),
)
def test_wrapped_and_quantised_energy_is_reconstructed_within_one_unit(
    increments: list[float], start_j: float
) -> None:
    track, total_j = CounterTrack(make_counter(0.01)), start_j
    track.add(Reading(0.0, 0.0, shown(total_j)))
    for index, increment_j in enumerate(increments, start=1):
        total_j += increment_j
        track.add(Reading(index * 0.01, 0.0, shown(total_j)))
    first_s, last_s = 0.01, len(increments) * 0.01
    energy_j, _ = track.energy(first_s, last_s)
    assert energy_j == pytest.approx(sum(increments[1:]), abs=STEP_J * 1.0001)


def ramp(track: CounterTrack, until_s: float, power_w: float = 100.0, step_s: float = 0.01) -> None:
    for at_s in grid(step_s, until_s):
        track.add(Reading(at_s, 0.0, shown(power_w * at_s, track.counter.modulus)))


@pytest.mark.parametrize(
    ("modulus", "at_s", "count", "reason"),
    [
        (None, 1.01, 5, "went down"),
        (MODULUS, 1.01, shown(98.9), "jumped"),
        (MODULUS, 1.0 + MODULUS * 1e-6 / MAX_POWER_W, 5, "may have wrapped twice"),
        (MODULUS, 1.0 + MODULUS * 1e-6 / MAX_POWER_W, shown(99.0), "may have wrapped twice"),
    ],
)
def test_a_reading_that_cannot_be_believed_is_a_fault(
    modulus: int | None, at_s: float, count: int, reason: str
) -> None:
    track = CounterTrack(make_counter(0.001, modulus))
    ramp(track, 1.0)
    with pytest.raises(MeterFault, match=reason):
        track.add(Reading(at_s, 0.0, count))


def test_ten_ticks_resolve_a_window_and_nine_do_not() -> None:
    track = CounterTrack(make_counter(0.1))
    ramp(track, 3.0, step_s=0.1)
    energy_j, _ = track.energy(0.55, 1.55)
    assert energy_j == pytest.approx(100.0, abs=2 * STEP_J)
    with pytest.raises(MeterFault, match=r"below resolution: .* changed 9 times"):
        track.energy(0.55, 1.45)


def test_a_change_that_is_read_late_stands_for_the_ticks_between_two_reads() -> None:
    track = CounterTrack(make_counter(0.01))
    ramp(track, 3.0, step_s=0.1)
    energy_j, _ = track.energy(0.55, 0.95)
    assert energy_j == pytest.approx(40.0, abs=2 * STEP_J)


def test_a_change_of_few_steps_stands_for_no_more_ticks_than_these() -> None:
    track = CounterTrack(make_counter(0.001))
    ramp(track, 3.0, power_w=10 * STEP_J, step_s=0.1)  # one step in each 0.1 s
    with pytest.raises(MeterFault, match=r"below resolution: .* changed 4 times"):
        track.energy(0.55, 0.95)


@pytest.mark.parametrize("edges_s", [(0.005, 2.0), (0.5, 3.5)])
def test_a_window_that_reaches_beyond_the_changes_has_no_figure(edges_s: tuple[float, float]) -> None:
    track = CounterTrack(make_counter(0.001))
    ramp(track, 3.0)
    with pytest.raises(MeterFault, match="did not change around the window"):
        track.energy(*edges_s)


def test_a_counter_that_stands_still_has_no_figure() -> None:
    track = CounterTrack(make_counter(0.001))
    for at_s in grid(0.01, 3.0):
        track.add(Reading(at_s, 0.0, 77))
    assert not track.has_changed_since(0.0)
    with pytest.raises(MeterFault, match="did not change"):
        track.energy(0.5, 2.0)


def test_windows_stand_alone() -> None:
    track = CounterTrack(make_counter(0.001, None))
    ramp(track, 2.0)
    track.start()
    assert not track.has_changed_since(0.0)
    ramp(track, 2.0)  # the counter was reset in between, which is nobody's business
    assert track.has_changed_since(1.99)
    assert not track.has_changed_since(2.0)
    assert track.energy(0.5, 1.5)[0] == pytest.approx(100.0, abs=2 * STEP_J)
