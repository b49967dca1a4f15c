"""What a variant is asked for, and whether the file that is there answers it; imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from exporter.records import installed
from runner.errors import JoulebatchError
from runner.load.image_files import find_images, hash_images
from runner.manifest import Manifest, manifest_path, read_manifest
from runner.modelfile import verify_files

REVISION = 1
"""raise it when the same fp32 file would give another variant"""

TOOLS = ("joulebatch", "onnx", "onnxruntime", "onnxruntime-gpu", "numpy")
"""that shape a variant"""
_MAKERS = ("onnx", "onnxruntime", "onnxruntime-gpu")
"""with another version of these the same fp32 file may give another variant"""

CALIBRATION_COUNT = 64
"""Images. Ours: of four times as many as 16, int8-static of the study's networks hardly took note (an error of 7.0
instead of 8.9 % of the range in AlexNet, 25 instead of 24 % in DenseNet). ConvNeXt runs 64 in some 18 s."""
SEEDED = "seeded"
"""calibration on noise like that of the reference, from another seed"""


@dataclass(frozen=True, slots=True)
class VariantRequest:
    """One variant of an exported model."""

    model: str
    variant: str
    models_dir: Path
    images: Path | None = None
    """a folder to calibrate int8-static on; None is seeded noise"""

    @property
    def label(self) -> str:
        """What it is called while it is made."""
        return f"{self.model} {self.variant}"

    @property
    def needs_calibration(self) -> bool:
        """Whether the ranges of its activations are fixed beforehand."""
        return self.variant == "int8-static"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        images = None if self.images is None else str(self.images)
        return asdict(self) | {"models_dir": str(self.models_dir), "images": images}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the request in what ``to_dict`` gave."""
        images = None if data["images"] is None else Path(data["images"])
        return cls(data["model"], data["variant"], Path(data["models_dir"]), images)


def find_current_variant(request: VariantRequest, reference: Manifest) -> Manifest | None:
    """Return the manifest of the file that a request would give, verified by hash; None for another or none.

    Args:
        request: of the variant.
        reference: of the fp32 file that it would be made from.
    """
    try:
        manifest = read_manifest(manifest_path(request.models_dir, request.model, request.variant))
        if not _answers(manifest, request, reference):
            return None
        verify_files(request.models_dir, manifest)
    except JoulebatchError:
        return None  # absent or broken: made again
    return manifest


def calibration_paths(folder: Path) -> tuple[Path, ...]:
    """Return the images in a folder that a calibration takes: evenly over it, because data sets come class by class.

    Raises:
        FileError: none, or the folder cannot be read.
    """
    found = find_images(folder)
    count = min(CALIBRATION_COUNT, len(found))
    return tuple(found[place * len(found) // count] for place in range(count))


def _answers(manifest: Manifest, request: VariantRequest, reference: Manifest) -> bool:
    """Return whether source, calibration and software are those of the request.

    Raises:
        FileError: the images cannot be read.
    """
    made = manifest.derivation
    if made is None or (made.revision, made.source_sha256) != (REVISION, reference.file.sha256):
        return False
    if any(installed(package) != manifest.versions.get(package) for package in _MAKERS):
        return False
    if not request.needs_calibration:
        return True
    if request.images is None:
        return made.calibration == SEEDED
    return made.calibration == hash_images(calibration_paths(request.images))
