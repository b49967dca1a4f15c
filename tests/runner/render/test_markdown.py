import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pytest_regressions.file_regression import FileRegressionFixture

from runner.render.document import document
from runner.render.layout import Column, Section, Table, plain
from runner.render.markdown import _section, to_markdown
from runner.report.schema import Report
from tests.runner.render.conftest import HOSTILE_BACKEND, RUNS


@pytest.mark.parametrize("report", ["quick", "trouble", "hostile"], indirect=True)
def test_markdown(report: Report, file_regression: FileRegressionFixture) -> None:
    file_regression.check(to_markdown(report), extension=".md", encoding="utf-8")


PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
BLOCKS = {"heading", "bullet_list", "list_item", "paragraph", "table", "thead", "tbody", "tr", "th", "td"}


def read(text: str) -> list[str]:
    """Return the text of each title, bullet and cell as a parser of Markdown shows it; marks of any kind fail."""
    shown = []
    for token in PARSER.parse(text):
        if token.type == "inline":
            children = token.children or ()
            marks = {(child.type, child.content) for child in children if child.type != "text"}
            assert marks <= {("html_inline", "<br>")}
            shown.append(
                "".join("\n" if child.type == "html_inline" else child.content for child in children)
            )
        else:
            assert token.type.removesuffix("_open").removesuffix("_close") in BLOCKS, token.type
    return shown


TEXTS = st.text(st.sampled_from("ab1 .)-+#*_`~[](){}<>&|!^:\\/x")) | st.text(st.characters(codec="utf-8"))


@given(TEXTS)
@example("<script>")
@example("a|b")
@example("[x](y) [a](b)")
@example("[a]: b [a]")
@example("[x] done")
@example("--")
@example("-- -")
@example("---")
@example("1. one")
@example("_a_ a_b __c__")
@example("`a` *b* \\*c*")
@example("~~~")
@example("# title #")
@example("&lt;")
def test_any_text_is_shown_as_it_is(text: str) -> None:
    table = Table((Column("header"),), ((text,),))
    lines = [" ".join(line.split()) for line in plain(text).split("\n")]
    in_one = " ".join(filter(None, lines))
    section = Section("title", lines=(text,) if in_one else (), tables=(table,))
    title, *bullet, header, cell = read(_section(section, level=2))
    assert (title, header, cell) == ("title", "header", "\n".join(lines))
    assert bullet == ([in_one] if in_one else [])


@pytest.mark.parametrize("report", ["quick"], indirect=True)
def test_text_stays_readable_without_a_parser(report: Report) -> None:
    text = to_markdown(report)
    assert "shufflenet_v2_x0_5 fp32" in text
    assert "1.29x [1.22, 1.37]" in text
    assert "(median over cells)" in text
    assert "+0000" in text


def cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line)[1:-1]


@pytest.mark.parametrize("report", RUNS, indirect=True)
def test_every_row_has_as_many_cells_as_its_header(report: Report) -> None:
    expected = [
        len(t.columns)
        for s in document(report, details=True)
        for t in s.tables
        for _ in range(len(t.rows) + 2)
    ]
    rows = [line for line in to_markdown(report).splitlines() if line.startswith("|")]
    assert [len(cells(row)) for row in rows] == expected


@pytest.mark.parametrize("report", ["hostile"], indirect=True)
def test_names_are_neither_html_nor_markdown(report: Report) -> None:
    text = to_markdown(report)
    assert "<script>" not in text
    assert "<b>" not in text
    unescaped = html.unescape(re.sub(r"\\(.)", r"\1", text))
    assert HOSTILE_BACKEND in unescaped
    assert "<b>&amp;|[/red]" in unescaped
