"""What an export is asked for, and whether the files that are there answer it; imports nothing heavy."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from exporter.records import installed
from exporter.weights import Wanted, find_stored
from runner.errors import JoulebatchError, UsageError
from runner.manifest import Manifest, manifest_path, read_manifest
from runner.modelfile import verify_files

OPSETS = (18, 19, 20)
"""18 is what PyTorch's exporter writes without converting, 20 the newest it was asked to"""

RECIPE_REVISION = 1
"""raise it when the same request would give another network"""

_REBUILDERS = ("torch", "torchvision")
"""with another version of these a seed may give another network than the one in the file"""


@dataclass(frozen=True, slots=True)
class Request:
    """One network to export."""

    model: str
    models_dir: Path
    wanted: Wanted
    opset: int

    def __post_init__(self) -> None:
        if self.opset not in OPSETS:
            raise UsageError(
                "Cannot export",
                expected=f"opset {OPSETS[0]} to {OPSETS[-1]}",
                got=str(self.opset),
                fix="Pass --opset 18",
            )

    @property
    def label(self) -> str:
        """What it is called while it is made."""
        return self.model

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        wanted = self.wanted
        folder = None if wanted.weights_dir is None else str(wanted.weights_dir)
        return asdict(self) | {
            "models_dir": str(self.models_dir),
            "wanted": asdict(wanted) | {"weights_dir": folder},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the request in what ``to_dict`` gave."""
        wanted = Wanted(**data["wanted"])
        if wanted.weights_dir is not None:
            wanted = replace(wanted, weights_dir=Path(wanted.weights_dir))
        return cls(data["model"], Path(data["models_dir"]), wanted, data["opset"])


def find_current(requests: tuple[Request, ...]) -> dict[str, Manifest]:
    """Return the manifests of files that a request would give, by name; every file is verified by hash."""
    with ThreadPoolExecutor() as pool:  # hashing leaves the interpreter to the others
        manifests = pool.map(_find_current, requests)
    return {manifest.model: manifest for manifest in manifests if manifest is not None}


def _find_current(request: Request) -> Manifest | None:
    try:
        manifest = read_manifest(manifest_path(request.models_dir, request.model))
        if not _answers(manifest, request):
            return None
        verify_files(request.models_dir, manifest)
    except JoulebatchError:
        return None  # absent or broken: exported again
    return manifest


def _answers(manifest: Manifest, request: Request) -> bool:
    """Return whether the weights, the seed, the opset and the software are those of the request."""
    return (
        manifest.seed == request.wanted.seed
        and manifest.opset == request.opset
        and manifest.recipe.get("revision") == RECIPE_REVISION
        and all(installed(package) in {None, manifest.versions.get(package)} for package in _REBUILDERS)
        and _has_weights(manifest, request.wanted)
    )


def _has_weights(manifest: Manifest, wanted: Wanted) -> bool:
    """Return whether a file has the weights that would be chosen now; what a download would bring is not asked.

    Raises:
        FileError: several checkpoints in the folder could be meant.
    """
    kind, published = manifest.weights.kind, manifest.recipe.get("published")
    if wanted.mode == "random":
        return kind == "random"
    if published is None:
        return False  # written before this was noted
    stored = find_stored(manifest.model, published, wanted.weights_dir)
    if kind == "random":
        return stored is None and wanted.mode == "auto"
    checkpoint = Path(manifest.recipe["checkpoint"])
    size_bytes = manifest.recipe["checkpoint_bytes"]
    if not _has_size(checkpoint, size_bytes):
        return False  # the PyTorch baseline could not be rebuilt
    if stored is not None:
        # The name carries the hash, which was verified; hashing a checkpoint again would take longer than all else.
        return stored.name == checkpoint.name and _has_size(stored, size_bytes)
    return kind == "pretrained" or (wanted.mode == "auto" and wanted.weights_dir is None)


def _has_size(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes
