"""Lets torchvision import where its binary operators do not fit the torch build."""

from types import ModuleType
from typing import Any

from runner.errors import AbsentError

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
"""the operators for which torchvision registers fakes when it is imported (its _meta_registrations.py)"""

_kept: list[object] = []
"""a torch library unregisters its operators when it is collected"""


def import_torchvision() -> ModuleType:
    """Return torchvision; a build that matches torch is imported as it is.

    torchvision's default wheel needs CUDA libraries. Beside a CPU build of torch its operators cannot be loaded
    and its import fails, although classification networks use none of them: their schemas are enough.

    Raises:
        AbsentError: torch or torchvision is not installed, or does not import.
    """
    fix = "Install the export extra: pip install 'joulebatch[export]'"
    try:
        import torch  # noqa: PLC0415 - optional

        try:
            import torchvision  # noqa: PLC0415 - optional
        except RuntimeError as error:
            if "torchvision::nms does not exist" not in str(error):
                raise
            torch_library: Any = torch.library  # untyped
            library = torch_library.Library("torchvision", "FRAGMENT")
            for schema in _SCHEMAS:
                library.define(schema)
            _kept.append(library)
            import torchvision  # noqa: PLC0415 - the second try
    except (ImportError, RuntimeError, OSError) as error:
        raise AbsentError("Cannot import torchvision", got=str(error), fix=fix) from error
    module: ModuleType = torchvision
    return module
