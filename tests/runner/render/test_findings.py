import io

import pytest

from runner.render import render
from runner.render.document import document
from runner.render.findings import findings_sections
from runner.report.assemble import assemble
from runner.report.schema import Finding, FindingFigure, Report
from tests.fakes import cell_key, make_journal

CELLS = tuple(cell_key("alexnet", "cpu", size) for size in (4, 1, 8, 16, 32))
FIGURES = (
    FindingFigure(label="took", value=0.0123, unit="s", low=0.012, high=0.0126),
    FindingFigure(label="ratio", value=3.2, unit="ratio", low=3.1, high=3.3),
    FindingFigure(label="error", value=3e-5, unit="share"),
    FindingFigure(label="throttled", value=0.25, unit="share"),
    FindingFigure(label="cores", value=2.0, unit="count"),
)


def holding(*findings: Finding, models: tuple[str, ...] = ("alexnet",)) -> Report:
    lines = make_journal(models, batch_sizes=(1, 4, 8, 16, 32))
    return assemble(lines).model_copy(update={"findings": findings})


def line_of(report: Report) -> str:
    (section,) = findings_sections(report)
    (line,) = section.lines
    return line


def test_a_line_says_what_where_the_evidence_and_the_remedy() -> None:
    finding = Finding(
        kind="x", title="Slow", model="alexnet", variant="fp32", backend="cpu", cells=CELLS[:1], figures=FIGURES,
        detail="Conv there", remedy="Try --backend cpu:threads=2",
    )  # fmt: skip
    assert line_of(holding(finding)) == (
        "Slow: cpu at b4: took 12.3 [12.0, 12.6] ms, ratio 3.20x [3.10, 3.30], error 3.0e-05, throttled 25 %, cores 2, "
        "Conv there. Try --backend cpu:threads=2."
    )


def test_of_many_loads_the_first_few_are_named_and_whose_figures_these_are() -> None:
    finding = Finding(
        kind="x",
        title="Slow",
        model="alexnet",
        backend="cpu",
        cells=CELLS,
        figures=FIGURES[:1],
        remedy="Wait",
    )
    report = holding(finding, models=("alexnet", "vit_b_16"))
    assert line_of(report).startswith(
        "Slow: alexnet cpu at b4, b1, b8 and 2 more (figures of the first): took"
    )


def test_what_holds_for_the_whole_run_names_nothing() -> None:
    assert line_of(holding(Finding(kind="x", title="Two wheels", detail="a and b", remedy="Remove one"))) == (
        "Two wheels: a and b. Remove one."
    )


@pytest.mark.parametrize("format_name", ["table", "md", "json"])
def test_findings_end_a_report(format_name: str) -> None:
    report = holding(Finding(kind="x", title="Two wheels", detail="a and b", remedy="Remove one of them"))
    stream = io.StringIO()
    render(report, format_name, stream, details=True)
    text = stream.getvalue()
    assert "Remove one of them" in text
    assert text.index("Remove one of them") > text.index('"notes"' if format_name == "json" else "Summary")
    assert document(report, details=True)[-1].title == "Findings"


def test_a_report_without_findings_has_no_such_section() -> None:
    assert findings_sections(holding()) == ()
