"""What a report's figures give away, a line per finding: what, where, the evidence, and the remedy.

Findings of one kind with one remedy share a line.
"""

from runner.render import numbers
from runner.render.layout import Section
from runner.render.names import load_text
from runner.report.schema import Finding, FindingFigure, Report

_LOADS_SHOWN = 3
_TINY_SHARE = 0.01
"""of errors: below it a percentage reads worse than a power of ten"""


def findings_sections(report: Report) -> tuple[Section, ...]:
    """Return the section that ends a report; none where nothing was found."""
    alike: dict[tuple[str, str], list[str]] = {}
    for finding in report.findings:
        alike.setdefault((finding.title, finding.remedy), []).append(_evidence(report, finding))
    lines = tuple(f"{title}: {'; '.join(found)}. {remedy}." for (title, remedy), found in alike.items())
    return (Section("Findings", lines=lines),) if lines else ()


def _evidence(report: Report, finding: Finding) -> str:
    figures = (f"{figure.label} {_text(figure)}" for figure in finding.figures)
    evidence = ", ".join(filter(None, (*figures, finding.detail)))
    return ": ".join(filter(None, (_where(report, finding), evidence)))


def _where(report: Report, finding: Finding) -> str:
    """Return what a finding holds for: model, backend and variant where these are set, and the loads."""
    model = finding.model if len(report.model_names) > 1 else None
    variant = finding.variant if len(report.models) > len(report.model_names) else None
    cells = {cell.key: cell for cell in report.cells}
    loads = list(dict.fromkeys(load_text(cells[key].load) for key in finding.cells))
    shown, more = ", ".join(loads[:_LOADS_SHOWN]), len(loads) - _LOADS_SHOWN
    rest = f" and {more} more" if more > 0 else ""
    at = f"at {shown}{rest}{' (figures of the first)' if len(loads) > 1 else ''}" if loads else None
    return " ".join(filter(None, (model, finding.backend, variant, at)))


def _text(figure: FindingFigure) -> str:
    match figure.unit:
        case "s":
            scale = numbers.scale_for("s", (figure.value,))
            return f"{numbers.interval(figure.value, figure.low, figure.high, scale)} {scale.unit}"
        case "ratio":
            return numbers.ratio(figure.value, figure.low, figure.high)
        case "share":
            tiny = figure.value < _TINY_SHARE
            return numbers.scientific(figure.value) if tiny else numbers.percent(figure.value)
        case "count":
            return f"{figure.value:g}"
