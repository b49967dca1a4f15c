from pathlib import Path

import pytest

from benchmarks import export, harness, help, memory  # noqa: A004 - named after what it times
from benchmarks.memory import MIB, PER_INFERENCES, Growth, Sample, growth
from runner.report.schema import Window


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
    (report,) = (tmp_path / "reports").iterdir()
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
