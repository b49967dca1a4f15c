"""Networks exported in parallel processes; the parent imports neither torch nor onnx."""

import json
import os
import queue
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from exporter.job import unpack_error
from exporter.request import Request
from exporter.variant_request import VariantRequest
from runner.errors import JoulebatchError
from runner.machine.cpu import usable_cores
from runner.manifest import Manifest

JOB_BYTES = 2_500_000_000
"""what the largest study network needs while it is exported (measured: 1.9 to 2.2 GB), with some room"""

_LONGEST_FIRST = ("vit_b_16", "convnext_base", "densenet121", "shufflenet_v2_x0_5", "alexnet")
"""as measured; the short ones come last, so that no core idles at the end"""

Asked = Request | VariantRequest
Result = Manifest | JoulebatchError


class Progress(Protocol):
    """Is told what happens, from several threads."""

    def begins(self, model: str, stage: str) -> None:
        """A stage of a network begins."""

    def ends(self, model: str, *, failed: bool) -> None:
        """Nothing more happens with a network."""


def default_jobs(model_count: int) -> int:
    """Return how many processes cores, free memory and the number of networks allow; at least 1."""
    import psutil  # noqa: PLC0415 - not needed when nothing is to be exported

    return max(1, min(usable_cores(), int(psutil.virtual_memory().available) // JOB_BYTES, model_count))


def export_all(requests: Sequence[Asked], jobs: int, progress: Progress) -> tuple[Result, ...]:
    """Return a manifest or an error per request, in the requests' order.

    Args:
        requests: one per network, or one per variant.
        jobs: processes at a time; each exports one network after another, so that it imports torch once.
        progress: is told what happens.
    """
    waiting: queue.SimpleQueue[Asked] = queue.SimpleQueue()
    order = {name: index for index, name in enumerate(_LONGEST_FIRST)}
    for request in sorted(requests, key=lambda request: order.get(request.model, -1)):
        waiting.put(request)
    results: dict[str, Result] = {}
    children = [_Job(max(1, usable_cores() // jobs)) for _ in range(jobs)]

    def work(job: _Job) -> None:
        with job:
            while (request := _next(waiting)) is not None:
                progress.begins(request.label, "start")
                result = results[request.label] = job.export(request, progress)
                progress.ends(request.label, failed=isinstance(result, JoulebatchError))

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for future in [pool.submit(work, job) for job in children]:
                future.result()
        except BaseException:  # an interrupt: end the processes, then the threads end by themselves
            while _next(waiting) is not None:
                pass
            for job in children:
                job.kill()
            raise
    return tuple(results[request.label] for request in requests)


def _next(waiting: "queue.SimpleQueue[Asked]") -> Asked | None:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None


class _Job:
    """A process that exports; started when it is needed, and again after it died."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._process: subprocess.Popen[str] | None = None
        # Read when the process died; it lives as long as this object.
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed in __exit__

    def export(self, request: Asked, progress: Progress) -> Result:
        """Return what became of a request."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request.to_dict()) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                message = json.loads(line)
                if "manifest" in message:
                    return Manifest.from_json(json.loads(message["manifest"]))
                if "error" in message:
                    return unpack_error(message["error"], request.label)
                progress.begins(request.label, message["stage"])
        except BrokenPipeError:
            return self._died(request.label)
        return self._died(request.label)

    def kill(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()

    def _start(self) -> subprocess.Popen[str]:
        # The kernel ends the process with the thread that starts it: one that stays until the process has ended.
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "exporter.job", str(self._threads), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding="utf-8",
            env=os.environ | {"OMP_NUM_THREADS": str(self._threads)},
        )

    def _died(self, label: str) -> JoulebatchError:
        status = self._end()
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        got = f"exit status {status}" + (f", {lines[-1]}" if lines else "")
        return JoulebatchError(f"Cannot export {label}", got=got, fix="With little memory, pass --jobs 1")

    def _end(self) -> int | None:
        """Let the process end, which it does when nothing more can be asked; return its status."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        with suppress(BrokenPipeError):
            process.communicate()
        return process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._log.close()
