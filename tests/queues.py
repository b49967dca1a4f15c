"""Builders of plausible queues, for tests of everything that reads them."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from runner.load.replay import Replayed, replay
from runner.meters.interface import Energy, Measured
from runner.policies.interface import Policy
from runner.policies.registry import parse_policy
from runner.report.lines import HeaderLine, Line, ModelEndLine, QueueBlockLine, QueueCellLine, QueueWindowLine
from runner.report.schema import QueueCell, QueueLoad, QueueStatus, QueueWindow

SERVICE_S = 0.004
"""of one image; larger batches take n^0.8 times that"""
IDLE_W, BUSY_W = 20.0, 65.0


class Machine:
    """A server and a clock that only serving and sleeping move."""

    def __init__(self, service_s: Callable[[int], float], start_s: float = 100.0) -> None:
        self.now_s, self.cpu_s, self._service_s = start_s, 0.0, service_s

    def serve(self, count: int) -> None:
        took_s = self._service_s(count)
        self.now_s += took_s
        self.cpu_s += 2 * took_s

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s + 1e-9

    def replay(
        self, arrivals_s: Sequence[float], policy: Policy, longest_wait_s: float = float("inf")
    ) -> Replayed:
        return replay(
            self.serve,
            arrivals_s,
            policy,
            longest_wait_s,
            clock=lambda: self.now_s,
            sleep=self.sleep,
            cpu_s=lambda: self.cpu_s,
        )


def queue_cell(model: str, backend: str, policy: str, rate_hz: float, count: int) -> QueueCell:
    """Return a planned cell."""
    load = QueueLoad(policy=policy, arrivals="poisson", request_rate_hz=rate_hz, request_count=count)
    return QueueCell(
        key=f"{model}/fp32/{backend}/{policy},{rate_hz:g}/s,poisson",
        model=model,
        variant="fp32",
        backend=backend,
        load=load,
        status="skipped",
        reason="not reached",
    )


def with_queue(  # noqa: PLR0913 - each argument is one thing a test varies
    lines: Sequence[Line],
    policies: Sequence[str] = ("fixed:4", "greedy:4"),
    rates_hz: Sequence[float] = (50.0,),
    *,
    blocks: int = 3,
    requests: int = 200,
    energy: bool = False,
    outcomes: dict[str, tuple[QueueStatus, str]] | None = None,
    late_s: float = 0.0,
    slowness: dict[str, float] | None = None,
    noise_ratio: float = 0.05,
    seed: int = 0,
) -> tuple[Line, ...]:
    """Return the lines of a run with a queue added to each of its models.

    Args:
        lines: of ``tests.fakes.make_journal``.
        policies: specs; the first is what others are compared with.
        rates_hz: requests per second.
        blocks: how many were finished.
        requests: of each window.
        energy: whether the processor's was measured.
        outcomes: by policy, for cells that are not simply measured.
        late_s: of every batch, by the loop itself.
        slowness: factor on services by backend; 1.25 per place unless given.
        noise_ratio: standard deviation of the log of a service.
        seed: of arrivals and noise.
    """
    header = next(line for line in lines if isinstance(line, HeaderLine))
    labels = [backend.label for backend in header.backends]
    factors = {label: 1.25**place for place, label in enumerate(labels)} | (slowness or {})
    cells = {
        model.name: [
            queue_cell(model.name, label, policy, rate_hz, requests)
            for rate_hz in rates_hz
            for policy in policies
            for label in labels
        ]
        for model in header.models
    }
    planned = tuple(cell for own in cells.values() for cell in own)
    rng = random.Random(seed)
    result: list[Line] = []
    for line in lines:
        if isinstance(line, HeaderLine):
            result.append(line.model_copy(update={"queue_cells": planned}))
            continue
        if isinstance(line, ModelEndLine):
            result += [_told(cell, outcomes or {}) for cell in cells[line.model]]
            running = [cell for cell in cells[line.model] if cell.load.policy not in (outcomes or {})]
            for block in range(blocks):
                for cell in running:
                    server = _server(factors[cell.backend], noise_ratio, rng)
                    window = _window(cell, block, server, _arrivals_s(cell, seed, block), energy=energy)
                    entry = window.entry.model_copy(update={"late_s": late_s})
                    result.append(window.model_copy(update={"entry": entry}))
                result.append(QueueBlockLine(model=line.model, variant="fp32", block=block))
        result.append(line)
    return tuple(result)


def _told(cell: QueueCell, outcomes: dict[str, tuple[QueueStatus, str]]) -> QueueCellLine:
    facts: dict[str, Any] = {"capacity_hz": 400.0}
    if cell.load.policy in outcomes:
        facts["status"], facts["reason"] = outcomes[cell.load.policy]
    return QueueCellLine(entry=cell.model_copy(update=facts))


def _arrivals_s(cell: QueueCell, seed: int, block: int) -> tuple[float, ...]:
    assert cell.load.request_rate_hz
    gaps = np.random.default_rng([seed, block]).exponential(1, cell.load.request_count)
    return tuple((gaps.cumsum() / cell.load.request_rate_hz).tolist())


def _server(factor: float, noise_ratio: float, rng: random.Random) -> Callable[[int], float]:
    return lambda count: float(SERVICE_S * factor * count**0.8 * 2.718 ** rng.gauss(0, noise_ratio))


def _window(
    cell: QueueCell,
    block: int,
    service_s: Callable[[int], float],
    arrivals_s: tuple[float, ...],
    *,
    energy: bool,
) -> QueueWindowLine:
    policy = parse_policy(cell.load.policy).policy(np.array([service_s(max(1, n)) for n in range(129)]))
    done = Machine(service_s).replay(arrivals_s, policy)
    wall_s = done.ended_s - done.started_s
    busy_s = sum(end - begin for begin, end in zip(done.dispatched_s, done.finished_s, strict=True))
    return QueueWindowLine(
        entry=QueueWindow(
            cell=cell.key,
            block=block,
            paired=False,
            started_s=done.started_s,
            wall_s=wall_s,
            request_count=len(arrivals_s),
            served_count=sum(done.counts),
            cpu_s=done.busy_cpu_s + 0.05 * len(done.counts),
            busy_cpu_s=done.busy_cpu_s,
            late_s=0.0,
            energy=_energy(wall_s, busy_s) if energy else (),
        ),
        arrivals_s=arrivals_s,
        dispatched_s=done.dispatched_s,
        ready_s=done.ready_s,
        finished_s=done.finished_s,
        counts=done.counts,
    )


def _energy(wall_s: float, busy_s: float) -> tuple[Energy, ...]:
    package_j = IDLE_W * (wall_s - busy_s) + BUSY_W * busy_s
    return (
        Measured(domain="cpu_package", source="pyRAPL", energy_j=package_j, bound_j=0.005 * package_j),
        Measured(domain="dram", source="pyRAPL", energy_j=package_j / 8, bound_j=0.005 * package_j),
        Measured(domain="gpu", source="nvml-counter", energy_j=70 * wall_s, bound_j=wall_s),
    )
