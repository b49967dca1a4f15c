"""What stands for a network's cost on a timeline: one metric at one load under one backend, the same for all."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean

from runner.backends.interface import Device
from runner.errors import AbsentError, UsageError, nearest
from runner.meters.interface import Domain
from runner.report.evidence import Exclusions, summary_of
from runner.report.schema import (
    OWN_DOMAIN,
    BackendEntry,
    Cell,
    CostMetric,
    Interval,
    Load,
    ModelEntry,
    Report,
)

LEAST_MODELS = 2
"""with a cost, before there is anything to compare"""


@dataclass(frozen=True, slots=True)
class Basis:
    """The metric and the load at which models are compared."""

    metric: CostMetric
    load: Load
    domains: tuple[Domain, ...]
    """that joules count; empty for CPU time"""

    @property
    def occupancy(self) -> bool:
        """Whether this is threads x latency, which is no cost."""
        return self.metric == "cpu_s_per_image" and self.load.pace_hz is None

    def cost(self, cell: Cell) -> Interval:
        """Return the joules or the seconds of CPU time per image of a cell that has them."""
        summary = summary_of(cell)
        if self.metric == "cpu_s_per_image":
            return summary.cpu_s_per_image
        assert summary.energy is not None, cell.key
        return summary.energy.per_image_j


@dataclass(frozen=True, slots=True)
class Costs:
    """The cells that stand for the models, and why others have none."""

    basis: Basis
    cells: Mapping[str, Cell]
    """by model"""
    reasons: Mapping[str, str]
    """by model: why no cell of it can stand for it"""


def backend_of(report: Report, label: str | None) -> BackendEntry:
    """Return the backend with this label, by default the baseline.

    Raises:
        UsageError: the report has none of this label.
    """
    labels = {backend.label: backend for backend in report.backends}
    wanted = report.baseline_label if label is None else label
    if wanted not in labels:
        raise UsageError(
            f"Cannot show backend {wanted!r}",
            expected=f"a backend of report {report.report_id}",
            got=repr(wanted),
            fix=nearest(wanted, tuple(labels)),
        )
    return labels[wanted]


def choose_costs(report: Report, models: Sequence[ModelEntry], backend: BackendEntry) -> Costs:
    """Return the cells of one metric and one load that stand for the most models, and why others have none.

    A cost (measured energy, or CPU time at a pace) goes before back-to-back CPU time, which is none; then the one that
    the most models have; then energy; then the load at which they cost least together (geometric mean).

    Raises:
        AbsentError: no metric and load has two models.
    """
    groups: dict[Basis, dict[str, Cell]] = defaultdict(dict)
    for model in models:
        for cell in _cells(report, model, backend):
            if cell.summary and not _excluded(report, cell):
                for basis in _bases(cell, backend.device):
                    groups[basis][model.name] = cell
    enough = [basis for basis, cells in groups.items() if len(cells) >= LEAST_MODELS]
    if not enough:
        raise _nothing_to_compare(report, models, backend)
    basis = max(enough, key=lambda basis: _rank(basis, list(groups[basis].values())))
    cells = groups[basis]
    without = (model for model in models if model.name not in cells)
    reasons = {model.name: _reason(report, model, backend, basis) for model in without}
    return Costs(basis, cells, reasons)


def _bases(cell: Cell, device: Device) -> Iterator[Basis]:
    energy = summary_of(cell).energy
    if energy and energy.status == "measured" and OWN_DOMAIN[device] in energy.domains:
        yield Basis("energy_per_image", cell.load, energy.domains)
    if device == "cpu":  # what a GPU does is not in CPU time
        yield Basis("cpu_s_per_image", cell.load, ())


def _rank(basis: Basis, cells: Sequence[Cell]) -> tuple[bool, int, bool, float]:
    together = geometric_mean([basis.cost(cell).mean for cell in cells])
    return not basis.occupancy, len(cells), basis.metric == "energy_per_image", -together


def _cells(report: Report, model: ModelEntry, backend: BackendEntry) -> tuple[Cell, ...]:
    """Return what was planned of a model, but for mixed loads.

    Device-resident cells leave out the copies that a user pays for.
    """
    wanted = (model.name, model.variant, backend.label, "host")
    return tuple(
        cell
        for cell in report.cells
        if (cell.model, cell.variant, cell.backend, cell.io) == wanted and not cell.load.mixed
    )


def _excluded(report: Report, cell: Cell) -> str | None:
    return Exclusions(report).of(cell)


def _reason(report: Report, model: ModelEntry, backend: BackendEntry, basis: Basis | None = None) -> str:
    """Return why a model has no cost, on this basis or on any."""
    cells = _cells(report, model, backend)
    at_load = tuple(cell for cell in cells if basis is None or cell.load == basis.load)
    excluded = [reason for cell in at_load if (reason := _excluded(report, cell))]
    if not at_load:
        return "not measured at this load" if cells else f"not measured under {backend.label}"
    if len(excluded) == len(at_load):
        return excluded[0]
    if backend.device != "cpu":
        device = "GPU" if backend.device == "gpu" else "device"
        return f"no measured {device} energy, and CPU time leaves out what a {device} does"
    return "no measured energy of the same domains" if basis else "no load in common with another"


def _nothing_to_compare(report: Report, models: Sequence[ModelEntry], backend: BackendEntry) -> AbsentError:
    reasons: dict[str, list[str]] = defaultdict(list)
    for model in models:
        reasons[_reason(report, model, backend)].append(model.name)
    got = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
    others = [entry.label for entry in report.backends if entry.label != backend.label]
    return AbsentError(
        f"Cannot draw a timeline of report {report.report_id} under {backend.label}",
        expected=f"a cost per image of {LEAST_MODELS} networks at one load",
        got=got,
        fix=f"Pass --backend {others[0]}" if others else "Run: joulebatch run --pace 2",
    )
