"""The answer in words: the best batch and backend of each model, what each claim rests on, and what has no figure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runner.render import numbers
from runner.render.layout import Column, Table
from runner.render.names import cells_text, domains_text, load_text, model_text, rate_text
from runner.render.numbers import NOTHING
from runner.render.ratios import METRICS, verdict_text
from runner.render.summary import cost_lines, meter_lines
from runner.report.answer import Answer, Pick, QueueAnswer, comparison_of
from runner.report.costs import CostBasis
from runner.report.schema import BestSet, Cell, CostMetric, Interval, QueueCell, Report


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure that answers a question."""

    question: str
    figure: str
    who: str
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """The answers for a model, or for a model at a request rate."""

    title: str
    facts: tuple[Fact, ...]


def answer_card(report: Report, answer: Answer) -> Card:
    """Return what a report says of one model."""
    facts = []
    for question, pick in (
        ("Most images per second", answer.most_images),
        ("Lowest latency", answer.lowest_latency),
    ):
        if pick and pick.cell.summary:
            summary = pick.cell.summary
            rate = question.startswith("Most")
            figure = _rate(summary.images_per_s) if rate else _quantity(summary.latency_s, "s")
            facts.append(Fact(question, figure, _who(report, pick.cell), _details(report, pick)))
    for basis, pick in answer.least_costs:
        cost = _cost(pick.cell, basis.metric)
        facts.append(Fact(_cost_question(basis), cost, _who(report, pick.cell), _details(report, pick)))
    if not answer.least_costs:
        facts.append(Fact("Least cost per image", "unavailable", "", cost_lines(report)))
    return Card(model_text(report, answer.model), tuple(facts))


def queue_card(report: Report, answer: QueueAnswer) -> Card:
    """Return what a report says of one model at one request rate."""
    joules = answer.basis.metric == "energy_per_image"
    facts = []
    for question, cell, metric in (
        ("Shortest mean response", answer.lowest_response, "response"),
        (_cost_question(answer.basis), answer.least_cost, answer.basis.metric),
    ):
        summary = cell.summary
        if summary is None:
            continue
        energy = summary.energy.per_image_j if summary.energy and joules else None
        if metric == "response":
            figure = _quantity(summary.response.mean_s, "s")
        else:
            figure = _quantity(energy, "J") if energy else _quantity(summary.cpu_s_per_image, "s")
        facts.append(
            Fact(
                question, figure, f"{cell.contender} {cell.load.policy}", _queue_details(report, cell, metric)
            )
        )
    load = answer.rate.load
    return Card(
        f"{model_text(report, answer.model)}: {load.arrivals}, {rate_text(load)} requests/s", tuple(facts)
    )


def best_table(report: Report, model: str) -> Table | None:
    """Return the best of every load with what cannot be told from it."""
    cells = {cell.key: cell for cell in report.cells}
    rows = tuple(
        (
            load_text(best.load),
            METRICS[best.metric],
            _named(report, cells[best.best]),
            _figure(best, cells[best.best]),
            _others(report, best, cells),
        )
        for best in report.best_sets
        if best.model == model
    )
    columns = (
        Column("load", "left"),
        Column("by", "left"),
        Column("best", "left"),
        Column("figure"),
        Column("cannot be told from it", "left"),
    )
    return Table(columns, rows) if rows else None


def unavailable_lines(report: Report) -> tuple[str, ...]:
    """Return what has no figure, why, and what to do about it."""
    return (*meter_lines(report), *_sessions(report), *_cells(report), *_queue_cells(report))


def _cost_question(basis: CostBasis) -> str:
    if basis.metric == "energy_per_image":
        what = f"Least energy per image ({domains_text(basis.domains)})"
    else:
        what = "Least CPU time per image"
    return what if basis.rate_hz is None else f"{what} at {basis.rate_hz:g} images/s"


def _who(report: Report, cell: Cell) -> str:
    return f"{_named(report, cell)}, {load_text(cell.load)}"


def _named(report: Report, cell: Cell) -> str:
    """Return the contender; with its variant where the model has several."""
    several = len(report.variants_of(cell.model)) > 1
    return f"{cell.backend} {cell.variant}" if several else str(cell.contender)


def _details(report: Report, pick: Pick) -> tuple[str, ...]:
    """Return what the pick rests on: the baseline at the same load, and what cannot be told from it there."""
    name = METRICS[pick.metric]
    lines = []
    if pick.comparison:
        compared = pick.comparison
        ratio = numbers.brief_ratio(compared.ratio, compared.low, compared.high)
        lines.append(f"{name} {ratio} of the baseline's, {verdict_text(compared)}")
    elif pick.cell.contender == report.baselines.get(pick.cell.model):
        lines.append("this is the baseline")
    if pick.best:
        cells = {cell.key: cell for cell in report.cells}
        lines.append(_claim(pick.best, cells))
    return tuple(lines)


def _claim(best: BestSet, cells: dict[str, Cell]) -> str:
    if best.apparent:
        return "apparent best of its load"
    others = [cells[key] for key in best.members if key != best.best]
    if not others:
        return "best of its load"
    return f"best of its load, and not to be told from {cells_text(others, with_model=False)}"


def _others(report: Report, best: BestSet, cells: dict[str, Cell]) -> str:
    if best.apparent:
        return "no claim (quick profile or few blocks)"
    others = [_named(report, cells[key]) for key in best.members if key != best.best]
    return ", ".join(others) or NOTHING


def _figure(best: BestSet, cell: Cell) -> str:
    if best.metric == "latency":
        return _quantity(cell.summary.latency_s, "s") if cell.summary else NOTHING
    return _cost(cell, best.metric)


def _cost(cell: Cell, metric: CostMetric) -> str:
    """Return what an image costs in a cell."""
    summary = cell.summary
    if summary is None:
        return NOTHING
    if metric == "cpu_s_per_image":
        return _quantity(summary.cpu_s_per_image, "s")
    return _quantity(summary.energy.per_image_j, "J") if summary.energy else NOTHING


def _queue_details(report: Report, cell: QueueCell, metric: str) -> tuple[str, ...]:
    lines = []
    for against, whom in (("policy", "the first policy's"), ("backend", "the baseline's with this policy")):
        compared = comparison_of(report, cell, metric, "policy" if against == "policy" else "backend")
        if compared:
            ratio = numbers.brief_ratio(compared.ratio, compared.low, compared.high)
            lines.append(f"{ratio} of {whom}, {verdict_text(compared)}")
    return tuple(lines)


def _sessions(report: Report) -> Iterator[str]:
    for session in report.sessions:
        if session.status == "failed":
            yield f"{session.model} under {session.contender} could not be opened: {session.reason}"


def _cells(report: Report) -> Iterator[str]:
    """Yield what became of cells without a figure, those of one fate together."""
    fates: dict[tuple[str, str], list[Cell]] = {}
    for cell in report.cells:
        if cell.status != "measured":
            fates.setdefault((cell.status, cell.reason), []).append(cell)
    several = len(report.model_names) > 1
    for (status, reason), cells in fates.items():
        yield f"{cells_text(cells, with_model=several)}: {status}{f': {reason}' if reason else ''}"


def _queue_cells(report: Report) -> Iterator[str]:
    fates: dict[tuple[str, str], list[str]] = {}
    for cell in report.queue.cells if report.queue else ():
        status: str = cell.status
        reason = cell.reason
        if cell.summary and cell.summary.doubt:
            status, reason = "shown and never compared", cell.summary.doubt
        if status != "measured":
            name = f"{cell.contender} {cell.load.policy} at {rate_text(cell.load)}/s"
            fates.setdefault((status, reason), []).append(name)
    for (status, reason), names in fates.items():
        yield f"{_listed(names)}: {status}{f': {reason}' if reason else ''}"


def _listed(names: Sequence[str], shown: int = 4) -> str:
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def _rate(figure: Interval) -> str:
    return f"{numbers.interval(figure.mean, figure.low, figure.high, numbers.Scale('', 1.0))} images/s"


def _quantity(figure: Interval, unit: str) -> str:
    scale = numbers.scale_for(unit, (figure.mean,))
    return f"{numbers.interval(figure.mean, figure.low, figure.high, scale)} {scale.unit}"
