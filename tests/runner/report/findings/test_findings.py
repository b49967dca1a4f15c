"""Each kind of finding is provoked, and stays away where nothing supports it."""

import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from runner.report import findings
from runner.report.assemble import assemble
from runner.report.findings import denormals, first_run, mixed_shapes, spinning, wheels
from runner.report.findings.claims import spec_with
from runner.report.findings.registry import RULES
from runner.report.lines import CellLine, HeaderLine, Line
from runner.report.schema import BackendEntry, Cell, Window
from runner.stats.intervals import ratio_interval
from tests.fakes import cell_key, make_journal
from tests.runner.report.findings.runs import changed, figures_of, found, journal, with_options, with_sessions

SPIN_OFF = "cpu:spin=off"


def cpu_time(factors: Mapping[tuple[str, bool], float]) -> Any:
    """Return a change that multiplies CPU time, by backend and whether the load is paced."""

    def change(cell: Cell, window: Window) -> dict[str, float]:
        return {"cpu_s": window.cpu_s * factors.get((cell.backend, cell.load.pace_hz is not None), 1.0)}

    return change


def test_a_steady_run_on_cores_enough_gives_nothing_away() -> None:
    lines = journal(("cpu", "torch"), options=False, pace_hz=2)
    assert [each for each in assemble(lines).findings if each.kind != "first-run"] == []


def test_every_rule_has_its_place_in_the_registry_once() -> None:
    modules = {info.name for info in pkgutil.iter_modules(findings.__path__)} - {"registry", "claims"}
    assert sorted(rule.__module__.rpartition(".")[2] for rule in RULES) == sorted(modules)


# --- ran on the CPU


@pytest.mark.parametrize(
    ("placement", "title", "remedy"),
    [
        ("none", "Ran on the CPU", "--backend cpu"),
        ("partial-compute", "Ran on the CPU in part", "joulebatch doctor alexnet.onnx"),
    ],
)
def test_a_session_that_computes_on_the_cpu_is_named(placement: str, title: str, remedy: str) -> None:
    nodes = {"CPUExecutionProvider": 9} | ({} if placement == "none" else {"CUDAExecutionProvider": 11})
    facts = {"placement": placement, "nodes_by_provider": nodes, "heavy_on_cpu": ("Conv",)}
    report, (finding,) = found(with_sessions(journal(("cpu", "cuda")), cuda=facts), "ran-on-cpu")
    assert (finding.title, finding.model, finding.backend) == (title, "alexnet", "cuda")
    assert figures_of(finding) == {f"nodes on {name[:-17]}": count for name, count in nodes.items()}
    assert "Conv" in finding.detail
    assert remedy in finding.remedy
    assert report.findings[0] == finding, "what makes figures doubtful comes first"


def test_a_session_that_computes_on_a_third_provider_is_named() -> None:
    nodes = {"CUDAExecutionProvider": 9, "TensorrtExecutionProvider": 11}
    facts = {"placement": "partial-compute", "nodes_by_provider": nodes}
    _, (finding,) = found(with_sessions(journal(("cpu", "cuda")), cuda=facts), "ran-elsewhere")
    assert finding.title == "Ran on another provider in part"
    assert figures_of(finding) == {"nodes on CUDA": 9, "nodes on Tensorrt": 11}


def test_shapes_on_the_cpu_are_no_finding() -> None:
    facts = {"placement": "partial-shape-only", "nodes_by_provider": {"CPUExecutionProvider": 9, "X": 1}}
    assert found(with_sessions(journal(("cpu", "cuda")), cuda=facts), "ran-on-cpu")[1] == ()


# --- first run


def test_a_first_run_beyond_the_limit_is_named_by_its_worst_shape() -> None:
    # First runs take 80 ms a sample; later ones 29 ms, and a GPU a twentieth of that.
    report, findings = found(journal(("cpu", "cuda")), "first-run")
    (finding,) = (each for each in findings if each.backend == "cuda")
    summary = next(cell for cell in report.cells if cell.key == finding.cells[0]).summary
    assert summary
    assert summary.latency_s.high
    assert set(finding.cells) == {
        cell_key("alexnet", "cuda", size, io=io) for size in (1, 4) for io in ("host", "device")
    }
    assert figures_of(finding)["first"] == pytest.approx(0.08 * 4)
    assert figures_of(finding)["at least"] == pytest.approx(0.08 * 4 / summary.latency_s.high)
    assert figures_of(finding)["at least"] > first_run.THRESHOLD_RATIO


def test_a_first_run_that_loses_next_to_nothing_is_no_finding() -> None:
    def shorter(cell: Cell, window: Window) -> dict[str, float]:
        del cell
        return {"latency_mean_s": window.latency_mean_s / 100}

    lines = make_journal(("shufflenet_v2_x0_5",), ("cpu",))
    assert len(found(lines, "first-run")[1]) == 1
    lines = tuple(
        line.model_copy(update={"entry": line.entry.model_copy(update={"first_inference_s": 0.0008})})
        if isinstance(line, CellLine)
        else line
        for line in changed(lines, shorter)
    )
    assert found(lines, "first-run")[1] == ()


def test_a_steady_time_that_is_hardly_known_supports_no_claim() -> None:
    lines = make_journal(("alexnet",), ("cpu", "cuda"), noise_ratio=1.5, blocks=3)
    assert [each for each in found(lines, "first-run")[1] if each.backend == "cpu"] == []


# --- spinning


def test_spinning_is_weighed_against_the_backend_without_it() -> None:
    lines = journal(("cpu", SPIN_OFF), pace_hz=2, slowness={"cpu": 1.0, SPIN_OFF: 1.05})
    _, (finding,) = found(changed(lines, cpu_time({("cpu", True): 5.0})), "spinning")
    assert (finding.backend, set(finding.cells)) == (
        "cpu",
        {cell_key("alexnet", "cpu", size, 2) for size in (1, 4)},
    )
    cpu, latency = finding.figures
    assert cpu.value == pytest.approx(5 / 1.05, rel=0.05)
    assert cpu.low
    assert cpu.low > spinning.SIBLING_THRESHOLD_RATIO
    assert latency.value == pytest.approx(1 / 1.05, rel=0.05)
    assert "--backend cpu:spin=off" in finding.remedy


def test_spinning_shows_in_energy_where_it_was_measured() -> None:
    lines = changed(journal(("cpu", SPIN_OFF), pace_hz=2, energy="measured"), cpu_time({("cpu", True): 5.0}))
    _, (finding,) = found(lines, "spinning")
    assert "energy per image" in figures_of(finding)


def test_without_such_a_backend_spinning_is_weighed_against_itself_back_to_back() -> None:
    lines = journal(("cpu", "cpu:threads=1,spin=off"), pace_hz=2)
    _, (finding,) = found(changed(lines, cpu_time({("cpu", True): 5.0})), "spinning")
    assert figures_of(finding) == {"CPU time per image to that back to back": pytest.approx(5.0, rel=0.1)}
    assert "Compare with --backend cpu:spin=off" in finding.remedy
    assert found(changed(lines, cpu_time({("cpu", True): 1.6})), "spinning")[1] == (), (
        "waking up costs as much"
    )


def test_threads_that_sleep_are_not_said_to_spin() -> None:
    lines = journal((SPIN_OFF,), pace_hz=2)
    assert found(changed(lines, cpu_time({(SPIN_OFF, True): 5.0})), "spinning")[1] == ()


# --- threads


@pytest.mark.parametrize(
    ("facts", "spec", "expected"),
    [
        ({"intra_op_num_threads": "4"}, "cpu:threads=4", (4, 2, "cpu:threads=2")),
        ({"intra_op_num_threads": "2", "instances": "2"}, "cpu:instances=2", (4, 2, "cpu:instances=2,threads=1")),
        ({"intra_op_num_threads": "2"}, "cpu:affinity=0", (2, 1, "cpu:affinity=0,threads=1")),
        ({"intra_op_num_threads": "2", "provider.num_of_threads": "8"}, "openvino", (8, 2, "openvino:threads=2")),
        ({"threads": "3"}, "torch", (3, 2, "torch:threads=2")),
        ({"intra_op_num_threads": "2"}, "cpu", None),
        ({"threads": "as many as it takes", "instances": "few"}, "cpu", None),
        ({}, "cpu", None),
    ],
)  # fmt: skip
def test_threads_beyond_the_cores_that_a_session_may_use(
    facts: dict[str, str], spec: str, expected: tuple[int, int, str] | None
) -> None:
    lines = make_journal(("alexnet", "densenet121"), (spec,))
    lines = with_sessions(with_options(lines), **{spec.replace(":", "_").replace("=", "_"): {"facts": facts}})
    _, findings = found(lines, "threads")
    if expected is None:
        assert findings == ()
        return
    (finding,) = findings
    count, cores, remedy = expected
    assert figures_of(finding) == {"threads": count, "usable cores": cores}
    assert finding.model is None, "one finding for all models"
    assert finding.remedy == f"Use --backend {remedy}"


def test_what_the_cpu_quota_denied_is_evidence() -> None:
    def throttle(cell: Cell, window: Window) -> dict[str, object]:
        del cell
        assert window.conditions
        return {"conditions": replace(window.conditions, throttled_s=0.25 * window.wall_s)}

    lines = with_sessions(journal(("cpu:threads=4",)), cpu_threads_4={"facts": {"intra_op_num_threads": "4"}})
    _, (finding,) = found(changed(lines, throttle), "threads")
    assert finding.figures[-1].value == pytest.approx(0.25)
    assert finding.figures[-1].unit == "share"


# --- two wheels


@pytest.mark.parametrize(
    ("versions", "count"),
    [
        ({"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.0"}, 1),
        ({"onnxruntime": "1.32.0", "onnxruntime-openvino": "1.24.1"}, 1),
        ({"onnxruntime": "1.32.0", "onnxruntime-genai": "0.9", "onnx": "1.20"}, 0),
    ],
)
def test_two_wheels_that_overwrite_each_other(versions: dict[str, str], count: int) -> None:
    def change(line: Line) -> Line:
        if not isinstance(line, HeaderLine):
            return line
        environment = line.environment.model_copy(update={"versions": versions})
        return line.model_copy(update={"environment": environment})

    report, findings = found(tuple(map(change, journal(("torch",), options=False))), "two-wheels")
    assert len(findings) == count
    for finding in findings:
        first, second = versions
        assert (
            finding.detail == f"{first} {versions[first]} and {second} {versions[second]} in one environment"
        )
        assert f"pip uninstall -y {first} {second}" in finding.remedy
        assert tuple(wheels.find(report, None)) == findings  # type: ignore[arg-type] # it looks at no figure


# --- denormals


def test_denormals_show_beside_the_backend_that_takes_them_for_zero() -> None:
    zeros = "cpu:denormal_as_zero=on"
    report, (finding,) = found(journal(("cpu", zeros), slowness={"cpu": 30.0, zeros: 1.0}), "denormals")
    assert (finding.backend, len(finding.cells)) == ("cpu", 2)
    (figure,) = finding.figures
    assert figure.low
    assert figure.low > denormals.THRESHOLD_RATIO
    assert "--backend cpu:denormal_as_zero=on" in finding.remedy
    # The same two cells as the report compares: the same ratio, the other way round.
    comparison = next(
        each
        for each in report.comparisons
        if each.baseline_cell == finding.cells[0] and each.metric == "latency"
    )
    assert figure.value == pytest.approx(1 / comparison.ratio)
    assert figure.low == pytest.approx(1 / (comparison.high or 0.0))


def test_a_backend_that_differs_in_more_says_nothing_of_denormals() -> None:
    other = "cpu:denormal_as_zero=on,threads=1"
    assert found(journal(("cpu", other), slowness={"cpu": 30.0, other: 1.0}), "denormals")[1] == ()


# --- remedies


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("cpu", "cpu:spin=off"),
        ("A=cpu", "cpu:spin=off"),
        ("cpu@old:threads=1", "cpu@old:threads=1,spin=off"),
        ("B=cpu:spin=on, threads=1", "cpu: threads=1,spin=off"),
        ("cpu:spin_duration_us=5", "cpu:spin=off"),
        ("cpu:SPIN=on", "cpu:spin=off"),
    ],
)
def test_a_remedy_names_a_spec_that_can_be_typed(spec: str, expected: str) -> None:
    backend = BackendEntry(label="x", spec=spec, name="cpu", device="cpu", options={})
    assert spec_with(backend, "spin", "off", drop="spin_duration_us") == expected


# --- mixed shapes

MIX = (4, 1)


def slower(ratio: float) -> Any:
    """Return a change that makes the passes of a mixed load so much slower than their parts."""

    def change(cell: Cell, window: Window) -> dict[str, float]:
        return {
            "latency_mean_s": window.latency_mean_s
            * (ratio if cell.load.mixed and cell.backend == "cpu" else 1)
        }

    return change


def test_mixed_shapes_are_weighed_against_their_sum_paired_by_block() -> None:
    lines = journal(("cpu", "torch"), options=False, mixed=MIX)
    assert found(lines, "mixed-shapes")[1] == ()
    report, (finding,) = found(changed(lines, slower(1.5)), "mixed-shapes")
    key = cell_key("alexnet", "cpu", 5, mixed=MIX)
    assert (finding.backend, finding.cells) == ("cpu", (key,))
    (figure,) = finding.figures
    means = {(w.cell, w.block): w.latency_mean_s for w in report.windows}
    blocks = {w.block for w in report.windows}
    parts = [sum(means[cell_key("alexnet", "cpu", size), block] for size in MIX) for block in blocks]
    expected = ratio_interval(
        [means[key, block] for block in blocks], parts, [block // 2 for block in blocks]
    )
    assert (figure.value, figure.low, figure.high) == pytest.approx(
        (expected.ratio, expected.low, expected.high)
    )
    assert figure.low
    assert figure.low > mixed_shapes.THRESHOLD_RATIO


def test_sessions_of_fixed_shapes_that_spin_against_each_other_get_the_remedy_for_it() -> None:
    lines = with_options(make_journal(("alexnet",), ("cpu:static=on",), mixed=MIX, noise_ratio=0.01))

    def change(cell: Cell, window: Window) -> dict[str, float]:
        return {"latency_mean_s": window.latency_mean_s * (2 if cell.load.mixed else 1)}

    _, (finding,) = found(changed(lines, change), "mixed-shapes")
    assert "--backend cpu:static=on,spin=off" in finding.remedy


def test_a_size_that_does_not_count_leaves_no_sum_to_compare_with() -> None:
    outcomes = {cell_key("alexnet", "cpu", 4): ("failed", "out of memory")}
    lines = journal(("cpu", "torch"), options=False, mixed=MIX, outcomes=outcomes)
    assert found(changed(lines, slower(1.5)), "mixed-shapes")[1] == ()
