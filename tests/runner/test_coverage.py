import numpy as np
import pytest

from benchmarks import coverage
from benchmarks.simulated_pairs import DRAWS, Draw, Drawn, autocorrelated, fresh_workers, stops
from runner.stats.intervals import RatioInterval, ratio_interval


@pytest.mark.parametrize("name", DRAWS)
def test_every_draw_is_seeded_and_errs_around_the_truth(name: str) -> None:
    one, other = (DRAWS[name](np.random.default_rng(3), 300, 30) for _ in range(2))
    assert one.logs.shape == (300, 30)
    assert np.array_equal(one.logs, other.logs)
    means = one.logs.mean(axis=1)
    assert abs(means.mean()) < 4 * means.std() / 300**0.5
    assert one.counts is None or all(10 <= n <= 30 for n in one.counts)
    assert one.workers is None or len(one.workers) == 30


def test_every_exception_is_of_a_row_that_there_is_and_has_a_reason() -> None:
    assert coverage.EXPECTED.keys() <= DRAWS.keys()
    assert all(accepted.reason for accepted in coverage.EXPECTED.values())


def test_autocorrelated_series_are_stationary_with_the_asked_correlation() -> None:
    series = autocorrelated(np.random.default_rng(0), (20_000, 4), 0.9)
    assert series.std(axis=0) == pytest.approx([1] * 4, abs=0.02)
    assert (series[:, 1:] * series[:, :-1]).mean(axis=0) == pytest.approx([0.9] * 3, abs=0.03)


def test_blocks_of_a_worker_follow_each_other_in_equal_shares() -> None:
    assert fresh_workers(np.random.default_rng(0), 1, 6, 3, 0.01).workers == (0, 0, 1, 1, 2, 2)


def test_a_run_stops_at_the_first_block_at_which_every_ratio_meets_the_target() -> None:
    logs = 0.04 * np.random.default_rng(0).standard_normal((2, 5, 60))
    for run, stopped in enumerate(stops(logs)):
        met = []
        for blocks in range(10, 61, 2):
            workers = [block // 2 for block in range(blocks)]
            ratios = [np.exp(ratio[run, :blocks]) for ratio in logs]
            intervals = [ratio_interval(ratio, np.ones(blocks), workers) for ratio in ratios]
            met.append(all(each.half_width_ratio <= 0.02 for each in intervals))
        assert stopped == 10 + 2 * (met.index(True) if any(met) else 25)


def test_a_run_is_judged_up_to_where_it_stopped() -> None:
    interval = coverage.judge(Drawn(np.array([[0.1, 0.2, 0.3, 9.9]]), counts=(3,)), 0)
    assert interval.ratio == pytest.approx(1.05 * np.exp(0.2))
    assert interval.pair_count == 3


def test_power_grows_with_the_number_of_blocks() -> None:
    few, many = coverage.power(200, 5), coverage.power(200, 30)
    assert 0.2 < few < 0.6
    assert many > 0.95


@pytest.mark.parametrize(
    ("share", "code", "said"),
    [
        (0.95, 0, "! 0 others outside 93 to 97 %, goal 0: met"),
        (0.925, 1, "! 2 others outside 93 to 97 %, goal 0: MISSED"),
    ],
)
def test_the_exit_code_is_its_goals(
    share: float,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = ("machine slows by 10%", "ratio itself wanders, AR(1) 0.1")
    monkeypatch.setattr("sys.argv", ["coverage"])
    monkeypatch.setattr(coverage, "DRAWS", {name: DRAWS[name] for name in rows})
    monkeypatch.setattr(coverage, "BLOCKS", (10, 30))
    monkeypatch.setattr(coverage, "coverage", lambda *_: share)
    monkeypatch.setattr(coverage, "power", lambda *_: 0.9)
    assert coverage.main() == code
    printed = capsys.readouterr().out
    assert said in printed
    assert (coverage.LASTING in printed) is (code == 1)


@pytest.mark.parametrize(("share", "said"), [(0.93, "goal >= 93%: met"), (0.929, "goal >= 93%: MISSED")])
def test_a_claim_that_holds_too_seldom_misses_the_goal(
    share: float, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def two_of_30(draw: Draw, seed: tuple[int, int], runs: int, blocks: int, holds: object) -> float:
        workers = len(set(draw(np.random.default_rng(seed), runs, blocks).workers or ()))
        asked.append((workers, blocks, holds))
        return share if (workers, blocks) == (2, 30) else 0.95

    monkeypatch.setattr(coverage, "coverage", two_of_30)
    assert coverage.print_claims(1) is (share == 0.93)
    assert said in capsys.readouterr().out
    assert asked == [(w, b, coverage.claim_holds) for w in (1, 2) for b in coverage.BLOCKS]


def test_a_missed_claim_is_a_missed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["coverage"])
    monkeypatch.setattr(coverage, "print_coverage", lambda _: 0)
    monkeypatch.setattr(coverage, "print_power", lambda _: True)
    for met in (True, False):
        monkeypatch.setattr(coverage, "print_claims", lambda _, met=met: met)
        assert coverage.main() == (not met)


def test_claims_reach_beyond_the_limits_of_one_process_only() -> None:
    low, high = 1.05 * 1.01, 1.05 * 1.02
    one, three = (RatioInterval((low * high) ** 0.5, low, high, 10, workers) for workers in (1, 3))
    assert not coverage.limits_hold(one)
    assert coverage.claim_holds(one)
    assert not coverage.claim_holds(three)


def test_a_slowdown_found_too_late_misses_the_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "power", lambda _, blocks, __: 0.8 if blocks >= 30 else 0.79)
    assert coverage.print_power(1)
    monkeypatch.setattr(coverage, "power", lambda _, blocks, __: 0.8 if blocks >= 31 else 0.79)
    assert not coverage.print_power(1)
