"""`reports site` of 1000 reports of 20 cells: time to build, size, and how fast the page answers in Chromium.

python -m benchmarks.site
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from runner.report.assemble import assemble
from runner.report.schema import Report
from tests.fakes import make_journal

REPORTS = 1000
BUILD_GOAL_S, SIZE_GOAL_BYTES = 30.0, 10_000_000
OPEN_GOAL_MS, ANSWER_GOAL_MS = 3000.0, 500.0
"""from navigation to a page that can be used; from a reader's action until the browser has laid out what it shows"""
_RUNS = 8
_ACTIONS = {
    "filter by a word": "const e = document.getElementById('words'); e.value = 'r09'; "
    "e.dispatchEvent(new Event('input'))",
    "show all again": "document.getElementById('all').click()",
    "sort by time": "document.querySelector('#list th[data-sort=started] button').click()",
    "pick two and compare": "for (const [i, side] of ['ref', 'new'].entries()) "
    "document.querySelectorAll(`input[name=${side}]`)[i].click()",
    "trend of another cell": "const s = document.getElementById('trend-cell'); s.selectedIndex = 1; "
    "s.dispatchEvent(new Event('change'))",
}


def main() -> int:
    """Print each figure beside its goal; return 1 where one is missed."""
    with TemporaryDirectory() as folder:
        reports_dir = Path(folder) / "reports"
        for report in _reports():
            (reports_dir / report.report_id).mkdir(parents=True)
            (reports_dir / report.report_id / "report.json").write_text(report.model_dump_json(indent=1))
        began_s = perf_counter()
        command = [sys.executable, "-m", "runner", "reports", "site", "--reports-dir", str(reports_dir)]
        subprocess.run(command, check=True)
        took_s = perf_counter() - began_s
        page = reports_dir / "site" / "index.html"
        missed = [_told(f"build of {REPORTS} reports", took_s, BUILD_GOAL_S, "s")]
        missed.append(_told("size of the page", page.stat().st_size / 1e6, SIZE_GOAL_BYTES / 1e6, "MB"))
        missed += _in_browser(page)
    return 1 if any(missed) else 0


def _reports() -> Iterator[Report]:
    """Yield reports of 20 cells with energy, 10 blocks and 3 workers each, on three hosts, 7 hours apart."""
    made = [
        assemble(
            make_journal(
                ("alexnet", "vit_b_16"),
                ("cpu", "torch"),
                (1, 4, 8, 16, 32),
                blocks=10,
                workers=3,
                seed=seed,
                energy="measured",
            )
        )
        for seed in range(_RUNS)
    ]
    for place in range(REPORTS):
        report, started = made[place % _RUNS], datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=7 * place)
        facts = {
            "report_id": f"{started:%Y-%m-%dT%H-%M-%S}-r{place:04}",
            "started_at": started.isoformat(),
            "environment": report.environment.model_copy(update={"host": f"host{place % 3}"}),
        }
        yield report.model_copy(update=facts)


def _in_browser(page: Path) -> Iterator[bool]:
    chromium = shutil.which("chromium")
    if chromium is None or find_spec("playwright") is None:
        print("no browser: expected chromium and the package playwright")
        return
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only here

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1280, "height": 900})
        shown.goto(page.as_uri())
        opened_ms = shown.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        yield _told("open", opened_ms, OPEN_GOAL_MS, "ms")
        for name, action in _ACTIONS.items():
            # Reading a size makes the browser lay out what has changed.
            laid_out = f"{action}; document.body.offsetHeight"
            code = f"() => {{ const t = performance.now(); {laid_out}; return performance.now() - t }}"
            yield _told(name, shown.evaluate(code), ANSWER_GOAL_MS, "ms")
        browser.close()


def _told(what: str, figure: float, goal: float, unit: str) -> bool:
    missed = figure > goal
    print(f"{what:<28}{figure:>8.1f} {unit:<3} goal {goal:g}{'  MISSED' if missed else ''}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
