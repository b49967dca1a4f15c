"""What ``--details`` adds: how sessions were opened, how cells ran under which conditions, and every interval."""

from collections.abc import Iterable

from runner.render import numbers
from runner.render.conditions import CONDITIONS_NOTE, conditions_table, machine_lines
from runner.render.files import quality_text
from runner.render.layout import Column, Section, Table
from runner.render.names import load_text, model_text
from runner.render.numbers import NOTHING, Scale
from runner.render.queue import queue_cells_of
from runner.render.queue_batches import batches_table
from runner.render.ratios import comparison_table, test_table
from runner.render.tables import cells_of
from runner.report.schema import (
    BackendEntry,
    Cell,
    CellSummary,
    EnergySummary,
    Interval,
    Limits,
    Report,
    SessionEntry,
)

_UNRELIABLE = "?"

_CELL = (Column("backend", "left"), Column("load", "left"), Column("io", "left"))
_SESSION_COLUMNS = (
    Column("backend", "left"),
    Column("opened\nin"),
    Column("nodes\nper provider", "left"),
    Column("largest\nerror"),
    Column("error\nallowed"),
    Column("top-1\nagrees"),
)
_RUN_COLUMNS = (
    *_CELL,
    Column("windows"),
    Column("inferences"),
    Column("first\ninference"),
    Column("warm-up\ninferences"),
    Column("CPU time\n/ wall"),
    Column("peak\nmemory"),
    Column("sampled\n/ counter"),
    Column("meter\nbound"),
)
_INTERVAL_COLUMNS = (
    *_CELL,
    Column("latency\n{time}", "left"),
    Column("p50\n{time}", "left"),
    Column("p90\n{time}", "left"),
    Column("images/s", "left"),
    Column("CPU\n{time}/image", "left"),
    Column("energy\n{energy}/image", "left"),
    Column("net energy\n{energy}/image", "left"),
)


def detail_sections(report: Report) -> tuple[Section, ...]:
    """Return the run's own facts and one section per model."""
    return (_run_section(report), *(_model_section(report, model) for model in report.model_names))


def _run_section(report: Report) -> Section:
    environment, provenance = report.environment, report.provenance
    git = environment.git
    target = numbers.percent(provenance.target_ci_ratio)
    virtual = "virtual" if environment.hypervisor else "no hypervisor seen"
    lines = (
        f"command: {' '.join(provenance.argv)}",
        f"baseline {provenance.baseline}, seed {provenance.seed}, target half-width {target}",
        f"kernel {environment.kernel}, Python {environment.python}, {virtual}",
        f"governor {environment.governor or 'not shown'}, memory {numbers.size(environment.memory_bytes)}",
        *(
            f"GPU {gpu.name}, driver {gpu.driver}, {numbers.size(gpu.memory_bytes)}, {gpu.uuid}"
            for gpu in environment.gpus
        ),
        f"versions: {', '.join(f'{name} {version}' for name, version in environment.versions.items())}",
        f"git: {git.commit}{', with changes' if git.dirty else ''}" if git else "git: none",
        *machine_lines(report),
        f"processes per model and backend: {1 + max((w.worker for w in report.windows), default=0)} at most",
        *(_backend_line(backend) for backend in report.backends),
    )
    return Section("Details of the run", lines=lines)


def _backend_line(backend: BackendEntry) -> str:
    spec = f" ({backend.spec})" if backend.spec != backend.label else ""
    interpreter = f", run by {backend.interpreter}" if backend.interpreter else ""
    return f"options of {backend.label}{spec}: {_pairs(backend.options) or 'none'}{interpreter}"


def _model_section(report: Report, model: str) -> Section:
    cells = cells_of(report, model)
    sessions = tuple(session for session in report.sessions if session.model == model)
    tables = (
        Table(_SESSION_COLUMNS, tuple(_session_row(session) for session in sessions)),
        Table(_RUN_COLUMNS, tuple(_run_row(cell) for cell in cells)),
        conditions_table(report, cells),
        _interval_table(cells),
        comparison_table(report, cells),
        test_table(report, cells),
        batches_table(queue_cells_of(report, model)),
    )
    kept = tuple(table.without_empty_columns(NOTHING) for table in tables if table.rows)
    qualities = (
        f"{file.variant}: {quality_text(file)}"
        for file in report.variants_of(model)
        if file.quality != "reference"
    )
    notes = (*qualities, *_session_notes(sessions), *_legend(cells))
    return Section(f"Details of {model_text(report, model)}", tables=kept, notes=notes)


def _legend(cells: Iterable[Cell]) -> Iterable[str]:
    summaries = [cell.summary for cell in cells if cell.summary]
    if summaries:
        yield CONDITIONS_NOTE
    if any(cell.peak_memory_bytes for cell in cells):
        yield "peak memory: of the process so far, which runs its batches in ascending order"
    if any(summary.energy and summary.energy.bound_ratio is not None for summary in summaries):
        yield "meter bound: the largest error of any window that the meters' update periods allow"
    nets = [summary.energy for summary in summaries if summary.energy and summary.energy.net_per_image_j]
    if nets:
        yield "net energy: without what the machine draws at rest in that time"
    if any(not energy.net_reliable for energy in nets):
        yield f"{_UNRELIABLE} net unreliable: what it draws at rest is not known well enough"


def _session_row(session: SessionEntry) -> tuple[str, ...]:
    parity = session.parity
    nodes = ", ".join(f"{count} {name}" for name, count in session.nodes_by_provider.items())
    return (
        str(session.contender),
        numbers.quantity(session.open_s, "s"),
        session.status if session.status == "failed" else nodes or NOTHING,
        numbers.scientific(parity.max_error_ratio if parity else None),
        numbers.scientific(parity.tolerance_ratio if parity else None),
        numbers.percent(parity.top1_agreement_ratio if parity else None),
    )


def _session_notes(sessions: Iterable[SessionEntry]) -> Iterable[str]:
    for session in sessions:
        heavy = f"computes on the CPU: {', '.join(session.heavy_on_cpu)}" if session.heavy_on_cpu else ""
        text = "; ".join(filter(None, (session.reason, heavy, _pairs(session.facts))))
        if text:
            yield f"{session.contender}: {text}"


def _run_row(cell: Cell) -> tuple[str, ...]:
    summary = cell.summary
    energy = summary.energy if summary else None
    return (
        *_names(cell),
        str(summary.window_count) if summary else NOTHING,
        str(summary.inference_count) if summary else NOTHING,
        numbers.quantity(cell.first_inference_s, "s"),
        str(cell.warm_up_inferences) if summary else NOTHING,
        numbers.digits(summary.cpu_per_wall_ratio) if summary else NOTHING,
        numbers.size(cell.peak_memory_bytes) if cell.peak_memory_bytes else NOTHING,
        numbers.digits(energy.sampled_ratio) if energy and energy.sampled_ratio is not None else NOTHING,
        numbers.percent(energy.bound_ratio if energy else None),
    )


def _interval_table(cells: tuple[Cell, ...]) -> Table:
    summaries = [cell.summary for cell in cells if cell.summary]
    time = numbers.scale_for("s", tuple(min(s.latency_s.mean, s.cpu_s_per_image.mean) for s in summaries))
    energy = numbers.scale_for("J", tuple(s.energy.per_image_j.mean for s in summaries if s.energy))
    headers = {"time": time.unit, "energy": energy.unit}
    columns = tuple(Column(c.header.format(**headers), c.align) for c in _INTERVAL_COLUMNS)
    rows = ((*_names(cell), *_intervals(cell.summary, time, energy)) for cell in cells if cell.summary)
    return Table(columns, tuple(rows))


def _intervals(summary: CellSummary, time: Scale, energy: Scale) -> tuple[str, ...]:
    joules = summary.energy
    mark = numbers.ESTIMATE if joules and joules.status == "estimated" else ""
    return (
        _interval(summary.latency_s, time),
        _percentile(summary.latency_p50_s, summary.latency_p50_limits_s, time),
        _percentile(summary.latency_p90_s, summary.latency_p90_limits_s, time),
        _interval(summary.images_per_s, Scale("", 1.0)),
        _interval(summary.cpu_s_per_image, time),
        mark + _interval(joules.per_image_j, energy) if joules else NOTHING,
        _net_text(joules, energy),
    )


def _percentile(value: float | None, limits: Limits | None, scale: Scale) -> str:
    if value is None or limits is None:
        return scale.text(value)
    return numbers.interval(value, limits.low, limits.high, scale)


def _net_text(joules: EnergySummary | None, scale: Scale) -> str:
    if joules is None or joules.net_per_image_j is None:
        return NOTHING
    mark = "" if joules.net_reliable else f" {_UNRELIABLE}"
    return _interval(joules.net_per_image_j, scale) + mark


def _names(cell: Cell) -> tuple[str, str, str]:
    return str(cell.contender), load_text(cell.load), cell.io


def _interval(figure: Interval, scale: Scale) -> str:
    return numbers.interval(figure.mean, figure.low, figure.high, scale)


def _pairs(facts: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in facts.items())
