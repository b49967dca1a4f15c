"""Latency, images per second and cost of a model's cells against the batch size, and what idle power takes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from runner.render import numbers
from runner.render.html.figures import (
    DASHES,
    Figure,
    Slots,
    Trace,
    axis,
    error_bars,
    hover,
    is_wide,
    layout,
    log_axis,
    log_ticks,
    plot_height,
    rounded,
    rows_axis,
    rows_height,
    text,
    values,
)
from runner.render.names import domains_text, load_text
from runner.render.numbers import Scale
from runner.report.schema import Cell, CellSummary, Interval

_WIDE_RATIO = 12.0
"""largest / smallest figure from which on an axis is logarithmic"""
_SIDE_STEP = 1.03
"""factor between points of one batch size, so that their intervals stay apart"""
_ENERGY_NOTES = {
    "measured": "Bars: 95 % intervals, this run only. Idle power included.",
    "estimated": "ESTIMATED from CPU use; bars are the error band, not a confidence interval; never compared.",
}

Pair = tuple[Cell, CellSummary]
Contender = tuple[str, str]
"""variant and backend"""


@dataclass(frozen=True, slots=True)
class _Quantity:
    """What a plot shows of a cell."""

    title: str
    axis: str
    unit: str
    caption: str
    figure: Callable[[CellSummary], Interval | None]
    mark: str = ""
    """before each figure in words"""


_LATENCY = _Quantity(
    "Latency against batch size",
    "latency of an inference",
    "s",
    "Mean of an inference; bars: 95 % intervals, this run only. At a pace it counts from the scheduled start.",
    lambda summary: summary.latency_s,
)
_RATE = _Quantity(
    "Images per second against batch size",
    "images",
    "/s",
    "Bars: 95 % intervals, this run only. At a pace this is the pace.",
    lambda summary: summary.images_per_s,
)
_OCCUPANCY = _Quantity(
    "CPU occupancy per image against batch size",
    "CPU time of an image",
    "s",
    "Back to back this is threads x latency with spinning: occupancy, which never ranks.",
    lambda summary: summary.cpu_s_per_image if summary.cpu_occupancy else None,
    "occupancy ",
)
_CPU = _Quantity(
    "CPU time per image at a pace",
    "CPU time of an image",
    "s",
    "All threads, gaps included; a cost among backends of one kind of device. Bars: 95 % intervals.",
    lambda summary: None if summary.cpu_occupancy else summary.cpu_s_per_image,
)


def batch_figures(cells: Sequence[Cell], slots: Slots, doubts: Mapping[Contender, str]) -> Iterator[Figure]:
    """Yield the plots of a model's cells against the batch size; mixed loads have no batch size.

    Args:
        cells: of one model.
        slots: how each contender looks.
        doubts: by variant and backend, why its figures are shown and never compared.
    """
    pairs = [(cell, cell.summary) for cell in cells if cell.summary and not cell.load.mixed]
    quantities = [_LATENCY, _RATE, *_energies(pairs), _CPU]
    if not any(summary.energy for _, summary in pairs):
        quantities.append(_OCCUPANCY)
    for quantity in quantities:
        found = [(cell, figure) for cell, summary in pairs if (figure := quantity.figure(summary))]
        if found:
            yield _against_batch(quantity, found, slots, doubts)


def split_figure(cells: Sequence[Cell]) -> Figure | None:
    """Return what of each cell's energy is drawn by an idle machine, where that was measured."""
    found = [
        (cell, energy, energy.net_per_image_j)
        for cell in cells
        if cell.summary and (energy := cell.summary.energy) and energy.net_per_image_j
    ]
    if not found:
        return None
    scale = numbers.scale_for("J", tuple(energy.per_image_j.mean for _, energy, _ in found))
    gross = [energy.per_image_j for _, energy, _ in found]
    net = [net for _, _, net in found]
    labels = [f"{cell.contender} {load_text(cell.load)}" for cell, _, _ in found]
    reliable = all(energy.net_reliable for _, energy, _ in found)
    doubt = "" if reliable else " Net is unreliable: idle power is not known well enough."
    data = tuple(
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "meta": {"slot": slot},
            "opacity": opacity,
            "x": values(figures, scale),
            "y": list(range(len(found))),
            **hover(
                [
                    f"{label}\n{name}: {_words(each, scale)}"
                    for label, each in zip(labels, figures, strict=True)
                ]
            ),
        }
        for name, figures, slot, opacity in (
            ("active and idle", gross, 6, 0.5),
            ("active alone", net, 0, 1.0),
        )
    )
    return Figure(
        "Idle and active energy",
        f"The dark bar is what an image adds; the rest of the long one an idle machine would have drawn.{doubt}",
        data,
        layout(
            axis(f"energy per image, {scale.unit}", rangemode="tozero"),
            rows_axis(labels),
            barmode="overlay",
            height=rows_height(len(found)),
        ),
        wide=True,
    )


def _energies(pairs: Sequence[Pair]) -> Iterator[_Quantity]:
    """Yield a quantity for each way in which energy was come by; joules of other domains are another thing."""
    kinds = dict.fromkeys((s.energy.status, s.energy.domains) for _, s in pairs if s.energy)
    for status, domains in kinds:
        yield _Quantity(
            f"Energy per image against batch size: {domains_text(domains)}",
            "energy of an image",
            "J",
            _ENERGY_NOTES[status],
            partial(_joules, (status, domains)),
            numbers.ESTIMATE if status == "estimated" else "",
        )


def _joules(kind: tuple[object, object], summary: CellSummary) -> Interval | None:
    energy = summary.energy
    return energy.per_image_j if energy and (energy.status, energy.domains) == kind else None


def _against_batch(
    quantity: _Quantity, found: Sequence[tuple[Cell, Interval]], slots: Slots, doubts: Mapping[Contender, str]
) -> Figure:
    means = tuple(figure.mean for _, figure in found)
    rate = quantity.unit == "/s"
    scale = Scale("/s", 1.0) if rate else numbers.scale_for(quantity.unit, means)
    series: dict[tuple[object, ...], list[tuple[Cell, Interval]]] = {}
    for cell, figure in found:
        series.setdefault((cell.contender, cell.load.pace_hz, cell.load.gap_s, cell.io), []).append(
            (cell, figure)
        )
    kinds = list(dict.fromkeys(key[1:] for key in series))
    middle = (len(series) - 1) / 2
    data = []
    for place, (key, members) in enumerate(series.items()):
        dash = DASHES[kinds.index(key[1:]) % len(DASHES)]
        look = (place - middle, dash, doubts.get(members[0][0].contender))
        data.append(_line(quantity, members, scale, slots, look))
    y = (
        log_axis([mean / scale.base for mean in means])
        if is_wide(means, _WIDE_RATIO)
        else {"rangemode": "tozero"}
    )
    return Figure(
        quantity.title,
        quantity.caption,
        tuple(data),
        layout(
            axis("batch size", **log_ticks([cell.load.batch_size for cell, _ in found])),
            axis(f"{quantity.axis}{'' if rate else ', '}{scale.unit}", **y),
            height=plot_height(len(data)),
        ),
    )


def _line(
    quantity: _Quantity,
    members: Sequence[tuple[Cell, Interval]],
    scale: Scale,
    slots: Slots,
    look: tuple[float, str, str | None],
) -> Trace:
    place, dash, doubt = look
    members = sorted(members, key=lambda member: member[0].load.batch_size)
    first, figures = members[0][0], [figure for _, figure in members]
    hollow = "-open" if first.io == "device" else ""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": text(_series_name(first, doubt)),
        "meta": {"slot": slots.colour(first.contender)},
        "x": [rounded(cell.load.batch_size * _SIDE_STEP**place, Scale("", 1.0)) for cell, _ in members],
        "y": values(figures, scale),
        "error_y": error_bars(figures, scale),
        "line": {"dash": dash},
        "marker": {"symbol": slots.symbol(first.contender) + hollow, "size": 8},
        **hover(
            [
                f"{cell.contender} {load_text(cell.load)}{_device(cell)}\n{quantity.mark}{_words(figure, scale)}"
                f"{_fate(cell)}"
                for cell, figure in members
            ]
        ),
    }


def _series_name(cell: Cell, doubt: str | None) -> str:
    """Return what a line of a plot is called: the contender, what its load has beside the batch size, and doubts."""
    kind = load_text(cell.load).partition(" ")[2]
    name = " ".join(filter(None, (str(cell.contender), kind))) + _device(cell)
    return f"{name} ({doubt})" if doubt else name


def _fate(cell: Cell) -> str:
    return "" if cell.status == "measured" else f"\n{cell.status}: {cell.reason}"


def _device(cell: Cell) -> str:
    return ", io=device" if cell.io == "device" else ""


def _words(figure: Interval, scale: Scale) -> str:
    return f"{numbers.interval(figure.mean, figure.low, figure.high, scale)} {scale.unit}"
