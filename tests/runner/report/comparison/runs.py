"""Reports of runs that are alike but for what a test says."""

from typing import Any

from runner.report.assemble import assemble
from runner.report.schema import Report
from tests.fakes import make_journal


def make_run(name: str = "ref", seed: int = 0, speed: float = 1.0, **facts: Any) -> Report:
    """Return the report of a run of alexnet on cpu at batch 1 and 4, all its latencies times ``speed``."""
    asked: dict[str, Any] = {
        "backends": ("cpu",),
        "noise_ratio": 0.01,
        "workers": 5,
        "blocks": 20,
        "slowness": {"cpu": speed},
    }
    report = assemble(make_journal(seed=seed, **(asked | facts)))
    return report.model_copy(update={"report_id": f"2026-11-23T21-34-05-{name}"})


def changed(report: Report, part: str, **facts: Any) -> Report:
    """Return a report whose environment, provenance, or every model, backend or session has these facts."""
    value = getattr(report, part)
    if isinstance(value, tuple):
        new: Any = tuple(each.model_copy(update=facts) for each in value)
    else:
        new = value.model_copy(update=facts)
    return report.model_copy(update={part: new})
