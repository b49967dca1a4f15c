"""Findings of GPUs, on made-up reports: to provoke them for real takes NVIDIA hardware."""

from math import inf
from typing import Any

import pytest

from runner.report.findings import copies
from runner.report.schema import Cell, Parity, Window
from tests.fakes import make_journal
from tests.runner.report.findings.runs import changed, figures_of, found, journal, with_sessions

# --- copies


def copying(ratio: float) -> Any:
    def change(cell: Cell, window: Window) -> dict[str, float]:
        return {"latency_mean_s": window.latency_mean_s * (ratio if cell.io == "host" else 1)}

    return change


def test_copies_that_take_a_third_of_a_call_are_named_with_their_ratio() -> None:
    report, (finding,) = found(changed(journal(("cpu", "cuda")), copying(2.0)), "copy-bound")
    (figure,) = finding.figures
    assert figure.low
    assert figure.low > copies.THRESHOLD_RATIO
    assert figure.value == pytest.approx(2.2, rel=0.05), (
        "copies cost a tenth in these runs, before they were doubled"
    )
    assert {cell.io for cell in report.cells if cell.key in finding.cells} == {"host"}
    assert len(finding.cells) == 2
    assert found(journal(("cpu", "cuda")), "copy-bound")[1] == ()


def test_three_blocks_that_disagree_claim_nothing() -> None:
    lines = make_journal(("alexnet",), ("cpu", "cuda"), noise_ratio=0.5, blocks=3)
    assert found(changed(lines, copying(1.6)), "copy-bound")[1] == ()


# --- TF32


def parity(error: float, *, tf32: bool) -> dict[str, Parity]:
    tolerance = 1e-2 if tf32 else 1e-4
    status: Any = "passed" if error <= tolerance else "failed"
    return {"parity": Parity(status=status, max_error_ratio=error, tolerance_ratio=tolerance)}


@pytest.mark.parametrize(
    ("with_it", "without", "title"),
    [
        (0.03, 2e-6, "TF32 explains the mismatch with the reference"),
        (0.03, 0.03, None),
        (0.005, 2e-6, None),
        (0.03, None, "TF32 may explain the mismatch with the reference"),
        (0.5, None, None),
    ],
)
def test_tf32_is_held_responsible_where_it_passes_without(
    with_it: float, without: float | None, title: str | None
) -> None:
    backends = ("cpu", "cuda") if without is None else ("cpu", "cuda", "cuda:tf32=off")
    facts = {"cuda": parity(with_it, tf32=True)}
    if without is not None:
        facts["cuda_tf32_off"] = parity(without, tf32=False)
    _, findings = found(with_sessions(journal(backends), **facts), "tf32")
    assert [finding.title for finding in findings] == ([title] if title else [])
    for finding in findings:
        assert (finding.model, finding.backend) == ("alexnet", "cuda")
        assert finding.figures[0].value == with_it
        assert "--backend cuda:tf32=off" in finding.remedy


# --- crossover


def gpu_slower_below(batch_size: float) -> Any:
    """Return a change that makes the GPU 1.5 times as slow as the CPU below a batch size, then twice as fast."""

    def change(cell: Cell, window: Window) -> dict[str, float]:
        factor = 1.0
        if cell.backend == "cuda":
            factor = 20 / 1.25 * (1.5 if cell.load.batch_size < batch_size else 0.5)
        return {"latency_mean_s": window.latency_mean_s * factor}

    return change


@pytest.mark.parametrize(("faster_from", "crossover"), [(2, 4), (4, 4), (5, 8), (100, None), (inf, None)])
def test_a_gpu_that_is_no_faster_at_batch_1_comes_with_the_batch_from_which_it_is(
    faster_from: float, crossover: int | None
) -> None:
    lines = changed(journal(("cpu", "cuda"), batch_sizes=(1, 4, 8)), gpu_slower_below(faster_from))
    _, (finding,) = found(lines, "crossover")
    figures = figures_of(finding)
    assert figures["latency at batch 1 to that of cpu"] == pytest.approx(1.5, rel=0.1)
    assert figures.get("faster from batch") == crossover
    if crossover:
        assert f"batches of {crossover} and more" in finding.remedy
        assert figures["latency there"] == pytest.approx(0.5, rel=0.1)
    else:
        assert finding.detail == "nor seen faster at any batch up to 8"


def test_a_gpu_that_is_faster_or_not_well_known_at_batch_1_is_no_finding() -> None:
    assert found(journal(("cpu", "cuda")), "crossover")[1] == ()
    wide = make_journal(("alexnet",), ("cpu", "cuda"), noise_ratio=0.6, blocks=3, slowness={"cuda": 21.0})
    assert found(wide, "crossover")[1] == ()
    assert (
        found(changed(journal(("cpu", "cuda"), batch_sizes=(2, 4)), gpu_slower_below(9)), "crossover")[1]
        == ()
    )
