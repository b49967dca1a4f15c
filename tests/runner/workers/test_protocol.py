"""The protocol as it is documented, against a real worker: its words, its fields, their types, its failures."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from runner.backends.spec import parse_spec
from runner.interruption import Interruption
from runner.modelfile import open_model
from runner.workers import parent as workers
from runner.workers import protocol
from runner.workers.child import _read_request
from runner.workers.interpreter import BOOTSTRAP
from runner.workers.parent import Worker, WorkerLostError
from runner.workers.protocol import (
    PROTOCOL_VERSION,
    REQUESTS,
    Check,
    FailureKind,
    Measure,
    Open,
    Prepare,
    Record,
    Reply,
    Request,
    Serve,
)

pytestmark = pytest.mark.usefixtures("third_party")

DOCUMENT = str(protocol.__doc__)
WORDS = {request: word for word, request in REQUESTS.items()}
PREPARE = Prepare(2, "host", warm_up_inferences=2, warm_up_cap_s=1.0, warm_up_steady=False)

ios = st.sampled_from(["host", "device"])
texts = st.dictionaries(st.text(), st.text())
sizes = st.integers(1)
seconds = st.floats(0, allow_infinity=False)
requests = st.one_of(
    st.builds(
        Open,
        backend=st.text(),
        model_path=st.text(),
        manifest_path=st.none() | st.text(),
        options=texts,
        inputs=st.lists(texts).map(tuple),
        seed=sizes,
        input_values=texts,
    ),
    st.builds(
        Prepare,
        batch_size=sizes,
        io=ios,
        warm_up_inferences=sizes,
        warm_up_cap_s=seconds,
        warm_up_steady=st.booleans(),
    ),
    st.builds(Record, reference_path=st.text(), batch_size=sizes, run_count=sizes),
    st.builds(Check, reference_path=st.text(), recorded=st.booleans()),
    st.builds(Measure, batch_size=sizes, io=ios, count=sizes, period_s=st.none() | seconds, gap_s=seconds),
    st.builds(
        Serve,
        policy=st.text(),
        service_s=st.lists(seconds).map(tuple),
        arrivals_s=st.lists(seconds).map(tuple),
        longest_wait_s=seconds,
        images=st.lists(st.text()).map(tuple),
    ),
)
SERVE = Serve("greedy:2", (), (0.01, 0.011, 0.2), longest_wait_s=5.0)


class Wire:
    """A worker and its two pipes, with nothing of ours on the parent's side."""

    def __init__(self) -> None:
        read_fd, write_fd = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(BOOTSTRAP), str(write_fd)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(write_fd,),
            text=True,
        )
        os.close(write_fd)
        self.replies = os.fdopen(read_fd)

    def hear(self) -> dict[str, Any]:
        line = self.replies.readline()
        assert line.endswith("\n")
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    def say(self, line: str) -> dict[str, Any]:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.hear()

    def ask(self, request: Request) -> dict[str, Any]:
        return self.say(as_line(request))


@pytest.fixture
def silent() -> Iterator[Wire]:
    """Yield a worker that has not been heard yet."""
    wire = Wire()
    with wire.process, wire.replies:
        yield wire


@pytest.fixture
def wire(silent: Wire) -> Wire:
    """Return a worker that has said hello."""
    silent.hear()
    return silent


def as_line(request: Request) -> str:
    return json.dumps({"do": WORDS[type(request)], **asdict(request)})


def documented_reply(request: Request | type[Request]) -> type[Reply]:
    """Return the class that the request's own docstring names."""
    found = re.search(r"replied to with `(\w+)`", str(request.__doc__))
    assert found
    reply = getattr(protocol, found[1])
    assert isinstance(reply, type)
    return reply


def an_open(folder: Path, spec: str = "cpu:threads=1") -> Open:
    file, parsed = open_model(folder, "tiny"), parse_spec(spec)
    inputs = tuple(asdict(each) for each in file.inputs)
    return Open(parsed.name, str(file.path), None, parsed.options, inputs, seed=0)


def test_the_document_names_the_requests_the_failures_and_the_version() -> None:
    do = re.search(r'"do": ((?:"\w+"[ |]*)+)', DOCUMENT)
    kinds = re.search(r'"kind": ((?:"\w+"[ |]*)+)', DOCUMENT)
    assert do
    assert kinds
    assert re.findall(r"\w+", do[1]) == list(REQUESTS)
    assert tuple(re.findall(r"\w+", kinds[1])) == get_args(FailureKind)
    assert re.findall(r'"hello": (\d+)|Version (\d+)\.', DOCUMENT) == [
        ("", str(PROTOCOL_VERSION)),
        (str(PROTOCOL_VERSION), ""),
    ]


def test_each_reply_is_documented_for_one_request() -> None:
    replies = [documented_reply(request) for request in REQUESTS.values()]
    assert set(replies) == set(get_args(Reply))
    assert set(REQUESTS.values()) == set(get_args(Request))


@given(requests)
def test_a_request_survives_its_line(request: Request) -> None:
    line = as_line(request)
    assert "\n" not in line
    read = _read_request(line)
    assert type(read) is type(request)
    assert as_line(read) == line


def test_a_worker_says_hello_then_answers_every_request_with_its_documented_reply(
    silent: Wire, exported: Path, tmp_path: Path
) -> None:
    assert silent.hear() == {"hello": PROTOCOL_VERSION}
    reference = str(open_model(exported, "tiny").reference_path)
    record = Record(str(tmp_path / "reference.npz"), batch_size=2, run_count=3)
    asked = (an_open(exported), PREPARE, record, Check(reference), Measure(2, "host", 3, None), SERVE)
    assert [type(request) for request in asked] == list(REQUESTS.values())
    for request in asked:
        message = silent.ask(request)
        assert list(message) == ["ok"]
        # Strict: a text in the place of a number, or a field more or less, is an error.
        reply = TypeAdapter(documented_reply(request)).validate_json(json.dumps(message["ok"]), strict=True)
        assert json.loads(json.dumps(asdict(reply))) == message["ok"]


def test_a_trace_is_served_in_whole_batches_within_its_window(wire: Wire, exported: Path) -> None:
    wire.ask(an_open(exported))
    wire.ask(PREPARE)
    served = wire.ask(SERVE)["ok"]
    assert sum(served["counts"]) == len(SERVE.arrivals_s)
    assert max(served["counts"]) <= 2
    assert served["ready_s"] == []
    assert served["given_up"] is False
    assert served["dispatched_s"][0] >= SERVE.arrivals_s[0]
    assert served["finished_s"][-1] <= served["ended_s"] - served["started_s"]
    assert 0 < served["busy_cpu_s"] <= served["cpu_s"]


def failure(message: Mapping[str, Any]) -> tuple[str, str]:
    """Return kind and message of a reply that has the documented form of a failure."""
    assert list(message) == ["failed"]
    assert list(message["failed"]) == ["kind", "message"]
    kind, text = message["failed"].values()
    assert kind in get_args(FailureKind)
    assert len(text.splitlines()) == 1
    return kind, text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"do": "dance"}', "dance"),
        ('{"batch_size": 1}', "do"),
        ('{"do": "check"}', "reference_path"),
        ('{"do": "check", "reference_path": "x", "strictly": true}', "strictly"),
        ('{"do": "measure", "batch_size": 1, "io": "host", "count": 1, "period_s": null}', "1"),
        ("[]", "list"),
        ("not JSON", "Expecting value"),
        ("", "Expecting value"),
    ],
)
def test_what_is_no_request_is_answered_as_an_error_and_the_worker_lives(
    line: str, said: str, wire: Wire, exported: Path
) -> None:
    kind, text = failure(wire.say(line))
    assert kind == "error"
    assert said in text
    assert list(wire.ask(an_open(exported))) == ["ok"]


def test_a_lack_of_memory_is_a_kind_of_its_own(wire: Wire, exported: Path) -> None:
    wire.ask(an_open(exported, "faulty:threads=1,fault=memory,at=2"))
    assert failure(wire.ask(PREPARE))[0] == "memory"


def test_a_worker_ends_by_itself_when_its_parent_hangs_up(wire: Wire) -> None:
    assert wire.process.stdin
    wire.process.stdin.close()
    assert wire.process.wait(60) == 0
    assert not wire.replies.read()


def test_a_worker_of_another_version_is_refused(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PROTOCOL_VERSION", PROTOCOL_VERSION + 1)
    said = f"protocol {PROTOCOL_VERSION} instead of {PROTOCOL_VERSION + 1} during start"
    with (
        Interruption() as interruption,
        Worker(interruption) as worker,
        pytest.raises(WorkerLostError, match=said),
    ):
        worker.open(an_open(exported), 60)
