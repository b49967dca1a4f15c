"""What a run compares: the files of its models, its backends, and the sessions of one under the other."""

from typing import Literal

from pydantic import Field

from runner.backends.interface import Device
from runner.contender import Contender
from runner.report.schema.record import Count, NotNegative, Positive, Record

Quality = Literal["reference", "verified", "unverified", "lost"]
UNTRUSTED_PLACEMENTS = ("partial-compute", "none")
"""of sessions whose figures are not those of the backend that was asked for"""


class Parity(Record):
    """Whether a session, or a variant's file, computes the reference outputs."""

    status: Literal["passed", "failed", "unavailable"]
    reason: str = ""
    reference: str = ""
    """whose outputs they are, where no exporter left any: "outputs of cpu" says that backends agree, and no more"""
    max_error_ratio: float | None = None
    """largest absolute difference as a share of the reference's range"""
    tolerance_ratio: float | None = None
    top1_agreement_ratio: float | None = None


class ModelEntry(Record):
    """A model of the run."""

    name: str
    variant: str
    file: str
    sha256: str
    size_bytes: Positive
    opset: int | None
    fixed_batch: Positive | None
    """the only batch size of a model without a dynamic batch"""
    weights: str
    """one line; says random loudly; "as in the file" without a manifest"""
    weights_kind: Literal["pretrained", "local", "random", "unknown"]
    year: int | None
    paper: str | None
    published_accuracy: dict[str, float]
    parameter_count: Count | None
    multiply_adds: Count | None
    quality: Quality = "reference"
    """of a variant: unverified where nothing can tell (random weights), lost where its outputs are too far off"""
    parity: Parity | None = None
    """of a variant's file with the reference outputs, when it was made; null for the reference"""


class BackendEntry(Record):
    """A backend of the run."""

    label: str
    """unique within the run: the spec as written, or its LABEL="""
    spec: str
    name: str
    device: Device
    options: dict[str, str]
    """every option with the value in force"""
    interpreter: str | None = None
    """path of the Python that runs it, where that is not our own"""


class SessionEntry(Record):
    """A model opened under a backend, or why it was not."""

    model: str
    variant: str
    backend: str
    status: Literal["opened", "failed"]
    reason: str = ""
    placement: Literal["full", "partial-shape-only", "partial-compute", "none"] | None = None
    nodes_by_provider: dict[str, Count] = Field(default_factory=dict)
    heavy_on_cpu: tuple[str, ...] = ()
    facts: dict[str, str] = Field(default_factory=dict)
    open_s: NotNegative | None = None
    parity: Parity | None = None

    @property
    def contender(self) -> Contender:
        """Whose session it is."""
        return Contender(self.variant, self.backend)
