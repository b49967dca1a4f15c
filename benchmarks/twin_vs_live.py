"""How far the twin is from live queues on arrivals that it has not seen, cell by cell.

Run from the checkout: ``python -m benchmarks.twin_vs_live [--model shufflenet --model alexnet] [--report FOLDER]``.
For each model one ``joulebatch queue`` calibrates the twin and replays four policies at 0.3, 0.6 and 0.8 of the
capacity, ten windows each by five fresh processes; or reports that are there already are judged. For every cell the
twin simulates windows of as many requests on arrivals of its own. Compared are mean response, p95 response, service
time of batches and CPU time (joules where metered) per image. A cell passes when the 95 % interval of live / twin
lies within 1 +- 5 %, fails when it does not, and is inconclusive where the live mean itself is known to no better
than 5 %. Goal: no cell fails.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path

import numpy as np

from runner.arrivals.registry import parse_arrivals
from runner.meters.interface import Domain
from runner.policies.registry import parse_policy
from runner.report.assemble import collect
from runner.report.derive import derive
from runner.report.journal import read_journal
from runner.report.queue_figures import cpu_s_per_request
from runner.report.queue_schema import QueueCell, QueueWindow
from runner.stats.intervals import CONFIDENCE, estimate_mean
from runner.stats.queueing import Replay, request_times
from runner.twin.answers import Prediction
from runner.twin.calibrate import calibrate
from runner.twin.calibration import Calibration
from runner.twin.predict import predict

WITHIN_RATIO = 0.05
LOADS = "0.3,0.6,0.8"
POLICIES = {
    "shufflenet": ("greedy:1", "greedy:8", "fixed:8", "timeout:8@5ms"),
    "alexnet": ("greedy:1", "greedy:8", "fixed:8", "deadline:8@200ms"),
}
"""by model: one request at a time, what is there, full batches, and one that waits for a time"""
DEFAULT_POLICIES = ("greedy:1", "greedy:8", "fixed:8", "timeout:8@20ms")
REQUESTS = 4000
"""of a cell: ten windows of 400"""
ROWS = 256
ROOT = Path(__file__).parent.parent
P95 = 0.95


@dataclass(frozen=True, slots=True)
class Error:
    """Live / twin of one figure of one cell."""

    figure: str
    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether the twin is right here."""
        if self.high / self.low > (1 + WITHIN_RATIO) ** 2:
            return "inconclusive"
        inside = self.low >= 1 / (1 + WITHIN_RATIO) and self.high <= 1 + WITHIN_RATIO
        return "pass" if inside else "FAIL"


def measure(model: str, models_dir: Path, folder: str, requests: int) -> Path:
    """Run the command, and return the report's folder."""
    command = [sys.executable, "-m", "runner", "queue", "--quiet", "-m", model, "--backend", "cpu"]
    command += [part for policy in POLICIES.get(model, DEFAULT_POLICIES) for part in ("--policy", policy)]
    command += ["--relative-load", LOADS, "--requests", str(requests), "--arrivals", "poisson"]
    command += ["--models-dir", str(models_dir.resolve()), "--reports-dir", folder]
    print(f"{shlex.join(['joulebatch', *command[3:]])}", flush=True)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return max(Path(folder).iterdir(), key=lambda path: path.name)


def judge(folder: Path) -> Iterator[tuple[QueueCell, list[Error]]]:
    """Yield every cell that was replayed with how far the twin is from it."""
    assembled = collect(read_journal(folder))
    report = derive(assembled.report, assembled.latencies_s, assembled.replays)
    assert report.queue, "no queue in this report"
    for cell in report.queue.cells:
        taken = [
            (window, replay)
            for window, replay in zip(report.queue.windows, assembled.replays, strict=True)
            if window.cell == cell.key and window.paired
        ]
        if not cell.summary or cell.summary.doubt or len(taken) < 2:  # noqa: PLR2004 - an interval takes two
            continue
        calibrated = calibrate(
            report, assembled.latencies_s, cell.model, cell.variant, cell.backend, _domains(cell)
        )
        if not isinstance(calibrated, Calibration):
            sys.exit(f"no twin of {cell.backend}: {calibrated.reason}")
        predicted = predict(
            calibrated,
            parse_policy(cell.load.policy),
            parse_arrivals(cell.load.arrivals),
            cell.load.request_rate_hz,
            requests=cell.load.request_count,
            warm_up=0,
            rows=ROWS,
            seed=report.provenance.seed + 1_000_003,
        )
        yield cell, list(_errors(cell, taken, predicted))


def _domains(cell: QueueCell) -> tuple[Domain, ...]:
    return cell.summary.energy.domains if cell.summary and cell.summary.energy else ()


def _errors(
    cell: QueueCell, taken: Sequence[tuple[QueueWindow, Replay]], predicted: Prediction
) -> Iterator[Error]:
    times = [request_times(replay) for _, replay in taken]
    workers = [window.worker for window, _ in taken]
    live = {
        "mean response": ([each.response_s.mean() for each in times], predicted.response_s.mean),
        "p95 response": (
            [np.quantile(each.response_s, P95) for each in times],
            predicted.response_p95_s.mean,
        ),
        "service": ([each.service_s.mean() for each in times], predicted.service_s.mean),
    }
    if not _domains(cell):
        live["CPU-s"] = ([cpu_s_per_request(window) for window, _ in taken], predicted.cost_per_image.mean)
    for name, (values, twin) in live.items():
        estimate = estimate_mean(np.log(np.array(values)), workers)
        half = estimate.reach((1 + CONFIDENCE) / 2)
        assert half is not None
        middle = estimate.mean - log(twin)
        yield Error(name, exp(middle), exp(middle - half), exp(middle + half))


def describe(cell: QueueCell, errors: Sequence[Error]) -> str:
    """Return a line for a cell."""
    rate = f"{cell.load.request_rate_hz:.4g}/s ({cell.load.relative_load:g}C)"
    figures = "".join(
        f"  {each.ratio:6.3f} [{each.low:.3f}, {each.high:.3f}] {each.verdict:<12}" for each in errors
    )
    return f"{cell.model[:12]:<13}{cell.load.policy:<18}{rate:<16}{figures}"


def main() -> int:
    """Measure, print, and return 1 when a cell failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", help="shufflenet and alexnet by default")
    parser.add_argument("--models-dir", type=Path, default=Path("models"))
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of a cell, over ten windows")
    parser.add_argument("--report", action="append", type=Path, help="judge this report and measure nothing")
    args = parser.parse_args()
    verdicts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        models = args.model or list(POLICIES)
        folders = args.report or (
            measure(model, args.models_dir, temporary, args.requests) for model in models
        )
        for folder in folders:
            for cell, errors in judge(folder):
                if not verdicts:
                    names = "".join(f"  {each.figure + ', live / twin':<33}" for each in errors)
                    print(f"\n{'model':<13}{'policy':<18}{'rate':<16}{names}")
                print(describe(cell, errors), flush=True)
                verdicts.update((each.figure, each.verdict) for each in errors)
    print()
    for figure in dict.fromkeys(figure for figure, _ in verdicts):
        counts = ", ".join(f"{verdicts[figure, v]} {v}" for v in ("pass", "inconclusive", "FAIL"))
        print(f"{figure:<15}{counts}")
    failed = sum(count for (_, verdict), count in verdicts.items() if verdict == "FAIL")
    print(
        f"within {WITHIN_RATIO:.0%}: {'met' if not failed else f'MISSED in {failed} of {verdicts.total()}'}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
