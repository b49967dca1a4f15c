"""The plan of a run with its predicted times, for ``--explain``."""

from runner.config import RunConfig
from runner.durations import predict_inference_s
from runner.plan import load_label
from runner.profiles import PROFILES
from runner.render.layout import Column, Section, Table
from runner.render.numbers import duration, quantity
from runner.selection import Selection

_COLUMNS = (
    Column("model", "left"),
    Column("loads", "left"),
    Column("cells"),
    Column("largest\nbatch"),
    Column("at least"),
)


def plan_section(config: RunConfig, selection: Selection) -> Section:
    """Return what would be measured, and about how long it would take."""
    rows = tuple(
        (
            model.name,
            " ".join(dict.fromkeys(load_label(cell.load) for cell in model.cells)),
            str(len(model.cells)),
            quantity(
                max(
                    predict_inference_s(model.files[cell.variant], max(cell.load.sizes))
                    for cell in model.cells
                ),
                "s",
            ),
            duration(model.predicted_s),
        )
        for model in selection.plan
    )
    queues = [
        f"queue: {len(model.queue)} cells of {model.queue[0].load.request_count} requests a window"
        for model in selection.plan[:1]
        if model.queue
    ]
    total_s = sum(model.predicted_s for model in selection.plan)
    budget = duration(config.time_budget_s) if config.time_budget_s else "none"
    short = (
        ("More than the budget: windows will be shortened, then cells skipped, largest batch first",)
        if config.time_budget_s and total_s > config.time_budget_s
        else ()
    )
    return Section(
        f"Plan, profile {config.profile}: at least {PROFILES[config.profile].min_blocks} blocks",
        lines=(
            f"backends: {', '.join(spec.label for spec in selection.specs)}; baseline {selection.baseline}",
            *selection.notes,
            *queues,
        ),
        tables=(Table(_COLUMNS, rows),),
        notes=(
            f"Predicted time: at least {duration(total_s)}; time budget: {budget}",
            "Predictions come from the models' operations until the first inferences replace them",
            *short,
        ),
    )
