"""Reports of servers whose law is known, for the tests of what is made from reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runner.meters.interface import Domain, Measured
from runner.report.assemble import Assembled, collect
from runner.report.derive import derive
from runner.report.lines import BlockLine, HeaderLine, IdleLine, Line, WindowLine
from runner.report.schema import Cell, IdleWindow, Load, Window
from runner.twin.calibrate import calibrate
from runner.twin.calibration import Calibration, Uncalibrated
from tests.fakes import make_journal

Law = Callable[[int, float], float]
"""of a batch size and an idle gap in seconds"""
Noise = Callable[[np.random.Generator, int], NDArray[np.float64]]
"""of a generator and a number of latencies: factors around 1"""

MODEL = "alexnet"
SIZES = (1, 2, 4, 8)
GAPS_S = (0.0, 0.002, 0.02, 0.2)
THREADS, SPIN_S = 2, 0.05
_NOTHING = (Measured("dram", "pyRAPL", 0.0, 0.0), Measured("gpu", "nvml-counter", 0.0, 0.0))


def quiet(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return np.ones(count)


def affine_s(count: int, gap_s: float) -> float:
    return 0.004 + 0.002 * count


def spinning(time_s: Law) -> Law:
    """Return the CPU time of threads that compute, and of which all but one spin for a while."""
    return lambda count, gap_s: THREADS * time_s(count, gap_s) + (THREADS - 1) * min(gap_s, SPIN_S)


@dataclass(frozen=True)
class Server:
    """What is to be measured of one backend."""

    time_s: Law = affine_s
    cost: Law = field(default_factory=lambda: spinning(affine_s))
    energy_j: Law | None = None
    noise: Noise = quiet
    sizes: Sequence[int] = SIZES
    gaps_s: Sequence[float] = GAPS_S
    paces: Sequence[tuple[int, float]] = ()
    """batch size and images per second"""
    wander: float = 0.0
    """standard deviation of the log speed of a block"""


@dataclass(frozen=True)
class Run:
    """How it is measured."""

    blocks: int = 10
    inferences: int = 30
    workers: int = 1
    parity_failed: Sequence[str] = ()
    idle_w: Sequence[tuple[str, float]] = ()
    """moment and power of the processor"""
    seed: int = 0


def measure(servers: dict[str, Server], run: Run | None = None) -> Assembled:
    """Return the report of a run over these backends, its figures included, and all latencies."""
    assembled = collect(lines_of(servers, run or Run()))
    return Assembled(derive(assembled.report, assembled.latencies_s), assembled.latencies_s)


def lines_of(servers: dict[str, Server], run: Run) -> list[Line]:
    """Return the journal."""
    energy = any(server.energy_j for server in servers.values())
    header, *sessions, model_end, end = make_journal(
        (MODEL,),
        tuple(servers),
        (),
        blocks=0,
        energy="measured" if energy else "unavailable",
        parity_failed=run.parity_failed,
    )
    assert isinstance(header, HeaderLine)
    cells = [cell for name, server in servers.items() for cell in _cells(name, server)]
    rng = np.random.default_rng(run.seed)
    lines: list[Line] = [header.model_copy(update={"cells": tuple(cells)}), *sessions]
    lines += [_idle(moment, power_w) for moment, power_w in run.idle_w]
    for block in range(run.blocks):
        mood = float(rng.standard_normal())
        worker = min(block * run.workers // run.blocks, run.workers - 1)
        for cell in cells:
            server = servers[cell.backend]
            factors = server.noise(rng, run.inferences) * np.exp(server.wander * mood)
            lines.append(_window(cell, server, (block, worker), factors))
        lines.append(BlockLine(model=MODEL, variant="fp32", block=block))
    return [*lines, model_end, end]


def calibrated(server: Server, run: Run | None = None) -> Calibration:
    """Return the calibration of a backend ``cpu`` measured alone."""
    found = calibrated_of(measure({"cpu": server}, run), "cpu")
    assert isinstance(found, Calibration)
    return found


def calibrated_of(measured: Assembled, backend: str) -> Calibration | Uncalibrated:
    """Return what a report says of a backend: by energy where it was measured, else by CPU time."""
    energy = any(meter.status == "measured" for meter in measured.report.meters)
    domains: tuple[Domain, ...] = ("cpu_package", "dram", "gpu") if energy else ()
    return calibrate(measured.report, measured.latencies_s, MODEL, "fp32", backend, domains)


def _cells(backend: str, server: Server) -> list[Cell]:
    loads = [
        Load(batch_size=size, pace_hz=None, gap_s=gap_s) for gap_s in server.gaps_s for size in server.sizes
    ]
    loads += [Load(batch_size=size, pace_hz=pace_hz) for size, pace_hz in server.paces]
    return [
        Cell(
            key=f"{MODEL}/fp32/{backend}/b{load.batch_size}@{load.pace_hz}+{load.gap_s}/host",
            model=MODEL,
            variant="fp32",
            backend=backend,
            load=load,
            io="host",
            status="skipped",
            reason="not reached",
        )
        for load in loads
    ]


def _window(cell: Cell, server: Server, when: tuple[int, int], factors: NDArray[np.float64]) -> WindowLine:
    """Return a window of a block and a worker; CPU time follows the latencies, energy does not."""
    size, gap_s = cell.load.batch_size, cell.load.gap_s
    if cell.load.pace_hz:
        gap_s = size / cell.load.pace_hz - server.time_s(size, 1.0)
    count, mean_s = factors.size, server.time_s(size, gap_s)
    times_s = mean_s * factors
    joules = count * server.energy_j(size, gap_s) if server.energy_j else 0.0
    window = Window(
        cell=cell.key,
        block=when[0],
        paired=False,
        worker=when[1],
        started_s=1000.0 + when[0],
        wall_s=float(times_s.sum()) + count * gap_s,
        inference_count=count,
        latency_mean_s=float(times_s.mean()),
        cpu_s=count * (server.cost(size, gap_s) + THREADS * (float(times_s.mean()) - mean_s)),
        energy=(Measured("cpu_package", "pyRAPL", joules, 0.01 * joules), *_NOTHING) if joules else (),
    )
    return WindowLine(entry=window, latencies_s=tuple(times_s.tolist()))


def _idle(moment: str, power_w: float) -> IdleLine:
    return IdleLine(
        entry=IdleWindow(
            moment=moment,  # type: ignore[arg-type] # a test names one of three
            model=MODEL if moment == "loaded" else None,
            variant="fp32" if moment == "loaded" else None,
            started_s=900.0,
            wall_s=10.0,
            foreign_cpu_s=0.1,
            energy=(Measured("cpu_package", "pyRAPL", 10 * power_w, 0.1), *_NOTHING),
        )
    )
