"""The first line of a journal: what is measured, where, how and with what."""

from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from runner.backends.registry import find_backend
from runner.config import RunConfig
from runner.manifest import Manifest
from runner.meters.nvml import gpus
from runner.meters.recorder import MeterSet
from runner.modelfile import ModelFile
from runner.report.environment import read_environment
from runner.report.lines import HeaderLine
from runner.report.schema import BackendEntry, Gpu, MeterEntry, ModelEntry, Parity, Provenance, Quality
from runner.selection import Selection
from runner.variants import REFERENCE_VARIANT


@dataclass(frozen=True, slots=True)
class Start:
    """What identifies a run."""

    report_id: str
    at: datetime
    argv: tuple[str, ...]


def make_header(config: RunConfig, selection: Selection, meters: MeterSet, start: Start) -> HeaderLine:
    """Return the header of a run that is about to begin."""
    found = tuple(
        Gpu(
            uuid=g.uuid,
            name=g.name,
            driver=g.driver,
            memory_bytes=g.memory_bytes,
            power_limit_w=g.power_limit_w,
        )
        for g in gpus()
    )
    return HeaderLine(
        report_id=start.report_id,
        name=config.name,
        started_at=start.at.isoformat(timespec="seconds"),
        joulebatch=own_version(),
        provenance=Provenance(
            argv=start.argv,
            seed=config.seed,
            profile=config.profile,
            time_budget_s=config.time_budget_s,
            target_ci_ratio=config.target_ci_ratio,
            baseline=selection.baseline,
            allow_unverified=config.allow_unverified,
            config=config.model_dump(mode="json"),
            files=dict(selection.files_read),
        ),
        environment=read_environment(found),
        meters=tuple(MeterEntry(**asdict(entry)) for entry in meters.entries),
        models=tuple(_model_entry(file) for file in selection.files),
        backends=tuple(
            BackendEntry(
                label=spec.label,
                spec=spec.text,
                name=spec.name,
                device=find_backend(spec.name).device,
                options=dict(spec.options),
                interpreter=str(spec.python) if spec.python else None,
            )
            for spec in selection.specs
        ),
        cells=tuple(cell for model in selection.plan for cell in model.cells),
        queue_cells=tuple(cell for model in selection.plan for cell in model.queue) if config.queue else None,
    )


def own_version() -> str:
    """Return the version of joulebatch."""
    try:
        return version("joulebatch")
    except PackageNotFoundError:
        return "not installed"


def _model_entry(file: ModelFile) -> ModelEntry:
    manifest, known = file.manifest, file.manifest or file.counts
    return ModelEntry(
        name=file.name,
        variant=file.variant,
        file=file.path.name,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        opset=known.opset if known else None,
        fixed_batch=file.fixed_batch,
        weights=manifest.weights.source if manifest else "as in the file",
        weights_kind=manifest.weights.kind if manifest else "unknown",
        year=manifest.year if manifest else None,
        paper=manifest.paper if manifest else None,
        published_accuracy=dict(manifest.published_accuracy) if manifest else {},
        parameter_count=known.parameter_count if known else None,
        multiply_adds=file.multiply_adds,
        quality=quality_of(file),
        parity=_parity(manifest) if manifest else None,
    )


def quality_of(file: ModelFile) -> Quality:
    """Return whether a file still is the model that its reference is, as far as its manifest can tell.

    A file without one is what somebody says that it is: how near its outputs come is the parity of its sessions.
    That its outputs come near those of random weights says nothing of the quality that trained ones would keep.
    """
    if file.variant == REFERENCE_VARIANT or file.manifest is None:
        return "reference"
    made = file.manifest.derivation
    if made and made.parity.status == "failed":
        return "lost"
    known = made and file.manifest.weights.kind != "random"
    return "verified" if known else "unverified"


def _parity(manifest: Manifest) -> Parity | None:
    """Return what became of a variant's outputs when it was made."""
    if manifest.derivation is None:
        return None
    parity = manifest.derivation.parity
    return Parity(
        status=parity.status,
        reason=parity.reason,
        max_error_ratio=parity.max_error_ratio,
        tolerance_ratio=parity.tolerance_ratio,
        top1_agreement_ratio=parity.top1_agreement_ratio,
    )
