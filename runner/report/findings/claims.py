"""What findings share: paired ratios that lie beyond a threshold, and backends that differ in one option."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import log

from runner.report.evidence import Evidence, paired_ratio
from runner.report.schema import BackendEntry, Cell, FindingFigure, Load, Metric, Report
from runner.stats.compare import exceeds
from runner.stats.intervals import RatioInterval

_LABEL = re.compile(r"^[^=:,]+=")


@dataclass(frozen=True, slots=True)
class Claim:
    """Two cells whose ratio lies beyond a threshold, as far as its interval tells."""

    cell: Cell
    other: Cell
    ratio: RatioInterval
    """of the cell to the other"""

    @property
    def surely(self) -> float:
        """The logarithm of the ratio that may be claimed: less than is seen, by the half-width of the interval."""
        return log(self.ratio.ratio) - (self.ratio.claimed_log or 0.0)


def claims(
    evidence: Evidence, metric: Metric, pairs: Iterable[tuple[Cell, Cell]], threshold_ratio: float
) -> list[Claim]:
    """Return the pairs whose ratio is surely above a threshold, the surest first.

    Args:
        evidence: what may be compared.
        metric: by what.
        pairs: a cell, and the one that it is compared with.
        threshold_ratio: that the lower limit has to exceed.
    """
    found = []
    for cell, other in pairs:
        ratio = paired_ratio(evidence, metric, cell, other)
        if ratio and exceeds(ratio, threshold_ratio):
            found.append(Claim(cell, other, ratio))
    return sorted(found, key=lambda claim: -claim.surely)


def keys(found: Sequence[Claim]) -> tuple[str, ...]:
    """Return the cells of some claims, those that were compared with others left out."""
    return tuple(claim.cell.key for claim in found)


def ratio_figure(label: str, ratio: RatioInterval) -> FindingFigure:
    """Return a paired ratio as evidence."""
    return FindingFigure(label=label, value=ratio.ratio, unit="ratio", low=ratio.low, high=ratio.high)


def count_figure(label: str, count: float) -> FindingFigure:
    """Return a whole number as evidence."""
    return FindingFigure(label=label, value=count, unit="count")


def siblings(
    report: Report, option: str, value: str, other: str
) -> Iterator[tuple[BackendEntry, BackendEntry]]:
    """Yield the backends with one value of an option, each with the one that differs in its other value only."""
    for backend in report.backends:
        if backend.options.get(option) != value:
            continue
        wanted = {**backend.options, option: other}
        for each in report.backends:
            if (each.name, each.interpreter, each.options) == (backend.name, backend.interpreter, wanted):
                yield backend, each
                break


def spec_with(backend: BackendEntry, option: str, value: str, drop: str = "") -> str:
    """Return a backend's spec with one option set, as the command line takes it.

    Args:
        backend: of the run.
        option: to be set.
        value: of it.
        drop: an option that would do nothing beside it.
    """
    name, _, listing = _LABEL.sub("", backend.spec).partition(":")
    kept = [
        part
        for part in listing.split(",")
        if part.partition("=")[0].strip().lower() not in {"", option, drop}
    ]
    return f"{name}:{','.join((*kept, f'{option}={value}'))}"


def matched(
    evidence: Evidence, label: str, other: str, wanted: Callable[[Load], bool] = lambda _: True
) -> dict[tuple[str, str], list[tuple[Cell, Cell]]]:
    """Return the cells of one backend, each with the other's at the same load and io, by model and variant."""
    others = {(c.model, c.variant, c.load, c.io): c for c in evidence.cells if c.backend == other}
    pairs = defaultdict(list)
    for cell in evidence.cells:
        base = others.get((cell.model, cell.variant, cell.load, cell.io))
        if cell.backend == label and base and wanted(cell.load):
            pairs[cell.model, cell.variant].append((cell, base))
    return pairs
