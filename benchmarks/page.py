"""Time and size of report.html: of the reference reports, and of a run of 100,000 windows.

python -m benchmarks.page
"""

import sys
from pathlib import Path
from time import perf_counter

from runner.render.html import to_html
from runner.report.archive import load
from runner.report.assemble import assemble
from runner.report.schema import Report
from tests.fakes import make_journal

REFERENCE = Path(__file__).parents[1] / "reports" / "reference"
GOAL_S, GOAL_BYTES = 1.0, 500_000
"""of a reference report, without plotly"""
LARGE_GOAL_S = 5.0
_LARGE_BLOCKS = 6250  # of 16 cells: 100,000 windows


def main() -> int:
    """Print each figure beside its goal; return 1 where one is missed."""
    missed = 0
    print(f"{'report':<28}{'windows':>9}{'s':>8}{'goal':>7}{'kB':>7}{'goal':>7}")
    for folder in sorted(REFERENCE.glob("2*")):
        missed += _measure(folder.name, load(folder), GOAL_S)
    lines = make_journal(
        ("alexnet", "vit_b_16"), batch_sizes=(1, 2, 4, 8), blocks=_LARGE_BLOCKS, inferences=2
    )
    missed += _measure("100,000 windows", assemble(lines), LARGE_GOAL_S)
    return 1 if missed else 0


def _measure(name: str, report: Report, goal_s: float) -> bool:
    began_s = perf_counter()
    page = to_html(report)
    took_s, size_bytes = perf_counter() - began_s, len(page.encode())
    missed = took_s > goal_s or size_bytes > GOAL_BYTES
    figures = (
        f"{len(report.windows):>9}{took_s:>8.3f}{goal_s:>7g}{size_bytes / 1e3:>7.0f}{GOAL_BYTES / 1e3:>7.0f}"
    )
    print(f"{name:<28}{figures}{'  MISSED' if missed else ''}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
