"""An ONNX file and its manifest: the contract between exporter and runner, verified by hash.

A model NAME lives in one folder as ``NAME.onnx``, ``NAME.manifest.json`` and ``NAME.reference.npz``; another variant of
it as ``NAME.VARIANT.onnx`` and ``NAME.VARIANT.manifest.json``, with the reference of the first. The manifest is written
last, so a killed export leaves nothing that a run would accept.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from runner.derivation import Derivation
from runner.errors import AbsentError, FileError, UsageError, nearest
from runner.variants import REFERENCE_VARIANT, VARIANTS

MANIFEST_VERSION = 1
MANIFEST_SUFFIX = ".manifest.json"
REFERENCE_SUFFIX = ".reference.npz"

STUDY_MODELS = ("alexnet", "densenet121", "shufflenet_v2_x0_5", "vit_b_16", "convnext_base")
"""the networks of the study in the order of their years; what commands use by default"""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A model's input or output as declared in the file."""

    name: str
    dtype: str
    """numpy's name: float32, int64"""
    shape: tuple[int | str, ...]
    """a text is a symbolic dimension; of a model that was opened to be run, the batch"""

    @property
    def has_dynamic_batch(self) -> bool:
        """Whether dimension 0 accepts any size."""
        return bool(self.shape) and isinstance(self.shape[0], str)

    @property
    def has_symbol(self) -> bool:
        """Whether any dimension accepts any size."""
        return any(isinstance(size, str) for size in self.shape)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file beside the manifest."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Weights:
    """Where a model's weights come from; the same for the file and for the PyTorch baseline."""

    kind: Literal["pretrained", "local", "random"]
    source: str
    """one line for people: the checkpoint's name and hash, or "random, seed 0" """
    seed: int
    sha256: str | None = None
    """of the checkpoint file; None for random weights"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known about an exported model."""

    model: str
    variant: str
    file: FileRecord
    reference: FileRecord
    """npz with arrays ``input:NAME`` and ``output:NAME`` of the same number of samples"""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int
    weights: Weights
    seed: int
    versions: Mapping[str, str]
    """of every package that shaped the file"""
    recipe: Mapping[str, Any]
    """from which the PyTorch baseline rebuilds the network; only the exporter reads it"""
    year: int | None
    paper: str | None
    published_accuracy: Mapping[str, float]
    """acc@1 and acc@5 on ImageNet-1K as ratios, of the published weights: an architecture reference"""
    parameter_count: int
    multiply_adds: int
    """for one image, from torchvision's metadata"""
    external_data: tuple[FileRecord, ...] = ()
    derivation: Derivation | None = None
    """None for the reference"""
    version: int = MANIFEST_VERSION

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the manifest in parsed JSON.

        Raises:
            TypeError, KeyError: a field is missing or has the wrong shape.
        """
        fields = dict(data)
        for key in ("file", "reference"):
            fields[key] = FileRecord(**fields[key])
        for key in ("inputs", "outputs"):
            fields[key] = tuple(TensorSpec(t["name"], t["dtype"], tuple(t["shape"])) for t in fields[key])
        fields["external_data"] = tuple(FileRecord(**f) for f in fields.get("external_data", ()))
        fields["weights"] = Weights(**fields["weights"])
        if fields.get("derivation") is not None:
            fields["derivation"] = Derivation.from_json(fields["derivation"])
        return cls(**fields)

    def to_json(self) -> str:
        """Return the manifest as indented JSON text."""
        return json.dumps(asdict(self), indent=2) + "\n"


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


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def manifest_path(models_dir: Path, name: str, variant: str = REFERENCE_VARIANT) -> Path:
    """Return where the manifest of a model is kept."""
    stem = name if variant == REFERENCE_VARIANT else f"{name}.{variant}"
    return models_dir / f"{stem}{MANIFEST_SUFFIX}"


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a file.

    Raises:
        AbsentError: there is none.
        FileError: it cannot be read, is no manifest, or has another version.
    """
    name, variant = _split(path.name.removesuffix(MANIFEST_SUFFIX))
    fix = export_command(path.parent, name, variant)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AbsentError(
            f"Cannot open {path.name}", expected=f"a manifest in {path.parent}", got="none", fix=fix
        ) from None
    except (OSError, ValueError) as error:
        raise FileError(f"Cannot read {path}", expected="a manifest", got=str(error), fix=fix) from error
    version = data.get("version") if isinstance(data, dict) else None
    if version != MANIFEST_VERSION:
        raise FileError(
            f"Cannot read {path}", expected=f"manifest version {MANIFEST_VERSION}", got=str(version), fix=fix
        )
    try:
        return Manifest.from_json(data)
    except (KeyError, TypeError) as error:
        raise FileError(
            f"Cannot read {path}", expected="a whole manifest", got=str(error), fix=fix
        ) from error


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


def export_command(models_dir: Path, model: str, variant: str = REFERENCE_VARIANT) -> str:
    """Return the sentence that says how to get a file."""
    asked = "" if variant == REFERENCE_VARIANT else f" --variant {variant}"
    return f"Run: joulebatch export {model}{asked} --models-dir {models_dir}"


def exported_models(models_dir: Path) -> tuple[str, ...]:
    """Return the names of the models that have a manifest in a folder, of whatever variant."""
    stems = (path.name.removesuffix(MANIFEST_SUFFIX) for path in models_dir.glob(f"*{MANIFEST_SUFFIX}"))
    return tuple(sorted({name for name, _ in map(_split, stems)}))


def exported_variants(models_dir: Path, model: str) -> tuple[str, ...]:
    """Return the variants of a model that have a manifest in a folder."""
    return tuple(variant for variant in VARIANTS if manifest_path(models_dir, model, variant).is_file())


def _split(stem: str) -> tuple[str, str]:
    """Return name and variant of the model that a manifest's stem names."""
    name, _, variant = stem.rpartition(".")
    return (name, variant) if name and variant in VARIANTS else (stem, REFERENCE_VARIANT)


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
