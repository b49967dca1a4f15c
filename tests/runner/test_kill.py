"""A run is killed at any moment of its life, goes on to its end, and reports what an undisturbed run reports.

The run is the real one, from configuration to archive, but for its workers: they answer at once, and what they say
depends on cell and block alone. It runs in forked children, which kill themselves while they write.
"""

import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from importlib import import_module
from itertools import chain, count, cycle, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from runner import bench, experiment
from runner.budget import Budget
from runner.conditions import Conditions, MachineState
from runner.config import RunConfig
from runner.contender import Contender, contenders
from runner.errors import FileError
from runner.experiment import run_experiment
from runner.policies.registry import parse_policy
from runner.progress import Progress
from runner.report.archive import load
from runner.report.folders import JOURNAL_NAME, REPORT_NAME, status_of
from runner.report.journal import torn_bytes
from runner.report.schema import Cell, QueueWindow, Report, Window
from runner.resume import read_so_far
from runner.selection import Selection, select
from runner.workers.crew import BackendLostError
from runner.workers.protocol import (
    Check,
    Checked,
    Measure,
    Measurement,
    Opened,
    Prepare,
    Prepared,
    Record,
    Recorded,
    Serve,
    Served,
    Span,
)
from tests.models import write_exported
from tests.queues import Machine

KILLS = 100
"""in all, over runs that are killed up to four times"""
ARCHIVING_EVENTS = 25
"""about as many as there are while a report is archived; a kill beyond them does not happen and is not counted"""
NEVER = sys.maxsize


class Told(Progress):
    """Knows which cell's window comes next."""

    def __init__(self) -> None:
        self.cell, self.block = "", 0

    def visit(self, cell: Cell, block: int) -> None:
        self.cell, self.block = cell.key, block


class InstantCrew:
    """Workers that answer at once, the same for the same cell and block; some windows are disturbed, some late."""

    def __init__(self, told: Told, taking_part: Sequence[Contender]) -> None:
        self._told, self._contenders = told, taking_part
        self._now_s = 1000.0

    def open_all(self) -> dict[Contender, Opened]:
        placement = {"label": "full", "nodes_by_provider": {"CPU": 5}, "heavy_on_cpu": []}
        return {contender: Opened(0.1, placement, {}, 100_000_000) for contender in self._contenders}

    def prepare(self, contender: Contender, request: Prepare, predicted_s: float) -> Prepared:
        each_s = 0.001 * request.batch_size
        return Prepared(
            2 * each_s, 2, each_s, unsteady=contender.backend == "B", peak_memory_bytes=100_000_000
        )

    def record(self, contender: Contender, request: Record, predicted_s: float) -> Recorded:
        return Recorded(request.run_count)

    def check(self, contender: Contender, request: Check) -> Checked:
        return Checked({"status": "passed", "reason": "", "max_error_ratio": 1e-6})

    def measure(self, contender: Contender, request: Measure, predicted_s: float) -> Measurement:
        rng = random.Random(f"{self._told.cell}/{self._told.block}")
        latencies_s = tuple(0.001 * request.batch_size * rng.uniform(1, 1.2) for _ in range(request.count))
        started_s = self._now_s
        self._now_s += sum(latencies_s)
        late_s = 0.01 if request.period_s and rng.random() < 0.2 else 0.0
        stops = int(rng.random() < 0.03)
        return Measurement(started_s, self._now_s, 0.1, 1, 1, 1, 0, stops, latencies_s, late_s)

    def serve(self, contender: Contender, request: Serve, predicted_s: float) -> Served:
        rng = random.Random(f"{contender}/{request.policy}/{request.arrivals_s}")
        machine = Machine(lambda count: 0.001 * count * rng.uniform(1, 1.2), self._now_s)
        done = machine.replay(
            request.arrivals_s, parse_policy(request.policy).policy(np.array(request.service_s))
        )
        self._now_s = machine.now_s
        return Served(
            started_s=done.started_s,
            ended_s=done.started_s + done.finished_s[-1],
            cpu_s=0.1,
            voluntary_switches=1,
            involuntary_switches=1,
            minor_faults=1,
            major_faults=0,
            stops=int(rng.random() < 0.03),
            dispatched_s=done.dispatched_s,
            ready_s=done.ready_s,
            finished_s=done.finished_s,
            counts=done.counts,
            late_s=0.0,
            busy_cpu_s=0.05,
            given_up=False,
        )

    def cpu_s(self, contender: Contender) -> float:
        return 1.0

    def others_cpu_s(self, contender: Contender) -> float:
        return 1.0

    def worker_number(self, contender: Contender) -> int:
        return 0

    def refresh(self, *gone: Contender) -> dict[Contender, BackendLostError]:
        return {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class StillObserver:
    """Sees nothing but what the worker says."""

    def begin(self, worker_cpu_s: float | None) -> None:
        pass

    def end(self, worker_cpu_s: float | None, measured: Span) -> Conditions:
        state = MachineState()
        return Conditions(state, state, 0.1, 2, None, None, None, None, 1, 1, 1, 0, measured.stops)


class SteppedClock:
    """The wall clock of a machine that somebody sets back and forth at every look; it must not matter."""

    def __init__(self) -> None:
        self._days = cycle((0, 400, -400, 3))

    def now(self, zone: tzinfo) -> datetime:
        return datetime.now(zone) + timedelta(days=next(self._days))


class Run:
    """A run whose stretches are forked children, which kill themselves at a point of their writing."""

    def __init__(self, config: RunConfig, selection: Selection) -> None:
        self._config, self._selection = config, selection
        self._bytes_left = self._events_left = NEVER
        self._archiving = False

    @property
    def folder(self) -> Path:
        """The report's, once the first stretch has begun."""
        (folder,) = self._config.reports_dir.glob("2*")
        return folder

    def stretch(self, *, kill_after_bytes: int = NEVER, kill_after_events: int = NEVER) -> bool:
        """Return whether a stretch came to the run's end; False when it was killed.

        Args:
            kill_after_bytes: of the journal, which may be in the middle of a line.
            kill_after_events: of Python's audit hooks, once the report is being archived.
        """
        self._bytes_left, self._events_left = kill_after_bytes, kill_after_events
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)  # a child that hangs must not outlive the test
            try:
                self._measure()
                os._exit(0)  # which no finally outlives
            finally:
                traceback.print_exc()
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in {0, -signal.SIGKILL}, "the child says why"
        return code == 0

    def _measure(self) -> None:
        """Measure with instant workers; patched for good, because the process ends with it."""
        told, write = Told(), os.write
        folder = self.folder if self._config.reports_dir.exists() else None
        fakes: dict[str, Any] = {
            "Crew": lambda files, specs, *rest: InstantCrew(told, contenders(files, specs)),
            "datetime": SteppedClock(),
            "Observer": lambda *arguments: StillObserver(),
            "Budget": lambda total_s, predicted_s: Budget(total_s, predicted_s, lambda: 0.0),
        }
        for name, fake in fakes.items():
            setattr(bench if name == "Budget" else experiment, name, fake)
        os.fsync = lambda fd: None  # the page cache outlives a killed process
        os.write = lambda fd, data: self._write(write, fd, data)
        sys.addaudithook(self._hear)
        run_experiment(self._config, self._selection, ("joulebatch", "run"), told, folder)

    def _write(self, write: Callable[[int, Any], int], fd: int, data: Any) -> int:
        if self._bytes_left < len(data):
            write(fd, data[: self._bytes_left])
            os.kill(os.getpid(), signal.SIGKILL)
        self._bytes_left -= len(data)
        self._archiving |= bytes(data).startswith(b'{"kind":"end","status":"complete"')
        return write(fd, data)

    def _hear(self, event: str, _arguments: tuple[Any, ...]) -> None:
        if self._archiving and event in {"open", "os.rename", "os.remove"}:
            self._events_left -= 1
            if self._events_left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Run]:
    """Return what makes a run, all of them of the same configuration, each with a folder of its own."""
    for library in ("duckdb", "scipy.special"):
        import_module(library)  # once, and not in every child
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        write_exported(tmp_path / "models", name)
    config = RunConfig.read(
        {
            "models": ("first", "second"),
            "backends": ("A=cpu", "B=cpu", "C=cpu"),
            "batch_sizes": "1,4",
            "paces": ("50@1",),
            "queue": {"policies": ("fixed:2", "deadline:4@40ms"), "request_rates_hz": "50", "requests": 60},
            "target_ci_ratio": "5%",
            "workers": 1,  # a resumed run has fresh ones, and other sets of blocks for it
            "meter": "none",
            "models_dir": tmp_path / "models",
            "reports_dir": tmp_path,
        }
    )
    selection = select(config)
    return lambda name: Run(config.model_copy(update={"reports_dir": tmp_path / name}), selection)


def counted(report: Report) -> tuple[Window, ...]:
    """Return the windows of finished blocks."""
    return tuple(each for each in report.windows if each.paired or each.repeated_by is not None)


def counted_queue(report: Report) -> tuple[QueueWindow, ...]:
    """Return the same of the queue."""
    assert report.queue
    return tuple(each for each in report.queue.windows if each.paired or each.repeated_by is not None)


def told_by(report: Report) -> dict[str, Any]:
    """Return what a report says, without the times of the run and without what being killed adds to it."""
    windows = [each.model_copy(update={"started_s": 0.0, "worker": 0}) for each in counted(report)]
    queued = [
        each.model_copy(update={"started_s": 0.0, "worker": 0, "wall_s": 0.0})
        for each in counted_queue(report)
    ]
    assert report.queue
    report = report.model_copy(update={"queue": report.queue.model_copy(update={"windows": tuple(queued)})})
    times = {"report_id", "started_at", "ended_at", "measured_s", "resumes", "provenance"}
    return report.model_copy(update={"windows": tuple(windows)}).model_dump(exclude=times)


def test_nobody_can_resume_or_prune_a_report_while_it_is_finished(
    begin: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin("run")
    monkeypatch.setattr(experiment, "RENDERINGS", {"report.md": lambda _: status_of(run.folder)})
    assert run.stretch()
    assert (run.folder / "report.md").read_text() == "running"
    assert status_of(run.folder) == "complete"


def test_a_run_that_is_killed_anywhere_reports_what_an_undisturbed_run_reports(
    begin: Callable[[str], Run],
) -> None:
    undisturbed = begin("undisturbed")
    assert undisturbed.stretch()
    expected = load(undisturbed.folder)
    assert expected.status == "complete"
    assert any(window.repeated_by is not None for window in expected.windows), "some blocks are repeated"
    assert len(counted_queue(expected)) >= 2 * 10 * 6, (
        "two models, ten blocks, two policies under three backends"
    )
    journal = (undisturbed.folder / JOURNAL_NAME).read_bytes()
    rng, kills = random.Random(0), Kills()
    anywhere = random_points(rng, range(journal.index(b"\n") + 1, len(journal)))
    firsts = chain(middles(journal), anywhere)
    for number in count():
        if kills.count >= KILLS:
            break
        run = begin(f"run-{number}")
        kill_some_times(run, chain(islice(firsts, 1), islice(anywhere, rng.randint(0, 3))), kills)
        report = load(run.folder)
        assert told_by(report) == told_by(expected)
        assert_only_open_blocks_ran_again(report)
    assert kills.torn > KILLS / 2, "most are in the middle of a line"
    assert kills.archiving > KILLS / 10


def test_a_run_that_is_killed_before_it_has_begun_leaves_nothing_to_go_on_with(
    begin: Callable[[str], Run],
) -> None:
    run = begin("headless")
    assert not run.stretch(kill_after_bytes=100)
    with pytest.raises(FileError, match=r"ended before it began\. Start a new run"):
        read_so_far(run.folder)


@dataclass(frozen=True, slots=True)
class Point:
    """Where a stretch kills itself: see `Run.stretch`."""

    after_bytes: int = NEVER
    after_events: int = NEVER


def middles(journal: bytes) -> Iterator[Point]:
    """Yield points within the first line of every kind but the header, and within every note."""
    seen, begin = {"header"}, 0
    for line in journal.splitlines(keepends=True):
        kind = json.loads(line)["kind"]
        if kind == "note" or kind not in seen:
            seen.add(kind)
            yield Point(begin + len(line) // 2)
        begin += len(line)


def random_points(rng: random.Random, journal: range) -> Iterator[Point]:
    """Yield points anywhere in the life of a run; of every five one is while the report is archived."""
    while True:
        after = rng.randrange(journal.start, journal.stop + len(journal) // 4)
        yield Point(after) if after in journal else Point(after_events=rng.randrange(ARCHIVING_EVENTS))


@dataclass(slots=True)
class Kills:
    """How many there were, and where."""

    count: int = 0
    torn: int = 0
    archiving: int = 0


def kill_some_times(run: Run, points: Iterable[Point], kills: Kills) -> None:
    """Kill a run, and its next stretch, and the next; check what every stretch finds; let the last one end."""
    whole, torn = b"", []
    for point in points:
        if run.stretch(kill_after_bytes=point.after_bytes, kill_after_events=point.after_events):
            break
        kills.count += 1
        if (run.folder / REPORT_NAME).exists():
            break
        torn.append(torn_bytes(run.folder))
        kills.torn += torn[-1] > 0
        kills.archiving += point.after_bytes == NEVER
        journal = (run.folder / JOURNAL_NAME).read_bytes()
        assert journal.startswith(whole), "no whole line is lost"
        whole = journal[: len(journal) - torn[-1]]
    else:
        assert run.stretch(), "it comes to its end"
    report = load(run.folder)
    assert report.status == "complete"
    assert [resume.dropped_bytes for resume in report.resumes] == torn
    times_s = [0.0, *(resume.measured_s for resume in report.resumes), report.measured_s, 600.0]
    assert times_s == sorted(times_s), "measured time only grows, whatever the wall clock says"
    assert (run.folder / JOURNAL_NAME).read_bytes().startswith(whole)


def assert_only_open_blocks_ran_again(report: Report) -> None:
    """Check that what does not count was measured once more, the same, in a block that does."""
    finished = {(each.cell, each.block): each.latency_mean_s for each in counted(report)}
    assert len(finished) == len(counted(report)), "none counts twice"
    queued = counted_queue(report)
    assert len({(each.cell, each.block) for each in queued}) == len(queued), "nor of the queue"
    extra = [each for each in report.windows if not each.paired and each.repeated_by is None]
    for window in extra:
        assert finished[window.cell, window.block] == window.latency_mean_s
    assert len({(each.block, each.cell.split("/")[0]) for each in extra}) <= len(report.resumes)
