"""The main path: selection -> measured models -> journal -> report."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from runner.bench import Bench, Roster
from runner.blocks import run_blocks
from runner.budget import Budget
from runner.config import RunConfig
from runner.crew import Crew, Terms
from runner.interruption import InterruptedRunError, Interruption
from runner.plan import PROFILES, ModelPlan
from runner.prepare import check_parity, open_sessions, prepare_cells
from runner.progress import Progress
from runner.render.markdown import to_markdown
from runner.report.archive import create, finish, load
from runner.report.header import Start, make_header
from runner.report.journal import EndLine, Journal, NoteLine
from runner.report.schema import Report
from runner.selection import Selection, select_meters


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
) -> Outcome:
    """Measure everything that was selected, archive it, and return the report.

    Raises:
        AbsentError: a meter that was asked for is absent.
        FileError: the archive cannot be written; what was measured is in its journal.
    """
    with select_meters(config) as meters, Interruption() as interruption:
        now = datetime.now(UTC).astimezone()
        folder = create(config.reports_dir, config.name, now)
        with Journal(folder) as journal:
            journal.write(make_header(config, selection, meters, Start(folder.name, now, argv)))
            budget = Budget(config.time_budget_s, [model.predicted_s for model in selection.plan])
            bench = Bench(
                specs=selection.specs,
                baseline=selection.baseline,
                profile=PROFILES[config.profile],
                target_ci_ratio=config.target_ci_ratio,
                allow_fallback=config.allow_fallback,
                terms=Terms(interruption, config.seed, lambda: budget.left_s),
                journal=journal,
                meters=meters,
                budget=budget,
                progress=progress,
            )
            interrupted_by = measure_models(selection.plan, bench)
        # Still shielded from signals: a report is finished or left to its journal, never torn.
        report = load(folder) if interrupted_by else finish(folder, to_markdown)
    return Outcome(folder, report, interrupted_by)


def measure_models(plan: tuple[ModelPlan, ...], bench: Bench) -> int | None:
    """Measure model after model; return the signal that ended the run early, if one did."""
    began_s = monotonic()
    signum = None
    try:
        for number, model in enumerate(plan, start=1):
            bench.progress.begin_model(model.file.name, number, len(plan))
            measure_model(model, bench)
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


def measure_model(plan: ModelPlan, bench: Bench) -> None:
    """Measure one model and journal what was learned.

    Raises:
        InterruptedRunError: a signal came; everything up to the last window is journaled.
        FileError: the journal cannot be written.
    """
    bench.budget.begin_model()
    with Crew(plan.file, bench.specs, bench.terms) as crew:
        roster = Roster(plan, bench, crew)
        open_sessions(roster)
        prepare_cells(roster)
        check_parity(roster)
        run_blocks(roster)
