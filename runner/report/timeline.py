"""Cost per image against published accuracy by year: the timeline of a report's networks, and what it says.

Nothing is measured or archived here: every figure follows from one report.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from runner.errors import AbsentError
from runner.modelfile import STUDY_MODELS
from runner.report.schema import Interval, ModelEntry, Report
from runner.report.timeline_cost import LEAST_MODELS, Basis, backend_of, choose_costs
from runner.report.timeline_figures import Growth, Network, Point, growth_of, points_of
from runner.stats.growth import LEAST_FOR_LIMITS
from runner.stats.intervals import MeanInterval
from runner.variants import REFERENCE_VARIANT

ACCURACY: Final = "acc@1"
"""the key in ``published_accuracy``: the share of ImageNet-1K's validation images whose first guess is right"""
OUTSTANDING: Final = "shufflenet_v2_x0_5"
"""the network that the study found competitive for its time at far lower energy"""

Claim = Literal["cost grows faster than accuracy", "shufflenet_v2_x0_5 stands out"]
Verdict = Literal["holds", "does not hold", "cannot be checked"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A model without a place on the timeline, and why."""

    model: str
    year: int | None
    accuracy_ratio: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of the study, checked against this report's figures."""

    claim: Claim
    verdict: Verdict
    missing: str = ""
    """why it cannot be checked"""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Cost per image against published accuracy by year."""

    report_id: str
    status: Literal["running", "interrupted", "complete"]
    """of the report"""
    backend: str
    spinning: bool
    """whether threads spin after an inference, which is part of what it costs at a pace"""
    basis: Basis
    points: tuple[Point, ...]
    """by year"""
    left_out: tuple[LeftOut, ...]
    missing_of_study: tuple[str, ...]
    """networks of the study that have no point"""
    growth: Growth | None
    """None where all networks are of one year"""
    findings: tuple[Finding, ...]


def timeline_of(report: Report, backend: str | None = None) -> Timeline:
    """Return the timeline of a report's models under one backend.

    Args:
        report: of any run, also one that goes on.
        backend: its label; by default the baseline.

    Raises:
        UsageError: the report has no such backend.
        AbsentError: fewer than two models have a year, a published accuracy and a cost.
    """
    entry = backend_of(report, backend)
    models = _models(report)
    unpublished = {model.name: reason for model in models if (reason := _unpublished(model))}
    published = [model for model in models if model.name not in unpublished]
    if len(published) < LEAST_MODELS:
        raise _too_few(report, unpublished)
    costs = choose_costs(report, published, entry)
    placed = [
        _network(model, costs.cells[model.name].key, costs.basis.cost(costs.cells[model.name]))
        for model in published
        if model.name in costs.cells
    ]
    networks = sorted(placed, key=lambda network: (network.year, network.model))
    points, growth = points_of(networks, ranked=not costs.basis.occupancy), growth_of(networks)
    return Timeline(
        report_id=report.report_id,
        status=report.status,
        backend=entry.label,
        spinning=entry.options.get("spin") == "on",
        basis=costs.basis,
        points=points,
        left_out=_left_out(models, {**costs.reasons, **unpublished}),
        missing_of_study=tuple(name for name in STUDY_MODELS if name not in costs.cells),
        growth=growth,
        findings=tuple(_findings(costs.basis, points, growth)),
    )


def _models(report: Report) -> tuple[ModelEntry, ...]:
    """Return one file of each model: fp32 where the run had it, for its published accuracy."""
    files = {entry.name: entry for entry in reversed(report.models)}
    files |= {entry.name: entry for entry in report.models if entry.variant == REFERENCE_VARIANT}
    return tuple(files[name] for name in report.model_names)


def _unpublished(model: ModelEntry) -> str | None:
    """Return why a model has no place on any timeline, or None."""
    if model.variant != REFERENCE_VARIANT:
        return f"the published accuracy is not that of {model.variant}"
    lacking = [
        name
        for name, value in (("year", model.year), (ACCURACY, model.published_accuracy.get(ACCURACY)))
        if not value
    ]
    return f"no published {' and '.join(lacking)}" if lacking else None


def _network(model: ModelEntry, cell: str, cost: Interval) -> Network:
    assert model.year is not None, model.name
    return Network(
        model=model.name,
        year=model.year,
        accuracy_ratio=model.published_accuracy[ACCURACY],
        measured_weights=model.weights_kind == "pretrained",
        cell=cell,
        cost_per_image=MeanInterval(cost.mean, cost.low, cost.high),
    )


def _left_out(models: Sequence[ModelEntry], reasons: Mapping[str, str]) -> tuple[LeftOut, ...]:
    return tuple(
        LeftOut(model.name, model.year, model.published_accuracy.get(ACCURACY), reasons[model.name])
        for model in models
        if model.name in reasons
    )


def _findings(basis: Basis, points: Sequence[Point], growth: Growth | None) -> tuple[Finding, Finding]:
    """Return what the study found of its networks, as far as these figures can say."""
    growing: Claim = "cost grows faster than accuracy"
    outstanding: Claim = "shufflenet_v2_x0_5 stands out"
    if basis.occupancy:
        missing = "back-to-back CPU time is occupancy and no cost; --pace 2 measures one"
    elif len(points) < LEAST_FOR_LIMITS:
        missing = f"a trend takes {LEAST_FOR_LIMITS} networks, and these are {len(points)}"
    elif growth is None:
        missing = "all networks are of one year"
    else:
        grows = growth.cost_span_ratio > max(1.0, growth.accuracy_span_ratio)
        return Finding(growing, "holds" if grows else "does not hold"), _outstanding(outstanding, points)
    return Finding(growing, "cannot be checked", missing), Finding(outstanding, "cannot be checked", missing)


def _outstanding(claim: Claim, points: Sequence[Point]) -> Finding:
    """Return whether it lies farthest below the trend of cost, and on the front of cost and accuracy."""
    own = next((point for point in points if point.network.model == OUTSTANDING), None)
    if own is None:
        return Finding(claim, "cannot be checked", f"{OUTSTANDING} is not among these networks")
    ratios = [point.cost_to_trend_ratio for point in points if point.cost_to_trend_ratio is not None]
    lowest = own.cost_to_trend_ratio == min(ratios)
    return Finding(claim, "holds" if lowest and own.on_front else "does not hold")


def _too_few(report: Report, unpublished: Mapping[str, str]) -> AbsentError:
    got = "; ".join(f"{name}: {reason}" for name, reason in unpublished.items())
    named = ", ".join(name for name in report.model_names if name not in unpublished)
    return AbsentError(
        f"Cannot draw a timeline of report {report.report_id}",
        expected=f"{LEAST_MODELS} networks with a published year and {ACCURACY}, as joulebatch export writes them",
        got="; ".join(filter(None, (f"only {named}" if named else "", got))),
        fix="Run: joulebatch run --pace 2, which measures the five of the study",
    )
