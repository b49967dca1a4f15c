"""What went on besides the inferences: the machine at rest, its meters, and the conditions of each cell's windows."""

from collections.abc import Iterable, Iterator
from statistics import median

from runner.render import numbers
from runner.render.layout import Column, Table
from runner.render.names import DOMAINS, load_text
from runner.render.numbers import NOTHING
from runner.report.schema import Cell, IdleWindow, MeterEntry, Report, Window

CONDITIONS_NOTE = (
    "other CPU time and steal: of the cores we may use; "
    "these and all rates: medians over the windows of a cell"
)

_COLUMNS = (
    Column("backend", "left"),
    Column("load", "left"),
    Column("io", "left"),
    Column("scatter"),
    Column("outliers"),
    Column("other\nCPU time"),
    Column("steal"),
    Column("pressure", drop_rank=2),
    Column("throttled", drop_rank=1),
    Column("switches\nforced/s", drop_rank=3),
    Column("faults\nmajor", drop_rank=4),
    Column("CPU\nC"),
    Column("CPU\nGHz"),
    Column("GPU\nC"),
    Column("GPU\nGHz"),
)
_GIGA = numbers.Scale("GHz", 1e9)
_UNIT = numbers.Scale("", 1.0)


def conditions_table(report: Report, cells: Iterable[Cell]) -> Table:
    """Return a row per cell that has windows; what the machine does not tell has no column."""
    by_cell: dict[str, list[Window]] = {}
    for window in report.windows:
        by_cell.setdefault(window.cell, []).append(window)
    rows = (_row(cell, by_cell[cell.key]) for cell in cells if cell.key in by_cell)
    return Table(_COLUMNS, tuple(rows)).without_empty_columns(NOTHING)


def machine_lines(report: Report) -> Iterator[str]:
    """Yield how each meter ticks, what reading them took, and what the machine drew at rest."""
    yield from (_meter_line(meter) for meter in report.meters if meter.status != "unavailable")
    if polled_s := sum(window.poller_cpu_s for window in report.windows):
        wall_s = sum(window.wall_s for window in report.windows)
        yield f"reading the meters took {numbers.percent(polled_s / wall_s)} of a core's time during windows"
    yield from (_idle_line(idle, report.environment.cores) for idle in report.idle)


def _row(cell: Cell, windows: list[Window]) -> tuple[str, ...]:
    summary = cell.summary
    known = [(window.conditions, window.wall_s) for window in windows if window.conditions]
    taken = [conditions for conditions, _ in known]
    states = [state for conditions in taken for state in (conditions.before, conditions.after)]
    gpus = [gpu for state in states for gpu in state.gpus]
    return (
        str(cell.contender),
        load_text(cell.load),
        cell.io,
        numbers.percent(summary.variation_ratio if summary else None),
        str(summary.outlier_count) if summary else NOTHING,
        _share((each.foreign_cpu_s, each.span_s * each.cores) for each in taken),
        _share((each.steal_s, each.span_s * each.cores) for each in taken),
        _share((each.pressure_s, each.span_s) for each in taken),
        _share((each.throttled_s, each.span_s) for each in taken),
        numbers.digits(median(each.involuntary_switches / wall_s for each, wall_s in known))
        if known
        else NOTHING,
        str(sum(each.major_faults for each in taken)) if known else NOTHING,
        _span((state.temperature_celsius for state in states), _UNIT),
        _span((state.clock_hz for state in states), _GIGA),
        _span((gpu.temperature_celsius for gpu in gpus), _UNIT),
        _span((gpu.clock_hz for gpu in gpus), _GIGA),
    )


def _share(pairs: Iterable[tuple[float | None, float]]) -> str:
    """Return the median share of a time in another; of windows in which it is known."""
    shares = [part_s / whole_s for part_s, whole_s in pairs if part_s is not None and whole_s > 0]
    return numbers.percent(median(shares)) if shares else NOTHING


def _span(figures: Iterable[float | None], scale: numbers.Scale) -> str:
    return numbers.span([figure for figure in figures if figure is not None], scale)


def _meter_line(meter: MeterEntry) -> str:
    devices = f" of {', '.join(meter.devices)}" if meter.devices else ""
    every = f" every {numbers.quantity(meter.tick_s, 's')}" if meter.tick_s else ""
    tick = f", ticks of {numbers.quantity(meter.tick_j, 'J')}{every}" if meter.tick_j else ""
    return f"meter of {DOMAINS[meter.domain]}: {meter.status} through {meter.source}{devices}{tick}"


def _idle_line(idle: IdleWindow, cores: int) -> str:
    moment = f"with the sessions of {idle.model} open" if idle.model else f"{idle.moment} the run"
    powers = [
        f"{DOMAINS[entry.domain]} {numbers.quantity(entry.energy_j / idle.wall_s, 'W')}"
        for entry in idle.energy
        if entry.status == "measured"
    ]
    busy = (
        [f"cores {numbers.percent(idle.foreign_cpu_s / (idle.wall_s * cores))} busy"]
        if idle.foreign_cpu_s is not None
        else []
    )
    return (
        f"at rest {moment}, {numbers.duration(idle.wall_s)}: {', '.join((*powers, *busy)) or 'nothing read'}"
    )
