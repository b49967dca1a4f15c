"""What an exporter says of an ONNX file: the contract between exporter and runner.

A model NAME lives in one folder as ``NAME.onnx``, ``NAME.manifest.json`` and ``NAME.reference.npz``; another variant of
it as ``NAME.VARIANT.onnx`` and ``NAME.VARIANT.manifest.json``, with the reference of the first. The manifest is written
last, so a killed export leaves nothing that a run would accept.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from runner.derivation import Derivation
from runner.errors import AbsentError, FileError
from runner.variants import REFERENCE_VARIANT, VARIANTS

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
