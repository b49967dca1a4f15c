"""A bench whose crew, meters, journal and time are scripted: every call leaves an event, every line is kept."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from runner.backends.spec import parse_specs
from runner.bench import Bench, Roster
from runner.budget import Budget
from runner.conditions import Conditions, MachineState
from runner.config import RunConfig
from runner.contender import Contender
from runner.errors import JoulebatchError
from runner.machine.cooling import CoolDown
from runner.manifest import TensorSpec
from runner.meters.interface import Energy, Measured
from runner.meters.recorder import Ahead
from runner.modelfile import ModelFile
from runner.plan import make_plan
from runner.policies.registry import parse_policy
from runner.profiles import profile_of
from runner.progress import Progress
from runner.report.lines import (
    BlockLine,
    CellLine,
    Line,
    NoteLine,
    QueueBlockLine,
    QueueCellLine,
    QueueWindowLine,
    SessionLine,
    WindowLine,
)
from runner.report.schema import Cell, QueueCell, QueueWindow, SessionEntry, Window
from runner.so_far import ModelSoFar
from runner.workers.crew import BackendLostError, Crew, Terms
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
from tests.queues import Machine as QueueMachine

if TYPE_CHECKING:
    from runner.conditions import Observer
    from runner.idle import IdleProbe
    from runner.interruption import Interruption
    from runner.meters.recorder import MeterSet
    from runner.report.journal import Journal

CPU = "CPUExecutionProvider"


@dataclass
class Machine:
    """What the scripted workers share: the time, and a list of what happened."""

    now_s: float = 1000.0
    celsius: float | None = None
    events: list[str] = field(default_factory=list)


class MachineClock:
    """Reads and moves the time of the machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def now_s(self) -> float:
        return self._machine.now_s

    def sleep_s(self, duration_s: float) -> None:
        self._machine.now_s += duration_s


class ScriptedCrew:
    """Workers that take as long as written down, and fail where written down."""

    def __init__(
        self,
        machine: Machine,
        taking_part: Sequence[Contender],
        inference_s: Callable[[Contender, int], float],
    ) -> None:
        self._machine, self._contenders, self._inference_s = machine, taking_part, inference_s
        self._rng = random.Random(0)
        self.sessions: dict[str, Opened | JoulebatchError] = {}
        """by contender, as people say it, like all below: what opening says, where it is not a full placement"""
        self.faults: dict[tuple[str, str, int], JoulebatchError] = {}
        """raised by ("prepare" or "measure", contender, batch size)"""
        self.noise_ratio = 0.0
        self.slowdown = 1.0
        """of windows, against what preparing promised"""
        self.late_s: dict[str, list[float]] = {}
        """of the next paced windows"""
        self.parity = {"status": "passed", "reason": "", "max_error_ratio": 1e-6}
        self.lost: set[str] = set()
        """those without a worker"""
        self.settled = True
        """whether other workers rest"""
        self.refreshed: Counter[str] = Counter()
        self.refresh_s = 0.0
        """what a fresh worker takes"""
        self.stops: list[int] = []
        """of the next windows"""
        self.unsteady = False
        self.asked: list[tuple[str, Measure]] = []
        self.checked: dict[str, Check] = {}
        self.served: list[tuple[str, Serve]] = []
        self.recorded: list[tuple[str, Record, float]] = []
        self.predicted_s: dict[tuple[str, int], float] = {}
        self.warm_up_caps_s: dict[tuple[str, int], float] = {}

    def open_all(self) -> dict[Contender, Opened | JoulebatchError]:
        full = Opened(
            0.1, {"label": "full", "nodes_by_provider": {CPU: 5}, "heavy_on_cpu": []}, {}, 100_000_000
        )
        return {each: self.sessions.get(str(each), full) for each in self._contenders}

    def prepare(self, contender: Contender, request: Prepare, predicted_s: float) -> Prepared:
        self._happens("prepare", contender, request.batch_size)
        self.predicted_s[str(contender), request.batch_size] = predicted_s
        self.warm_up_caps_s[str(contender), request.batch_size] = request.warm_up_cap_s
        each_s = self._inference_s(contender, request.batch_size)
        self._machine.now_s += 3 * each_s
        return Prepared(2 * each_s, 2, each_s, self.unsteady, 100_000_000)

    def record(self, contender: Contender, request: Record, predicted_s: float) -> Recorded:
        self._happens("record", contender, request.batch_size)
        self.recorded.append((str(contender), request, predicted_s))
        return Recorded(request.run_count)

    def check(self, contender: Contender, request: Check) -> Checked:
        self._happens("check", contender, 0)
        self.checked[str(contender)] = request
        return Checked(self.parity)

    def others_cpu_s(self, contender: Contender) -> float:
        return 0.0 if self.settled else self._machine.now_s

    def worker_number(self, contender: Contender) -> int:
        return self.refreshed[str(contender)]

    def replace(self, contender: Contender) -> None:
        self._happens("refresh", contender, 0)
        self._machine.now_s += self.refresh_s
        self.lost.discard(str(contender))
        self.refreshed[str(contender)] += 1

    def refresh(self, *gone: Contender) -> dict[Contender, BackendLostError]:
        lost = {}
        for contender in gone:
            try:
                self.replace(contender)
            except BackendLostError as error:
                lost[contender] = error
        return lost

    def measure(self, contender: Contender, request: Measure, predicted_s: float) -> Measurement:
        self._happens("measure", contender, request.batch_size)
        self.asked.append((str(contender), request))
        noise = 2.718 ** self._rng.gauss(0, self.noise_ratio)
        each_s = self._inference_s(contender, request.batch_size) * self.slowdown * noise
        started_s = self._machine.now_s
        self._machine.now_s += request.count * max(each_s, request.period_s or 0.0)
        late = self.late_s.get(str(contender)) or [0.0]
        late_s = late.pop(0) if request.period_s else 0.0
        return Measurement(
            started_s,
            self._machine.now_s,
            2 * each_s,
            0,
            0,
            0,
            0,
            self.stops.pop(0) if self.stops else 0,
            (each_s,) * request.count,
            late_s,
        )

    def serve(self, contender: Contender, request: Serve, predicted_s: float) -> Served:
        self._happens("serve", contender, 0)
        self.served.append((str(contender), request))
        policy = parse_policy(request.policy).policy(np.array(request.service_s))
        server = QueueMachine(
            lambda count: self._inference_s(contender, count) * self.slowdown, self._machine.now_s
        )
        done = server.replay(request.arrivals_s, policy, request.longest_wait_s)
        self._machine.now_s = server.now_s
        return Served(
            started_s=done.started_s,
            ended_s=done.ended_s,
            cpu_s=done.busy_cpu_s,
            voluntary_switches=0,
            involuntary_switches=0,
            minor_faults=0,
            major_faults=0,
            stops=self.stops.pop(0) if self.stops else 0,
            dispatched_s=done.dispatched_s,
            ready_s=done.ready_s,
            finished_s=done.finished_s,
            counts=done.counts,
            late_s=0.0,
            busy_cpu_s=done.busy_cpu_s,
            given_up=done.given_up,
        )

    def cpu_s(self, contender: Contender) -> float | None:
        return None if str(contender) in self.lost else self._machine.now_s

    def _happens(self, do: str, contender: Contender, batch_size: int) -> None:
        self._machine.events.append(f"{do} {contender} b{batch_size}")
        if fault := self.faults.get((do, str(contender), batch_size)):
            raise fault


class StillObserver:
    """Sees nothing but what the worker says, and others' CPU time where a test sets it."""

    foreign_cpu_s: float | None = None

    def begin(self, worker_cpu_s: float | None) -> None:
        pass

    def end(self, worker_cpu_s: float | None, measured: Span) -> Conditions:
        state = MachineState()
        return Conditions(
            state, state, 0.1, 8, self.foreign_cpu_s, None, None, None, 0, 0, 0, 0, measured.stops
        )


class ScriptedMeters:
    """Meters that say when they were asked."""

    def __init__(self, machine: Machine, minimum_window_s: float) -> None:
        self._machine, self.minimum_window_s = machine, minimum_window_s
        self.poller_cpu_s, self.measures = 0.0, True

    def begin(self, ahead: Ahead) -> None:
        self._machine.events.append("begin")

    def end(self, started_s: float, ended_s: float) -> tuple[Energy, ...]:
        self._machine.events.append("end")
        self.poller_cpu_s += 0.004 * (ended_s - started_s)
        return (Measured("cpu_package", "scripted", 20 * (ended_s - started_s), 0.1),)

    def cancel(self) -> None:
        self._machine.events.append("cancel")


class Lines:
    """A journal that keeps its lines, by kind."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def write(self, line: Line) -> None:
        self.lines.append(line)

    @property
    def windows(self) -> list[Window]:
        return [line.entry for line in self.lines if isinstance(line, WindowLine)]

    @property
    def cells(self) -> dict[str, Cell]:
        """The last line of each cell, as a report reads them."""
        return {line.entry.key: line.entry for line in self.lines if isinstance(line, CellLine)}

    @property
    def queue_windows(self) -> list[QueueWindow]:
        return [line.entry for line in self.lines if isinstance(line, QueueWindowLine)]

    @property
    def queue_cells(self) -> dict[str, QueueCell]:
        """The last line of each queue cell, by policy, and by backend and policy."""
        entries = [line.entry for line in self.lines if isinstance(line, QueueCellLine)]
        return {entry.load.policy: entry for entry in entries} | {
            f"{entry.contender} {entry.load.policy}": entry for entry in entries
        }

    @property
    def queue_blocks(self) -> list[QueueBlockLine]:
        return [line for line in self.lines if isinstance(line, QueueBlockLine)]

    @property
    def sessions(self) -> dict[str, SessionEntry]:
        return {str(line.entry.contender): line.entry for line in self.lines if isinstance(line, SessionLine)}

    @property
    def notes(self) -> list[str]:
        return [line.text for line in self.lines if isinstance(line, NoteLine)]

    @property
    def blocks(self) -> list[int]:
        return [line.block for line in self.lines if isinstance(line, BlockLine)]

    @property
    def repeats(self) -> dict[int, int]:
        """Which block each repeat stands in for."""
        lines = (line for line in self.lines if isinstance(line, BlockLine))
        return {line.block: line.repeats for line in lines if line.repeats is not None}


@dataclass
class Scene:
    """A roster of a model ``net`` on a scripted bench."""

    roster: Roster
    crew: ScriptedCrew
    journal: Lines
    machine: Machine


def scene(  # noqa: PLR0913 - each argument is one thing a test varies
    inference_s: Mapping[str, float],
    *,
    sizes: str = "1",
    budget_s: float | None = None,
    minimum_window_s: float = 0.0,
    profile: str = "quick",
    allow_fallback: bool = False,
    file: ModelFile | None = None,
    so_far: ModelSoFar | None = None,
    variants: Sequence[str] = ("fp32",),
    **flags: Any,
) -> Scene:
    """Return a bench on which an inference of each contender, as people say it, takes so long per image."""
    folders = {"models_dir": Path(), "reports_dir": Path()}
    config = RunConfig.read(
        {"batch_sizes": sizes, "target_ci_ratio": "2%", "profile": profile, **folders} | flags
    )
    specs = parse_specs(tuple(f"{label}=cpu" for label in inference_s if " " not in label))
    tensor = TensorSpec("x", "float32", ("batch", 4))
    file = file or ModelFile("net", "fp32", Path("net.onnx"), "0" * 64, 1, (tensor,), (tensor,), None)
    (plan,) = make_plan(config, [replace(file, variant=each) for each in variants], specs)
    machine, journal = Machine(), Lines()
    crew = ScriptedCrew(
        machine, plan.contenders, lambda contender, batch_size: inference_s[str(contender)] * batch_size
    )
    budget = Budget(budget_s, [plan.predicted_s], lambda: machine.now_s)
    budget.begin_model()
    bench = Bench(
        specs=specs,
        baseline=specs[0].label,
        profile=profile_of(config),
        target_ci_ratio=config.target_ci_ratio,
        allow_fallback=allow_fallback,
        allow_other_outputs=config.allow_other_outputs,
        terms=Terms(cast("Interruption", None), seed=0),
        journal=cast("Journal", journal),
        meters=cast("MeterSet", ScriptedMeters(machine, minimum_window_s)),
        budget=budget,
        observer=cast("Observer", StillObserver()),
        images=(),
        cool_down=CoolDown(lambda: machine.celsius, MachineClock(machine)),
        idle=cast("IdleProbe", None),
        progress=Progress(),
    )
    roster = Roster(plan, bench, cast("Crew", crew), so_far or ModelSoFar())
    return Scene(roster, crew, journal, machine)
