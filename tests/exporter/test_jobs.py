import os
import signal
from pathlib import Path

import pytest

from exporter import jobs
from exporter.job import pack_error, unpack_error
from exporter.jobs import default_jobs, export_all
from exporter.request import Request
from exporter.weights import Wanted
from runner.errors import AbsentError, FileError, JoulebatchError, UsageError
from runner.manifest import Manifest
from tests.exporter.conftest import MODEL

WANTED = Wanted("random", 0, None, online=False)


class Killer:
    """Kills the process of one network as soon as that begins to export."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, str]] = []
        self.pids: list[int] = []
        start = jobs._Job._start

        def remember(job: jobs._Job) -> object:
            process = start(job)
            self.pids.append(process.pid)
            return process

        monkeypatch.setattr(jobs._Job, "_start", remember)

    def begins(self, model: str, stage: str) -> None:
        self.events.append((model, stage))
        if (model, stage) == ("densenet121", "weights"):
            os.kill(self.pids[-1], signal.SIGKILL)

    def ends(self, model: str, *, failed: bool) -> None:
        self.events.append((model, "failed" if failed else "done"))


def test_a_process_that_dies_costs_its_own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killer = Killer(monkeypatch)
    requests = tuple(Request(name, tmp_path, WANTED, 18) for name in (MODEL, "densenet121"))
    shufflenet, densenet = export_all(requests, 1, killer)
    assert isinstance(shufflenet, Manifest)
    assert isinstance(densenet, JoulebatchError)
    assert "exit status -9" in str(densenet)
    assert "--jobs 1" in str(densenet)
    assert len(killer.pids) == 2
    assert ("densenet121", "failed") in killer.events
    assert killer.events[-1] == (MODEL, "done")


@pytest.mark.parametrize("kind", [UsageError, AbsentError, FileError])
def test_errors_survive_the_way_to_the_parent(kind: type[JoulebatchError]) -> None:
    error = kind("Cannot export net", expected="weights", got="none", fix="Do this")
    again = unpack_error(pack_error(error), "net")
    assert (type(again), str(again)) == (kind, str(error))


def test_an_unexpected_error_is_one_line_with_its_trace_as_a_note() -> None:
    error = unpack_error(pack_error(ZeroDivisionError("first\nsecond")), "net")
    assert error.exit_code == 70
    assert str(error) == "Cannot export net: got ZeroDivisionError: first."
    assert "second" in error.__notes__[0]


def test_jobs_follow_cores_memory_and_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        available = 3 * jobs.JOB_BYTES

    monkeypatch.setattr("psutil.virtual_memory", Memory)
    monkeypatch.setattr(jobs, "usable_cores", lambda: 64)
    assert default_jobs(5) == 3
    assert default_jobs(2) == 2
    Memory.available = 0
    assert default_jobs(5) == 1
    Memory.available = 1 << 50
    monkeypatch.setattr(jobs, "usable_cores", lambda: 2)
    assert default_jobs(5) == 2
