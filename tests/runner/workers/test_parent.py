"""Real worker processes, and what becomes of their parent's question when they die, hang or speak garbage."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

import pytest

from runner.backends.spec import parse_spec
from runner.interruption import InterruptedRunError, Interruption
from runner.modelfile import open_model
from runner.workers import parent as workers
from runner.workers.parent import CellFailedError, Patience, Worker, WorkerLostError
from runner.workers.protocol import PROTOCOL_VERSION, Check, Measure, Open, Opened, Prepare
from tests.models import SIZE, write_onnx
from tests.processes import ROOT, environment

LIMIT_S = 60.0
PREPARE = Prepare(2, "host", warm_up_inferences=2, warm_up_cap_s=1.0, warm_up_steady=False)

Impostor = Callable[[str], Worker]

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("third_party")]


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    with Interruption() as interruption:
        yield interruption


@pytest.fixture
def worker(interruption: Interruption) -> Iterator[Worker]:
    with Worker(interruption) as worker:
        yield worker


def _open(folder: Path, spec: str = "cpu:threads=1") -> Open:
    file, parsed = open_model(folder, "tiny"), parse_spec(spec)
    return Open(
        backend=parsed.name,
        model_path=str(file.path),
        manifest_path=None,
        options=parsed.options,
        inputs=tuple(asdict(each) for each in file.inputs),
        seed=0,
    )


def _faulty(folder: Path, fault: str) -> Open:
    return _open(folder, f"faulty:threads=1,fault={fault},at=2")


def test_a_model_is_opened_proven_prepared_and_measured(worker: Worker, exported: Path) -> None:
    opened = worker.open(_open(exported), LIMIT_S)
    assert opened.placement["label"] == "full"
    assert opened.facts["intra_op_num_threads"] == "1"
    prepared = worker.prepare(PREPARE, LIMIT_S)
    assert prepared.warm_up_inferences == 2
    assert prepared.first_inference_s > 0
    before_s = time.monotonic()
    measured = worker.measure(Measure(2, "host", 50, None), LIMIT_S)
    assert len(measured.latencies_s) == 50
    assert (
        before_s <= measured.started_s <= measured.ended_s <= time.monotonic()
    )  # one clock for all processes
    assert sum(measured.latencies_s) <= measured.ended_s - measured.started_s
    assert measured.cpu_s > 0
    assert measured.late_s == 0


def test_a_paced_window_is_whole_periods(worker: Worker, exported: Path) -> None:
    worker.open(_open(exported), LIMIT_S)
    worker.prepare(PREPARE, LIMIT_S)
    measured = worker.measure(Measure(2, "host", 4, 0.05), LIMIT_S)
    assert len(measured.latencies_s) == 4
    assert measured.ended_s - measured.started_s >= 4 * 0.05


@pytest.mark.parametrize(("fault", "status"), [("none", "passed"), ("wrong", "failed")])
def test_outputs_are_compared_with_the_reference(
    fault: str, status: str, worker: Worker, exported: Path
) -> None:
    worker.open(_faulty(exported, fault), LIMIT_S)
    reference = open_model(exported, "tiny").reference_path
    assert worker.check(Check(str(reference)), LIMIT_S).parity["status"] == status


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("crash", r"the worker was ended by SIGSEGV during prepare"),
        ("leave", r"the worker exited with 7 during prepare; it said: the licence has expired"),
        ("garbage", r"it answered .*this is no reply.* during prepare"),
    ],
)
def test_a_worker_that_is_lost_says_how(worker: Worker, exported: Path, fault: str, message: str) -> None:
    worker.open(_faulty(exported, fault), LIMIT_S)
    with pytest.raises(WorkerLostError, match=message):
        worker.prepare(PREPARE, LIMIT_S)


def test_a_worker_that_was_killed_names_the_likely_killer(worker: Worker, exported: Path) -> None:
    worker.open(_open(exported), LIMIT_S)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(
        WorkerLostError, match=r"ended by SIGKILL \(the kernel's out-of-memory killer sends it\)"
    ):
        worker.prepare(PREPARE, LIMIT_S)
    with pytest.raises(WorkerLostError, match="SIGKILL"):  # asking the dead again says the same
        worker.prepare(PREPARE, LIMIT_S)


def test_a_worker_that_hangs_is_ended_when_patience_is(worker: Worker, exported: Path) -> None:
    worker.open(_faulty(exported, "hang"), LIMIT_S)
    limit_s = Patience(floor_s=1).limit_s(predicted_s=0.001)
    with pytest.raises(WorkerLostError, match="no reply within 1 s during prepare"):
        worker.prepare(PREPARE, limit_s)
    assert worker._process.wait(LIMIT_S) == -signal.SIGKILL


def test_patience_is_a_multiple_of_the_prediction_and_never_less_than_its_floor() -> None:
    patience = Patience(floor_s=10, factor=5)
    assert patience.limit_s(1) == 10
    assert patience.limit_s(3) == 15


def test_a_batch_without_memory_costs_only_itself(worker: Worker, exported: Path) -> None:
    worker.open(_faulty(exported, "memory"), LIMIT_S)
    with pytest.raises(CellFailedError, match="out of memory") as caught:
        worker.prepare(PREPARE, LIMIT_S)
    assert str(caught.value).startswith("out of memory: ")
    assert worker.prepare(replace(PREPARE, batch_size=1), LIMIT_S).inference_s > 0


@pytest.mark.parametrize(
    ("spec", "message"),
    [("faulty:fault=open", "no licence"), ("cpu", "truncated|No such file|doesn't exist")],
)
def test_what_cannot_be_opened_is_told_and_the_worker_lives(
    worker: Worker, exported: Path, spec: str, message: str
) -> None:
    request = _open(exported, spec)
    if spec == "cpu":
        request = replace(request, model_path="/nowhere/truncated.onnx")
    with pytest.raises(CellFailedError, match=message) as caught:
        worker.open(request, LIMIT_S)
    assert "out of memory" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert worker.open(_open(exported), LIMIT_S).placement["label"] == "full"


def test_a_type_that_cannot_be_made_fails_its_cell(worker: Worker, exported: Path) -> None:
    inputs = ({"name": "input", "dtype": "bfloat16", "shape": ("batch", 3, SIZE, SIZE)},)
    worker.open(replace(_open(exported), inputs=inputs), LIMIT_S)
    with pytest.raises(CellFailedError, match="expected a number type of numpy, got bfloat16"):
        worker.prepare(PREPARE, LIMIT_S)


def test_two_batch_sizes_of_one_seed_differ_and_each_keeps_its_own(worker: Worker, exported: Path) -> None:
    worker.open(_open(exported), LIMIT_S)
    for batch_size in (1, 2):
        worker.prepare(replace(PREPARE, batch_size=batch_size), LIMIT_S)
    for batch_size in (1, 2):
        assert len(worker.measure(Measure(batch_size, "host", 3, None), LIMIT_S).latencies_s) == 3


def test_what_libraries_print_disturbs_no_reply(worker: Worker, exported: Path, tmp_path: Path) -> None:
    # onnxruntime reports a wrong input on standard error; replies have a pipe of their own.
    write_onnx(tmp_path / "fixed.onnx", batch=3)
    request = replace(_open(exported), model_path=str(tmp_path / "fixed.onnx"))
    worker.open(request, LIMIT_S)
    with pytest.raises(CellFailedError, match=r"(?i)dimension"):
        worker.prepare(PREPARE, LIMIT_S)
    assert worker.prepare(replace(PREPARE, batch_size=3), LIMIT_S).inference_s > 0


# Programs that are no worker of ours

HELLO = f"say('{{\"hello\": {PROTOCOL_VERSION}}}');"


@pytest.fixture
def impostor(interruption: Interruption, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Impostor:
    """Return what starts a program of choice in the place of a worker."""

    def start(program: str) -> Worker:
        script = tmp_path / "impostor.py"
        script.write_text(
            "import os, sys, time\n"
            "def say(text, end='\\n'): os.write(int(sys.argv[1]), (text + end).encode())\n"
            f"{program}\nsys.stdin.read()\n"
        )
        monkeypatch.setattr(workers, "BOOTSTRAP", script)
        return Worker(interruption)

    return start


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (f"say('{{\"hello\": {PROTOCOL_VERSION + 1}}}')", rf"protocol {PROTOCOL_VERSION + 1} instead of"),
        ("say('hello')", r"it answered b'hello' during start"),
        ("say('[1]')", r"protocol None instead of"),
        ("print('No numpy', file=sys.stderr); sys.exit(1)", r"exited with 1 during start; it said: No numpy"),
        (HELLO + "say('{}')", r"it answered '\{\}' during open"),
        (HELLO + "say('{\"ok\": 1}')", r"it answered .*ok.* during open"),
        (HELLO + 'say(\'{"ok": {"a": 1}}\')', r"it answered .*ok.* during open"),
    ],
)
def test_a_program_that_speaks_no_protocol_of_ours_is_lost(
    program: str, message: str, impostor: Impostor, exported: Path
) -> None:
    with impostor(program) as worker, pytest.raises(WorkerLostError, match=message):
        worker.open(_open(exported), LIMIT_S)


def test_a_reply_may_come_in_pieces_and_two_in_one(impostor: Impostor, exported: Path) -> None:
    program = (
        f"""say('{{"hello": {PROTOCOL_VERSION}}}\\n{{"ok": {{"open_s": 1, "placement"', end='')\n"""
        """time.sleep(0.1)\nsay(': {}, "facts": {}, "peak_memory_bytes": 2}}')"""
    )
    with impostor(program) as worker:
        assert worker.open(_open(exported), LIMIT_S) == Opened(1, {}, {}, 2)


# Signals and ends


def test_ctrl_c_in_the_terminal_does_not_reach_a_worker(worker: Worker, exported: Path) -> None:
    worker.open(_open(exported), LIMIT_S)
    assert os.getpgid(worker.pid) != os.getpgid(0)
    os.kill(worker.pid, signal.SIGINT)  # not even when it is sent there
    assert worker.prepare(PREPARE, LIMIT_S).inference_s > 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_wakes_a_waiting_parent_at_once(
    worker: Worker, exported: Path, signum: signal.Signals
) -> None:
    worker.open(_faulty(exported, "hang"), LIMIT_S)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signum))
    timer.start()
    with pytest.raises(InterruptedRunError) as caught:
        worker.prepare(PREPARE, limit_s=3600)  # the test's own time limit ends a parent that does not wake
    timer.join()
    assert caught.value.exit_code == 128 + signum
    worker.kill()


def test_a_signal_before_the_question_is_noticed_too(
    interruption: Interruption, worker: Worker, exported: Path
) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(InterruptedRunError):
        worker.open(_open(exported), LIMIT_S)
    with pytest.raises(InterruptedRunError):  # it stays interrupted
        interruption.check()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_processes_at_once_interrupts_and_costs_no_cell(
    worker: Worker, exported: Path, signum: signal.Signals
) -> None:
    worker.open(_faulty(exported, "hang"), LIMIT_S)

    def end_the_worker_first() -> None:
        os.kill(worker.pid, signum)
        time.sleep(0.1)
        os.kill(os.getpid(), signum)

    thread = threading.Timer(0.2, end_the_worker_first)
    thread.start()
    with pytest.raises(InterruptedRunError):
        worker.prepare(PREPARE, LIMIT_S)
    thread.join()


def test_a_worker_that_alone_was_asked_to_end_is_lost(worker: Worker, exported: Path) -> None:
    worker.open(_open(exported), LIMIT_S)
    os.kill(worker.pid, signal.SIGTERM)
    with pytest.raises(WorkerLostError, match="ended by SIGTERM during prepare"):
        worker.prepare(PREPARE, LIMIT_S)


def test_an_interpreter_that_went_away_is_a_worker_lost(interruption: Interruption, tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(WorkerLostError, match=r"the worker did not start: .*No such file.*gone/python"):
        Worker(interruption, tmp_path / "gone" / "python")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_handlers_are_restored_after_an_interruption() -> None:
    def mine(signum: int, frame: FrameType | None) -> None:
        pass

    before = {each: signal.signal(each, mine) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(InterruptedRunError):
                interruption.check()
        assert [signal.getsignal(each) for each in before] == [mine, mine, mine]
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_a_second_signal_ends_the_process() -> None:
    code = (
        "import os, signal; from runner.interruption import Interruption\n"
        "with Interruption():\n"
        "    os.kill(os.getpid(), signal.SIGTERM); print('first', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT); print('second', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "first\n"
    assert done.returncode == -signal.SIGINT


def test_closing_ends_the_process_and_killing_does_so_at_once(
    interruption: Interruption, exported: Path
) -> None:
    with Worker(interruption) as worker:
        worker.open(_open(exported), LIMIT_S)
    assert worker._process.returncode == 0
    assert worker.cpu_s() is None
    hanging = Worker(interruption)
    hanging.open(_faulty(exported, "hang"), LIMIT_S)
    hanging.send("prepare", PREPARE)
    hanging.kill()
    assert hanging._process.returncode == -signal.SIGKILL


def test_workers_die_with_a_parent_that_is_killed_whatever_they_do(exported: Path) -> None:
    # A worker that waits would notice the end of its input; one that computes needs the kernel to tell it.
    request = repr(_faulty(exported, "hang"))
    code = (
        "import time; from runner.interruption import Interruption; from runner.workers.parent import Worker\n"
        "from runner.workers.protocol import Open, Prepare\n"
        f"worker = Worker(Interruption()); worker.open({request}, 60)\n"
        f"worker.send('prepare', {PREPARE!r})\n"
        "print(worker.pid, flush=True); time.sleep(3600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=exported, env=environment(), stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        time.sleep(0.2)  # until it hangs
        assert _runs(pid)
        parent.kill()
    deadline_s = time.monotonic() + LIMIT_S
    while _runs(pid):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.skipif(not os.access("/proc/self/oom_score_adj", os.W_OK), reason="the kernel does not offer it")
def test_a_worker_offers_itself_first_when_memory_runs_out(worker: Worker, exported: Path) -> None:
    worker.open(_open(exported), LIMIT_S)
    assert Path(f"/proc/{worker.pid}/oom_score_adj").read_text().strip() == "1000"


def _runs(pid: int) -> bool:
    """Return whether a process computes or waits; a dead child of a dead parent may stay as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
