"""The plan of a run for ``--explain``, and its predicted time, which any run says first."""

from runner.config import RunConfig
from runner.durations import predict_inference_s
from runner.plan import ModelPlan, load_label
from runner.profiles import PROFILES
from runner.render.layout import Column, Section, Table
from runner.render.numbers import duration, quantity
from runner.selection import Selection
from runner.units import duration_text

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
            _loads_text(model),
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
    rest = "; skipped cells of the queue are predicted where their batches were measured" if queues else ""
    short = (
        (f"More than the budget: windows will be shortened, then cells skipped, largest batch first{rest}",)
        if config.time_budget_s and selection.predicted_s > config.time_budget_s
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
            time_text(config, selection),
            "Predictions come from the models' operations until the first inferences replace them",
            *short,
        ),
    )


def time_text(config: RunConfig, selection: Selection) -> str:
    """Return the line that says how long a run takes at least, and its time budget."""
    budget = duration(config.time_budget_s) if config.time_budget_s else "none"
    return f"Predicted time: at least {duration(selection.predicted_s)}; time budget: {budget}"


def _loads_text(model: ModelPlan) -> str:
    loads = list(dict.fromkeys(cell.load for cell in model.cells))
    labels = " ".join(load_label(load) for load in loads if not load.gap_s)
    gaps = " ".join(dict.fromkeys(duration_text(load.gap_s) for load in loads if load.gap_s))
    return f"{labels}, also after gaps of {gaps}" if gaps else labels
