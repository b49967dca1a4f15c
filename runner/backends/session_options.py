"""What every provider of ONNX Runtime lets a session be set to, and the one place where its keys are spelt."""

import os
from collections.abc import Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from runner.backends.interface import Option
from runner.errors import AbsentError
from runner.machine.cpu import usable_cores

SPIN_DURATION = "spin_duration_us"
_SPIN_DURATION_KEY = "session.intra_op.spin_duration_us"
"""newer than the oldest onnxruntime that we take: 1.24.4 does not know it, and 1.32.0 does"""

AFFINITY = Option("affinity", "any", "cores that the worker may use, as 0-1+4", check="cores")
THREAD_OPTIONS = (
    Option("threads", "auto", "threads of the session; auto: the usable cores", check="count"),
    Option(
        "spin",
        "on",
        "whether idle threads busy-wait: faster when hot, burns CPU between requests",
        ("on", "off"),
    ),
    Option(
        SPIN_DURATION,
        "default",
        "microseconds that idle threads busy-wait",
        check="count",
        needs=("spin", "on"),
    ),
    AFFINITY,
)
GRAPH_OPTIONS = (
    Option("opt", "all", "graph optimisations", ("all", "layout", "extended", "basic", "off")),
    Option("denormal_as_zero", "off", "whether denormal numbers count as zero", ("on", "off")),
    Option(
        "static", "off", "whether each batch size has a session of its own, its shapes fixed", ("on", "off")
    ),
)
"""of the graph and its arithmetic"""

ARENA = Option(
    "arena", "on", "whether memory of outputs and intermediate results is kept for reuse", ("on", "off")
)
INSTANCES = Option("instances", "1", "sessions side by side, over which each batch is split", check="count")
_DEFAULTS = {option.name: option.default for option in (*THREAD_OPTIONS, *GRAPH_OPTIONS, ARENA, INSTANCES)}
"""in force where a backend has no such option"""

_LEVELS = {
    "all": "ORT_ENABLE_ALL",
    "layout": "ORT_ENABLE_LAYOUT",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "off": "ORT_DISABLE_ALL",
}
_WARNING = 2
"""onnxruntime's log severities: 0 verbose, 1 info, 2 warning"""


def threads(options: Mapping[str, str]) -> int:
    """Return the number of threads in force, of each of the sessions: always explicit, never left to the library."""
    options = {**_DEFAULTS, **options}
    if options["threads"] != "auto":
        return int(options["threads"])
    return max(1, usable_cores() // int(options["instances"]))


def config_entries(options: Mapping[str, str]) -> dict[str, str]:
    """Return our session keys; misspelt ones are accepted in silence, so they live in this one place.

    Source: onnxruntime_session_options_config_keys.h.
    """
    options = {**_DEFAULTS, **options}
    entries = {
        "session.intra_op.allow_spinning": "1" if options["spin"] == "on" else "0",
        "session.record_ep_graph_assignment_info": "1",
    }
    if options[SPIN_DURATION] != "default":
        entries[_SPIN_DURATION_KEY] = options[SPIN_DURATION]
    if options["denormal_as_zero"] == "on":
        entries["session.set_denormal_as_zero"] = "1"
    return entries


def session_options(ort: Any, options: Mapping[str, str]) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    """Return onnxruntime's own object with everything set, whether the library would do so by default or not.

    Raises:
        AbsentError: this onnxruntime would pass over a key in silence.
    """
    options = {**_DEFAULTS, **options}
    settings = ort.SessionOptions()
    settings.log_severity_level = _WARNING
    settings.intra_op_num_threads = threads(options)
    settings.inter_op_num_threads = 1
    settings.graph_optimization_level = getattr(ort.GraphOptimizationLevel, _LEVELS[options["opt"]])
    # cuda's option of this name says how an arena grows, never that there is none.
    settings.enable_cpu_mem_arena = options["arena"] != "off"
    entries = config_entries(options)
    if _SPIN_DURATION_KEY in entries and not _knows(ort, _SPIN_DURATION_KEY):
        raise AbsentError(
            f"Cannot set {SPIN_DURATION}",
            expected="an onnxruntime that knows it",
            got=ort.__version__,
            fix=f"Drop {SPIN_DURATION}, or take a newer onnxruntime",
        )
    for key, value in entries.items():
        settings.add_session_config_entry(key, value)
    return settings


def _knows(ort: Any, key: str) -> bool:  # noqa: ANN401 - onnxruntime ships no types
    """Return whether a session key stands in the library: it takes any other as well, and says nothing."""
    for library in (Path(ort.__file__).parent / "capi").glob("*onnxruntime*.so*"):
        with library.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
            if content.find(key.encode() + b"\0") >= 0:
                return True
    return False


def restrict_cores(affinity: str) -> None:
    """Let this process, and the threads that it will start, run on these cores only.

    Raises:
        AbsentError: the machine, or what was left of it to this process, has no such core.
    """
    if affinity == "any":
        return
    asked, usable = cores(affinity), os.sched_getaffinity(0)
    if absent := sorted(asked - usable):
        raise AbsentError(
            f"Cannot use affinity={affinity}",
            expected=f"cores among {', '.join(map(str, sorted(usable)))}",
            got=", ".join(map(str, absent)),
            fix="Name cores that this machine has",
        )
    for thread in Path("/proc/self/task").iterdir():  # those of numpy's own pool were there before
        os.sched_setaffinity(int(thread.name), asked)


def cores(affinity: str) -> set[int]:
    """Return the cores of a checked list such as ``0-1+4``."""
    found: set[int] = set()
    for part in affinity.split("+"):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
