"""Options of a session against the real onnxruntime: each changes what it says it changes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from runner.backends.instances import SplitSession
from runner.backends.interface import OpenRequest
from runner.backends.registry import find_backend
from runner.backends.session_options import cores, restrict_cores, session_options, threads
from runner.backends.spec import parse_spec
from runner.backends.static_shapes import StaticSession
from runner.errors import AbsentError, UsageError
from runner.inputs import make_inputs
from runner.machine.cpu import usable_cores
from runner.manifest import TensorSpec
from tests.models import SIZE, write_onnx

OTHER = "JOULEBATCH_TEST_ORT124"
INPUT = TensorSpec("input", "float32", ("batch", 3, SIZE, SIZE))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    write_onnx(path)
    return path


def _request(path: Path, spec: str) -> OpenRequest:
    return OpenRequest(path, None, parse_spec(spec).options)


@pytest.mark.parametrize(
    "option",
    ["opt=off", "opt=basic", "opt=extended", "opt=layout", "arena=off", "denormal_as_zero=on",
     "spin_duration_us=50", "static=on", "instances=2", "instances=3,static=on", "affinity=0"],
)  # fmt: skip
def test_no_option_changes_what_is_computed(path: Path, option: str) -> None:
    code = (
        "import sys; import numpy as np; from pathlib import Path;"
        "from runner.backends.interface import OpenRequest; from runner.backends.registry import find_backend;"
        "from runner.backends.spec import parse_spec; from runner.inputs import make_inputs;"
        "from tests.runner.backends.test_session_options import INPUT;"
        "session = find_backend('cpu').open(OpenRequest(Path(sys.argv[1]), None, parse_spec(sys.argv[2]).options));"
        "call = session.bind(make_inputs((INPUT,), 5, 0), 'host'); call.run(); call.run();"
        "assert session.placement.label == 'full', session.placement;"
        "np.save(sys.argv[3], call.outputs()['logits'])"
    )
    found = path.with_name("found.npy")
    subprocess.run([sys.executable, "-c", code, path, f"cpu:{option}", found], check=True)
    (expected,) = ort.InferenceSession(path).run(None, make_inputs((INPUT,), 5, 0))
    np.testing.assert_allclose(np.load(found), expected, rtol=1e-4, atol=1e-5)


def test_the_library_has_what_the_options_say() -> None:
    options = parse_spec("cpu:opt=basic,arena=off,spin_duration_us=70,denormal_as_zero=on,threads=3").options
    settings = session_options(ort, options)
    assert settings.graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert settings.enable_cpu_mem_arena is False
    assert settings.intra_op_num_threads == 3
    assert settings.get_session_config_entry("session.intra_op.spin_duration_us") == "70"
    assert settings.get_session_config_entry("session.set_denormal_as_zero") == "1"


def test_a_static_session_has_no_nodes_that_compute_shapes(tmp_path: Path) -> None:
    path = tmp_path / "scaled.onnx"
    nodes = [
        helper.make_node("Shape", ["input"], ["shape"], end=1),
        helper.make_node("Cast", ["shape"], ["size"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["input", "size"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "scaled",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 4])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    nodes_of = {
        static: find_backend("cpu").open(_request(path, f"cpu:static={static}")).placement.nodes_by_provider
        for static in ("off", "on")
    }
    assert {static: sum(nodes.values()) for static, nodes in nodes_of.items()} == {"off": 3, "on": 1}


def test_a_static_session_opens_once_for_each_batch_size(path: Path) -> None:
    session = find_backend("cpu").open(_request(path, "cpu:static=on"))
    assert isinstance(session, StaticSession)
    for size in (1, 4, 4, 1):
        call = session.bind(make_inputs((INPUT,), size, 0), "host")
        call.run()
        assert len(call.outputs()["logits"]) == size
    assert sorted(session._sessions) == [1, 4]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_a_batch_is_split_over_instances_and_joined_in_order(path: Path, size: int) -> None:
    session = find_backend("cpu").open(_request(path, "cpu:instances=3,threads=1"))
    assert isinstance(session, SplitSession)
    assert session.facts["instances"] == "3"
    feeds = make_inputs((INPUT,), size, 1)
    call = session.bind(feeds, "host")
    call.run()
    (expected,) = ort.InferenceSession(path).run(None, feeds)
    np.testing.assert_allclose(
        np.asarray(call.outputs()["logits"], np.float32), expected, rtol=1e-5, atol=1e-5
    )
    feeds["input"][:] = 0  # every run reads its inputs anew, split or not
    call.run()
    logits = call.outputs()["logits"]
    np.testing.assert_array_equal(logits, np.broadcast_to(logits[0], logits.shape))


def test_what_fails_in_one_instance_fails_the_call(path: Path) -> None:
    session = find_backend("cpu").open(_request(path, "cpu:instances=2"))
    assert isinstance(session, SplitSession)

    ended = []

    def fail() -> None:
        raise RuntimeError("broken")

    def end() -> None:
        time.sleep(0.2)
        ended.append(True)

    with pytest.raises(RuntimeError, match="broken"):
        session._at_once(lambda: None, [fail])()
    with pytest.raises(RuntimeError, match="broken"):
        session._at_once(fail, [end])()
    assert ended, "what runs beside it is waited for"


def test_a_spin_duration_without_spinning_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"'spin_duration_us' .* would do nothing: expected spin=on beside it"
    ):
        parse_spec("cpu:spin=off,spin_duration_us=50")


def test_a_key_that_this_onnxruntime_would_pass_over_is_refused() -> None:
    """Under a version of its own that lacks it: `make test` prepares one."""
    if OTHER not in os.environ:
        pytest.skip(f"{OTHER} names no Python with onnxruntime 1.24; make test prepares one")
    code = (
        "import onnxruntime as ort; from runner.backends.spec import parse_spec\n"
        "from runner.backends.session_options import session_options; from runner.errors import AbsentError\n"
        "session_options(ort, parse_spec('cpu').options)\n"
        "try: session_options(ort, parse_spec('cpu:spin_duration_us=50').options)\n"
        "except AbsentError as error: print(error)"
    )
    done = subprocess.run([os.environ[OTHER], "-c", code], capture_output=True, text=True, check=True)
    assert "Cannot set spin_duration_us: expected an onnxruntime that knows it, got 1.24" in done.stdout


def test_a_batch_dimension_without_a_name_cannot_be_fixed(tmp_path: Path) -> None:
    path = tmp_path / "nameless.onnx"
    write_onnx(path, batch=None)
    with pytest.raises(AbsentError, match=r"Cannot fix the batch size of nameless\.onnx.*Drop static=on"):
        find_backend("cpu").open(_request(path, "cpu:static=on"))


def test_instances_share_the_cores_among_them() -> None:
    assert threads(parse_spec("cpu:instances=2").options) == max(1, usable_cores() // 2)
    assert threads(parse_spec("cpu:instances=2,threads=3").options) == 3


@pytest.mark.parametrize(("text", "expected"), [("0", {0}), ("0-2", {0, 1, 2}), ("1+3-4", {1, 3, 4})])
def test_cores_are_read_as_lists_of_ranges(text: str, expected: set[int]) -> None:
    assert cores(text) == expected


@pytest.mark.parametrize("text", ["", "-", "0-", "a", "0,1", "0 1", "1++2", "3-1"])
def test_what_is_no_list_of_cores_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_spec(f"cpu:affinity={text}")


def test_a_core_that_is_not_there_is_refused_with_those_that_are() -> None:
    there = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
    with pytest.raises(
        AbsentError, match=rf"Cannot use affinity=0\+4096: expected cores among {there}, got 4096"
    ):
        restrict_cores("0+4096")


def test_a_worker_and_its_threads_stay_on_their_cores(path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    code = (
        "import os, sys; from pathlib import Path; from runner.backends.interface import OpenRequest;"
        "from runner.backends.registry import find_backend; from runner.backends.spec import parse_spec;"
        "s = find_backend('cpu').open(OpenRequest(Path(sys.argv[1]), None, parse_spec(sys.argv[2]).options));"
        "found = {frozenset(os.sched_getaffinity(int(task))) for task in os.listdir('/proc/self/task')};"
        "assert found == {frozenset({int(sys.argv[3])})}, found; assert s.facts['intra_op_num_threads'] == '1'"
    )
    subprocess.run([sys.executable, "-c", code, path, f"cpu:affinity={core}", str(core)], check=True)
