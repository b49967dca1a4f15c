"""A comparison of archived runs as sections: what differs in words, then every cell, then what was not compared."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from runner.render import numbers
from runner.render.gate import HOW_TO_CALIBRATE, METRIC_NAMES, gate_count_text
from runner.render.layout import Column, Section, Table
from runner.render.names import load_text, rate_text
from runner.report.comparison.compare import Comparison, Figure
from runner.report.comparison.evidence import GateMetric
from runner.report.comparison.gate import Gate, Judged
from runner.report.comparison.rules import AnyCell, Breach
from runner.report.schema import Cell

Judgements = Sequence[tuple[Comparison, Gate | None]]
_WORDS: Final[Mapping[GateMetric, tuple[str, str]]] = {"latency": ("slower", "faster")}
METRIC_UNITS: Final[Mapping[GateMetric, str]] = {"latency": "s", "cpu": "s", "energy": "J"}
TOO_FEW: Final = "no figure of both sides: too few windows"
_SHOWN = 6
"""lines of a summary that people still read"""


def comparison_sections(judgements: Judgements, *, details: bool) -> tuple[Section, ...]:
    """Return everything; with ``details`` CPU occupancy and every cell that was not compared."""
    sections = [_summary(each, gate) for each, gate in judgements]
    sections += _figures(judgements, details=details)
    for each, _ in judgements:
        sections += _not_compared(each, several=len(judgements) > 1, details=details)
    return tuple(sections)


def cell_text(cell: AnyCell) -> str:
    """Return a cell without its model: ``cpu:spin=off b4``, ``cpu greedy:8 at 32.0/s``."""
    return f"{cell.contender} {_load(cell)}"


def _summary(each: Comparison, gate: Gate | None) -> Section:
    reference, new = " + ".join(each.reference.report_ids), " + ".join(each.new.report_ids)
    figures = [figure for figure in each.figures if not figure.occupancy]
    cells = {cell.key: cell.cell for cell in each.matched}
    apart = sorted(
        (figure for figure in figures if not figure.low <= 1 <= figure.high),
        key=lambda figure: -abs(figure.difference.log_ratio),
    )
    lines = [_words(cells[figure.key], figure) for figure in apart[:_SHOWN]]
    lines += [f"and {len(apart) - _SHOWN} other figures differ"] if len(apart) > _SHOWN else []
    same = len(figures) - len(apart)
    lines += [f"no difference seen in {same} of {len(figures)} figures"] if same else []
    lines += [] if figures else ["nothing could be compared"]
    lines += _limits_lines(figures)
    if gate and (gate.judged or gate.missed):
        lines.append(f"gate: {gate_count_text(gate)}")
        if gate.detectable is not None:
            lines.append(
                f"this comparison finds what is {numbers.ratio(gate.detectable)} or more, four times out of five"
            )
    return Section(f"{new} against {reference}", lines=tuple(lines))


def _limits_lines(figures: Sequence[Figure]) -> Iterator[str]:
    unknown = [figure for figure in figures if figure.spread is None]
    if figures and not unknown:
        yield "limits hold the spread of repeated runs: they are those of later runs, too"
    elif unknown:
        why = "; ".join(dict.fromkeys(figure.no_spread for figure in unknown[:_SHOWN]))
        yield (
            "CAUTION, limits are those of these very runs: repeated runs of one thing may lie farther apart than they "
            f"say ({why}). To know, {HOW_TO_CALIBRATE}"
        )


def _words(cell: AnyCell, figure: Figure) -> str:
    more, less = _WORDS.get(figure.metric, ("more", "less"))
    ratio = figure.difference.ratio
    text = numbers.ratio(ratio, figure.low, figure.high)
    return f"{cell.model} on {cell_text(cell)}: {METRIC_NAMES[figure.metric]} {text}, {more if ratio > 1 else less}"


def _figures(judgements: Judgements, *, details: bool) -> Iterator[Section]:
    cells: dict[str, AnyCell] = {cell.key: cell.cell for each, _ in judgements for cell in each.matched}
    found: dict[tuple[str, GateMetric], dict[int, Figure]] = defaultdict(dict)
    for place, (each, _) in enumerate(judgements):
        for figure in each.figures:
            if details or not figure.occupancy:
                found[figure.key, figure.metric][place] = figure
    verdicts = [
        {(own.figure.key, own.figure.metric): own for own in gate.judged} if gate else {}
        for _, gate in judgements
    ]
    for model in dict.fromkeys(cells[key].model for key, _ in found):
        own = {where: figures for where, figures in found.items() if cells[where[0]].model == model}
        yield Section(model, tables=(_table(own, cells, judgements, verdicts),))


def _table(
    found: Mapping[tuple[str, GateMetric], Mapping[int, Figure]],
    cells: Mapping[str, AnyCell],
    judgements: Judgements,
    verdicts: Sequence[Mapping[tuple[str, GateMetric], Judged]],
) -> Table:
    single = len(judgements) == 1
    columns = [
        Column("backend", "left"),
        Column("load", "left"),
        Column("io", "left", 3),
        Column("metric", "left"),
    ]
    columns.append(Column("reference", "right", 1))
    columns += [Column("new", "right", 1)] if single else []
    for each, gate in judgements:
        columns.append(Column("ratio" if single else f"ratio\n{_short(each)}", "left"))
        columns += [Column("verdict", "left")] if gate and gate.judged else []
    rows = []
    for (key, metric), figures in found.items():
        cell, first = cells[key], next(iter(figures.values()))
        unit = METRIC_UNITS[metric]
        name = "CPU occupancy" if first.occupancy else METRIC_NAMES[metric]
        row = [str(cell.contender), _load(cell), cell.io if isinstance(cell, Cell) else "", name]
        row.append(numbers.quantity(first.reference, unit))
        row += [numbers.quantity(first.new, unit)] if single else []
        for place, (_, gate) in enumerate(judgements):
            figure = figures.get(place)
            row.append(
                numbers.ratio(figure.difference.ratio, figure.low, figure.high) if figure else numbers.NOTHING
            )
            if gate and gate.judged:
                own = verdicts[place].get((key, metric))
                row.append(own.verdict if own else numbers.NOTHING)
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows)).without_empty_columns(numbers.NOTHING)


def _not_compared(each: Comparison, *, several: bool, details: bool) -> Iterator[Section]:
    of = f" ({_short(each)})" if several else ""
    by_rule: dict[tuple[str, str], list[tuple[Breach, AnyCell]]] = defaultdict(list)
    for cell in each.matched:
        for breach in cell.breaches:
            by_rule[breach.action, breach.rule.name].append((breach, cell.cell))
    lines = [
        _breach_line(action, found)
        for (action, _), found in sorted(by_rule.items(), key=lambda item: item[0])
    ]
    if lines:
        yield Section(f"What differs between the runs{of}", lines=tuple(lines))
    lines = [*_alone(each.reference_only, "the reference"), *_alone(each.new_only, "the new run")]
    for own in each.matched:
        sides = (("the reference", own.reference_excluded), ("the new run", own.new_excluded))
        whys = " and ".join(f"in {side} {why}" for side, why in sides if why)
        whys = whys or ("" if own.figures or own.refused else TOO_FEW)
        whys = whys or ", ".join(own.lacks.values())
        lines += [f"{own.cell.model} {cell_text(own.cell)}: {whys}"] if whys else []
    if lines:
        shown = lines if details else lines[: 2 * _SHOWN]
        more = (
            [f"and {len(lines) - len(shown)} others; --details lists them"] if len(shown) < len(lines) else []
        )
        yield Section(f"Not compared{of}", lines=(*shown, *more))


def _alone(cells: Sequence[AnyCell], where: str) -> Iterator[str]:
    """Yield a line per model and contender with the loads that one side only has."""
    loads: dict[tuple[str, str], list[str]] = defaultdict(list)
    for cell in cells:
        io = " on the device" if isinstance(cell, Cell) and cell.io == "device" else ""
        loads[cell.model, str(cell.contender)].append(_load(cell) + io)
    for (model, contender), own in loads.items():
        yield f"only in {where}: {model} on {contender}, {', '.join(own)}"


def _breach_line(action: str, found: Sequence[tuple[Breach, AnyCell]]) -> str:
    breach = found[0][0]
    kinds = dict.fromkeys((each.reference, each.new) for each, _ in found)
    values = "; ".join(f"{reference} -> {new}" for reference, new in list(kinds)[:2])
    more = f" and {len(kinds) - 2} others" if len(kinds) > 2 else ""  # noqa: PLR2004 - those shown
    which = "energy of " if breach.rule.metrics == ("energy",) else ""
    done = "not compared" if action == "refuse" else "compared all the same"
    count = f"{len(found)} cell{'s' if len(found) > 1 else ''}"
    return f"{breach.rule.name}: {which}{count} {done}: {values}{more}. {breach.rule.remedy}"


def _load(cell: AnyCell) -> str:
    if isinstance(cell, Cell):
        return load_text(cell.load)
    rate = cell.load.arrivals if cell.load.request_rate_hz is None else f"{rate_text(cell.load)}/s"
    return f"{cell.load.policy} at {rate}"


def _short(each: Comparison) -> str:
    """Return the endings of the ids, which are unlike where their beginnings are a time."""
    return "+".join(report_id[-4:] for report_id in each.new.report_ids)


def spread_section(
    rows: Iterable[tuple[AnyCell, GateMetric, float, float]], run_count: int, path: str
) -> Section:
    """Return what a calibration found.

    Args:
        rows: cell, metric, standard deviation between runs as a ratio, smallest ratio that one run against one finds.
        run_count: how many runs it was taken from.
        path: of the file.
    """
    table = Table(
        (
            Column("model", "left", 1),
            Column("cell", "left"),
            Column("metric", "left"),
            Column("spread of\nruns"),
            Column("found from\n(one cell)"),
        ),
        tuple(
            (cell.model, cell_text(cell), METRIC_NAMES[metric], numbers.percent(sd), numbers.ratio(least))
            for cell, metric, sd, least in rows
        ),
    )
    note = (
        "found from: what a comparison of one run with one finds four times out of five, judging nothing else and "
        "allowing nothing"
    )
    return Section(f"Spread of {run_count} runs, written to {path}", tables=(table,), notes=(note,))
