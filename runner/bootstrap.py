"""Starts a worker or a probe under any interpreter by loading the package ``runner`` by path.

Our site-packages on ``PYTHONPATH`` would make another interpreter import *our* onnxruntime instead of its own. This
file must parse under older Pythons too, so that they can say what they are.
"""

import json
import platform
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

OLDEST_PYTHON = (3, 11)


def load_runner() -> None:
    """Put the package this file belongs to into ``sys.modules``."""
    folder = Path(__file__).resolve().parent
    # Python puts a script's folder first: our errors.py and inputs.py must not shadow anybody's.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != folder]
    spec = spec_from_file_location("runner", folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["runner"] = module
    spec.loader.exec_module(module)


def main() -> None:
    """Answer a probe (``probe BACKEND...``), or serve as a worker (the descriptor for replies)."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        print(json.dumps({"unusable": "Python " + platform.python_version()}))  # noqa: T201 - a probe's answer
        return
    load_runner()
    if sys.argv[1] == "probe":
        from runner.workers.probe import main as run  # noqa: PLC0415 - can only be imported now
    else:
        from runner.workers.child import main as run  # noqa: PLC0415 - the same
    run()


if __name__ == "__main__":
    main()
