"""The child process of an export: requests as JSON lines on stdin, what happens as JSON lines on stdout."""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from runner import errors
from runner.errors import JoulebatchError
from runner.manifest import Manifest
from runner.workers.lineage import leave_with_parent

_FIELDS = ("what", "expected", "got", "fix")


def main() -> None:
    """Export what is asked for until stdin ends; the arguments are PyTorch's threads and the parent's id."""
    leave_with_parent()
    if os.getppid() != int(sys.argv[2]):
        return  # the parent died before it could be followed
    # Libraries may print: only this copy of stdout reaches the parent.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:

            def tell(**message: object) -> None:
                answers.write(json.dumps(message) + "\n")
                answers.flush()

            try:
                manifest = _export(json.loads(line), int(sys.argv[1]), lambda stage: tell(stage=stage))
                tell(manifest=manifest.to_json())
            except Exception as error:  # noqa: BLE001 - one network must not take the others with it
                tell(error=pack_error(error))


def _export(asked: Mapping[str, Any], threads: int, on_stage: Callable[[str], None]) -> Manifest:
    """Return the manifest of what was asked for.

    Imports here, so that an installation without torch is an answer like any other, and a variant needs none.
    """
    if "variant" in asked:
        from exporter.variant_request import VariantRequest  # noqa: PLC0415
        from exporter.variants import make_variant  # noqa: PLC0415

        return make_variant(VariantRequest.from_dict(asked), threads, on_stage)
    from exporter.torchvision_ops import import_torchvision  # noqa: PLC0415

    import_torchvision()
    from exporter.export import export_model  # noqa: PLC0415
    from exporter.request import Request  # noqa: PLC0415

    return export_model(Request.from_dict(asked), threads, on_stage)


def pack_error(error: Exception) -> dict[str, str]:
    """Return an error as JSON values."""
    if isinstance(error, JoulebatchError):
        return {"kind": type(error).__name__} | {field: getattr(error, field) for field in _FIELDS}
    trace = "".join(traceback.format_exception(error))
    return {"kind": "JoulebatchError", "got": f"{type(error).__name__}: {error}", "trace": trace}


def unpack_error(data: Mapping[str, Any], model: str) -> JoulebatchError:
    """Return the error that ``pack_error`` packed; the trace of an unexpected one is its note."""
    kind: type[JoulebatchError] = getattr(errors, data["kind"])
    if "trace" not in data:
        return kind(data["what"], **{field: data[field] for field in _FIELDS[1:]})
    error = kind(f"Cannot export {model}", got=data["got"].splitlines()[0])
    error.add_note(data["trace"])
    return error


if __name__ == "__main__":
    main()
