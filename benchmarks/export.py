"""What our export costs beside bare ``torch.onnx.export`` calls: random weights, the five study networks.

Run from the checkout: ``python benchmarks/export.py [--rounds N]``. Bare and ours alternate; every figure is the wall
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


def wall_s(command: list[str]) -> float:
    """Return how long a process took."""
    started_s = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("models", nargs="*", default=STUDY_MODELS)
    args = parser.parse_args()
    python = [sys.executable, "-W", "ignore", "-c"]
    seconds: dict[str, list[float]] = {"bare": [], "one process": [], "parallel": []}
    for _ in range(args.rounds):
        for name, took_s in seconds.items():
            with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
                jobs = "1" if name == "one process" else "auto"
                ours = [OURS, *args.models, "--weights", "random", "--models-dir", folder, "--jobs", jobs]
                bare = [BARE, folder, *args.models]
                took_s.append(wall_s([*python, *(bare if name == "bare" else ours)]))
    bare_s = median(seconds["bare"])
    print(f"bare {bare_s:.1f} s")
    for name, goal in (("one process", 1.05), ("parallel", 0.65)):
        ours_s = median(seconds[name])
        verdict = "met" if ours_s / bare_s <= goal else "MISSED"
        print(f"{name} {ours_s:.1f} s, {ours_s / bare_s:.2f} of bare, goal <= {goal}: {verdict}")


if __name__ == "__main__":
    main()
