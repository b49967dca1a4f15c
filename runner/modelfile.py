"""An ONNX file and its manifest: the contract between exporter and runner, verified by hash.

A model NAME lives in one folder as ``NAME.onnx``, ``NAME.manifest.json`` and ``NAME.reference.npz``. The manifest is
written last, so a killed export leaves nothing that a run would accept.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from runner.errors import AbsentError, FileError

MANIFEST_VERSION = 1
MANIFEST_SUFFIX = ".manifest.json"
REFERENCE_SUFFIX = ".reference.npz"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A model's input or output as declared in the file."""

    name: str
    dtype: str
    """numpy's name: float32, int64"""
    shape: tuple[int | str, ...]
    """a text is a symbolic dimension; the batch is dimension 0"""

    @property
    def has_dynamic_batch(self) -> bool:
        """Whether dimension 0 accepts any size."""
        return bool(self.shape) and isinstance(self.shape[0], str)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file beside the manifest."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Weights:
    """Where a model's weights come from; the same for the file and for the PyTorch baseline."""

    kind: str
    """pretrained, local or random"""
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
    """fp32"""
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
        return cls(**fields)

    def to_json(self) -> str:
        """Return the manifest as indented JSON text."""
        return json.dumps(asdict(self), indent=2) + "\n"


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

    @property
    def fixed_batch(self) -> int | None:
        """The only batch size the file accepts, or None when the batch is dynamic."""
        sizes = [spec.shape[0] for spec in self.inputs if spec.shape and isinstance(spec.shape[0], int)]
        return sizes[0] if sizes else None

    @property
    def reference_path(self) -> Path | None:
        """The file of reference inputs and outputs, or None for a file without a manifest."""
        return None if self.manifest is None else self.path.parent / self.manifest.reference.name


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def manifest_path(models_dir: Path, name: str, variant: str = "fp32") -> Path:
    """Return where the manifest of a model is kept."""
    stem = name if variant == "fp32" else f"{name}.{variant}"
    return models_dir / f"{stem}{MANIFEST_SUFFIX}"


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a file.

    Raises:
        AbsentError: there is none.
        FileError: it cannot be read, is no manifest, or has another version.
    """
    fix = f"Run: joulebatch export {path.name.removesuffix(MANIFEST_SUFFIX)} --models-dir {path.parent}"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AbsentError(f"Cannot open {path.name}", expected=f"a manifest in {path.parent}", got="none", fix=fix) from None
    except (OSError, ValueError) as error:
        raise FileError(f"Cannot read {path}", expected="a manifest", got=str(error), fix=fix) from error
    version = data.get("version") if isinstance(data, dict) else None
    if version != MANIFEST_VERSION:
        raise FileError(f"Cannot read {path}", expected=f"manifest version {MANIFEST_VERSION}", got=str(version), fix=fix)
    try:
        return Manifest.from_json(data)
    except (KeyError, TypeError) as error:
        raise FileError(f"Cannot read {path}", expected="a whole manifest", got=str(error), fix=fix) from error


def verify(folder: Path, record: FileRecord, fix: str) -> None:
    """Check that a file is the one its manifest describes.

    Raises:
        FileError: missing, truncated or changed, with the fix.
    """
    path = folder / record.name
    try:
        size_bytes = path.stat().st_size
        if size_bytes != record.size_bytes:
            raise FileError(f"Cannot use {path}", expected=f"{record.size_bytes} bytes", got=f"{size_bytes}", fix=fix)
        sha256 = hash_file(path)
    except OSError as error:
        raise FileError(f"Cannot use {path}", expected="a readable file", got=str(error), fix=fix) from error
    if sha256 != record.sha256:
        expected, got = f"sha256 {record.sha256[:12]}…", f"{sha256[:12]}…"
        raise FileError(f"Cannot use {path}", expected=expected, got=got, fix=fix)
