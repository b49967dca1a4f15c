"""The summary across models: choices per backend, what the run could see, and what a reader must know."""

from runner.render import numbers
from runner.render.doubts import doubt_lines
from runner.render.layout import Column, Section, Table
from runner.render.names import DOMAINS, domains_text, load_text
from runner.render.numbers import NOTHING
from runner.render.remarks import remark_lines
from runner.report.schema import BackendChoice, Cell, Report


def summary_section(report: Report) -> Section:
    """Return the choices per model and backend, what this run could see, and what a reader must know."""
    cells = {cell.key: cell for cell in report.cells}
    rows = tuple(
        (
            choice.model,
            choice.backend,
            _most_images(choice, cells.get(choice.most_images or "")),
            _least_cost(choice, cells.get(choice.least_cost or "")),
        )
        for choice in report.choices
    )
    columns = (
        Column("model", "left"),
        Column("backend", "left"),
        Column("most images/s", "left"),
        Column("least cost per image", "left"),
    )
    tables = (Table(columns, rows),) if rows else ()
    lines = (
        *claim_lines(report),
        *cost_lines(report),
        *doubt_lines(report),
        *meter_lines(report),
        *remark_lines(report),
        *report.notes,
    )
    return Section("Summary", tables=tables, notes=lines)


def _most_images(choice: BackendChoice, cell: Cell | None) -> str:
    if cell is None or cell.summary is None:
        return NOTHING
    rate = cell.summary.images_per_s
    figure = numbers.digits(rate.mean, numbers.half_width(rate.low, rate.high))
    return f"{_chosen(choice, cell)}: {figure} images/s"


def _least_cost(choice: BackendChoice, cell: Cell | None) -> str:
    """Return the load and its cost."""
    metric = choice.cost_metric
    if cell is None or cell.summary is None or metric is None:
        return NOTHING
    if metric == "energy_per_image" and (energy := cell.summary.energy):
        domains = domains_text(energy.domains)
        cost, unit, what = energy.per_image_j, "J", f" {domains}" if domains == "gpu only" else ""
    else:
        cost, unit, what = cell.summary.cpu_s_per_image, "s", " of CPU"
    figure = numbers.quantity(cost.mean, unit, numbers.half_width(cost.low, cost.high))
    return f"{_chosen(choice, cell)}: {figure}{what}"


def _chosen(choice: BackendChoice, cell: Cell) -> str:
    """Return the load, and the variant where several competed."""
    return load_text(cell.load) if choice.variant else f"{cell.variant} {load_text(cell.load)}"


def cost_lines(report: Report) -> tuple[str, ...]:
    """Return what keeps the question for the least cost from an answer."""
    chosen = [choice for choice in report.choices if choice.least_cost is not None]
    if report.choices and not chosen:
        return (
            "Least cost needs an energy meter or a pace (--pace R): back to back, CPU time ranks nothing",
        )
    if chosen and all(choice.cost_candidates == 1 for choice in chosen):
        return ("Each least cost stands alone: --pace R@1,4,8 compares several batch sizes",)
    return ()


def claim_lines(report: Report) -> tuple[str, ...]:
    """Return how far the figures carry."""
    smallest = report.minimum_detectable_ratio
    seen = (
        "This run has too few pairs of windows to say which differences it could see"
        if smallest is None
        else f"This run could see latency ratios of {numbers.ratio(smallest)} and more (median over cells); "
        "smaller ones may exist unseen"
    )
    return (
        seen,
        "Absolute figures hold for this run only; ratios are paired within the run, with 95 % intervals",
    )


def meter_lines(report: Report) -> tuple[str, ...]:
    """Return one line per cause for which energy is unavailable, with its remedy; nothing of a GPU that none has."""
    causes: dict[tuple[str, str], list[str]] = {}
    gpu = bool(report.environment.gpus) or any(backend.device == "gpu" for backend in report.backends)
    for meter in report.meters:
        if meter.status == "unavailable" and (gpu or meter.domain != "gpu"):
            causes.setdefault((meter.reason, meter.remedy), []).append(DOMAINS[meter.domain])
    return tuple(
        " ".join(f"No energy of {', '.join(domains)}: {_sentence(reason)} {_sentence(remedy)}".split())
        for (reason, remedy), domains in causes.items()
    )


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}." if text else ""
