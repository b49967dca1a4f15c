"""The page of a report: the answer first, then what it rests on, and last how it was made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runner.render import numbers
from runner.render.details import detail_sections
from runner.render.document import head_section
from runner.render.doubts import doubt_lines
from runner.render.findings import findings_sections
from runner.render.html.answers import Card, answer_card, best_table, queue_card, unavailable_lines
from runner.render.html.figures import Figure, Slots
from runner.render.html.figures_cells import batch_figures, split_figure
from runner.render.html.figures_choices import front_figure, queue_ratio_figures, ratio_figures
from runner.render.html.figures_queue import queue_figures
from runner.render.html.figures_timeline import timeline_figure
from runner.render.html.marks import marks_of
from runner.render.html.shell import render_page
from runner.render.layout import Column, Section, Table
from runner.render.names import model_text, rate_text
from runner.render.queue import queue_cells_of, queue_sections
from runner.render.remarks import remark_lines
from runner.render.summary import claim_lines, summary_section
from runner.render.tables import cells_of, comparison_sections
from runner.render.timeline import timeline_sections
from runner.report.answer import Answer, QueueAnswer
from runner.report.schema import UNTRUSTED_PLACEMENTS, Report
from runner.report.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Derived:
    """What follows from a report and is computed before it is shown."""

    answers: tuple[Answer, ...]
    queue_answers: tuple[QueueAnswer, ...]
    timeline: Timeline | None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the page with its address in it."""

    anchor: str
    title: str
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    more: tuple[Section, ...] = ()
    """what only few readers need: folded"""
    more_title: str = ""


def report_page(report: Report, views: Derived, *, sources: Sequence[str], inlined: Sequence[str]) -> str:
    """Return the page of a report.

    Args:
        report: what it shows.
        views: what follows from that.
        sources: addresses of the scripts that draw, relative to the page.
        inlined: their texts instead.
    """
    head = head_section(report)
    run, *_ = detail_sections(report)
    context = {
        "report": report,
        "name": report.name or f"Report {report.report_id}",
        "head": head.lines[1:] if report.name else head.lines,
        "cards": _cards(report, views),
        "choices": summary_section(report).tables,
        "claims": claim_lines(report),
        "unavailable": unavailable_lines(report),
        "doubts": (*doubt_lines(report), *remark_lines(report), *report.notes),
        "findings": findings_sections(report),
        "parts_shown": tuple(_parts(report, views)),
        "marks": marks_of(report),
        "run": run,
        "facts": _facts(report),
        "tables": _provenance_tables(report),
    }
    return render_page("report.html.jinja", context, sources=sources, inlined=inlined)


def _cards(report: Report, views: Derived) -> tuple[Card, ...]:
    if report.queue and report.queue.cells:
        return tuple(queue_card(report, answer) for answer in views.queue_answers)
    return tuple(answer_card(report, answer) for answer in views.answers)


def _parts(report: Report, views: Derived) -> Iterator[Part]:
    """Yield a part for each model, one for what the queue found, and one for the timeline."""
    slots = Slots.of(report)
    queue = queue_sections(report)
    _, *details = detail_sections(report)
    for place, (name, measured) in enumerate(
        zip(report.model_names, comparison_sections(report), strict=True)
    ):
        make = _queue_part if queue else _model_part
        own = queue[place] if queue else measured
        folded = (measured, details[place]) if queue else (details[place],)
        yield make(report, views, name, (slots, f"model-{place + 1}", own, folded))
    if queue:
        yield Part("what-holds", queue[-1].title, (), (queue[-1],))
    if views.timeline:
        sections = timeline_sections(views.timeline, details=True)
        yield Part("timeline", "Timeline", (timeline_figure(views.timeline),), sections)


_Place = tuple[Slots, str, Section, tuple[Section, ...]]


def _model_part(report: Report, views: Derived, name: str, place: _Place) -> Part:
    slots, anchor, own, folded = place
    cells = cells_of(report, name)
    figures = [
        *batch_figures(cells, slots, _doubts(report, name)),
        *ratio_figures(cells, report.comparisons, slots),
    ]
    (answer,) = (each for each in views.answers if each.model == name)
    for basis, choices in answer.choices:
        pace = "" if basis.rate_hz is None else f" at {basis.rate_hz:g} images/s"
        front = front_figure(basis, choices, slots, title=f"Cost against latency{pace}")
        figures += [front] if front else []
    figures += [split] if (split := split_figure(cells)) else []
    best = best_table(report, name)
    sections = (own, Section("Best of each load", tables=(best,))) if best else (own,)
    return Part(
        anchor, model_text(report, name), tuple(figures), sections, folded, "Intervals, sessions, conditions"
    )


def _doubts(report: Report, model: str) -> dict[tuple[str, str], str]:
    """Return, by variant and backend, why figures of a model are shown and never compared or best."""
    doubts: dict[tuple[str, str], str] = {}
    for session in (each for each in report.sessions if each.model == model):
        if quality := report.barred.get((model, session.variant)):
            doubts[session.contender] = f"quality {quality}"
        elif session.parity and session.parity.status == "failed":
            doubts[session.contender] = "parity FAILED"
        elif session.placement in UNTRUSTED_PLACEMENTS:
            doubts[session.contender] = "placement PARTIAL or NONE"
    return doubts


def _queue_part(report: Report, views: Derived, name: str, place: _Place) -> Part:
    slots, anchor, own, folded = place
    cells = queue_cells_of(report, name)
    comparisons = report.queue.comparisons if report.queue else ()
    figures = [*queue_figures(cells, slots), *queue_ratio_figures(cells, comparisons, slots)]
    for answer in views.queue_answers:
        if answer.model == name:
            title = f"Cost against response at {rate_text(answer.rate.load)} requests/s"
            front = front_figure(answer.basis, answer.choices, slots, title=title)
            figures += [front] if front else []
    more = "What calibrated the twin: batches back to back and after gaps"
    return Part(anchor, own.title, tuple(figures), (own,), folded, more)


def _facts(report: Report) -> tuple[tuple[str, str], ...]:
    provenance = report.provenance
    budget = provenance.time_budget_s
    facts = (
        ("Report", report.report_id),
        ("Status", report.status),
        ("Started", report.started_at),
        ("Ended", report.ended_at or ""),
        ("joulebatch", report.joulebatch),
        ("Schema version", str(report.schema_version)),
        ("Profile", provenance.profile),
        ("Time budget", "" if budget is None else numbers.duration(budget)),
        ("Seed", str(provenance.seed)),
    )
    return tuple((name, value) for name, value in facts if value)


def _provenance_tables(report: Report) -> tuple[tuple[str, Table], ...]:
    files = tuple(
        (
            entry.name,
            entry.variant,
            numbers.size(entry.size_bytes),
            entry.weights,
            str(entry.opset or ""),
            entry.sha256,
        )
        for entry in report.models
    )
    served = tuple((name, "", "", "", "", digest) for name, digest in report.provenance.files.items())
    columns = (
        Column("file", "left"),
        Column("variant", "left"),
        Column("size"),
        Column("weights", "left"),
        Column("opset"),
        Column("sha256", "left"),
    )
    meters = tuple(
        (entry.domain, entry.status, entry.source, entry.reason, entry.remedy) for entry in report.meters
    )
    meter_columns = tuple(Column(name, "left") for name in ("meter", "status", "source", "reason", "remedy"))
    tables = (
        ("Files", Table(columns, (*files, *served)).without_empty_columns("")),
        ("Meters", Table(meter_columns, meters).without_empty_columns("")),
    )
    return tuple((name, table) for name, table in tables if table.rows)
