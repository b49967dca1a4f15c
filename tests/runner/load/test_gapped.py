import pytest

from runner.load import gapped, paced
from runner.load.gapped import run_gapped
from runner.units import NS_PER_S

OVERSLEPT_NS = 70


class Simulation:
    """A clock that only computing and sleeping move, and a sleep that oversleeps."""

    def __init__(self, *durations_ns: int) -> None:
        self.now_ns, self.left = 5_000, list(durations_ns)

    def run(self) -> None:
        self.now_ns += self.left.pop(0)

    def sleep(self, duration_s: float) -> None:
        self.now_ns += round(duration_s * NS_PER_S) + OVERSLEPT_NS


def test_every_inference_comes_after_its_gap_and_waking_up_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(100, 300, 200)
    for module in (gapped, paced):
        monkeypatch.setattr(module, "perf_counter_ns", lambda: simulation.now_ns)
    monkeypatch.setattr(paced, "sleep", simulation.sleep)
    timed = run_gapped(simulation.run, 3, 1_000 / NS_PER_S)
    assert not simulation.left
    assert timed.latencies_s == tuple((each + OVERSLEPT_NS) / NS_PER_S for each in (100, 300, 200))
    assert timed.ended_s - timed.started_s == pytest.approx((3 * (1_000 + OVERSLEPT_NS) + 600) / NS_PER_S)
    assert timed.late_s == 0
