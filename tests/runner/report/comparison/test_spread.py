"""The spread of repeated runs: made, written, read, fitted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.errors import FileError, UsageError
from runner.report.comparison.compare import compare, make_side
from runner.report.comparison.spread import Spread, calibrate, read_spread, rows_of, write_spread
from tests.fakes import cell_key
from tests.runner.report.comparison.runs import changed, make_run

NONE: frozenset[str] = frozenset()
RUNS = tuple(make_run(f"r{seed}", seed) for seed in range(5))


@pytest.fixture(scope="module")
def spread() -> Spread:
    return calibrate(make_side(RUNS), "0.1.0")


def test_it_outlives_the_disk(spread: Spread, tmp_path: Path) -> None:
    write_spread(tmp_path / "new" / "spread.json", spread)
    assert read_spread(tmp_path / "new" / "spread.json") == spread


def test_a_comparison_that_it_fits_uses_it(spread: Spread) -> None:
    found = compare(make_side([make_run()]), make_side([make_run("new", 9)]), spread, NONE)
    assert all(figure.spread and not figure.no_spread for figure in found.figures)


@pytest.mark.parametrize(
    ("part", "facts", "rule"),
    [
        ("environment", {"cpu": "another"}, "cpu"),
        ("models", {"sha256": "1" * 64}, "model-hash"),
        ("environment", {"usable_cores": 1.0}, "usable-cores"),
    ],
)
def test_of_other_machines_and_files_it_says_nothing_and_why(
    spread: Spread, part: str, facts: dict[str, object], rule: str
) -> None:
    sides = [
        make_side([changed(make_run(name, seed), part, **facts)]) for seed, name in enumerate(("a", "b"))
    ]
    found = compare(sides[0], sides[1], spread, NONE)
    assert found.figures
    assert all(figure.spread is None and rule in figure.no_spread for figure in found.figures)
    through = compare(sides[0], sides[1], spread, frozenset({rule}))
    assert all(figure.spread for figure in through.figures)


def test_of_cells_that_it_has_not_seen_it_says_nothing(spread: Spread) -> None:
    sides = [make_side([make_run(name, seed, batch_sizes=(1, 32))]) for seed, name in enumerate(("a", "b"))]
    found = {figure.key: figure for figure in compare(sides[0], sides[1], spread, NONE).figures}
    assert found[cell_key("alexnet", "cpu", 1)].spread
    assert "other cells" in found[cell_key("alexnet", "cpu", 32)].no_spread


def test_energy_of_other_meters_has_no_spread() -> None:
    measured = calibrate(
        make_side([make_run(f"r{seed}", seed, energy="measured") for seed in range(5)]), "0.1.0"
    )
    assert all("energy" in cell.figures for cell in measured.cells.values())
    facts = make_side([make_run()]).facts[cell_key("alexnet", "cpu", 1)]
    found, why = measured.of(cell_key("alexnet", "cpu", 1), facts, NONE)
    assert set(found) == {"latency", "cpu"}
    assert not why


def test_it_tells_what_one_run_against_one_can_find(spread: Spread) -> None:
    rows = list(rows_of(make_side(RUNS), spread))
    assert len(rows) == 4
    for _, _, deviation, least in rows:
        assert 0 < deviation < 0.2
        assert least > 1 + deviation


def test_four_runs_are_too_few() -> None:
    with pytest.raises(UsageError, match="at least 5 runs of the same thing, got 4"):
        calibrate(make_side(RUNS[:4]), "0.1.0")


def test_one_run_twice_is_no_second_run() -> None:
    with pytest.raises(UsageError, match="different runs, got 2026-11-23T21-34-05-r0 twice"):
        calibrate(make_side((*RUNS, RUNS[0])), "0.1.0")


def test_runs_of_two_things_are_refused_by_the_rule() -> None:
    with pytest.raises(UsageError, match="runs of the same model-hash"):
        calibrate(make_side((*RUNS[:4], changed(RUNS[4], "models", sha256="1" * 64))), "0.1.0")


@pytest.mark.parametrize("part", ["profile", "host"])
def test_runs_differ_by_rules_that_only_warn_too_but_may_be_of_several_machines(part: str) -> None:
    facts = {"profile": ("provenance", "quick"), "host": ("environment", "another")}[part]
    runs = make_side((*RUNS[:4], changed(RUNS[4], facts[0], **{part: facts[1]})))
    if part == "profile":
        with pytest.raises(UsageError, match="runs of the same profile"):
            calibrate(runs, "0.1.0")
    assert calibrate(runs, "0.1.0", frozenset({"profile"})).cells


def test_a_cell_that_one_run_lacks_is_left_out() -> None:
    key = cell_key("alexnet", "cpu", 4)
    runs = (*RUNS[:4], make_run("r9", 9, outcomes={key: ("failed", "crash")}))
    assert key not in calibrate(make_side(runs), "0.1.0").cells


def test_runs_that_share_no_cell_have_no_spread() -> None:
    runs = [make_run(f"r{size}", batch_sizes=(size,)) for size in (1, 2, 4, 8, 16)]
    with pytest.raises(UsageError, match="a cell that every run measured"):
        calibrate(make_side(runs), "0.1.0")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "spread of version 1"),
        ("[]", "spread of version 1"),
        ('{"spread_version": 2}', "version 2"),
        ('{"spread_version": 1}', "Field required"),
    ],
)
def test_a_file_that_is_none_of_ours_is_one_line(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "spread.json"
    path.write_text(text)
    with pytest.raises(FileError, match=what):
        read_spread(path)


def test_a_file_that_is_not_there_is_one_line_that_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="--calibrate"):
        read_spread(tmp_path / "spread.json")


def test_a_disk_that_refuses_is_one_line(tmp_path: Path, spread: Spread) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="--spread"):
        write_spread(tmp_path / "file" / "spread.json", spread)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda data: data["runs"].pop(), r"4 runs, at least 5 are needed"),
        (lambda data: _figures(data).pop(), r"has 4 figures of 5 runs"),
        (lambda data: _figures(data)[0].update(log_mean=1e4), r"log_mean: Input should be less than 700"),
        (lambda data: _figures(data)[0].update(log_variance=-1), r"log_variance: Input should be greater"),
        (lambda data: _figures(data)[0].update(degrees_of_freedom=0), r"degrees_of_freedom: Input should be"),
    ],
)
def test_what_no_statistics_can_be_made_of_is_one_line(
    spread: Spread, tmp_path: Path, damage: Callable[[dict[str, Any]], None], what: str
) -> None:
    data = json.loads(spread.model_dump_json())
    damage(data)
    path = tmp_path / "spread.json"
    path.write_text(json.dumps(data))
    with pytest.raises(FileError, match=what):
        read_spread(path)


def _figures(data: dict[str, Any]) -> list[dict[str, float]]:
    figures: list[dict[str, float]] = next(iter(data["cells"].values()))["figures"]["latency"]
    return figures


def test_what_is_no_spread_is_never_written_over(spread: Spread, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("{}")
    with pytest.raises(UsageError, match="expected a new file or a spread to replace"):
        write_spread(path, spread)
    assert path.read_text() == "{}"
    path.unlink()
    write_spread(path, spread)
    write_spread(path, spread)


def test_of_two_machines_it_says_something_only_when_it_was_taken_on_several(spread: Spread) -> None:
    sides = [make_side([changed(make_run(name, 9), "environment", host=name)]) for name in ("a", "b")]
    found = compare(sides[0], sides[1], spread, NONE).figures
    assert {figure.no_spread for figure in found} == {
        "the spread was taken on one machine, and these runs are of two"
    }
    hosts = make_side([changed(run, "environment", host=f"h{place}") for place, run in enumerate(RUNS)])
    wide = calibrate(hosts, "0.1.0")
    assert all(figure.spread for figure in compare(sides[0], sides[1], wide, NONE).figures)


def test_sides_that_are_mixed_alike_differ_all_the_same() -> None:
    one, other = make_run("a", 1), changed(make_run("b", 2), "models", sha256="1" * 64)
    for sides in ((one, other), (other, one)):
        found = compare(make_side([one, other]), make_side(sides), None, NONE)
        assert found.figures == ()
        assert {breach.rule.name for cell in found.matched for breach in cell.refused} == {"model-hash"}
