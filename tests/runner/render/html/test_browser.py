"""Pages in a real browser, opened from disk: they draw, sort, filter, follow the theme, print, and ask nobody."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.render.html import to_html
from runner.render.html.assets import place_plotly
from runner.report.archive import load
from runner.report.assemble import assemble
from runner.report.schema import Report
from tests.processes import ROOT
from tests.runner.render.conftest import RUNS
from tests.runner.render.html.axe import assert_for_all_readers
from tests.runner.render.html.pages import ENTITY, IMAGE, SCRIPT, hostile, queue

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium")
NO_SERVICES = ("--no-sandbox", "--disable-background-networking", "--disable-component-update")
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 375, "height": 800}
REFERENCES = sorted((ROOT / "reports" / "reference").glob("2*"))

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=list(NO_SERVICES))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    place_plotly(folder)
    return folder


class Visit:
    """A page in the browser, with all that it complained of and asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": WIDE, **options})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def _dismiss(self, dialog: Any) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def draw_all(self) -> None:
        """Have every plot drawn, those that are far down included, which wait until they come near."""
        self.page.evaluate("dispatchEvent(new Event('beforeprint')); dispatchEvent(new Event('afterprint'))")

    def column(self, table: Any, index: int) -> list[str]:
        """Return the texts of a column, hidden rows left out."""
        cells = table.locator(f"tbody tr:visible td:nth-child({index + 1})")
        return [text.strip() for text in cells.all_text_contents()]


@pytest.fixture
def visit(browser: Any, reports_dir: Path) -> Iterator[Any]:
    visits: list[Visit] = []

    def open_page(report: Report, *, self_contained: bool = False, **options: Any) -> Visit:
        folder = reports_dir / f"report-{len(list(reports_dir.iterdir()))}"
        folder.mkdir()
        path = folder / "report.html"
        path.write_text(to_html(report, self_contained=self_contained), encoding="utf-8")
        visits.append(Visit(browser, path, **options))
        return visits[-1]

    yield open_page
    for each in visits:
        each.context.close()


@pytest.mark.parametrize("folder", REFERENCES, ids=lambda folder: folder.name[-4:])
def test_a_page_of_a_real_run_draws_everything_complains_of_nothing_and_asks_nobody(
    visit: Any, folder: Path
) -> None:
    shown = visit(load(folder))
    plots = shown.page.locator(".plot").count()
    shown.draw_all()
    assert shown.page.locator(".plot.js-plotly-plot .main-svg:first-child").count() == plots
    assert plots >= 3
    assert shown.complaints == []
    assert len(shown.requests) == 2
    assert all(url.startswith("file://") for url in shown.requests)
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_page_that_holds_all_asks_for_nothing_but_itself(visit: Any) -> None:
    shown = visit(queue(), self_contained=True)
    shown.draw_all()
    assert shown.page.locator(".js-plotly-plot").count() >= 6
    assert (shown.complaints, len(shown.requests)) == ([], 1)


def test_names_that_are_markup_run_nothing_and_are_read_as_they_are(visit: Any) -> None:
    shown = visit(hostile())
    assert shown.complaints == []
    assert shown.page.locator("img").count() == 0
    assert shown.page.locator("h1").text_content() == f"{SCRIPT}{IMAGE}"
    shown.draw_all()
    legends = shown.page.locator(".legendtext").all_text_contents()
    assert any(IMAGE in text for text in legends)
    assert ENTITY in legends
    assert len(shown.requests) == 2
    page = shown.page
    page.locator(".js-plotly-plot").first.locator(".points path").first.hover(force=True)
    page.wait_for_selector(".hoverlayer .hovertext")
    assert shown.complaints == []
    assert page.locator(".hoverlayer img, .hoverlayer script").count() == 0


def test_tables_sort_by_mouse_and_by_keyboard_as_numbers(visit: Any) -> None:
    shown = visit(assemble(RUNS["trouble"]()))
    page = shown.page
    table = page.locator("#model-1 table").first
    heads = [text.replace("\n", " ") for text in table.locator("th").all_text_contents()]
    index = next(place for place, text in enumerate(heads) if text.startswith("latency"))
    head = table.locator("th").nth(index)
    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    said = [text for text in shown.column(table, index) if text != "-"]
    rising = [float(text.lstrip("*")) for text in said]
    assert rising == sorted(rising)
    assert shown.column(table, index)[len(said) :] == ["-"] * 2, "what has no figure comes last"
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    said = [text for text in shown.column(table, index) if text != "-"]
    assert [float(text.lstrip("*")) for text in said] == rising[::-1]
    assert shown.column(table, index)[len(said) :] == ["-"] * 2
    assert table.locator("th[aria-sort=descending], th[aria-sort=ascending]").count() == 1


def test_units_and_prefixes_sort_by_size_and_loads_as_people_count(visit: Any) -> None:
    shown = visit(assemble(RUNS["quick"]()))
    page = shown.page
    page.evaluate(
        """() => {
            const rows = document.querySelector("#model-1 table tbody").rows;
            ["2.1 ms", "900 us", "1 s", "b16"].forEach((text, i) => (rows[i].cells[0].textContent = text));
            ["b16", "b4", "b1 @ 8/s", "b2"].forEach((text, i) => (rows[i].cells[1].textContent = text));
            [...rows].slice(4).forEach((row) => row.remove());
        }"""
    )
    table = page.locator("#model-1 table").first
    table.locator("th button").nth(0).click()
    assert shown.column(table, 0) == ["900 us", "2.1 ms", "1 s", "b16"]
    table.locator("th button").nth(1).click()
    assert shown.column(table, 1) == ["b1 @ 8/s", "b2", "b4", "b16"]


def test_tables_filter_by_words_and_say_how_many_rows_are_left(visit: Any) -> None:
    shown = visit(assemble(RUNS["trouble"]()))
    table = shown.page.locator("#model-1 .sheet").first
    field = table.get_by_label("Filter rows")
    field.focus()
    shown.page.keyboard.type("SPIN=OFF b1")
    backends, loads = shown.column(table, 0), shown.column(table, 1)
    assert backends
    assert all("spin=off" in text for text in backends)
    assert all(text.startswith("b1") for text in loads)
    assert table.locator("output").text_content() == f"{len(backends)} of 12 rows"
    shown.page.keyboard.type(" nonsense")
    assert shown.column(table, 0) == []
    field.fill("")
    assert len(shown.column(table, 0)) == 12
    assert shown.complaints == []


def test_the_theme_follows_the_system_and_a_reader_s_choice_and_plots_follow_it(visit: Any) -> None:
    shown = visit(assemble(RUNS["quick"]()), color_scheme="dark")
    page = shown.page
    look = "getComputedStyle(document.body).backgroundColor + document.querySelector('.main-svg').style.background"
    dark = page.evaluate(look)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.locator("button.theme").focus()
    page.keyboard.press("Space")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    light = page.evaluate(look)
    assert light.count("255, 255, 255") == 1
    assert light != dark
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "light", "the choice stays"
    assert shown.complaints == []


def test_a_page_prints_light_and_with_all_that_is_folded(visit: Any) -> None:
    shown = visit(assemble(RUNS["quick"]()), color_scheme="dark")
    page = shown.page
    plots = page.locator(".plot").count()
    assert page.locator(".js-plotly-plot").count() < plots, "what is far down waits"
    assert page.locator("details[open]").count() == 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("details:not([open])").count() == 0
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.locator(".js-plotly-plot").count() == plots
    assert not page.locator("button.theme").is_visible()
    assert not page.locator(".bar").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.pdf().startswith(b"%PDF")


def test_without_the_file_that_draws_a_page_is_whole_and_says_how_to_get_plots(
    browser: Any, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    report = assemble(RUNS["quick"]())
    path.write_text(to_html(report), encoding="utf-8")
    shown = Visit(browser, path)
    callout = shown.page.locator(".without-plots")
    assert callout.is_visible()
    command = f"joulebatch reports convert {report.report_id} --to html --self-contained"
    assert command in str(callout.text_content())
    assert not shown.page.locator(".plot").first.is_visible()
    assert shown.page.locator("#model-1 table").first.is_visible()
    assert [text for text in shown.complaints if "ERR_FILE_NOT_FOUND" not in text] == []
    shown.context.close()


def test_without_javascript_a_page_is_whole(visit: Any) -> None:
    shown = visit(assemble(RUNS["quick"]()), java_script_enabled=False)
    assert shown.page.locator("noscript").is_visible()
    assert shown.page.locator("#model-1 table").first.is_visible()
    assert not shown.page.locator(".bar").first.is_visible()
    assert not shown.page.locator("button.theme").is_visible()


@pytest.mark.parametrize(
    ("theme", "size"), [("light", WIDE), ("dark", NARROW)], ids=["light-wide", "dark-narrow"]
)
def test_a_page_is_for_all_readers(visit: Any, theme: str, size: dict[str, int]) -> None:
    shown = visit(queue(), color_scheme=theme, viewport=size, bypass_csp=True)
    page = shown.page
    shown.draw_all()
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert_for_all_readers(page)


def test_a_keyboard_reaches_the_content_first_and_then_every_head(visit: Any) -> None:
    shown = visit(assemble(RUNS["quick"]()))
    page = shown.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    assert page.evaluate("[...document.querySelectorAll('th')].every((head) => head.querySelector('button'))")
