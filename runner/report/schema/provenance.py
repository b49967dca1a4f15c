"""Where, when and how a run was made: the machine, its meters, the command and its resumes."""

from typing import Literal

from pydantic import Field

from runner.meters.interface import Domain
from runner.report.schema.record import AboveZero, Count, NotNegative, Positive, Record, Timestamp


class Gpu(Record):
    """One GPU as NVML names it."""

    uuid: str
    name: str
    driver: str
    memory_bytes: Count
    power_limit_w: float | None


class Git(Record):
    """The user's own repository in which the run was started."""

    commit: str
    dirty: bool


class Environment(Record):
    """The machine and software of a run."""

    host: str
    os: str
    kernel: str
    python: str
    cpu: str
    cores: Positive
    """logical processors of the machine"""
    usable_cores: AboveZero
    """what affinity and the cgroup's quota leave"""
    memory_bytes: Count
    governor: str | None
    hypervisor: bool
    gpus: tuple[Gpu, ...]
    versions: dict[str, str]
    git: Git | None


class MeterEntry(Record):
    """A domain of energy on this machine: read, or why not."""

    domain: Domain
    status: Literal["measured", "estimated", "unavailable"]
    source: str = ""
    devices: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""
    tick_s: float | None = None
    """time between two changes of the counter, measured at the start"""
    tick_j: float | None = None
    """the smallest change seen then"""


class Provenance(Record):
    """How the run was asked for."""

    argv: tuple[str, ...]
    seed: int
    profile: Literal["quick", "standard", "publication"]
    time_budget_s: float | None
    target_ci_ratio: float
    baseline: str
    allow_unverified: bool = False
    """whether variants of unverified quality may win"""
    config: dict[str, object]
    """the whole validated configuration"""
    files: dict[str, str] = Field(default_factory=dict)
    """sha256 of what was served beside the models, by what the command line calls it: a trace, a folder of images"""


class Resume(Record):
    """The run went on after it had been interrupted or killed."""

    at: Timestamp
    argv: tuple[str, ...]
    dropped_bytes: Count
    """of a torn last line"""
    measured_s: NotNegative
    """wall time of the run up to its interruption"""
