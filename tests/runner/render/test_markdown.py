import html
import re

import pytest
from pytest_regressions.file_regression import FileRegressionFixture

from runner.render.document import document
from runner.render.markdown import to_markdown
from runner.report.schema import Report
from tests.runner.render.conftest import HOSTILE_BACKEND, RUNS


@pytest.mark.parametrize("report", ["quick", "trouble", "hostile"], indirect=True)
def test_markdown(report: Report, file_regression: FileRegressionFixture) -> None:
    file_regression.check(to_markdown(report), extension=".md", encoding="utf-8")


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
