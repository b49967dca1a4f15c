import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks import (
    against_peers,
    export,
    harness,
    help,  # noqa: A004 - named after what it times
    memory,
    time_to_answer,
    ways,
)
from benchmarks.against_peers import Child, Round, compare, measure_cast, verdict
from benchmarks.memory import MIB, PER_INFERENCES, Growth, Sample, growth
from benchmarks.time_to_answer import Answer, Limits, judge, welch
from benchmarks.ways import WAYS, Request, Task, Timing
from runner.backends.interface import Call
from runner.modelfile import open_model
from runner.report.schema import Window
from runner.workers.protocol import Measure, Measurement

pytestmark = pytest.mark.live


def a_round(added_us: float) -> harness.Round:
    return harness.Round(bare_us=2.0, whole_us=2.0 + added_us, window_us=2.25, latency_us=2.125)


def window(number: int, count: int) -> Window:
    return Window(
        cell="m/fp32/cpu/b1/host",
        block=number,
        paired=True,
        started_s=float(number),
        wall_s=0.5,
        inference_count=count,
        latency_mean_s=0.5 / count,
        cpu_s=0.5,
        flags=(),
        energy=(),
    )


def grown(bytes_per_inference: float, windows: int = 40, count: int = 500) -> Growth:
    """The growth of a process that keeps so much of every inference, sampled after each window."""
    samples = [
        Sample(number + 0.6, 1, round(64 * MIB + bytes_per_inference * count * (number + 1)))
        for number in range(windows)
    ]
    return growth([window(number, count) for number in range(windows)], samples)


def test_a_harness_round_times_more_the_more_of_our_loop_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "identity.onnx"
    harness.write_identity(path)
    rounds = harness.measure_rounds(path, rounds=3, count=50)
    assert len(rounds) == 3
    for each in rounds:
        assert 0 < each.latency_us < each.window_us < each.whole_us
        assert each.bare_us > 0


def test_the_harness_table_shows_differences_and_not_differences_of_medians() -> None:
    rows = harness.table([a_round(0.5), a_round(0.25), a_round(0.75)])
    assert rows[2].split()[-6:] == ["2.500", "+0.500", "+0.250", "..", "+0.750", "1.250"]


@pytest.mark.parametrize(("added_us", "code", "said"), [(0.9, 0, "met"), (1.1, 1, "MISSED")])
def test_the_harness_exit_code_is_its_goal(
    added_us: float,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["harness"])
    monkeypatch.setattr(harness, "measure_rounds", lambda *_: [a_round(added_us)] * 4)
    monkeypatch.setattr(harness, "PACED_INFERENCES", 2)
    assert harness.main() == code
    assert capsys.readouterr().out.rstrip().endswith(said)


def test_the_help_loads_nothing_heavy_and_the_check_would_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert help.heavy_loaded() == []
    monkeypatch.setattr(help, "PRINT_LOADED", "import numpy\n" + help.PRINT_LOADED)
    assert help.heavy_loaded() == ["numpy"]


@pytest.mark.parametrize(("seconds", "loaded", "code"), [(0.11, [], 0), (0.13, [], 1), (0.11, ["torch"], 1)])
def test_the_help_benchmarks_exit_code_is_its_goals(
    seconds: float, loaded: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["help"])
    monkeypatch.setattr(help, "wall_s", lambda _: seconds)
    monkeypatch.setattr(help, "heavy_loaded", lambda: loaded)
    assert help.main() == code


def test_every_command_of_the_help_benchmark_runs() -> None:
    assert all(help.wall_s(command) > 0 for command in help.commands().values())


@pytest.mark.parametrize(("leak_bytes", "verdict"), [(0, "met"), (100, "met"), (110, "MISSED")])
def test_a_leak_of_more_than_a_mebibyte_in_10_000_inferences_misses_the_goal(
    leak_bytes: int, verdict: str
) -> None:
    each = grown(leak_bytes)
    assert each.slope_bytes == pytest.approx(leak_bytes)
    assert each.last_bytes - each.first_bytes == pytest.approx(leak_bytes * 15_000, abs=1000 * leak_bytes)
    assert each.verdict == verdict


def test_too_few_inferences_prove_nothing() -> None:
    each = grown(0, windows=20, count=PER_INFERENCES // 20 - 1)
    assert each.slope_bytes == 0
    assert each.verdict.startswith("TOO FEW")


def test_memory_is_read_from_the_real_command_and_its_workers(tmp_path: Path) -> None:
    parent, samples = memory.run_command(tmp_path, "quick", "8s")
    (report,) = (tmp_path / "reports").glob("2*")
    found = memory.growths(report, parent, samples, first_block=0)
    assert list(found) == ["parent", "worker cpu", "worker cpu:threads=1"]
    for each in found.values():
        assert each.first_bytes > 10 * MIB
    workers = [each.inferences for name, each in found.items() if name != "parent"]
    assert found["parent"].inferences == sum(workers)
    assert min(workers) > 0


def test_too_small_a_budget_for_memory_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"(?s)failed with 3: .*Nothing could be measured"):
        memory.run_command(tmp_path, "quick", "10ms")


@pytest.mark.parametrize(
    ("one_process_s", "parallel_s", "code"), [(10.5, 6.5, 0), (10.6, 6.5, 1), (10.5, 6.6, 1)]
)
def test_the_export_benchmarks_exit_code_is_its_goals(
    one_process_s: float, parallel_s: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wall_s(command: list[str]) -> float:
        jobs = command[-1] if "--jobs" in command else "bare"
        return {"bare": 10.0, "1": one_process_s, "auto": parallel_s}[jobs]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["export"])
    monkeypatch.setattr(export, "wall_s", wall_s)
    assert export.main() == code


# against_peers


@pytest.fixture
def task(exported: Path) -> Task:
    file = open_model(exported, "tiny")
    return Task(str(file.path), tuple(asdict(each) for each in file.inputs), batch_size=2, threads=1)


@pytest.mark.parametrize("name", WAYS)
def test_every_way_times_the_model(name: str, task: Task) -> None:
    if name in against_peers.PEERS:
        pytest.importorskip(against_peers.PEERS[name][0], reason="a peer that our environment does not bring")
    timing = WAYS[name](task).time(20)
    assert 0 < timing.latency_s <= timing.wall_s


def test_a_window_of_the_plain_loop_and_of_ours_is_as_many_inferences_as_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[None] = []
    monkeypatch.setattr(ways, "warm_visit", lambda run: None)
    ways.plain_loop(lambda: calls.append(None)).time(7)
    assert len(calls) == 7
    measured = ways.MeasuringWorker(4, Call(lambda: calls.append(None), dict)).answer(
        Measure(4, "host", 5, None)
    )
    assert isinstance(measured, Measurement)
    assert len(measured.latencies_s) == 5


def test_every_way_runs_the_same_input_and_every_plain_loop_a_plain_session(task: Task) -> None:
    (first,), (second,) = ways.feeds_of(task).values(), ways.feeds_of(task).values()
    np.testing.assert_array_equal(first, second)
    assert len(first) == task.batch_size
    assert ways.bare_session(task).get_session_options().intra_op_num_threads == task.threads


def test_the_stand_in_for_a_request_tells_milliseconds_of_its_last_inference() -> None:
    request = Request(lambda: math.factorial(5000))
    request.infer()
    assert 0.001 < request.latency < 1000


def test_children_are_measured_in_rounds_and_stand_still_in_between(task: Task) -> None:
    names = ("bound loop", "joulebatch")
    rounds = measure_cast(3, names, task, until_s=0)
    assert [each.cast for each in rounds] == [3]
    assert rounds[0].timings.keys() == set(names)
    assert all(timing.latency_s > 0 for timing in rounds[0].timings.values())
    with Child("run loop", task) as child:
        child.wait()
        state = Path(f"/proc/{child._process.pid}/stat")
        assert child.time(3).latency_s > 0
        while (said := state.read_text().rpartition(")")[2].split()[0]) != "T":
            assert said in "RS"  # the signal is on its way


def test_a_child_that_ends_is_told(task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    with Child("no way", task) as child, pytest.raises(SystemExit, match="The process of no way ended"):
        child.wait()
    assert "KeyError: 'no way'" in capfd.readouterr().err


def a_race(ours: float, again: float = 1.0, noise: float = 0.002, casts: int = 12) -> list[Round]:
    """Rounds in which ours and the second plain loop are so much slower than the first."""
    rng = np.random.default_rng(0)
    factors = {"bound loop": 1.0, "bound loop, again": again, "run loop": 1.0, "joulebatch": ours}
    return [
        Round(
            cast,
            {
                name: Timing(each_s := 0.002 * factor * float(np.exp(rng.normal(0, noise))), 1.001 * each_s)
                for name, factor in factors.items()
            },
        )
        for cast in range(casts)
        for _ in range(20)
    ]


@pytest.mark.parametrize(
    ("ours", "again", "noise", "said"),
    [
        (1.005, 1.0, 0.002, "met"),
        (0.995, 1.0, 0.002, "met"),
        (1.02, 1.0, 0.002, "MISSED"),
        (0.98, 1.0, 0.002, "MISSED"),  # faster than the plain loop: then something is left out
        (1.013, 1.006, 0.002, "met"),  # what two plain loops differ by is allowed for
        (1.0, 1.02, 0.002, "UNDECIDED"),
        (1.02, 1.0, 0.2, "UNDECIDED"),
    ],
)
def test_ours_must_be_within_a_percent_of_the_plain_loop_beyond_noise(
    ours: float, again: float, noise: float, said: str
) -> None:
    rounds = a_race(ours, again, noise)
    intervals = [
        compare(rounds, name, "bound loop", "latency_s") for name in ("joulebatch", "bound loop, again")
    ]
    assert verdict(*intervals).startswith(said)


def test_a_process_is_the_unit_and_not_its_windows() -> None:
    rounds = a_race(1.0, noise=0.0)
    odd = [Round(r.cast, {**r.timings, "joulebatch": Timing(0.0022, 0.0022)}) for r in rounds if r.cast % 2]
    interval = compare(
        [*odd, *(r for r in rounds if not r.cast % 2)], "joulebatch", "bound loop", "latency_s"
    )
    assert interval.pair_count == 12
    assert interval.ratio == pytest.approx(math.sqrt(1.1))
    assert interval.low is not None
    assert interval.high is not None
    # Over windows it would be ±0.6 %, whatever the processes differ by.
    assert interval.high / interval.low > 1.06


def test_a_single_set_of_processes_decides_nothing() -> None:
    interval = compare(a_race(1.0, casts=1), "joulebatch", "bound loop", "wall_s")
    assert verdict(interval, interval).startswith("UNDECIDED")


def test_peers_that_are_absent_are_named_with_their_command_and_left_out_of_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        against_peers, "PEERS", {"benchmark_app": ("numpy", "1"), "polygraphy": ("no-such-peer", "0.1")}
    )
    assert "benchmark_app" in against_peers.installed()
    assert "polygraphy" not in against_peers.installed()
    assert "polygraphy: SKIPPED, not installed; pip install no-such-peer==0.1" in capsys.readouterr().out
    assert [line.split()[0] for line in against_peers.table(a_race(1.25))[1:]] == [
        "bound",
        "bound",
        "run",
        "joulebatch",
    ]
    assert " 1.25" in against_peers.table(a_race(1.25))[-1]


@pytest.mark.parametrize(("minutes", "casts"), [(1, 12), (6, 12), (15, 30)])
def test_a_longer_run_takes_more_sets_of_processes(minutes: float, casts: int) -> None:
    assert against_peers.cast_count(minutes) == casts


@pytest.mark.parametrize(("ours", "code"), [(1.001, 0), (1.1, 1)])
def test_the_exit_code_of_against_peers_is_its_goal(
    ours: float,
    code: int,
    exported: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["--model", "tiny", "--models-dir", str(exported), "--minutes", "10"]
    monkeypatch.setattr("sys.argv", ["against_peers", *asked])
    monkeypatch.setattr(
        against_peers,
        "measure_cast",
        lambda cast, *_: [each for each in a_race(ours, casts=20) if each.cast == cast],
    )
    assert against_peers.main() == code
    assert f"{20 * 20} rounds of 20 casts" in capsys.readouterr().out


# time_to_answer

CELLS = ("m/a", "m/b")


def an_answer(wall_s: float, *half_widths: float, ratio: float = 1.0) -> Answer:
    limits = (Limits(ratio / (1 + half), ratio * (1 + half)) for half in half_widths)
    return Answer(wall_s, dict(zip(CELLS, limits, strict=False)))


def test_welch_s_interval_of_a_ratio_is_that_of_two_unpaired_means() -> None:
    from scipy.stats import ttest_ind  # noqa: PLC0415 - costs a second

    rng = np.random.default_rng(0)
    values, baseline = rng.normal(2.02, 0.02, 30).tolist(), rng.normal(2.0, 0.05, 60).tolist()
    limits = welch(values, baseline)
    known = ttest_ind(values, baseline, equal_var=False).confidence_interval(0.95)
    # To first order the ratio's limits are 1 + the difference's over the baseline's mean.
    assert limits.low == pytest.approx(1 + known.low / np.mean(baseline), abs=1e-4)
    assert limits.high == pytest.approx(1 + known.high / np.mean(baseline), abs=1e-4)


def test_welch_s_interval_covers_the_true_ratio_of_independent_repetitions() -> None:
    rng = np.random.default_rng(1)
    found = [welch(rng.normal(3, 0.3, 30).tolist(), rng.normal(2, 0.1, 30).tolist()) for _ in range(400)]
    covered = np.mean([each.low <= 1.5 <= each.high for each in found])
    assert 0.93 <= covered <= 0.97


def test_an_answer_is_as_wide_as_its_widest_ratio_and_one_without_all_of_them_is_none() -> None:
    assert an_answer(9, 0.01, 0.03).half_width_ratio(CELLS) == pytest.approx(0.03)
    assert an_answer(9, 0.01).half_width_ratio(CELLS) == math.inf


def test_an_answer_is_wrong_where_its_interval_and_the_longer_run_s_lie_apart() -> None:
    reference = an_answer(60, 0.01, 0.01)
    assert an_answer(9, 0.01, 0.01, ratio=1.019).wrong(reference) == 0
    assert an_answer(9, 0.01, 0.01, ratio=1.03).wrong(reference) == 2
    assert an_answer(9, 0.01, 0.01, ratio=0.97).wrong(reference) == 2
    assert an_answer(9, ratio=0.97).wrong(reference) == 0


@pytest.mark.parametrize(
    ("ours", "usual", "said"),
    [
        ([(10, 0.019)] * 3, [(31, 0.019)] * 3, "0.32, goal <= 1/3: met"),
        ([(10, 0.019)] * 3, [(29, 0.019)] * 3, "0.34, goal <= 1/3: MISSED"),
        ([(10, 0.019), (10, 0.021)], [(90, 0.019)] * 2, "0.11, goal <= 1/3: MISSED"),
        ([(10, 0.019)] * 2, [(40, 0.03)] * 2, "at most 0.25, goal <= 1/3: met"),
    ],
)
def test_the_goal_is_a_third_of_the_time_and_a_failure_of_ours_misses_it(
    ours: Sequence[tuple[float, float]], usual: Sequence[tuple[float, float]], said: str
) -> None:
    first, second = ([an_answer(wall_s, half, half) for wall_s, half in runs] for runs in (ours, usual))
    reference = an_answer(60, 0.01, 0.01, ratio=1.01)
    assert judge(first, second, CELLS, 0.02, reference).endswith(f"half-width: {said}")


def test_half_the_error_is_worth_four_times_the_time() -> None:
    reference = an_answer(60, 0.01, 0.01)
    ours, usual = an_answer(20, 0.019, 0.019, ratio=1.01), an_answer(20, 0.019, 0.019, ratio=1.01**2)
    verdict = judge([ours], [usual], CELLS, 0.02, reference)
    assert "by its own word: 1.00" in verdict
    assert verdict.endswith("for the same achieved half-width: 0.25, goal <= 1/3: met")
    assert "achieved half-width: ±1.97% of ours, ±3.98% of the usual" in verdict


def test_both_sides_answer_about_the_same_cells(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_to_answer, "BACKENDS", ("cpu:threads=1", "cpu:spin=off"))
    monkeypatch.setattr(time_to_answer, "BATCH_SIZES", (1,))
    monkeypatch.setattr(time_to_answer, "PROFILE", "quick")
    monkeypatch.setattr(time_to_answer, "REPETITIONS", 3)
    monkeypatch.setattr(time_to_answer, "WINDOW_S", 0.01)
    file = open_model(exported, "tiny")
    cells = time_to_answer.compared_cells(file)
    assert cells == ("tiny/fp32/cpu:spin=off/b1/host",)
    for answer in (
        time_to_answer.run_ours(exported, "tiny", target_ratio=0.9, cap_s=20),
        time_to_answer.run_usual(file, target_ratio=1e-9, cap_s=0.01),
    ):
        assert tuple(answer.limits) == cells
        assert 0 < answer.half_width_ratio(cells) < math.inf
        assert answer.wall_s > 0


def test_the_usual_practice_repeats_until_the_target_is_reached(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_to_answer, "BACKENDS", ("cpu:threads=1", "cpu"))
    file = open_model(exported, "tiny")
    cells = time_to_answer.compared_cells(file)
    widths = iter([0.5, 0.3, 0.02, 0.01])
    repeats: list[None] = []
    monkeypatch.setattr(time_to_answer.Practice, "repeat", lambda self: repeats.append(None))
    monkeypatch.setattr(
        time_to_answer.Practice,
        "limits",
        lambda self: dict.fromkeys(cells, Limits(1, (1 + next(widths)) ** 2)),
    )
    answer = time_to_answer.run_usual(file, target_ratio=0.021, cap_s=600)
    assert len(repeats) == 3
    assert answer.half_width_ratio(cells) == pytest.approx(0.02)


def test_the_exit_code_of_time_to_answer_is_its_goal_and_both_take_turns(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["time_to_answer", "--model", "tiny", "--models-dir", str(exported)])
    file = open_model(exported, "tiny")
    cells = time_to_answer.compared_cells(file)
    true, limits = (dict.fromkeys(cells, Limits(0.995 * ratio, 1.005 * ratio)) for ratio in (1, 1.002))
    monkeypatch.setattr(
        time_to_answer,
        "run_ours",
        lambda _, __, target_ratio, ___: Answer(10, limits if target_ratio == 0.02 else true),
    )
    for usual_s, code in ((29.0, 1), (31.0, 0)):
        monkeypatch.setattr(time_to_answer, "run_usual", lambda *_, s=usual_s: Answer(s, limits))
        assert time_to_answer.main() == code
        names = [line[:10] for line in capsys.readouterr().out.splitlines() if "reached" in line]
        assert names == [
            "the longer",
            "joulebatch",
            "one cell a",
            "one cell a",
            "joulebatch",
            "joulebatch",
            "one cell a",
        ]
