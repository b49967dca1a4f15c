"""What a page says and what is in it; that a browser shows it so is in test_browser.py."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import AbsentError
from runner.render.archived import RENDERINGS
from runner.render.details import detail_sections
from runner.render.html import assets, to_html
from runner.render.html.shell import json_lines, policy
from runner.render.layout import plain
from runner.render.queue import queue_sections
from runner.render.tables import comparison_sections
from runner.report.assemble import assemble
from runner.report.schema import Report
from tests.fakes import make_journal
from tests.runner.render.conftest import RUNS
from tests.runner.render.html.pages import ENTITY, IMAGE, SCRIPT, Page, hostile, queue

SIZE_BYTES = 500_000
"""of a page without plotly"""


@pytest.fixture(scope="module")
def hostile_page() -> Page:
    return Page(to_html(hostile()))


@pytest.mark.parametrize("report", RUNS, indirect=True)
def test_a_page_of_any_report_is_well_formed_the_same_each_time_and_small(report: Report) -> None:
    text = to_html(report)
    assert text == to_html(report)
    assert len(text.encode()) < SIZE_BYTES
    ids = [attributes["id"] for _, attributes in Page(text).elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [attrs["href"] for tag, attrs in Page(text).elements if tag == "a"]
    assert {str(target)[1:] for target in targets} <= set(ids), "every link leads somewhere in the page"


@pytest.mark.parametrize("report", RUNS, indirect=True)
def test_a_page_holds_every_cell_of_every_table_that_a_terminal_shows(report: Report) -> None:
    sections = (*comparison_sections(report), *queue_sections(report), *detail_sections(report))
    rows = Page(to_html(report)).cells
    for table in (table for section in sections for table in section.tables):
        for row in table.rows:
            assert [plain(cell) for cell in row] in rows


@pytest.mark.parametrize("report", RUNS, indirect=True)
def test_a_page_holds_every_line_and_note(report: Report) -> None:
    words = set(Page(to_html(report)).words)
    for section in (*comparison_sections(report), *detail_sections(report)):
        assert {plain(line) for line in (*section.lines, *section.notes)} <= words


def test_a_queue_s_page_shows_responses_batches_lengths_and_idle_energy() -> None:
    report = queue()
    page = Page(to_html(report))
    titles = {word for word in page.words if "\n" not in word}
    assert {"Response times", "Idle and active energy of a request", "What holds"} <= titles
    for rate in ("20.0", "80.0"):
        assert {f"Batches formed at {rate} requests/s", f"Queue over time at {rate} requests/s"} <= titles
    (lengths, *_) = (
        figure for figure in page.figures if "requests that wait" in json.dumps(figure["layout"]["yaxis"])
    )
    assert report.queue is not None
    drawn = [trace["y"] for trace in lengths["data"]]
    asked = [cell for cell in report.queue.cells if cell.load.request_rate_hz == 20 and cell.summary]
    assert [len(line) for line in drawn] == [
        len(cell.summary.queue_lengths) for cell in asked if cell.summary
    ]


def test_the_answer_comes_first_in_words() -> None:
    page = Page(to_html(assemble(RUNS["quick"]())))
    words = [word.strip() for word in page.words if word.strip()]
    first = words.index("The answer")
    assert words[first + 1 : first + 3] == ["alexnet fp32", "Most images per second"]
    assert words[first + 3].endswith("images/s")
    assert words[first + 4].startswith("cpu, b")
    assert first < words.index("What to doubt" if "What to doubt" in words else "Unavailable, and why")


def test_what_has_no_figure_says_why_and_what_to_do() -> None:
    words = Page(to_html(assemble(RUNS["trouble"]()))).words
    said = [word for word in words if "worker killed by signal 9" in word]
    assert any("cpu:spin=off b4: failed: worker killed by signal 9 (out of memory?)" in word for word in said)
    assert any(word.startswith("cpu:threads=1,spin=off b4: skipped: does not fit") for word in words)
    assert "Least cost per image" in Page(to_html(assemble(make_journal()))).words
    assert "unavailable" in Page(to_html(assemble(make_journal()))).words


def test_estimates_are_marked_and_never_an_answer() -> None:
    page = Page(to_html(assemble(RUNS["killed"]())))
    assert any("ESTIMATED" in word for word in page.words)
    assert "unavailable" in page.words, "an estimate ranks nothing"


def test_marks_are_explained_where_they_are_used_and_only_there() -> None:
    plain_run, variants = (Page(to_html(assemble(RUNS[name]()))).words for name in ("quick", "variants"))
    assert any(word.startswith("of a variant: its outputs are too far off") for word in variants)
    assert not any(word.startswith("of a variant:") for word in plain_run)


def test_figures_have_the_values_of_the_report() -> None:
    report = assemble(make_journal(("alexnet",), ("cpu", "torch"), (1, 4), energy="measured"))
    latency = Page(to_html(report)).figures[0]
    summaries = [cell.summary for cell in report.cells if cell.backend == "torch"]
    means = [summary.latency_s.mean for summary in summaries if summary]
    (trace,) = (trace for trace in latency["data"] if trace["name"] == "torch")
    scale = 1000 if "ms" in latency["layout"]["yaxis"]["title"]["text"] else 1
    assert trace["y"] == pytest.approx([mean * scale for mean in means], rel=1e-5)
    highs = [
        summary.latency_s.high - summary.latency_s.mean
        for summary in summaries
        if summary and summary.latency_s.high
    ]
    assert trace["error_y"]["array"] == pytest.approx([high * scale for high in highs], rel=1e-5)


def test_names_that_are_markup_stay_text(hostile_page: Page) -> None:
    tags = [tag for tag, _ in hostile_page.elements]
    assert "img" not in tags
    assert not [
        name for _, attributes in hostile_page.elements for name in attributes if name.startswith("on")
    ]
    # One of ours, one that draws; the others are data.
    kinds = [attributes.get("type") for tag, attributes in hostile_page.elements if tag == "script"]
    assert kinds.count(None) == 2
    assert {*kinds} == {None, "application/json"}
    words = "".join(hostile_page.words)
    assert f"{SCRIPT}{IMAGE}" in words
    assert all(name in words for name in (SCRIPT, IMAGE, ENTITY))


def test_plots_name_what_is_shown_and_never_compared() -> None:
    for run, mark in (("gpu", "cuda (parity FAILED)"), ("variants", "cpu int8-static (quality lost)")):
        latency = Page(to_html(assemble(RUNS[run]()))).figures[0]
        assert mark in [trace["name"] for trace in latency["data"]]


def test_plotly_gets_no_markup_from_names(hostile_page: Page) -> None:
    texts = [text.replace("<br>", "") for text in hostile_page.texts_of_figures()]
    assert any("&lt;img src=x" in text for text in texts)
    assert not [text for text in texts if "<" in text.replace("<extra></extra>", "")]
    variables = [text for text in texts if "%{" in text]
    assert set(variables) <= {"%{customdata}<extra></extra>"}, (
        "Plotly would fill in what a name only looks like"
    )


def renamed(name: str) -> Report:
    """Return a report of one model and of that name."""
    base = assemble(make_journal(batch_sizes=(1,), blocks=2))
    named = {"model": name}
    parts = {
        "models": tuple(each.model_copy(update={"name": name}) for each in base.models),
        "cells": tuple(each.model_copy(update=named) for each in base.cells),
        "sessions": tuple(each.model_copy(update=named) for each in base.sessions),
        "choices": tuple(each.model_copy(update=named) for each in base.choices),
        "best_sets": tuple(each.model_copy(update=named) for each in base.best_sets),
    }
    return base.model_copy(update={**parts, "name": name})


@settings(max_examples=25, deadline=None)
@given(name=st.text(st.characters(exclude_categories=()), min_size=1, max_size=40))
def test_any_name_is_shown_as_it_is_and_opens_nothing(name: str) -> None:
    shape, page = Page(to_html(renamed("plain"))), Page(to_html(renamed(name)))
    count = {
        tag: sum(each == tag for each, _ in page.elements) for tag in ("script", "a", "td", "h2", "section")
    }
    assert count == {tag: sum(each == tag for each, _ in shape.elements) for tag in count}
    if shown := plain(name).replace("\n", ""):
        assert shown in "".join(page.words).replace("\n", "")


@given(
    st.recursive(
        st.text() | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_data_for_plots_is_what_it_was_and_cannot_end_its_element(value: Any) -> None:
    data = {"data": [{"name": value}], "layout": {"x": value}}
    text = str(json_lines(data))
    assert json.loads(text) == data
    assert not re.search("[<>&\u2028\u2029]", text)


def test_what_is_not_finite_has_no_place_in_a_plot() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_lines({"x": float("nan")})


def test_a_page_allows_its_own_scripts_only() -> None:
    allowed = policy(["one", "two"])
    assert "default-src 'none'" in allowed
    assert allowed.count("'sha256-") == 2
    assert "unsafe-eval" not in allowed
    assert "http" not in allowed


def test_a_page_asks_for_one_file_beside_the_reports_or_for_none() -> None:
    report = assemble(RUNS["quick"]())
    beside, within = Page(to_html(report)), Page(to_html(report, self_contained=True))
    sources = [attributes["src"] for tag, attributes in beside.elements if "src" in attributes]
    assert sources == [f"../assets/{assets.PLOTLY_NAME}"]
    assert not [attributes for _, attributes in within.elements if "src" in attributes]
    assert any(text == assets.plotly_text() for _, text in within.scripts)
    for page in (beside, within):
        links = [attributes.get("href") or "" for tag, attributes in page.elements if tag in {"a", "link"}]
        assert all(link.startswith(("#", "data:")) for link in links)


def test_a_page_without_plotly_is_made_and_one_that_is_to_hold_it_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assets, "_installed", lambda: None)
    report = assemble(make_journal())
    assert "../assets/plotly-" in to_html(report)
    with pytest.raises(AbsentError, match=r"Cannot draw plots: .* Run: pip install 'plotly>=7,<8'\."):
        to_html(report, self_contained=True)


def test_lines_are_short_enough_to_name_a_difference() -> None:
    lines = to_html(assemble(RUNS["eventful"]())).split("\n")
    assert max(map(len, lines)) < 2000


def test_every_finished_run_has_a_page() -> None:
    assert RENDERINGS["report.html"] is to_html


def test_a_run_that_ended_before_its_first_session_has_nothing_to_answer_and_says_so() -> None:
    words = Page(to_html(assemble(RUNS["early"]()))).words
    assert "unavailable" in words
    assert not [word for word in words if re.search(r"\d images/s", word)]
