"""The main table of each model: a row per cell, failed ones included, and what its marks mean."""

from collections.abc import Iterable, Iterator

from runner.render import numbers
from runner.render.files import NEVER_WINS, quality_text, size_lines, title_of
from runner.render.layout import Column, Footnotes, Section, Table
from runner.render.names import domains_text, load_text
from runner.render.numbers import NOTHING
from runner.render.ratios import verdict_text
from runner.render.remarks import unread_lines
from runner.report.schema import UNTRUSTED_PLACEMENTS, BestSet, Cell, Comparison, Report

BEST = "*"
_PLACEMENTS = {
    "full": "full",
    "partial-shape-only": "shape-only",
    "partial-compute": "PARTIAL",
    "none": "NONE",
}
_PARITIES = {"passed": "ok", "failed": "FAILED", "unavailable": "unchecked"}

_COLUMNS = (
    Column("variant", "left"),
    Column("backend", "left"),
    Column("load", "left"),
    Column("io", "left"),
    Column("latency\n{time}"),
    Column("p50\n{time}", drop_rank=2),
    Column("p90\n{time}", drop_rank=3),
    Column("images\n/s"),
    Column("CPU\n{cpu}/img"),
    Column("energy\n{energy}/img"),
    Column("ratio to\nbaseline", "left"),
    Column("provider,\nparity", "left", 1),
)


def comparison_sections(report: Report) -> tuple[Section, ...]:
    """Return one section per model."""
    return tuple(_ModelTable(report, model).section() for model in report.model_names)


def cells_of(report: Report, model: str) -> tuple[Cell, ...]:
    """Return the cells of a model: back to back first, by batch, variants and backends in the order of the run."""
    order = {backend.label: index for index, backend in enumerate(report.backends)}
    variants = {entry.variant: index for index, entry in enumerate(report.variants_of(model))}
    mine = (cell for cell in report.cells if cell.model == model)
    return tuple(
        sorted(
            mine,
            key=lambda cell: (
                cell.load.pace_hz or 0.0,
                cell.load.gap_s,
                cell.load.batch_size,
                variants.get(cell.variant, len(variants)),
                order.get(cell.backend, len(order)),
                cell.io != "host",
            ),
        )
    )


class _ModelTable:
    """Builds the section of one model."""

    def __init__(self, report: Report, model: str) -> None:
        self._report, self._model = report, model
        self._cells = cells_of(report, model)
        self._footnotes = Footnotes()
        self._baseline = report.baselines.get(model)
        self._files = {entry.variant: entry for entry in report.variants_of(model)}
        self._sessions = {entry.contender: entry for entry in report.sessions if entry.model == model}
        self._comparisons = {(c.cell, c.metric): c for c in report.comparisons}
        self._best = {(member, best.metric) for best in report.best_sets for member in best.members}
        summaries = [cell.summary for cell in self._cells if cell.summary]
        self._time = numbers.scale_for("s", tuple(s.latency_s.mean for s in summaries))
        self._cpu = numbers.scale_for("s", tuple(s.cpu_s_per_image.mean for s in summaries))
        self._energy = numbers.scale_for("J", tuple(s.energy.per_image_j.mean for s in summaries if s.energy))

    def section(self) -> Section:
        scales = {"time": self._time.unit, "cpu": self._cpu.unit, "energy": self._energy.unit}
        columns = tuple(Column(c.header.format(**scales), c.align, c.drop_rank) for c in _COLUMNS)
        table = Table(columns, tuple(self._row(cell) for cell in self._cells))
        plain = {
            column for column, said in (("variant", self._has_variants), ("io", self._has_device)) if not said
        }
        table = table.pick([i for i, column in enumerate(columns) if column.header not in plain])
        notes = (
            *self._footnotes.lines(),
            *self._parity_notes(),
            *self._energy_notes(),
            *unread_lines(self._report, self._cells),
            *self._legend(),
        )
        return Section(
            title_of(self._report, self._model),
            lines=size_lines(self._report, self._model),
            tables=(table.without_empty_columns(NOTHING),),
            notes=notes,
        )

    @property
    def _has_variants(self) -> bool:
        return len({entry.variant for entry in self._report.models}) > 1

    @property
    def _has_device(self) -> bool:
        return any(cell.io == "device" for cell in self._cells)

    def _parity_notes(self) -> Iterator[str]:
        parities = (session.parity for session in self._sessions.values() if session.parity)
        sources = dict.fromkeys(parity.reference for parity in parities if parity.reference)
        if sources:
            yield (
                f"parity: against the {' and '.join(sources)}, for the file has no reference of its own; "
                "it says that backends agree, not that they are right"
            )

    def _row(self, cell: Cell) -> tuple[str, ...]:
        figures = self._figures(cell)
        names = (self._variant(cell), cell.backend, load_text(cell.load), cell.io)
        return (*names, *figures, self._ratio(cell), self._checks(cell))

    def _variant(self, cell: Cell) -> str:
        """Return the variant, marked where it never wins or nobody knows its quality."""
        file = self._files.get(cell.variant)
        if file is None or file.quality in {"reference", "verified"}:
            return cell.variant
        fate = f"; {NEVER_WINS}" if (file.name, file.variant) in self._report.barred else ""
        return f"{cell.variant} {self._footnotes.mark(f'{file.variant}: {quality_text(file)}{fate}')}"

    def _figures(self, cell: Cell) -> tuple[str, ...]:
        summary = cell.summary
        if summary is None:
            return (NOTHING,) * 6
        latency = summary.latency_s
        half = numbers.half_width(latency.low, latency.high)
        cpu = self._cpu.text(
            summary.cpu_s_per_image.mean,
            numbers.half_width(summary.cpu_s_per_image.low, summary.cpu_s_per_image.high),
        )
        rate = summary.images_per_s
        return (
            self._star(cell, "latency") + self._time.text(latency.mean, half),
            self._time.text(summary.latency_p50_s, half),
            self._time.text(summary.latency_p90_s, half),
            numbers.digits(rate.mean, numbers.half_width(rate.low, rate.high)),
            f"({cpu})" if summary.cpu_occupancy else self._star(cell, "cpu_s_per_image") + cpu,
            self._energy_text(cell),
        )

    def _energy_text(self, cell: Cell) -> str:
        energy = cell.summary.energy if cell.summary else None
        if energy is None:
            return NOTHING
        if energy.status == "estimated":  # its limits are an error band, which says nothing about digits
            return numbers.ESTIMATE + self._energy.text(energy.per_image_j.mean)
        half = numbers.half_width(energy.per_image_j.low, energy.per_image_j.high)
        return self._star(cell, "energy_per_image") + self._energy.text(energy.per_image_j.mean, half)

    def _ratio(self, cell: Cell) -> str:
        """Return what became of the cell, or how it compares: latency, then the cost that may be compared."""
        if cell.status != "measured":
            predicted = cell.predicted_inference_s
            foresight = f" (predicted: {numbers.quantity(predicted, 's')} per inference)" if predicted else ""
            return f"{cell.status} {self._footnotes.mark(cell.reason + foresight or 'no reason given')}"
        if cell.contender == self._baseline:
            return "baseline"
        latency = self._comparisons.get((cell.key, "latency"))
        if latency is None:
            return NOTHING
        lines = [self._ratio_text(latency)]
        energy = self._comparisons.get((cell.key, "energy_per_image"))
        cpu = self._comparisons.get((cell.key, "cpu_s_per_image"))
        if energy:
            lines.append(f"J {self._ratio_text(energy)}")
        elif cpu and cell.summary and not cell.summary.cpu_occupancy:
            lines.append(f"CPU {self._ratio_text(cpu)}")
        return "\n".join(lines)

    def _ratio_text(self, comparison: Comparison) -> str:
        text = numbers.brief_ratio(comparison.ratio, comparison.low, comparison.high)
        if comparison.verdict != "too few workers":
            return text
        note = f"no claim: a difference {verdict_text(comparison)}; --workers 5 takes fresh ones"
        return f"{text} {self._footnotes.mark(note)}"

    def _checks(self, cell: Cell) -> str:
        """Return the labels for provider and parity; whatever is not as asked for gets a footnote."""
        session = self._sessions.get(cell.contender)
        if session is None or session.status == "failed":
            return NOTHING
        labels = [_PLACEMENTS[session.placement]] if session.placement else []
        if session.placement in UNTRUSTED_PLACEMENTS:
            where = ", ".join(f"{count} nodes on {name}" for name, count in session.nodes_by_provider.items())
            heavy = f"; {', '.join(session.heavy_on_cpu)} on the CPU" if session.heavy_on_cpu else ""
            labels[0] += " " + self._footnotes.mark(f"{cell.contender}: {where}{heavy}")
        if parity := session.parity:
            mark = ""
            if parity.status != "passed" and parity.reason and not self._is_lost(cell):
                mark = " " + self._footnotes.mark(
                    f"{cell.contender}: parity {parity.status}: {parity.reason}"
                )
            labels.append(_PARITIES[parity.status] + mark)
        # Two lines where something is wrong: a footnote's mark makes them long.
        return (",\n" if "[" in "".join(labels) else ", ").join(labels) or NOTHING

    def _is_lost(self, cell: Cell) -> bool:
        """Return whether the file itself lost its quality, which the note at its variant says."""
        file = self._files.get(cell.variant)
        return file is not None and file.quality == "lost"

    def _star(self, cell: Cell, metric: str) -> str:
        return BEST if (cell.key, metric) in self._best else ""

    def _energy_notes(self) -> tuple[str, ...]:
        """Return one line per set of domains that the energy column counts."""
        counted: dict[str, list[str]] = {}
        for cell in self._cells:
            if cell.summary and (energy := cell.summary.energy):
                text = f"{energy.status}, gross, idle power included: {domains_text(energy.domains)}"
                text += f" ({', '.join(energy.sources)})"
                if energy.status == "estimated":
                    text += f"; {numbers.ESTIMATE} half or double may be true (the band: --details), never compared"
                counted.setdefault(text, []).append(cell.backend)
        if len(counted) < 2:  # noqa: PLR2004 - only where they differ the backends need naming
            return tuple(f"energy: {text}" for text in counted)
        return tuple(
            f"energy of {', '.join(dict.fromkeys(backends))}: {text}" for text, backends in counted.items()
        )

    def _legend(self) -> tuple[str, ...]:
        measured = [cell for cell in self._cells if cell.summary]
        notes = []
        if any("\n" in self._ratio(cell) for cell in self._cells):
            notes.append("ratio to baseline: of latency; the second line of energy (J) or CPU time per image")
        if best := [b for b in self._report.best_sets if b.model == self._model]:
            notes.append(_best_legend(best))
        if any(cell.summary and cell.summary.cpu_occupancy for cell in measured):
            notes.append("(CPU) back to back is occupancy, threads x latency with spinning, and never ranks")
        if any(self._report.barred.get((self._model, each)) == "unverified" for each in self._files):
            notes.append("variants of unverified quality may win with --allow-unverified")
        if any(s.placement == "partial-shape-only" for s in self._sessions.values()):
            notes.append(
                "shape-only: only operators that handle shapes ran on the CPU, as ONNX Runtime intends"
            )
        return tuple(notes)


def _best_legend(best: Iterable[BestSet]) -> str:
    if all(entry.apparent for entry in best):
        return (
            f"{BEST} apparent best of its load: the lowest figure; the quick profile makes no further claim"
        )
    return f"{BEST} best set of its load: the lowest figure and all that cannot be told from it"
