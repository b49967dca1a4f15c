import json
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.report.filters import SORTS, Filters, in_order, parse_since, started
from runner.report.folders import JOURNAL_NAME, report_folders
from runner.report.journal import Journal
from runner.report.lines import HeaderLine
from runner.report.listing import Listed, listed, listing
from tests.fakes import make_journal
from tests.processes import ROOT

REFERENCE = ROOT / "reports" / "reference"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def header() -> HeaderLine:
    first = make_journal(blocks=0)[0]
    assert first.kind == "header"
    return first


def row(report_id: str = "a", **facts: object) -> Listed:
    values: dict[str, object] = {
        "report_id": report_id,
        "started_at": "2026-11-24T10:00:00+00:00",
        "status": "complete",
        "models": ("vit_b_16", "alexnet"),
        "backends": ("A", "torch"),
        "cell_count": 4,
        "name": "Night run",
        "host": "bench",
        "measured_s": 12.0,
        "specs": ("cpu:spin=off", "torch"),
    }
    return Listed(**(values | facts))  # type: ignore[arg-type]


UNREADABLE = Listed("broken", None, "unreadable", (), (), 0, None)


@pytest.mark.parametrize("folder", sorted(REFERENCE.glob("*/")), ids=lambda folder: folder.name)
def test_a_row_says_what_the_whole_report_says(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_bytes())
    found = listed(folder)
    assert found == Listed(
        report_id=folder.name,
        started_at=report["started_at"],
        status="complete",
        models=tuple(dict.fromkeys(entry["name"] for entry in report["models"])),
        backends=tuple(entry["label"] for entry in report["backends"]),
        cell_count=len(report["cells"]),
        name=report["name"],
        host=report["environment"]["host"],
        measured_s=report["measured_s"],
        specs=tuple(entry["spec"] for entry in report["backends"]),
    )


TEXTS = st.text() | st.sampled_from(['"cells":[{"key":', '"environment":{"host":', '"provenance":{', "\\"])


@given(
    texts=st.tuples(TEXTS, TEXTS),
    cells=st.integers(0, 4),
    value=st.sampled_from(["{", '"cells":[', '{"key":"x"}', '],"queue_cells":', "\\", ""]),
    nested=st.sampled_from(["cells", "environment", "provenance", "key"]),
)
def test_no_text_in_a_header_is_taken_for_its_structure(
    tmp_path_factory: pytest.TempPathFactory, texts: tuple[str, str], cells: int, value: str, nested: str
) -> None:
    name, host = texts
    line = header()
    config: dict[str, object] = {"x": value, nested: [{"key": value}], "deep": {nested: {"host": value}}}
    line = line.model_copy(
        update={
            "name": name,
            "cells": line.cells[:cells],
            "environment": line.environment.model_copy(update={"host": host}),
            "provenance": line.provenance.model_copy(update={"config": config, "argv": (value, name)}),
        }
    )
    folder = tmp_path_factory.mktemp("report")
    (folder / JOURNAL_NAME).write_text(line.model_dump_json() + "\n", encoding="utf-8")
    found = listed(folder)
    assert (found.status, found.name, found.host, found.cell_count) == (
        "interrupted",
        name,
        host,
        min(cells, 4),
    )


def test_a_header_in_another_order_and_longer_than_what_is_read_at_first_is_listed(tmp_path: Path) -> None:
    data = json.loads(header().model_dump_json())
    expected = len(data["cells"])
    data["provenance"]["argv"] = ["x" * 100_000]
    (tmp_path / JOURNAL_NAME).write_text(json.dumps(dict(reversed(data.items()))) + "\n")
    assert listed(tmp_path).cell_count == expected
    (tmp_path / JOURNAL_NAME).write_text(json.dumps(data, separators=(",", ":")) + "\n")
    assert listed(tmp_path).cell_count == expected


def test_a_run_has_a_duration_once_its_last_line_is_whole(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for line in make_journal(ending=None):
            journal.write(line)
    assert listed(tmp_path).measured_s is None
    last = make_journal()[-1].model_dump_json()
    with (tmp_path / JOURNAL_NAME).open("a") as stream:
        stream.write(last)
    assert listed(tmp_path).measured_s is None
    with (tmp_path / JOURNAL_NAME).open("a") as stream:
        stream.write("\n")
    assert listed(tmp_path).measured_s == 300.0


@pytest.mark.parametrize("text", ["", "{", "[]\n", "null\n", '{"kind":"header"}\n', "\xff\n"])
def test_what_is_no_header_is_unreadable_and_listed(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / JOURNAL_NAME).write_text(text, encoding="latin-1")
    assert [(each.report_id, each.status) for each in listing(tmp_path)] == [("x", "unreadable")]


def test_a_duration_beyond_all_numbers_is_unreadable_and_listed(tmp_path: Path) -> None:
    shutil.copytree(min(REFERENCE.glob("*/")), tmp_path / "x")
    (tmp_path / "x" / JOURNAL_NAME).unlink()
    path = tmp_path / "x" / "report.json"
    path.write_text(re.sub(r'("measured_s": )[0-9.]+', rf"\g<1>1{'0' * 400}", path.read_text(), count=1))
    assert [(each.report_id, each.status) for each in listing(tmp_path)] == [("x", "unreadable")]


def test_a_pipe_in_place_of_a_journal_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / JOURNAL_NAME)
    (tmp_path / "report.json").write_text("{}")
    assert listed(tmp_path).status == "unreadable"


def test_hidden_folders_are_no_reports(tmp_path: Path) -> None:
    for name in (".pruned-x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / JOURNAL_NAME).touch()
    assert [folder.name for folder in report_folders(tmp_path)] == ["y"]


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        (Filters(), True),
        (Filters(models=("VIT",)), True),
        (Filters(models=("nope", "lex")), True),
        (Filters(models=("nope",)), False),
        (Filters(backends=("a",)), True),
        (Filters(backends=("SPIN",)), True),
        (Filters(hosts=("ben",)), True),
        (Filters(hosts=("ben",), names=("day",)), False),
        (Filters(names=("night",)), True),
        (Filters(statuses=("running",)), False),
        (Filters(since=NOW - timedelta(hours=2)), True),
        (Filters(since=NOW - timedelta(hours=1)), False),
    ],
)
def test_filters_take_parts_of_names_in_any_case(filters: Filters, *, fits: bool) -> None:
    assert filters.fit(row()) is fits


def test_an_unreadable_report_fits_whatever_is_asked_of_its_content() -> None:
    assert Filters(models=("vit",), since=NOW).fit(UNREADABLE)
    assert not Filters(statuses=("complete",)).fit(UNREADABLE)


def test_nothing_that_fits_says_what_each_filter_leaves() -> None:
    why = Filters(models=("vit",), hosts=("x",), statuses=("running",)).why_none([row(), row("b")])
    assert why == "none of 2 fits: --model vit fits 2, --host x fits 0, --status running fits 0"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("1.5 H", NOW - timedelta(minutes=90)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2w", NOW - timedelta(days=14)),
        ("2026-11-20T10:00+02:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20T10:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_a_moment(text: str, moment: datetime) -> None:
    assert parse_since(text, "--since", NOW) == moment


def test_a_date_without_a_zone_is_local() -> None:
    local = parse_since("2026-11-20", "--since", NOW)
    assert local.utcoffset() is not None
    assert local.replace(tzinfo=None) == datetime(2026, 11, 20)  # noqa: DTZ001 - the wall clock is what is meant


@pytest.mark.parametrize("text", ["", "7", "7y", "yesterday", "-3d", "99999999999d", "2026-13-01"])
def test_what_is_no_moment_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="Cannot read --since"):
        parse_since(text, "--since", NOW)


@pytest.mark.parametrize("sort", SORTS)
def test_every_order_has_its_reverse_and_unreadable_reports_last(sort: str) -> None:
    rows = (
        row("c", name=None, measured_s=None),
        row("b", name="b", host="z", cell_count=9, measured_s=3.0, started_at="2026-11-25T10:00:00+00:00"),
        UNREADABLE,
        row("a", name="A", host="Y", cell_count=1, status="running", models=("alexnet",), backends=("A",)),
    )
    forward, backward = (in_order(rows, sort, reverse=reverse) for reverse in (False, True))
    assert sorted(forward, key=rows.index) == list(rows)
    assert forward[-1] == backward[-1] == UNREADABLE
    key, descending = SORTS[sort]
    for found, largest_first in ((forward, descending), (backward, not descending)):
        values = [key(each) for each in found if each != UNREADABLE and key(each) is not None]
        assert values == sorted(values, reverse=largest_first)  # type: ignore[type-var]
        assert len(set(map(str, values))) > 1
        assert all(key(each) is None for each in found[len(values) : -1])


def test_an_unreadable_report_counts_as_the_oldest() -> None:
    assert started(UNREADABLE) < started(row())


def test_a_start_without_a_zone_is_utc() -> None:
    assert started(row(started_at="2026-11-24T10:00:00")) == started(row())


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ('"started_at":"', '"started_at":"x', "unreadable"),
        ('"started_at":"2026-11-23T21:34:05+00:00"', '"started_at":5', "unreadable"),
        ('"measured_s":300.0', '"measured_s":NaN', "interrupted"),
        ('"name":null', '"name":5', "interrupted"),
    ],
)
def test_nonsense_in_a_journal_never_stops_the_listing(
    tmp_path: Path, old: str, new: str, status: str
) -> None:
    text = "".join(line.model_dump_json() + "\n" for line in make_journal(blocks=1))
    assert old in text
    (tmp_path / JOURNAL_NAME).write_text(text.replace(old, new, 1))
    found = listed(tmp_path)
    assert found.status == status
    assert found.name == (None if status == "unreadable" or "name" not in new else "5")
    assert found.measured_s in {None, 300.0}
