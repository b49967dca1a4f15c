"""The main path: selection -> measured models -> journal -> report."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from runner.bench import Bench, Gear, Roster, equip
from runner.blocks import run_blocks
from runner.check_parity import check_parity
from runner.conditions import Observer
from runner.config import RunConfig
from runner.idle import idle_duration_s
from runner.interruption import InterruptedRunError, Interruption
from runner.meters.gpu_state import gpu_states
from runner.plan import ModelPlan
from runner.prepare import open_sessions, prepare_cells
from runner.progress import Progress
from runner.queue.admission import queue_need_s
from runner.queue.blocks import run_queue
from runner.render.archived import RENDERINGS, prepare_plots
from runner.report.archive import create, finish, load
from runner.report.header import Start, make_header
from runner.report.journal import Journal
from runner.report.lines import EndLine, HeaderLine, IdleLine, ModelEndLine, NoteLine, ResumeLine
from runner.report.schema import Moment, Report, Resume
from runner.resume import check_unchanged, read_so_far
from runner.selection import Selection, select_meters
from runner.so_far import SoFar, so_far_of
from runner.workers.crew import Crew


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left behind."""

    folder: Path
    report: Report
    interrupted_by: int | None
    """the signal that ended it early"""


def run_experiment(
    config: RunConfig,
    selection: Selection,
    argv: tuple[str, ...],
    progress: Progress,
    resume: Path | None = None,
) -> Outcome:
    """Measure everything that was selected, archive it, and return the report.

    Args:
        config: what was asked for; of a run that goes on, what it was begun with.
        selection: what that is on this machine.
        argv: the command line.
        progress: is told what happens.
        resume: folder of the report to go on with.

    Raises:
        AbsentError: a meter that was asked for is absent.
        FileError: the archive cannot be written, or a resumed run's machine is not what it was.
    """
    with select_meters(config) as meters, Interruption() as interruption, gpu_states() as gpus:
        now = datetime.now(UTC).astimezone()
        folder = resume or create(config.reports_dir, config.name, now)
        header = make_header(config, selection, meters, Start(folder.name, now, argv))
        with Journal(folder) as journal:
            so_far = so_far_of(header) if resume is None else read_so_far(folder)
            plots = prepare_plots(folder.parent)
            begin(journal, header, so_far, (*selection.notes, plots) if plots else selection.notes)
            gear = Gear(journal, meters, Observer(gpus), interruption, progress)
            bench = equip(config, selection, gear, so_far)
            interrupted_by = measure_models(selection.plan, bench, so_far)
            # Still shielded from signals: a report is finished or left to its journal, never torn. Nor can anybody
            # resume or prune it meanwhile, as long as the journal is held.
            finished = None if interrupted_by else finish(folder, RENDERINGS)
        report = finished or load(folder)
    return Outcome(folder, report, interrupted_by)


def begin(journal: Journal, header: HeaderLine, so_far: SoFar, notes: tuple[str, ...] = ()) -> None:
    """Write the first lines of a new run, or say in a resumed one's journal that it goes on.

    Raises:
        FileError: models, backends, meters or machine are not what a resumed run was begun with.
    """
    if so_far.header is header:
        journal.write(header)
        for text in notes:
            journal.write(NoteLine(text=text))
        return
    check_unchanged(so_far, header)
    entry = Resume(
        at=header.started_at,
        argv=header.provenance.argv,
        dropped_bytes=so_far.torn_bytes,
        measured_s=so_far.measured_s,
    )
    journal.write(ResumeLine(entry=entry))


def measure_models(plan: tuple[ModelPlan, ...], bench: Bench, so_far: SoFar) -> int | None:
    """Measure model after model; return the signal that ended the run early, if one did."""
    began_s = monotonic()
    signum = None
    try:
        measure_idle(bench, so_far, "before")
        for number, model in enumerate(plan, start=1):
            if not so_far.models[model.name].done:
                bench.progress.begin_model(model.name, number, len(plan))
                measure_model(model, bench, so_far)
        measure_idle(bench, so_far, "after")
    except InterruptedRunError as interrupted:
        signum = interrupted.signum
        bench.journal.write(
            NoteLine(text=f"{str(interrupted).removesuffix('.')}; what was measured before is kept")
        )
    bench.journal.write(
        EndLine(
            status="interrupted" if signum else "complete",
            ended_at=datetime.now(UTC).astimezone().isoformat(timespec="seconds"),
            measured_s=monotonic() - began_s,
        )
    )
    return signum


def measure_model(plan: ModelPlan, bench: Bench, so_far: SoFar) -> None:
    """Measure one model and journal what was learned.

    Raises:
        InterruptedRunError: a signal came; everything up to the last window is journaled.
        FileError: the journal cannot be written, or a resumed run finds another session than it left.
    """
    bench.budget.begin_model()
    known = so_far.models[plan.name]
    with Crew(plan.files, bench.specs, bench.terms, known.workers) as crew:
        roster = Roster(plan, bench, crew, known)
        open_sessions(roster)
        prepare_cells(roster)
        check_parity(roster)
        measure_idle(bench, so_far, "loaded", plan.name)
        run_blocks(roster, kept_s=queue_need_s(roster))
        run_queue(roster)
    bench.journal.write(ModelEndLine(model=plan.name))


def measure_idle(bench: Bench, so_far: SoFar, moment: Moment, model: str | None = None) -> None:
    """Measure the machine at rest and journal it, once in a run; without meters nothing happens."""
    if any((idle.moment, idle.model) == (moment, model) for idle in so_far.idle):
        return
    if bench.meters.measures:
        bench.progress.say("measuring the idle machine")
    duration_s = idle_duration_s(moment, bench.profile.name, bench.meters)
    if window := bench.idle.measure(moment, duration_s, model):
        bench.journal.write(IdleLine(entry=window))
