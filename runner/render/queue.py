"""The queue of each model: a row per policy, rate and backend; what they cost, and what the twin says."""

from runner.render import numbers
from runner.render.layout import Column, Footnotes, Section, Table
from runner.render.names import domains_text, model_text, rate_text
from runner.render.numbers import NOTHING, Scale
from runner.render.queue_words import findings_section
from runner.report.schema import (
    Interval,
    QueueCell,
    QueueComparison,
    QueuePrediction,
    QueueStudy,
    Report,
    Times,
)

_CELL = (Column("backend", "left"), Column("policy", "left"), Column("requests\n/s"))
_TIME_COLUMNS = (
    *_CELL,
    Column("wait\n{time}"),
    Column("service\n{time}", drop_rank=1),
    Column("decode\n{time}", drop_rank=1),
    Column("response\n{time}"),
    Column("p95\n{time}"),
    Column("p99\n{time}", drop_rank=2),
    Column("max\n{time}", drop_rank=3),
    Column("images\n/batch"),
    Column("busy"),
    Column("queue\nmean", drop_rank=4),
    Column("twin:\nresponse", "left"),
)
_COST_COLUMNS = (
    *_CELL,
    Column("CPU\n{cpu}/img"),
    Column("of it in\nservice", drop_rank=2),
    Column("energy\n{energy}/img"),
    Column("active\n+ idle", "left", drop_rank=2),
    Column("power, W\nmean (busy)", "left", drop_rank=3),
    Column("response to\nfirst policy", "left"),
    Column("cost to\nfirst policy", "left"),
    Column("cost to\nbaseline", "left", drop_rank=1),
)
PREDICTED = "predicted"


def queue_sections(report: Report) -> tuple[Section, ...]:
    """Return the sections of every model, and what the study found; nothing for a report without a queue."""
    if report.queue is None or not report.queue.cells:
        return ()
    return (
        *(_ModelQueue(report, report.queue, model).section() for model in report.model_names),
        findings_section(report.queue),
    )


def queue_cells_of(report: Report, model: str) -> tuple[QueueCell, ...]:
    """Return the queue cells of a model, in the order of the plan."""
    cells = report.queue.cells if report.queue else ()
    return tuple(cell for cell in cells if cell.model == model)


class _ModelQueue:
    """Builds the section of one model."""

    def __init__(self, report: Report, study: QueueStudy, model: str) -> None:
        self._report, self._model = report, model
        self._cells = queue_cells_of(report, model)
        self._ratios: dict[tuple[str, str, str], QueueComparison] = {
            (c.cell, c.against, c.metric): c for c in study.comparisons
        }
        summaries = [cell.summary for cell in self._cells if cell.summary]
        predictions = [each for cell in self._cells if (each := _stand_in(cell))]
        self._time = numbers.scale_for(
            "s",
            (
                *(each.response.mean_s.mean for each in summaries),
                *(each.response_mean_s.mean for each in predictions),
            ),
        )
        self._cpu = numbers.scale_for("s", tuple(each.cpu_s_per_image.mean for each in summaries))
        self._energy = numbers.scale_for(
            "J", tuple(each.energy.per_image_j.mean for each in summaries if each.energy)
        )
        self._footnotes = Footnotes()

    def section(self) -> Section:
        scales = {"time": self._time.unit, "cpu": self._cpu.unit, "energy": self._energy.unit}
        tables = []
        for columns, row in ((_TIME_COLUMNS, self._times), (_COST_COLUMNS, self._costs)):
            named = tuple(Column(c.header.format(**scales), c.align, c.drop_rank) for c in columns)
            rows = tuple(row(cell) for cell in self._cells)
            tables.append(Table(named, rows).without_empty_columns(NOTHING))
        arrivals = dict.fromkeys(cell.load.arrivals for cell in self._cells)
        counts = dict.fromkeys(cell.load.request_count for cell in self._cells)
        requests = " or ".join(map(str, counts))
        return Section(
            f"{model_text(self._report, self._model)}: queue, {', '.join(arrivals)} arrivals",
            lines=(f"{requests} requests in each window; every policy at a rate got the same arrivals",),
            tables=tuple(tables),
            notes=(*self._footnotes.lines(), *self._legend()),
        )

    def _times(self, cell: QueueCell) -> tuple[str, ...]:
        summary, head = cell.summary, self._head(cell)
        if summary is None:
            return (*head, *self._predicted_times(_stand_in(cell)))
        decode = summary.decode_mean_s
        return (
            *head,
            _figure(summary.wait.mean_s, self._time),
            _figure(summary.service.mean_s, self._time),
            NOTHING if decode is None else _figure(decode, self._time),
            _figure(summary.response.mean_s, self._time),
            *self._quantiles(summary.response),
            numbers.digits(summary.batch_mean),
            numbers.percent(summary.utilisation_ratio.mean),
            numbers.digits(summary.queue_mean.mean),
            self._twin(cell),
        )

    def _predicted_times(self, prediction: QueuePrediction | None) -> tuple[str, ...]:
        if prediction is None:
            return (NOTHING,) * (len(_TIME_COLUMNS) - len(_CELL))
        mean, p95 = (
            f"{numbers.ESTIMATE}{self._time.text(each.mean)}"
            for each in (prediction.response_mean_s, prediction.response_p95_s)
        )
        service = f"{numbers.ESTIMATE}{self._time.text(prediction.service_mean_s.mean)}"
        busy = f"{numbers.ESTIMATE}{numbers.percent(prediction.utilisation_ratio)}"
        batch = f"{numbers.ESTIMATE}{numbers.digits(prediction.batch_mean)}"
        return (NOTHING, service, NOTHING, mean, p95, NOTHING, NOTHING, batch, busy, NOTHING, PREDICTED)

    def _quantiles(self, times: Times) -> tuple[str, ...]:
        return tuple(self._time.text(value) for value in (times.p95_s, times.p99_s, times.max_s))

    def _twin(self, cell: QueueCell) -> str:
        """Return how far the twin's mean response lies from the live one."""
        prediction, summary = cell.prediction, cell.summary
        if prediction is None or summary is None:
            return NOTHING
        if not prediction.stable:
            return "overloaded"
        live_s = summary.response.mean_s.mean
        return numbers.ratio(prediction.response_mean_s.mean / live_s) if live_s else NOTHING

    def _costs(self, cell: QueueCell) -> tuple[str, ...]:
        summary, head = cell.summary, self._head(cell)
        if summary is None:
            return (*head, *self._predicted_costs(_stand_in(cell)))
        energy = summary.energy
        per_image, split, power = NOTHING, NOTHING, NOTHING
        if energy:
            per_image = _figure(energy.per_image_j, self._energy)
            power = _power(energy.average_w, energy.busy_w)
            if energy.active_per_image_j and energy.idle_per_image_j:
                parts = (energy.active_per_image_j, energy.idle_per_image_j)
                split = " + ".join(self._energy.text(part.mean) for part in parts)
        return (
            *head,
            _figure(summary.cpu_s_per_image, self._cpu),
            numbers.percent(summary.busy_cpu_s_per_image.mean / summary.cpu_s_per_image.mean)
            if summary.cpu_s_per_image.mean
            else NOTHING,
            per_image,
            split,
            power,
            self._ratio(cell, "policy", "response"),
            self._cost_ratio(cell, "policy"),
            self._cost_ratio(cell, "backend"),
        )

    def _predicted_costs(self, prediction: QueuePrediction | None) -> tuple[str, ...]:
        empty = (NOTHING,) * (len(_COST_COLUMNS) - len(_CELL))
        if prediction is None:
            return empty
        joules = prediction.cost_metric == "energy_per_image"
        scale = self._energy if joules else self._cpu
        cost = f"{numbers.ESTIMATE}{scale.text(prediction.cost_per_image.mean)}"
        return (NOTHING, NOTHING, cost, *empty[3:]) if joules else (cost, *empty[1:])

    def _cost_ratio(self, cell: QueueCell, against: str) -> str:
        energy = self._ratio(cell, against, "energy_per_image")
        return self._ratio(cell, against, "cpu_s_per_image") if energy == NOTHING else energy

    def _ratio(self, cell: QueueCell, against: str, metric: str) -> str:
        found = self._ratios.get((cell.key, against, metric))
        return numbers.brief_ratio(found.ratio, found.low, found.high) if found else NOTHING

    def _head(self, cell: QueueCell) -> tuple[str, ...]:
        doubt = cell.summary.doubt if cell.summary else ""
        reason = doubt or (cell.reason if cell.status != "measured" else "")
        mark = ""
        if reason:
            mark = " " + self._footnotes.mark(reason if doubt else f"{cell.status}: {reason}")
        return str(cell.contender), f"{cell.load.policy}{mark}", rate_text(cell.load)

    def _legend(self) -> tuple[str, ...]:
        energies = [cell.summary.energy for cell in self._cells if cell.summary and cell.summary.energy]
        lines = [
            f"energy of {domains_text(domains)}; idle: what the resting machine would have drawn"
            for domains in dict.fromkeys(each.domains for each in energies)
        ]
        if not energies and any(cell.summary for cell in self._cells):
            lines.append(
                "cost: CPU time, all threads, that between services included; energy was not measured"
            )
        if any(cell.prediction for cell in self._cells):
            lines.append(
                f"twin: its mean response / the live one; {numbers.ESTIMATE} and {PREDICTED}: not replayed, the twin's"
            )
        return tuple(lines)


def _stand_in(cell: QueueCell) -> QueuePrediction | None:
    """Return the twin's figures where nothing was replayed; of a queue that only grows they say nothing."""
    predicted = cell.prediction
    return predicted if cell.summary is None and predicted and predicted.stable else None


def _figure(interval: Interval, scale: Scale) -> str:
    return scale.text(interval.mean, numbers.half_width(interval.low, interval.high))


def _power(average: Interval, busy: Interval | None) -> str:
    mean = numbers.digits(average.mean)
    return mean if busy is None else f"{mean} ({numbers.digits(busy.mean)})"
