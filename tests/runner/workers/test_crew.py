"""Crews of real workers: one that is lost costs what it must and no more."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest

from runner.backends.spec import parse_specs
from runner.contender import Contender
from runner.errors import JoulebatchError
from runner.interruption import Interruption
from runner.modelfile import open_model
from runner.onnxfile import open_onnx
from runner.workers.crew import BackendLostError, Crew, Terms
from runner.workers.parent import CellFailedError, Patience, Worker, WorkerLostError
from runner.workers.protocol import Measure, Opened, Prepare
from tests.models import write_onnx
from tests.processes import state_of

FAULTY = "faulty:threads=1,at=2,fault="

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("third_party")]


@contextmanager
def _crew(folder: Path, *specs: str) -> Iterator[Crew]:
    with Interruption() as interruption:
        terms = Terms(interruption, seed=0, patience=Patience(floor_s=60))
        with Crew({"fp32": open_model(folder, "tiny")}, parse_specs(specs), terms) as crew:
            yield crew


def _on(label: str) -> Contender:
    return Contender("fp32", label)


def _prepare(batch_size: int) -> Prepare:
    return Prepare(batch_size, "host", warm_up_inferences=2, warm_up_cap_s=1.0, warm_up_steady=False)


def _measure(crew: Crew, label: str, batch_size: int, count: int = 3) -> Sequence[float]:
    return crew.measure(_on(label), Measure(batch_size, "host", count, None), 0.01).latencies_s


def test_every_backend_opens_in_a_process_of_its_own(exported: Path) -> None:
    with _crew(exported, "A=cpu:threads=1", "B=cpu:threads=1") as crew:
        opened = crew.open_all()
        assert list(opened) == [_on("A"), _on("B")]
        assert all(isinstance(each, Opened) for each in opened.values())
        pids = {worker.pid for worker in crew._workers.values()}
        assert len(pids) == 2
        assert os.getpid() not in pids
        assert crew.cpu_s(_on("A"))


def test_a_backend_that_cannot_open_costs_no_other(exported: Path) -> None:
    with _crew(exported, "cpu:threads=1", "bad=" + FAULTY + "open") as crew:
        opened = crew.open_all()
        assert isinstance(opened[_on("cpu:threads=1")], Opened)
        assert isinstance(opened[_on("bad")], JoulebatchError)
        assert "no licence" in str(opened[_on("bad")])
        assert crew.cpu_s(_on("bad")) is None
        crew.prepare(_on("cpu:threads=1"), _prepare(1), 0.01)
        assert len(_measure(crew, "cpu:threads=1", 1)) == 3


def test_a_backend_whose_interpreter_goes_away_costs_no_other(exported: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    own, other = parse_specs(("A=cpu:threads=1", "B=cpu:threads=1"))
    with Interruption() as interruption:
        specs = (own, replace(other, python=python))
        with Crew({"fp32": open_model(exported, "tiny")}, specs, Terms(interruption, seed=0)) as crew:
            python.unlink()
            opened = crew.open_all()
            assert isinstance(opened[_on("A")], Opened)
            assert "the worker did not start" in str(opened[_on("B")])
            crew.prepare(_on("A"), _prepare(1), 0.01)
            with pytest.raises(BackendLostError, match="a fresh worker failed: the worker did not start"):
                crew.replace(_on("B"))
            assert len(_measure(crew, "A", 1)) == 3


def test_a_lost_worker_is_replaced_and_other_batches_go_on(exported: Path) -> None:
    label = FAULTY + "crash"
    with _crew(exported, label) as crew:
        crew.open_all()
        crew.prepare(_on(label), _prepare(1), 0.01)
        first_pid = crew._workers[_on(label)].pid
        with pytest.raises(WorkerLostError, match="SIGSEGV"):
            crew.prepare(_on(label), _prepare(2), 0.01)
        assert crew.cpu_s(_on(label)) is None
        crew.prepare(_on(label), _prepare(4), 0.01)
        assert crew._workers[_on(label)].pid != first_pid
        assert len(_measure(crew, label, 1)) == 3  # bound again without being asked for
        assert len(_measure(crew, label, 4)) == 3


def test_a_crash_in_a_window_costs_that_window_and_a_fresh_worker_goes_on(exported: Path) -> None:
    label = FAULTY + "late-crash"  # the 21st inference of batch 2
    with _crew(exported, label) as crew:
        crew.open_all()
        for batch_size in (1, 2):
            crew.prepare(_on(label), _prepare(batch_size), 0.01)
        with pytest.raises(WorkerLostError, match="SIGABRT"):
            _measure(crew, label, 2, count=50)
        for _ in range(2):
            assert len(_measure(crew, label, 1, count=50)) == 50
        with pytest.raises(WorkerLostError, match="SIGABRT"):  # bound again, it ran, and crashed again
            _measure(crew, label, 2, count=50)
        assert len(_measure(crew, label, 1, count=50)) == 50


def test_a_batch_that_kills_the_fresh_worker_too_is_given_up(exported: Path) -> None:
    label = FAULTY + "crash"  # the first inference of batch 2
    with _crew(exported, label) as crew:
        crew.open_all()
        crew.prepare(_on(label), _prepare(1), 0.01)
        crew._prepared[_on(label)][(2,), "host"] = (_prepare(2), 0.01)  # as if it had worked before
        os.kill(crew._workers[_on(label)].pid, signal.SIGKILL)
        with pytest.raises(WorkerLostError, match="SIGKILL"):
            _measure(crew, label, 1)
        with pytest.raises(CellFailedError, match="could not run this batch again"):
            _measure(crew, label, 2)
        assert len(_measure(crew, label, 1)) == 3


def test_a_worker_killed_from_outside_is_replaced_with_all_its_batches(exported: Path) -> None:
    label = "cpu:threads=1"
    with _crew(exported, label) as crew:
        crew.open_all()
        for batch_size in (1, 2):
            crew.prepare(_on(label), _prepare(batch_size), 0.01)
        os.kill(crew._workers[_on(label)].pid, signal.SIGKILL)
        with pytest.raises(WorkerLostError, match="SIGKILL"):
            _measure(crew, label, 1)
        assert len(_measure(crew, label, 2)) == 3


def test_a_backend_is_lost_when_a_fresh_worker_fails_too(tmp_path: Path) -> None:
    write_onnx(tmp_path / "tiny.onnx")
    with Interruption() as interruption:
        specs = parse_specs(("cpu:threads=1", "B=cpu:threads=1"))
        with Crew({"fp32": open_onnx(tmp_path / "tiny.onnx", {})}, specs, Terms(interruption, 0)) as crew:
            crew.open_all()
            for label in ("cpu:threads=1", "B"):
                crew.prepare(_on(label), _prepare(1), 0.01)
            (tmp_path / "tiny.onnx").unlink()
            os.kill(crew._workers[_on("cpu:threads=1")].pid, signal.SIGKILL)
            with pytest.raises(WorkerLostError):
                _measure(crew, "cpu:threads=1", 1)
            for _ in range(2):
                with pytest.raises(BackendLostError, match=r"a fresh worker failed: .*tiny\.onnx"):
                    _measure(crew, "cpu:threads=1", 1)
            assert len(_measure(crew, "B", 1)) == 3


def test_a_cell_that_fails_keeps_its_worker(exported: Path) -> None:
    label = FAULTY + "memory"
    with _crew(exported, label) as crew:
        crew.open_all()
        pid = crew._workers[_on(label)].pid
        with pytest.raises(CellFailedError, match="out of memory"):
            crew.prepare(_on(label), _prepare(2), 0.01)
        crew.prepare(_on(label), _prepare(1), 0.01)
        assert crew._workers[_on(label)].pid == pid


def test_a_worker_is_given_the_cap_of_its_warm_up_on_top_of_the_prediction(exported: Path) -> None:
    with _crew(exported, FAULTY + "hang") as crew:
        crew.open_all()
        crew._terms = replace(crew._terms, patience=Patience(floor_s=0, factor=1))
        with pytest.raises(WorkerLostError, match="no reply within 1 s during prepare"):
            crew.prepare(_on(FAULTY + "hang"), _prepare(2), 0.01)


def _state(crew: Crew, label: str) -> str:
    """Return the state letter of a worker's process (proc_pid_stat(5))."""
    return Path(f"/proc/{crew._workers[_on(label)].pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_whoever_is_not_asked_is_parked_and_burns_nothing(exported: Path) -> None:
    with _crew(exported, "A=cpu:threads=2", "B=cpu:threads=2") as crew:
        crew.open_all()
        assert [_state(crew, label) for label in "AB"] == ["T", "T"]
        for label in "AB":
            crew.prepare(_on(label), _prepare(1), 0.01)
        for _ in range(20):
            _measure(crew, "B", 1, count=1)  # after which its pool spins
            before_s = crew.others_cpu_s(_on("A"))
            _measure(crew, "A", 1, count=1)
            assert crew.others_cpu_s(_on("A")) == before_s
        assert before_s > 0
        with pytest.raises(CellFailedError):
            crew.measure(_on("A"), Measure(7, "host", 1, None), 0.01)
        assert [_state(crew, label) for label in "AB"] == ["T", "T"]


def test_a_stop_from_outside_is_counted_and_ours_are_not(exported: Path) -> None:
    with _crew(exported, "A=cpu:threads=1") as crew:
        crew.open_all()
        crew.prepare(_on("A"), _prepare(1), 0.01)
        assert crew.measure(_on("A"), Measure(1, "host", 3, None), 0.01).stops == 0
        pid = crew._workers[_on("A")].pid

        def stop_and_go_on() -> None:
            os.kill(pid, signal.SIGSTOP)
            os.kill(pid, signal.SIGCONT)

        timer = Timer(0.3, stop_and_go_on)
        timer.start()
        measured = crew.measure(_on("A"), Measure(1, "host", 4, period_s=0.2), 1.0)
        timer.join()
        assert measured.stops == 1


def test_a_fresh_worker_takes_over_with_all_batches_warm(exported: Path) -> None:
    with _crew(exported, "A=cpu:threads=1") as crew:
        crew.open_all()
        crew.prepare(_on("A"), _prepare(1), 0.01)
        first = crew._workers[_on("A")].pid
        assert crew.worker_number(_on("A")) == 0
        crew.refresh(_on("A"))
        assert crew._workers[_on("A")].pid != first
        assert crew.worker_number(_on("A")) == 1
        assert len(_measure(crew, "A", 1)) == 3
        os.kill(crew._workers[_on("A")].pid, signal.SIGKILL)
        with pytest.raises(WorkerLostError):
            _measure(crew, "A", 1)
        crew.refresh(_on("A"))
        assert crew.worker_number(_on("A")) == 2


def test_fresh_workers_start_at_once_and_one_that_fails_costs_no_other(
    exported: Path, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    own, gone, third = parse_specs(("A=cpu:threads=1", "B=cpu:threads=1", "C=cpu:threads=1"))
    specs = (own, replace(gone, python=python), third)
    labels = [spec.label for spec in specs]
    with (
        Interruption() as interruption,
        Crew({"fp32": open_model(exported, "tiny")}, specs, Terms(interruption, seed=0)) as crew,
    ):
        crew.open_all()
        for label in labels:
            crew.prepare(_on(label), _prepare(1), 0.01)
        pids = {label: crew._workers[_on(label)].pid for label in labels}
        python.unlink()
        crew._prepared[_on("C")][(2,), "host"] = (_prepare(-1), 0.01)  # a batch that does not run again
        lost = crew.refresh(*map(_on, labels))
        assert list(lost) == [_on("B")]
        assert crew.cpu_s(_on("B")) is None
        for label in ("A", "C"):
            pid = crew._workers[_on(label)].pid
            assert pid != pids[label]
            assert state_of(pid) == "T", "parked"
            assert len(_measure(crew, label, 1)) == 3
        with pytest.raises(CellFailedError, match="could not run this batch again"):
            _measure(crew, "C", 2)
        assert all(state_of(pid) == "Z" for pid in pids.values())


def test_a_resumed_run_numbers_its_workers_on(exported: Path) -> None:
    with Interruption() as interruption:
        terms = Terms(interruption, seed=0)
        with Crew(
            {"fp32": open_model(exported, "tiny")}, parse_specs(("A=cpu",)), terms, {_on("A"): 3}
        ) as crew:
            crew.open_all()
            assert crew.worker_number(_on("A")) == 3


@pytest.mark.parametrize("error", [None, KeyError("x")])
def test_no_worker_outlives_its_crew(error: Exception | None, exported: Path) -> None:
    workers: list[Worker] = []
    try:
        with _crew(exported, "A=cpu:threads=1", FAULTY + "hang") as crew:
            crew.open_all()
            workers += crew._workers.values()
            if error:
                workers[-1].send("prepare", _prepare(2))
                raise error
    except KeyError:
        assert error
    assert len(workers) == 2
    assert all(worker._process.returncode is not None for worker in workers)


def test_a_fresh_worker_that_places_the_model_differently_is_no_replacement(exported: Path) -> None:
    label = "cpu:threads=1"
    with _crew(exported, label) as crew:
        crew.open_all()
        crew.prepare(_on(label), _prepare(1), 0.01)
        crew._placements[_on(label)] = {**crew._placements[_on(label)], "label": "partial-compute"}
        os.kill(crew._workers[_on(label)].pid, signal.SIGKILL)
        with pytest.raises(WorkerLostError, match="SIGKILL"):
            _measure(crew, label, 1)
        with pytest.raises(BackendLostError, match="placed the model differently: full"):
            _measure(crew, label, 1)
