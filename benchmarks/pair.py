"""How well 60 s of the real command know the ratio of a pair of backends.

Run from the checkout: ``python -m benchmarks.pair [--model shufflenet] [--rounds 3] [--models-dir models]``. Every
round is ``joulebatch run`` with one backend under two names, batch 1 and a time budget of 60 s, which opening and
warm-up use up, too. Goal: the median half-width of the 95 % interval is at most 1 %.
"""

import argparse
import subprocess
import sys
import tempfile
from math import sqrt
from pathlib import Path
from statistics import median
from time import monotonic

from runner.report.archive import load

GOAL_RATIO = 0.01
BUDGET_S = 60
ROOT = Path(__file__).parent.parent


def measure(model: str, models_dir: Path) -> float:
    """Return the half-width that one run reached, after printing what it saw."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "runner", "run", "--quiet", "--meter", "none", "--model", model]
        command += ["--backend", "A=cpu", "--backend", "B=cpu", "--batch-sizes", "1", "--target-ci", "0.1%"]
        command += [
            "--time-budget",
            f"{BUDGET_S}s",
            "--reports-dir",
            folder,
            "--models-dir",
            str(models_dir.resolve()),
        ]
        began_s = monotonic()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        wall_s = monotonic() - began_s
        (path,) = Path(folder).glob("2*")
        (compared,) = load(path).comparisons
    if compared.low is None or compared.high is None:
        sys.exit("fewer than two blocks fitted")
    half = sqrt(compared.high / compared.low) - 1
    print(
        f"{wall_s:4.0f} s: {compared.pair_count} pairs, {compared.ratio:.4f} [{compared.low:.4f}, "
        f"{compared.high:.4f}], half-width {half:.2%}, {compared.verdict}"
    )
    return half


def main() -> None:
    """Measure, and exit with 1 when the goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="shufflenet")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models-dir", type=Path, default=Path("models"))
    arguments = parser.parse_args()
    half = median(measure(arguments.model, arguments.models_dir) for _ in range(arguments.rounds))
    met = half <= GOAL_RATIO
    print(f"median half-width {half:.2%}, goal {GOAL_RATIO:.0%}: {'met' if met else 'MISSED'}")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
