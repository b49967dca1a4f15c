"""What another interpreter answers when it is asked, once and before anything is measured, which backends it can run.

Loaded by `bootstrap.py`. Until numpy is known to be there, only the standard library is imported.
"""

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.backends.interface import Missing


def answer(names: Sequence[str]) -> dict[str, Any]:
    """Return why this interpreter is of no use at all, or what is missing of each backend and for decoding images."""
    try:
        import_module("numpy")
    except ImportError as error:
        return {"unusable": f"a Python without numpy ({error})"}
    from runner.load import image_files  # noqa: PLC0415 - needs numpy

    return {
        # Tells the parent that it started this Python itself and no program around it.
        "parent": os.getppid(),
        "missing": {name: _missing(name) for name in names},
        "images": _as_json(image_files.missing()),
    }


def _missing(name: str) -> dict[str, str] | None:
    """Return reason and fix for a backend that cannot run here, or None when it can."""
    from runner.backends.registry import BUILT_IN, find_backend  # noqa: PLC0415 - needs numpy
    from runner.errors import AbsentError, UsageError  # noqa: PLC0415 - beside it

    try:
        missing = find_backend(name).missing()
    except UsageError:
        return {"reason": "no package there brings this backend", "fix": "Install the package that does"}
    except AbsentError as error:
        return {"reason": error.got, "fix": error.fix}
    if missing:
        return _as_json(missing)
    if name in BUILT_IN:
        try:
            import_module("onnxruntime")
        except ImportError as error:
            return {"reason": f"onnxruntime does not load: {error}", "fix": "Reinstall it"}
    return None


def _as_json(missing: "Missing | None") -> dict[str, str] | None:
    return {"reason": missing.reason, "fix": missing.fix} if missing else None


def main() -> None:
    """Print the answer for the backends named on the command line, as the last line of standard output."""
    sys.stdout.write(json.dumps(answer(sys.argv[2:])) + "\n")
