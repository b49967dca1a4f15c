"""Starts a worker under any interpreter by loading the package ``runner`` by path.

Our site-packages on ``PYTHONPATH`` would make another interpreter import *our* onnxruntime instead of its own.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


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


if __name__ == "__main__":
    load_runner()
    from runner.worker import main

    main()
