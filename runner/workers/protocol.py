"""What parent and worker say to each other: one JSON object a line, a request and its reply in turn.

The parent writes requests to the worker's standard input; the worker writes replies to a pipe of its own, because
libraries print to standard output. Version 4. A worker may run under another interpreter, so this file needs only the
standard library.

    worker  {"hello": 4}
    parent  {"do": "open" | "prepare" | "record" | "check" | "measure" | "serve", ...the fields of the request}
    worker  {"ok": {...the fields of the reply}}
        or  {"failed": {"kind": "memory" | "error", "message": ...}}
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PROTOCOL_VERSION = 4

FailureKind = Literal["memory", "error"]


@dataclass(frozen=True, slots=True)
class Open:
    """Open the model; replied to with `Opened`."""

    backend: str
    model_path: str
    manifest_path: str | None
    options: Mapping[str, str]
    inputs: tuple[Mapping[str, Any], ...]
    """name, dtype and shape of each input; only the batch may be symbolic"""
    seed: int
    input_values: Mapping[str, str] = field(default_factory=dict)
    """what ``--input`` says of some of them, by name"""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session is open."""

    open_s: float
    placement: Mapping[str, Any]
    facts: Mapping[str, str]
    peak_memory_bytes: int | None
    """of the worker's process so far"""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Bind a batch, run it once, warm it up; replied to with `Prepared`."""

    batch_size: int
    io: Literal["host", "device"]
    warm_up_inferences: int
    warm_up_cap_s: float
    warm_up_steady: bool
    mixed: tuple[int, ...] = ()
    """batch sizes that are run in turn, as one inference; empty for ``batch_size`` alone"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch is bound and warm."""

    first_inference_s: float
    warm_up_inferences: int
    inference_s: float
    """mean at the end of the warm-up: the prediction for planning"""
    unsteady: bool
    """steady state was asked for and not reached"""
    peak_memory_bytes: int | None
    """of the worker's process so far"""


@dataclass(frozen=True, slots=True)
class Record:
    """Run some seeded batches and keep what went in and came out in a file; replied to with `Recorded`."""

    reference_path: str
    batch_size: int
    run_count: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """The file is written."""

    run_count: int


@dataclass(frozen=True, slots=True)
class Check:
    """Compare outputs with the reference; replied to with `Checked`. After every shape's first run, not before."""

    reference_path: str
    tolerance_ratio: float = 0.0
    """of the variant; the backend's own counts where it is larger"""
    least_agreement_ratio: float = 0.0
    """share of samples whose largest score must be the same"""
    recorded: bool = False
    """it was made by `Record`, and not by the exporter"""


@dataclass(frozen=True, slots=True)
class Checked:
    """The outputs were compared."""

    parity: Mapping[str, Any]
    """the fields of `runner.parity.ParityResult`"""


@dataclass(frozen=True, slots=True)
class Measure:
    """Measure one window of a prepared batch; replied to with `Measurement`."""

    batch_size: int
    io: Literal["host", "device"]
    count: int
    period_s: float | None
    """None is without a schedule"""
    gap_s: float = 0.0
    """idle time before each inference without a schedule; 0 is back to back"""
    mixed: tuple[int, ...] = ()
    """as of `Prepare`"""


@dataclass(frozen=True, slots=True)
class Span:
    """What any window tells; times are of the machine's monotonic clock, which all processes share."""

    started_s: float
    ended_s: float
    cpu_s: float
    """of all threads of the worker"""
    voluntary_switches: int
    """of all threads within the window; so are those below"""
    involuntary_switches: int
    minor_faults: int
    major_faults: int
    stops: int
    """how often the process was stopped by a signal and went on"""


@dataclass(frozen=True, slots=True)
class Measurement(Span):
    """One window of a load."""

    latencies_s: tuple[float, ...]
    late_s: float
    """how far the last inference ran past the end of a paced schedule"""


@dataclass(frozen=True, slots=True)
class Serve:
    """Replay arrivals and serve them in batches as a policy says; replied to with `Served`."""

    policy: str
    """its spec"""
    service_s: tuple[float, ...]
    """expected by batch size, entry 0 unused; empty for policies that need none"""
    arrivals_s: tuple[float, ...]
    """ascending, from the start of the window on"""
    longest_wait_s: float
    """the replay is given up when a request has waited longer"""
    images: tuple[str, ...] = ()
    """files to decode in turn, a request each; empty for inputs that are ready"""


@dataclass(frozen=True, slots=True)
class Served(Span):
    """One replayed trace; times of batches count from the start of the window."""

    dispatched_s: tuple[float, ...]
    """a number per batch, as are the next three"""
    ready_s: tuple[float, ...]
    """when the images were decoded; empty without images"""
    finished_s: tuple[float, ...]
    counts: tuple[int, ...]
    late_s: float
    """how long after the moment that its policy chose a batch was dispatched, on average"""
    busy_cpu_s: float
    """CPU time of the worker within services"""
    given_up: bool


Request = Open | Prepare | Record | Check | Measure | Serve
Reply = Opened | Prepared | Recorded | Checked | Measurement | Served
REQUESTS: Mapping[str, type[Request]] = {
    "open": Open,
    "prepare": Prepare,
    "record": Record,
    "check": Check,
    "measure": Measure,
    "serve": Serve,
}
