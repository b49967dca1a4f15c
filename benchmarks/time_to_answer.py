"""Wall time until every ratio to the baseline is known to the target: `joulebatch run` against the usual practice.

Run from the checkout: ``python -m benchmarks.time_to_answer [--target-ci 2% --rounds N]``. The usual practice: one
cell after another, each warmed up and then repeated 30 times, and the ratio of two means with Welch's interval. Where
that is too wide, all cells are repeated 30 times more. Both use the same workers, warm-up and window length and take
turns; the time is that of the whole run, opening and warm-up included.

A run that is not there at the cap has failed: one of ours misses the goal, one of the usual counts with the time it
had spent, which is too kind to it. Each interval is held against that of a longer run of ours, with half the target:
where the two do not even overlap, the answer was reached and wrong.

What a run says of its own precision is not what it achieved. So two comparisons are printed: of the median times as
they are, and for the same achieved half-width, which is 1.96 times the root mean square of the errors against the
longer run. It falls with the root of the time at best, for the usual practice only if each repetition starts anew.
Goal: the time of ours is at most 1/3 of the usual's for the same achieved half-width.
"""

import argparse
import math
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, variance
from time import monotonic

from runner.backends.spec import BackendSpec, parse_specs
from runner.contender import Contender
from runner.durations import MIN_INFERENCES, WINDOW_S
from runner.interruption import Interruption
from runner.modelfile import ModelFile, open_model
from runner.profiles import PROFILES
from runner.report.archive import load
from runner.stats.estimate import NORMAL_95
from runner.stats.intervals import CONFIDENCE
from runner.units import parse_duration_s, parse_percent_ratio
from runner.workers.crew import Crew, Terms
from runner.workers.protocol import Measure, Prepare

GOAL_RATIO = 1 / 3
REPETITIONS = 30
"""what studies commonly take, as the one that this project grew out of"""
PROFILE = "standard"
BACKENDS = ("cpu", "cpu:threads=1", "cpu:spin=off")
"""the first is the baseline"""
BATCH_SIZES = (1, 4)
REFERENCE_TARGETS = 0.5
"""the longer run's target as a share of the others'; the time goes with its inverse square, so 4 of ours"""
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Limits:
    """The 95 % limits of a ratio of mean latencies."""

    low: float
    high: float

    @property
    def half_width_ratio(self) -> float:
        """As `--target-ci` means it."""
        return math.sqrt(self.high / self.low) - 1

    @property
    def middle_log(self) -> float:
        """The logarithm of the ratio itself."""
        return math.log(self.low * self.high) / 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What one run came to."""

    wall_s: float
    limits: Mapping[str, Limits]
    """by cell; a ratio of which nothing is known has none"""

    def half_width_ratio(self, cells: Sequence[str]) -> float:
        """Return the widest over these cells."""
        return max(self.limits[cell].half_width_ratio if cell in self.limits else math.inf for cell in cells)

    def errors(self, reference: "Answer") -> list[float]:
        """Return how far the logarithm of each ratio lies from the reference's."""
        shared = sorted(self.limits.keys() & reference.limits.keys())
        return [self.limits[cell].middle_log - reference.limits[cell].middle_log for cell in shared]

    def wrong(self, reference: "Answer") -> int:
        """Return how many intervals lie apart from the reference's."""
        shared = self.limits.keys() & reference.limits.keys()
        pairs = [(self.limits[cell], reference.limits[cell]) for cell in shared]
        return sum(own.low > true.high or own.high < true.low for own, true in pairs)


def welch(values: Sequence[float], baseline: Sequence[float]) -> Limits:
    """Return the limits of the ratio of two unpaired means, by the delta method on its logarithm.

    Source: Welch, The generalization of "Student's" problem, Biometrika 34 (1947); to first order the variance of a
    mean's logarithm is its own over the squared mean (Casella and Berger, Statistical Inference, section 5.5.4).
    """
    from scipy.special import stdtrit  # noqa: PLC0415 - for this one figure

    shares = [variance(each) / len(each) / fmean(each) ** 2 for each in (values, baseline)]
    freedom = sum(shares) ** 2 / sum(
        share**2 / (len(each) - 1) for share, each in zip(shares, (values, baseline), strict=True)
    )
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(sum(shares))
    ratio = fmean(values) / fmean(baseline)
    return Limits(ratio / math.exp(half), ratio * math.exp(half))


def cell_key(file: ModelFile, label: str, batch_size: int) -> str:
    """Return a cell's key as reports spell it."""
    return f"{file.name}/{file.variant}/{label}/b{batch_size}/host"


def compared_cells(file: ModelFile) -> tuple[str, ...]:
    """Return the cells that have a ratio."""
    return tuple(cell_key(file, label, size) for size in BATCH_SIZES for label in BACKENDS[1:])


def run_ours(models_dir: Path, model: str, target_ratio: float, cap_s: float) -> Answer:
    """Run the command to its end."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "runner", "run", "--quiet", "--meter", "none", "--profile", PROFILE]
        command += ["--model", model, "--models-dir", str(models_dir.resolve()), "--reports-dir", folder]
        command += [part for backend in BACKENDS for part in ("--backend", backend)]
        command += ["--batch-sizes", ",".join(map(str, BATCH_SIZES)), "--target-ci", f"{target_ratio:.3%}"]
        command += ["--time-budget", f"{cap_s:.3f}s"]
        began_s = monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        wall_s = monotonic() - began_s
        if done.returncode:
            sys.exit(f"{shlex.join(command)} failed with {done.returncode}: {done.stderr}")
        (path,) = Path(folder).glob("2*")
        compared = [each for each in load(path).comparisons if each.metric == "latency"]
    return Answer(
        wall_s, {each.cell: Limits(each.low, each.high) for each in compared if each.low and each.high}
    )


class Practice:
    """The usual practice on one model: cell after cell, repetition after repetition."""

    def __init__(self, crew: Crew, file: ModelFile, specs: Sequence[BackendSpec]) -> None:
        self._crew, self._file = crew, file
        self._counts: dict[tuple[str, int], int] = {}
        self._means_s: dict[tuple[str, int], list[float]] = {
            (spec.label, size): [] for spec in specs for size in BATCH_SIZES
        }

    def repeat(self) -> None:
        """Repeat every cell, one after another."""
        for (label, size), means_s in self._means_s.items():
            count = self._counts.get((label, size)) or self._prepare(label, size)
            for _ in range(REPETITIONS):
                measured = self._crew.measure(
                    Contender(self._file.variant, label), Measure(size, "host", count, None), WINDOW_S
                )
                means_s.append(fmean(measured.latencies_s))

    def limits(self) -> dict[str, Limits]:
        """Return what is known so far."""
        return {
            cell_key(self._file, label, size): welch(means_s, self._means_s[BACKENDS[0], size])
            for (label, size), means_s in self._means_s.items()
            if label != BACKENDS[0]
        }

    def _prepare(self, label: str, size: int) -> int:
        """Warm a cell up, and return the inferences that fill its window."""
        rule = PROFILES[PROFILE].warm_up
        request = Prepare(size, "host", rule.inferences, rule.cap_s, rule.steady)
        inference_s = self._crew.prepare(Contender(self._file.variant, label), request, WINDOW_S).inference_s
        self._counts[label, size] = max(MIN_INFERENCES, math.ceil(WINDOW_S / inference_s))
        return self._counts[label, size]


def run_usual(file: ModelFile, target_ratio: float, cap_s: float) -> Answer:
    """Follow the usual practice until every ratio is known to the target, or the cap."""
    specs, cells = parse_specs(BACKENDS), compared_cells(file)
    began_s = monotonic()
    with (
        Interruption() as interruption,
        Crew({file.variant: file}, specs, Terms(interruption, seed=0)) as crew,
    ):
        crew.open_all()
        practice = Practice(crew, file, specs)
        while True:
            practice.repeat()
            answer = Answer(monotonic() - began_s, practice.limits())
            if answer.half_width_ratio(cells) <= target_ratio or answer.wall_s >= cap_s:
                return answer


def describe(name: str, answer: Answer, cells: Sequence[str], target_ratio: float, reference: Answer) -> str:
    """Return a line about one run."""
    width_ratio = answer.half_width_ratio(cells)
    reached = "reached" if width_ratio <= target_ratio else "FAILED"
    wrong = answer.wrong(reference)
    return (
        f"{name:<24}{answer.wall_s:>8.1f} s   ±{width_ratio:<8.2%}{reached:<10}{wrong} of {len(cells)} wrong"
    )


def achieved_half_width_log(answers: Sequence[Answer], reference: Answer) -> float:
    """Return what holds 95 % of the errors, were they normal."""
    errors = [error for answer in answers for error in answer.errors(reference)]
    return NORMAL_95 * math.sqrt(fmean(error**2 for error in errors)) if errors else math.inf


def judge(
    ours: Sequence[Answer],
    usual: Sequence[Answer],
    cells: Sequence[str],
    target_ratio: float,
    reference: Answer,
) -> str:
    """Return how the goal fared, in lines that end with it."""
    failed, usual_failed = (
        sum(each.half_width_ratio(cells) > target_ratio for each in answers) for answers in (ours, usual)
    )
    ratio = median(each.wall_s for each in ours) / median(each.wall_s for each in usual)
    own_log, their_log = (achieved_half_width_log(answers, reference) for answers in (ours, usual))
    same = ratio * (own_log / their_log) ** 2 if their_log else math.inf
    most = "at most " if usual_failed else ""
    met = not failed and same <= GOAL_RATIO
    return (
        f"failed: {failed} of {len(ours)} of ours, {usual_failed} of {len(usual)} of the usual\n"
        f"achieved half-width: ±{math.expm1(own_log):.2%} of ours, ±{math.expm1(their_log):.2%} of the usual\n"
        f"time to answer, ours / usual, each by its own word: {most}{ratio:.2f}\n"
        f"for the same achieved half-width: {most}{same:.2f}, goal <= 1/3: {'met' if met else 'MISSED'}"
    )


def main() -> int:
    """Measure, print, and return 1 when the goal was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="shufflenet")
    parser.add_argument("--models-dir", type=Path, default=Path("models"))
    parser.add_argument("--target-ci", default="2%", help="as of `joulebatch run`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--cap",
        default="15m",
        help="longest time of a run; the one that the others are held against gets four times that",
    )
    args = parser.parse_args()
    target_ratio, cap_s = (
        parse_percent_ratio(args.target_ci, "--target-ci"),
        parse_duration_s(args.cap, "--cap"),
    )
    file = open_model(args.models_dir, args.model)
    cells = compared_cells(file)
    print(f"python -m benchmarks.time_to_answer {shlex.join(sys.argv[1:])}".rstrip())
    print(
        f"{file.name}, {', '.join(BACKENDS)}, batch sizes {BATCH_SIZES}, every ratio to ±{target_ratio:.3g}\n"
    )
    longer = target_ratio * REFERENCE_TARGETS
    reference = run_ours(args.models_dir, file.name, longer, cap_s / REFERENCE_TARGETS**2)
    print(describe("the longer run", reference, cells, longer, reference), flush=True)
    runs = {
        "joulebatch run": lambda: run_ours(args.models_dir, file.name, target_ratio, cap_s),
        "one cell after another": lambda: run_usual(file, target_ratio, cap_s),
    }
    answers: dict[str, list[Answer]] = {name: [] for name in runs}
    for number in range(args.rounds):
        for name in sorted(runs, reverse=bool(number % 2)):
            answers[name].append(runs[name]())
            print(describe(name, answers[name][-1], cells, target_ratio, reference), flush=True)
    verdict = judge(
        answers["joulebatch run"], answers["one cell after another"], cells, target_ratio, reference
    )
    print(f"\n{verdict}")
    return 0 if verdict.endswith(": met") else 1


if __name__ == "__main__":
    sys.exit(main())
