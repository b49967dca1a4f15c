"""How long ``joulebatch --help`` takes, as whole processes, and that it loads nothing heavy.

Run from the checkout: ``python -m benchmarks.help [--rounds N]``. Goal: a median of at most 0.12 s, once for the module
and once for the installed command where there is one; only the latter sees commands that entry points add.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

GOAL_S = 0.12
HEAVY = ("duckdb", "numpy", "onnx", "onnxruntime", "plotly", "pydantic", "rich", "scipy", "torch")
ROOT = Path(__file__).parent.parent
PRINT_LOADED = """
import sys
from runner.cli import main
main(["--help"])
print(*sys.modules, file=sys.stderr)
"""


def commands() -> dict[str, list[str]]:
    """Return what is timed, by the name it is printed under."""
    found = {"python -m runner --help": [sys.executable, "-m", "runner", "--help"]}
    script = Path(sys.executable).with_name("joulebatch")
    if script.exists():
        found["joulebatch --help"] = [str(script), "--help"]
    return found


def wall_s(command: Sequence[str]) -> float:
    """Return how long a process takes from its start to its end."""
    started_s = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started_s


def heavy_loaded() -> list[str]:
    """Return the heavy packages that printing the help imports."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT_LOADED], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return sorted(set(HEAVY) & set(done.stderr.split()))


def main() -> int:
    """Measure, print, and return 1 when a goal was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    rounds: int = parser.parse_args().rounds
    timed = {"python -c pass": [sys.executable, "-c", "pass"], **commands()}
    for command in timed.values():
        wall_s(command)  # the first one writes bytecode and fills the disk cache
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, command in timed.items():
            seconds[name].append(wall_s(command))
    met = True
    for name, values in seconds.items():
        goal = ""
        if name in commands():
            met = met and median(values) <= GOAL_S
            goal = f", goal <= {GOAL_S:g} s: {'met' if median(values) <= GOAL_S else 'MISSED'}"
        print(f"{name:<24}{median(values):.3f} s, {min(values):.3f} to {max(values):.3f} of {rounds}{goal}")
    loaded = heavy_loaded()
    print(f"heavy packages loaded: {', '.join(loaded) or 'none'}, goal none: {'MISSED' if loaded else 'met'}")
    return 0 if met and not loaded else 1


if __name__ == "__main__":
    sys.exit(main())
