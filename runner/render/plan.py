"""The plan of a run with its predicted times, for ``--explain``."""

from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from runner.config import RunConfig
from runner.plan import PROFILES, load_label, predict_inference_s
from runner.render.numbers import duration, quantity
from runner.selection import Selection


def explain_plan(config: RunConfig, selection: Selection, stream: TextIO) -> None:
    """Write what would be measured, and about how long it would take."""
    profile = PROFILES[config.profile]
    console = Console(file=stream, highlight=False)
    table = Table(title=f"Plan, profile {config.profile}: at least {profile.min_blocks} blocks")
    for column in ("model", "backends", "loads"):
        table.add_column(column, overflow="fold")
    table.add_column("cells", justify="right")
    table.add_column("one inference, largest batch", justify="right")
    table.add_column("at least", justify="right")
    for model in selection.plan:
        loads = dict.fromkeys(load_label(cell.load) for cell in model.cells)
        largest = max(cell.load.batch_size for cell in model.cells)
        table.add_row(
            escape(model.file.name),
            escape(", ".join(spec.label for spec in selection.specs)),
            " ".join(loads),
            str(len(model.cells)),
            quantity(predict_inference_s(model.file, largest), "s"),
            duration(model.predicted_s),
        )
    console.print(table)
    total_s = sum(model.predicted_s for model in selection.plan)
    budget = duration(config.time_budget_s) if config.time_budget_s else "none"
    console.print(f"Predicted time: at least {duration(total_s)}; time budget: {budget}.")
    console.print("Predictions come from the models' operations until the first inferences replace them.")
    if config.time_budget_s and total_s > config.time_budget_s:
        console.print(
            "More than the budget: windows will be shortened, then cells skipped, largest batch first."
        )
