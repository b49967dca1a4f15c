"""A whole report as sections, in the order in which people read them."""

from runner.render import numbers
from runner.render.details import detail_sections
from runner.render.findings import findings_sections
from runner.render.layout import Section
from runner.render.queue import queue_sections
from runner.render.summary import summary_section
from runner.render.tables import comparison_sections
from runner.report.schema import Report, Resume


def document(report: Report, *, details: bool) -> tuple[Section, ...]:
    """Return every section; with ``details`` also what only few readers need."""
    extra = detail_sections(report) if details else ()
    # What calibrated a queue's twin is many rows that few readers need.
    measured = comparison_sections(report) if details or not (report.queue and report.queue.cells) else ()
    parts = (head_section(report), *measured, *queue_sections(report), *extra, summary_section(report))
    return (*parts, *findings_sections(report))


def head_section(report: Report) -> Section:
    """Return when and where a run was made, and whether it ended."""
    environment = report.environment
    runtime = [
        f"{name} {environment.versions[name]}"
        for name in ("onnxruntime", "onnxruntime-gpu", "torch")
        if name in environment.versions
    ]
    gpus = [gpu.name for gpu in environment.gpus]
    cores = f"{environment.usable_cores:g} of {environment.cores} cores"
    profile = f"{report.provenance.profile} profile"
    measured = f"measured for {numbers.duration(report.measured_s)}"
    lines = [
        ", ".join((numbers.moment(report.started_at), report.status, profile, measured)),
        f"{environment.host}: {', '.join((environment.cpu, cores, *gpus, environment.os, *runtime))}",
    ]
    if report.name:
        lines.insert(0, report.name)
    lines += [_resume_line(resume) for resume in report.resumes]
    if report.status != "complete":
        lines.append(f"This run is {report.status}: the figures cover what was measured so far")
    return Section(f"joulebatch report {report.report_id}", lines=tuple(lines))


def _resume_line(resume: Resume) -> str:
    torn = f"; a torn line of {resume.dropped_bytes} bytes was dropped" if resume.dropped_bytes else ""
    return f"resumed at {numbers.moment(resume.at)}, interrupted after {numbers.duration(resume.measured_s)}{torn}"
