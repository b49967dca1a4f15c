"""The page of an archive in a real browser: it filters, sorts, compares as the command does, and asks nobody."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.cli import main
from runner.render import numbers
from runner.render.html import to_html
from runner.report.assemble import assemble
from runner.report.comparison.compare import make_side
from runner.report.comparison.spread import calibrate, write_spread
from runner.report.schema import Report
from tests.fakes import make_journal
from tests.queues import with_queue
from tests.runner.render.html.axe import assert_for_all_readers
from tests.runner.render.html.pages import ENTITY, IMAGE, SCRIPT, hostile
from tests.runner.render.html.test_browser import CHROMIUM, NARROW, NO_SERVICES, WIDE, Visit
from tests.runner.report.comparison.runs import changed, make_run

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

CELLS = "#comparison tbody tr"


def _named(report: Report, place: int, name: str) -> Report:
    """Return a report under an id and a start of its own, a day after the one before it."""
    day = f"2026-11-{place + 1:02}"
    facts = {"report_id": f"{day}T10-00-00-{name}", "started_at": f"{day}T10:00:00+00:00"}
    return report.model_copy(update=facts)


def _runs() -> Iterator[tuple[str, Report]]:
    for seed in range(5):
        yield f"same{seed}", make_run(seed=seed, energy="measured")
    yield "slow", make_run(seed=5, speed=1.3, energy="measured", batch_sizes=(1, 4, 16))
    yield "paced", make_run(seed=6, energy="measured", pace_hz=8)
    yield "updated", changed(make_run(seed=7, speed=0.7, energy="measured"), "provenance", profile="quick")
    moved = changed(make_run(seed=8, energy="measured"), "environment", cpu="another", host="elsewhere")
    yield "moved", moved
    yield "short", make_run(seed=9, blocks=3, workers=1, noise_ratio=0.2)
    lines = make_journal(backends=("cpu",), batch_sizes=(1,), energy="measured")
    for seed in (1, 2):
        yield f"queue{seed}", assemble(with_queue(lines, energy=True, seed=seed))
    yield "hostile", hostile()


@pytest.fixture(scope="module")
def ids(reports_dir: Path) -> dict[str, str]:
    return {path.name[20:]: path.name for path in reports_dir.glob("2026-*")}


@pytest.fixture(scope="module")
def reports_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one thing with their spread, runs that differ in one way each, and what cannot be read."""
    folder = tmp_path_factory.mktemp("an archive") / "reports"
    reports = [_named(report, place, name) for place, (name, report) in enumerate(_runs())]
    for report in reports:
        (folder / report.report_id).mkdir(parents=True)
        (folder / report.report_id / "report.json").write_text(report.model_dump_json())
    (folder / reports[0].report_id / "report.html").write_text(to_html(reports[0]))
    (folder / "2026-11-30T10-00-00-torn").mkdir()
    (folder / "2026-11-30T10-00-00-torn" / "report.json").write_text("{")
    write_spread(folder / "spread.json", calibrate(make_side(reports[:5]), "0"))
    assert main(["reports", "site", "--reports-dir", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(NO_SERVICES))
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, reports_dir: Path) -> Iterator[Any]:
    visits: list[Visit] = []

    def open_page(**options: Any) -> Visit:
        visits.append(Visit(browser, reports_dir / "site" / "index.html", **options))
        return visits[-1]

    yield open_page
    for each in visits:
        each.context.close()


def _pick(page: Any, reference: str, new: str) -> None:
    page.locator(f'input[name=ref][value="{reference}"]').check()
    page.locator(f'input[name=new][value="{new}"]').check()


def _shown_ids(page: Any) -> list[str]:
    return [text.split("T10")[1][7:] for text in page.locator("#list tbody tr:visible a").all_text_contents()]


def test_it_opens_without_a_complaint_and_asks_for_nothing_but_what_draws(visit: Any) -> None:
    shown = visit()
    assert shown.complaints == []
    assert [url.rpartition("/")[2][:6] for url in shown.requests] == ["index.", "plotly"]
    assert all(url.startswith("file://") for url in shown.requests)
    assert shown.page.locator("#list tbody tr").count() == 14
    assert "13 complete, 1 unreadable" in shown.page.locator("header").inner_text()


@pytest.mark.parametrize(
    "pair",
    [
        ("same0", "slow"),
        ("slow", "same0"),
        ("same0", "same1"),
        ("same2", "short"),
        ("short", "same2"),
        ("same1", "updated"),
        ("queue1", "queue2"),
        ("paced", "same3"),
        ("moved", "same0"),
    ],
)
def test_a_comparison_is_the_one_of_the_command(
    visit: Any,
    reports_dir: Path,
    ids: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    pair: tuple[str, str],
) -> None:
    reference, new = pair
    asked = ["reports", "compare", ids[reference], ids[new], "--reports-dir", str(reports_dir), "-f", "json"]
    main(asked)
    (told,) = json.loads(capsys.readouterr().out)["comparisons"]
    shown = visit()
    _pick(shown.page, ids[reference], ids[new])
    rows = shown.page.locator(CELLS).evaluate_all("rows => rows.map((row) => ({...row.dataset}))")
    found = {(row["key"], row["metric"]): row for row in rows}
    right = {(figure["cell"], figure["metric"]): figure for figure in _figures(told)}
    assert found.keys() == right.keys()
    assert bool(right) == (reference != "moved")
    for where, figure in right.items():
        for name in ("ratio", "low", "high"):
            assert float(found[where][name]) == pytest.approx(figure[name], rel=1e-6), (where, name)
    texts = shown.page.locator(f"{CELLS} td:nth-child(6)").all_text_contents()
    assert texts == [numbers.ratio(each["ratio"], each["low"], each["high"]) for each in right.values()]
    means = shown.page.locator(f"{CELLS} td:nth-child(4)").all_text_contents()
    units = ["J" if metric == "energy" else "s" for _, metric in right]
    assert means == [
        numbers.quantity(each["reference"], unit) for each, unit in zip(right.values(), units, strict=True)
    ]
    caution = shown.page.locator("#comparison .callout").count()
    assert caution == any(not each["with_spread"] for each in right.values() if not each["occupancy"])
    assert shown.complaints == []


def _figures(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for cell in told["cells"]:
        for figure in cell["figures"]:
            yield {"cell": cell["cell"], **figure}


def test_rules_are_named_as_the_command_names_them(visit: Any, ids: dict[str, str]) -> None:
    page = visit().page
    _pick(page, ids["same0"], ids["moved"])
    text = page.locator("#comparison").inner_text()
    assert "Nothing could be compared." in text
    assert "cpu: 2 cells not compared:" in text
    assert "-> another" in text
    assert "Measure both on the same kind of machine" in text
    assert "host: 2 cells compared all the same" in text
    _pick(page, ids["same0"], ids["updated"])
    text = page.locator("#comparison").inner_text()
    assert "profile: 2 cells compared all the same: standard -> quick" in text
    assert "faster" in text


def test_cells_of_one_side_are_listed_and_two_that_are_one_are_refused(
    visit: Any, ids: dict[str, str]
) -> None:
    page = visit().page
    _pick(page, ids["slow"], ids["same0"])
    assert "only in the reference: alexnet on cpu, b16" in page.locator("#comparison").inner_text()
    page.get_by_role("button", name="Swap").click()
    assert "only in the new run: alexnet on cpu, b16" in page.locator("#comparison").inner_text()
    assert page.evaluate("document.activeElement.textContent") == "Swap"
    _pick(page, ids["slow"], ids["slow"])
    assert "cannot be compared with itself" in page.locator("#comparison").inner_text()
    page.goto(f"{page.url.partition('#')[0]}#ref=gone&new={ids['slow']}")
    assert "Not in this page, or unreadable: gone." in page.locator("#comparison").inner_text()


def test_reports_filter_by_words_model_backend_host_and_date(visit: Any) -> None:
    shown = visit()
    page = shown.page
    page.get_by_label("Words").fill("SAME alexnet")
    assert _shown_ids(page) == [f"same{seed}" for seed in (4, 3, 2, 1, 0)]
    page.get_by_label("From").fill("2026-11-02")
    page.get_by_label("To", exact=True).fill("2026-11-03")
    assert _shown_ids(page) == ["same2", "same1"]
    assert page.locator("#count").text_content() == "2 of 14 reports"
    page.get_by_role("button", name="Show all").click()
    assert page.locator("#list tbody tr:visible").count() == 14
    page.locator("#host").select_option("elsewhere")
    assert _shown_ids(page) == ["moved"]
    page.get_by_role("button", name="Show all").click()
    page.locator("#backend").select_option(f"torch:{IMAGE}")
    assert _shown_ids(page) == ["hostile"]
    page.get_by_role("button", name="Show all").click()
    page.locator("#model").select_option(SCRIPT)
    assert _shown_ids(page) == ["hostile"]
    assert shown.complaints == []


def test_reports_sort_and_what_has_no_time_comes_last(visit: Any) -> None:
    page = visit().page
    head = page.locator("#list th", has_text="started")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert _shown_ids(page)[:2] == ["same0", "same1"]
    assert _shown_ids(page)[-1] == "torn"
    head.get_by_role("button").press("Enter")
    assert _shown_ids(page)[0] == "hostile"
    assert _shown_ids(page)[-1] == "torn"
    page.locator("#list th", has_text="cells").get_by_role("button").click()
    counts = [int(text) for text in page.locator("#list tbody tr td:last-child").all_text_contents()]
    assert counts == sorted(counts)
    assert counts[-1] > 9, "as numbers"


def test_a_link_shows_what_its_sender_saw(visit: Any, browser: Any, ids: dict[str, str]) -> None:
    page = visit().page
    _pick(page, ids["same0"], ids["slow"])
    page.get_by_label("Words").fill("s&m #%")
    page.get_by_label("Words").fill("same")
    page.locator("#list th", has_text="started").get_by_role("button").click()
    page.locator("#trend-metric").select_option("energy")
    page.locator("#trend-model").select_option("alexnet")
    page.locator("#trend-cell").select_option(label="cpu b4")
    other = browser.new_context(viewport=WIDE).new_page()
    other.goto(page.url)
    for place in ("#comparison", "#list tbody", "#trend-table", "#count"):
        assert other.locator(place).inner_text() == page.locator(place).inner_text()
    assert other.locator("#trend-metric").input_value() == "energy"
    assert other.locator("#trend-cell").input_value() == "alexnet/fp32/cpu/b4/host"
    assert other.locator(f'input[name=new][value="{ids["slow"]}"]').is_checked()
    other.get_by_role("link", name="Trend").click()
    assert other.locator("#comparison").inner_text() == page.locator("#comparison").inner_text()
    other.context.close()


def test_a_cell_is_drawn_over_time_by_host_with_limits_and_links(visit: Any, ids: dict[str, str]) -> None:
    shown = visit()
    page = shown.page
    _pick(page, ids["same0"], ids["slow"])
    page.locator(CELLS).first.get_by_role("button").click()
    assert page.url.endswith("cell=alexnet%2Ffp32%2Fcpu%2Fb1%2Fhost&metric=latency")
    traces = page.evaluate("document.getElementById('trend-plot').data")
    assert [len(trace["x"]) for trace in traces] == [11, 1]
    assert traces[1]["name"] == "elsewhere"
    assert traces[0]["x"] == sorted(traces[0]["x"])
    assert all(up > 0 for up in traces[0]["error_y"]["array"])
    assert "joulebatch 0" in traces[0]["text"][0]
    lines = page.locator("#trend-table tbody tr")
    assert lines.count() == 12
    assert "profile: standard -> quick" in page.locator("#trend-table").inner_text()
    assert lines.last.locator("a").get_attribute("href") == f"../{ids['same0']}/report.html"
    assert shown.complaints == []
    page.locator("#trend-plot .points path").first.hover(force=True)
    page.wait_for_selector(".hoverlayer .hovertext")
    page.mouse.down()
    page.mouse.up()
    page.wait_for_url(f"**/{ids['same0']}/report.html")
    assert "joulebatch report" in page.locator("header").inner_text()


def test_names_that_are_markup_run_nothing_and_are_read_as_they_are(visit: Any, ids: dict[str, str]) -> None:
    shown = visit()
    page = shown.page
    row = page.locator("#list tbody tr", has_text="hostile")
    assert SCRIPT in row.inner_text()
    assert IMAGE in row.inner_text()
    _pick(page, ids["hostile"], ids["same0"])
    assert SCRIPT in page.locator("#comparison").inner_text()
    page.locator("#trend-model").select_option(SCRIPT)
    page.locator("#trend-cell").select_option(label=f"{ENTITY} b1")
    assert page.locator(".legendtext").all_text_contents() == [IMAGE]
    page.locator("#trend-plot .points path").first.hover(force=True)
    page.wait_for_selector(".hoverlayer .hovertext")
    assert page.locator("img").count() == 0
    assert shown.complaints == []
    assert len(shown.requests) == 2


def test_the_plot_follows_the_theme(visit: Any) -> None:
    page = visit(color_scheme="dark").page
    look = "document.querySelector('#trend-plot .main-svg').style.background"
    dark = page.evaluate(look)
    page.locator("button.theme").click()
    page.wait_for_function(f"{look} !== {json.dumps(dark)}")


def test_without_what_draws_all_else_is_there(browser: Any, reports_dir: Path, tmp_path: Path) -> None:
    shutil.copy(reports_dir / "site" / "index.html", tmp_path)
    shown = Visit(browser, tmp_path / "index.html")
    assert shown.page.locator("#no-plot").is_visible()
    assert shown.page.locator("#trend-table tbody tr").count() == 12, "of the cell that most reports hold"
    shown.context.close()


def test_without_javascript_reports_are_listed(visit: Any) -> None:
    page = visit(java_script_enabled=False).page
    assert page.locator("noscript").is_visible()
    assert page.locator("#list tbody tr:visible").count() == 14
    assert not page.locator("#filters").is_visible()


@pytest.mark.parametrize(
    ("theme", "size"), [("light", WIDE), ("dark", WIDE), ("dark", NARROW)], ids=["light", "dark", "narrow"]
)
def test_the_page_is_for_all_readers(visit: Any, ids: dict[str, str], theme: str, size: Any) -> None:
    page = visit(color_scheme=theme, viewport=size, bypass_csp=True).page
    _pick(page, ids["slow"], ids["updated"])
    assert_for_all_readers(page)
