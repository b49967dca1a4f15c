"""What our export costs beside bare ``torch.onnx.export`` calls: random weights, the five study networks.

Run from the checkout: ``python -m benchmarks.export [--rounds N]``. Bare and ours alternate; every figure is the wall
time of a whole process, so imports and building the networks count on both sides. Goals: one process at most 1.05 of
bare; as many as cores and memory allow at most 0.65.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from runner.modelfile import STUDY_MODELS

BARE = """
import sys
from exporter.torchvision_ops import import_torchvision
models = import_torchvision().models
import torch
for name in sys.argv[2:]:
    torch.manual_seed(0)
    torch.onnx.export(
        models.get_model(name, weights=None).eval(),
        (torch.randn(2, 3, 224, 224),),
        f"{sys.argv[1]}/{name}.onnx",
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        input_names=["input"],
        output_names=["logits"],
        opset_version=18,
        external_data=False,
        verbose=False,
    )
"""
OURS = "from exporter.cli import export; export()"
GOALS = {"one process": 1.05, "parallel": 0.65}
"""wall time as a ratio to bare's"""


def wall_s(command: list[str]) -> float:
    """Return how long a process took."""
    started_s = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started_s


def main() -> int:
    """Measure, print, and return 1 when a goal was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("models", nargs="*", default=STUDY_MODELS)
    args = parser.parse_args()
    python = [sys.executable, "-W", "ignore", "-c"]
    seconds: dict[str, list[float]] = {"bare": [], **{name: [] for name in GOALS}}
    for _ in range(args.rounds):
        for name, took_s in seconds.items():
            with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
                jobs = "1" if name == "one process" else "auto"
                ours = [OURS, *args.models, "--weights", "random", "--models-dir", folder, "--jobs", jobs]
                bare = [BARE, folder, *args.models]
                took_s.append(wall_s([*python, *(bare if name == "bare" else ours)]))
    bare_s = median(seconds["bare"])
    print(f"bare {bare_s:.1f} s")
    missed = False
    for name, goal in GOALS.items():
        ours_s = median(seconds[name])
        over = ours_s / bare_s > goal
        missed = missed or over
        verdict = "MISSED" if over else "met"
        print(f"{name} {ours_s:.1f} s, {ours_s / bare_s:.2f} of bare, goal <= {goal}: {verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
