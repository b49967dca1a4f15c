"""A calibrated backend: what the simulation asks, and what it may be asked besides."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from runner.backends.interface import Device
from runner.contender import Contender
from runner.meters.interface import Domain
from runner.policies.interface import ServiceTimes
from runner.report.schema import CostMetric
from runner.twin.curve import Curve
from runner.twin.resample import Resampled, Windows, start
from runner.twin.surface import Surface
from runner.variants import REFERENCE_VARIANT


@dataclass(frozen=True, slots=True)
class Uncalibrated:
    """Why a report holds no twin of a backend."""

    backend: str
    reason: str
    sizes: tuple[int, ...] = ()
    """batch sizes to be measured with idle gaps; none where that would not help"""
    variant: str = REFERENCE_VARIANT

    @property
    def contender(self) -> Contender:
        """Whose twin it would be."""
        return Contender(self.variant, self.backend)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How long batches of one backend take and what they cost, resampled from windows: a ``Service``."""

    model: str
    variant: str
    backend: str
    device: Device
    domains: tuple[Domain, ...]
    """whose joules are the cost; none where it is CPU time"""
    error_ratio: float
    """bound of the error of interpolation between the measured batch sizes; 0 where none lies between"""
    curves: Mapping[int, Curve] = field(repr=False)
    """by measured batch size"""
    surface: Surface = field(repr=False)
    windows: Windows = field(repr=False)

    @property
    def contender(self) -> Contender:
        """Whose twin it is."""
        return Contender(self.variant, self.backend)

    @property
    def metric(self) -> CostMetric:
        """What costs are: CPU-s or J."""
        return "energy_per_image" if self.domains else "cpu_s_per_image"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Measured batch sizes, ascending from 1."""
        return self.surface.sizes

    @property
    def longest_gap_s(self) -> float:
        """The longest measured idle gap; what lies beyond is extrapolated."""
        return max(float(curve.gaps_s[-1]) for curve in self.curves.values())

    def start(self, rows: int, rng: np.random.Generator) -> Resampled:
        """Return fresh servers that take all their randomness from this generator."""
        return start(self.surface, self.windows, self.error_ratio, str(self.contender), rows, rng)

    def mean_service_s(self, count: int, gap_s: float) -> float:
        """Return the mean service time of a batch size after an idle gap."""
        return self._means(count, gap_s)[0]

    def mean_cost(self, count: int, gap_s: float) -> float:
        """Return the mean cost of a batch and the idle gap before it."""
        return self._means(count, gap_s)[1]

    def capacity_hz(self, largest: int | None = None) -> float:
        """Return the images/s of batches back to back: of the best size up to a limit, or of all."""
        counts = range(1, (largest or self.sizes[-1]) + 1)
        return max(count / self.mean_service_s(count, 0.0) for count in counts)

    def service_s(self, largest: int) -> ServiceTimes:
        """Return expected service times by batch size, for ``deadline``: each after the gap that is worst for it."""
        gaps_s = np.unique(np.concatenate([curve.gaps_s for curve in self.curves.values()]))
        worst_s = [
            max(self.mean_service_s(count, float(gap_s)) for gap_s in gaps_s)
            for count in range(1, largest + 1)
        ]
        return np.array([0.0, *worst_s])

    def _means(self, count: int, gap_s: float) -> tuple[float, float]:
        gap = np.array([gap_s])
        latency_s, cost, _ = self.surface.means(self.surface.places(np.array([count]), gap), gap)
        return float(latency_s[0]), float(cost[0])
