"""How far the twin is from live queues on arrivals that it has not seen, cell by cell.

Run from the checkout: ``python -m benchmarks.twin_vs_live [--model shufflenet --model alexnet] [--report FOLDER]``.
For each model one ``joulebatch queue`` measures batches and replays four policies at 0.3, 0.6 and 0.8 of the capacity,
ten windows each by five fresh processes; or reports that are there already are judged. For every window of a cell a
twin is calibrated from the three blocks of batches nearest in time, which replayed nothing, and simulates the
window's own arrivals: so neither what the machine did over minutes nor the luck of arrivals is an error of the twin.

Compared are mean response, p95 response, service time of batches and CPU time (joules where metered) per image; live
/ twin is averaged over the windows of a cell, processes being what its interval counts. A cell passes when the 95 %
interval lies within 1 +- 5 %, fails when live / twin is known to 5 % and lies outside, and is inconclusive otherwise.
Goal: no cell fails.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path

import numpy as np

from runner.arrivals.trace import Trace
from runner.meters.interface import Domain
from runner.policies.registry import parse_policy
from runner.render.names import rate_text
from runner.report.assemble import collect
from runner.report.derive import derive
from runner.report.evidence import figure_windows
from runner.report.joules import joules
from runner.report.journal import read_journal
from runner.report.queue_figures import cpu_s_per_request
from runner.report.schema import QueueCell, QueueWindow, Window
from runner.stats.compare import LEAST_PAIRS
from runner.stats.estimate import estimate_mean
from runner.stats.intervals import CONFIDENCE
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
ROWS = 64
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
        limit = log(1 + WITHIN_RATIO)
        if -limit <= log(self.low) and log(self.high) <= limit:
            return "pass"
        known = log(self.high / self.low) / 2 <= limit
        return "FAIL" if known and abs(log(self.ratio)) > limit else "inconclusive"


def measure(model: str, models_dir: Path, folder: str, requests: int) -> Path:
    """Run the command, and return the report's folder."""
    command = [sys.executable, "-m", "runner", "queue", "--quiet", "-m", model, "--backend", "cpu"]
    command += [part for policy in POLICIES.get(model, DEFAULT_POLICIES) for part in ("--policy", policy)]
    command += ["--relative-load", LOADS, "--requests", str(requests), "--arrivals", "poisson"]
    command += ["--models-dir", str(models_dir.resolve()), "--reports-dir", folder]
    print(f"{shlex.join(['joulebatch', *command[3:]])}", flush=True)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return max(Path(folder).glob("2*"), key=lambda path: path.name)


class Judge:
    """Holds the windows of one report against twins calibrated around them."""

    def __init__(self, folder: Path) -> None:
        assembled = collect(read_journal(folder))
        self._report = derive(assembled.report, assembled.latencies_s, assembled.replays)
        self._latencies_s, self._replays = assembled.latencies_s, assembled.replays
        self._cells = {cell.key: cell for cell in self._report.cells}
        self._began_s: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
        """of each block of batches, by model and variant"""
        counted = {place for places in figure_windows(self._report.windows).values() for place in places}
        for place in sorted(counted):  # disturbed blocks that were repeated have no part in figures
            window = self._report.windows[place]
            self._began_s[self._model_of(window)].setdefault(window.block, window.started_s)
        self._twins: dict[tuple[object, ...], Calibration] = {}

    def _model_of(self, window: Window) -> tuple[str, str]:
        cell = self._cells[window.cell]
        return cell.model, cell.variant

    def cells(self) -> Iterator[tuple[QueueCell, list[Error]]]:
        """Yield every cell that was replayed with how far the twin is from it."""
        assert self._report.queue, "no queue in this report"
        for cell in self._report.queue.cells:
            taken = [
                (window, replay)
                for window, replay in zip(self._report.queue.windows, self._replays, strict=True)
                if window.cell == cell.key and window.paired
            ]
            if cell.summary and not cell.summary.doubt and len(taken) > 1:
                yield cell, list(self._errors(cell, taken))

    def _errors(self, cell: QueueCell, taken: Sequence[tuple[QueueWindow, Replay]]) -> Iterator[Error]:
        workers = [window.worker for window, _ in taken]
        logs: dict[str, list[float]] = defaultdict(list)
        for window, replay in taken:
            twin, times = self._predict(cell, window, replay), request_times(replay)
            p95_s = float(np.quantile(times.response_s, P95))
            logs["mean response"].append(log(times.response_s.mean() / twin.response_s.mean))
            logs["p95 response"].append(log(p95_s / twin.response_p95_s.mean))
            logs["service"].append(log(times.service_s.mean() / twin.service_s.mean))
            domains = _domains(cell)
            cost = (
                joules(window.energy, domains) / window.served_count if domains else cpu_s_per_request(window)
            )
            logs["J" if domains else "CPU-s"].append(log(cost / twin.cost_per_image.mean))
        for name, values in logs.items():
            estimate = estimate_mean(np.array(values), workers)
            half = estimate.reach((1 + CONFIDENCE) / 2)
            assert half is not None, "fewer than two windows"
            yield Error(name, exp(estimate.mean), exp(estimate.mean - half), exp(estimate.mean + half))

    def _predict(self, cell: QueueCell, window: QueueWindow, replay: Replay) -> Prediction:
        return predict(
            self._twin_around(cell, window.started_s),
            parse_policy(cell.load.policy),
            Trace("trace:as replayed", replay.arrivals_s),
            None,
            rows=ROWS,
            seed=self._report.provenance.seed + window.block,
        )

    def _twin_around(self, cell: QueueCell, moment_s: float) -> Calibration:
        """Return the twin of the blocks of batches that were nearest in time."""
        model = (cell.model, cell.variant)
        began_s = self._began_s[model]
        nearest = sorted(began_s, key=lambda block: abs(began_s[block] - moment_s))
        blocks = tuple(sorted(nearest[:LEAST_PAIRS]))
        key = (model, cell.backend, blocks, _domains(cell))
        if key not in self._twins:
            kept = [
                place
                for place, each in enumerate(self._report.windows)
                if each.block in blocks and self._model_of(each) == model
            ]
            part = self._report.model_copy(
                update={"windows": tuple(self._report.windows[place] for place in kept)}
            )
            latencies_s = [self._latencies_s[place] for place in kept]
            twin = calibrate(part, latencies_s, cell.model, cell.variant, cell.backend, _domains(cell))
            if not isinstance(twin, Calibration):
                sys.exit(f"no twin of {cell.backend}: {twin.reason}")
            self._twins[key] = twin
        return self._twins[key]


def _domains(cell: QueueCell) -> tuple[Domain, ...]:
    return cell.summary.energy.domains if cell.summary and cell.summary.energy else ()


def describe(cell: QueueCell, errors: Sequence[Error]) -> str:
    """Return a line for a cell."""
    rate = rate_text(cell.load)
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
            for cell, errors in Judge(folder).cells():
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
    unsure = sum(count for (_, verdict), count in verdicts.items() if verdict == "inconclusive")
    print(f"within {WITHIN_RATIO:.0%}: {failed} of {verdicts.total()} fail, {unsure} are inconclusive")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
