"""An ONNX file that was checked against its manifest and can be run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import FileError, UsageError, nearest
from runner.hashing import hash_file
from runner.manifest import (
    FileRecord,
    Manifest,
    TensorSpec,
    export_command,
    exported_models,
    manifest_path,
    read_manifest,
)
from runner.variants import REFERENCE_VARIANT

STUDY_MODELS = ("alexnet", "densenet121", "shufflenet_v2_x0_5", "vit_b_16", "convnext_base")
"""the networks of the study in the order of their years; what commands use by default"""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted in an ONNX file."""

    opset: int | None
    """of the default domain"""
    parameter_count: int
    multiply_adds: int | None
    """for one image; None where an operator could not be counted"""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """An ONNX file that was checked and can be run."""

    name: str
    variant: str
    path: Path
    sha256: str
    size_bytes: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    manifest: Manifest | None
    """None for a file given with --onnx"""
    input_values: Mapping[str, str] = field(default_factory=dict)
    """what ``--input`` says of some inputs, by name"""
    counts: Counts | None = None
    """of a file without a manifest that was opened to be run"""

    @property
    def fixed_batch(self) -> int | None:
        """The only batch size the file accepts, or None when the batch is dynamic."""
        if any(spec.has_symbol for spec in self.inputs):
            return None
        sizes = [spec.shape[0] for spec in self.inputs if spec.shape and isinstance(spec.shape[0], int)]
        return sizes[0] if sizes else 1  # scalars alone: whatever they ask for is one answer

    @property
    def multiply_adds(self) -> int | None:
        """For one image: as published, or as counted in the file, or None where neither is known."""
        known = self.manifest or self.counts
        return known.multiply_adds if known else None

    @property
    def reference_path(self) -> Path | None:
        """The file of reference inputs and outputs, or None for a file without a manifest."""
        return None if self.manifest is None else self.path.parent / self.manifest.reference.name


def verify(folder: Path, record: FileRecord, fix: str) -> None:
    """Check that a file is the one its manifest describes.

    Raises:
        FileError: missing, truncated or changed, with the fix.
    """
    path = folder / record.name
    try:
        size_bytes = path.stat().st_size
        if size_bytes != record.size_bytes:
            raise FileError(
                f"Cannot use {path}", expected=f"{record.size_bytes} bytes", got=f"{size_bytes}", fix=fix
            )
        sha256 = hash_file(path)
    except OSError as error:
        raise FileError(f"Cannot use {path}", expected="a readable file", got=str(error), fix=fix) from error
    if sha256 != record.sha256:
        expected, got = f"sha256 {record.sha256[:12]}…", f"{sha256[:12]}…"
        raise FileError(f"Cannot use {path}", expected=expected, got=got, fix=fix)


def match_name(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the one name that is meant, or all that could be: any case, the name itself or its beginning."""
    wanted = name.lower()
    return (wanted,) if wanted in names else tuple(known for known in names if known.startswith(wanted))


def open_model(models_dir: Path, name: str, variant: str = REFERENCE_VARIANT) -> ModelFile:
    """Return an exported model, every file of it verified by hash.

    Args:
        models_dir: the folder with the manifests.
        name: of the model in any case, or a beginning that only one model has.
        variant: which of its files.

    Raises:
        UsageError: no such name, or a beginning of several.
        AbsentError: a model of the study, or a variant, that was not exported here.
        FileError: a file that is missing, truncated, changed, or described by a broken manifest.
    """
    exported = exported_models(models_dir)
    # A study model wins over others with the same beginning, so that `shufflenet` means one thing everywhere.
    matches = match_name(name, STUDY_MODELS) or match_name(name, exported)
    if name.lower() in exported:
        matches = (name.lower(),)
    if len(matches) > 1:
        raise UsageError(
            f"Cannot tell which model {name!r} is",
            expected=" or ".join(matches),
            fix="Write more of its name",
        )
    if not matches:
        known = tuple(sorted({*STUDY_MODELS, *exported}))
        raise UsageError(
            f"Unknown model {name!r} in {models_dir}",
            fix=f"{nearest(name, known)}. Other torchvision models need: joulebatch export {name}",
        )
    (model,) = matches
    manifest = read_manifest(manifest_path(models_dir, model, variant))
    verify_files(models_dir, manifest)
    _check_source(models_dir, manifest)
    return ModelFile(
        name=manifest.model,
        variant=manifest.variant,
        path=models_dir / manifest.file.name,
        sha256=manifest.file.sha256,
        size_bytes=manifest.file.size_bytes + sum(record.size_bytes for record in manifest.external_data),
        inputs=manifest.inputs,
        outputs=manifest.outputs,
        manifest=manifest,
    )


def _check_source(models_dir: Path, manifest: Manifest) -> None:
    """Check that a variant was made from the reference file that is there, if one is: else they are two models.

    Raises:
        FileError: it was made from another.
    """
    source = manifest_path(models_dir, manifest.model)
    if manifest.derivation is None or not source.is_file():
        return
    expected, got = read_manifest(source).file.sha256, manifest.derivation.source_sha256
    if got != expected:
        raise FileError(
            f"Cannot use {models_dir / manifest.file.name}",
            expected=f"one made from {manifest.model}.onnx as it is, sha256 {expected[:12]}…",
            got=f"one made from sha256 {got[:12]}…",
            fix=export_command(models_dir, manifest.model, manifest.variant),
        )


def verify_files(models_dir: Path, manifest: Manifest) -> None:
    """Check that all files of a model are those that its manifest describes.

    Raises:
        FileError: missing, truncated, changed, or outside the folder, with the fix.
    """
    fix = export_command(models_dir, manifest.model, manifest.variant)
    for record in (manifest.file, manifest.reference, *manifest.external_data):
        if Path(record.name).name != record.name:
            raise FileError(
                f"Cannot use {record.name}", expected=f"a file in {models_dir}", got="a path", fix=fix
            )
        verify(models_dir, record, fix)
