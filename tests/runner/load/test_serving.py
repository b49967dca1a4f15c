"""Batches of any size from one buffer, under real sessions of every backend that is here."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from runner.backends.interface import Arrays, Call, Io, OpenRequest, Placement
from runner.backends.registry import find_backend
from runner.backends.spec import parse_spec
from runner.inputs import make_inputs
from runner.load.serving import KEPT_CALLS, BatchServer
from runner.manifest import manifest_path
from runner.modelfile import open_model
from tests.models import write_exported


def test_every_size_answers_what_its_samples_alone_answer_and_reads_the_buffer_anew(tmp_path: Path) -> None:
    write_exported(tmp_path, "tiny")
    file, spec = open_model(tmp_path, "tiny"), parse_spec("cpu:threads=1")
    request = OpenRequest(file.path, manifest_path(tmp_path, "tiny", "fp32"), spec.options)
    session = find_backend("cpu").open(request)
    feeds = make_inputs(file.inputs, 8, seed=1)
    server = BatchServer(session, feeds)
    (buffer,) = feeds.values()
    expected: Arrays = {}
    for round_ in range(2):
        whole = session.bind({name: array.copy() for name, array in feeds.items()}, "host")
        whole.run()
        assert not expected or not np.allclose(expected["logits"], whole.outputs()["logits"]), round_
        expected = whole.outputs()
        for count in (1, 3, 8, 3):
            server.serve(count)
            found = server._calls[count].outputs()["logits"]
            assert found == pytest.approx(expected["logits"][:count], abs=1e-5)
        buffer[:] = buffer[::-1] * 2


class CountingSession:
    """Counts how often each size was bound and run."""

    def __init__(self) -> None:
        self.placement, self.facts = Placement("full", {}), dict[str, str]()
        self.bound, self.ran = Counter[int](), Counter[int]()

    def bind(self, feeds: Arrays, io: Io) -> Call:
        (array,) = feeds.values()
        self.bound[len(array)] += 1
        return Call(lambda: self.ran.update([len(array)]), dict)


def test_a_size_is_bound_once_until_too_many_others_came() -> None:
    session = CountingSession()
    server = BatchServer(session, {"x": np.zeros((KEPT_CALLS + 1, 2))})
    for count in (1, 1, 2, 1):
        server.serve(count)
    assert session.bound == {1: 1, 2: 1}
    for count in range(1, KEPT_CALLS + 2):
        server.serve(count)
    server.serve(KEPT_CALLS + 1)
    server.serve(1)
    assert session.bound[KEPT_CALLS + 1] == 1
    assert session.bound[1] == 2, "the one that was used longest ago made room"
    assert session.ran[1] == 5
