"""Other Pythons that backends run under: found and probed before anything is measured."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.backends.interface import Missing
from runner.bootstrap import OLDEST_PYTHON
from runner.errors import AbsentError

BOOTSTRAP = Path(__file__).parents[1] / "bootstrap.py"
_ANSWER_LIMIT_S = 60.0
"""as for a worker's start: well under a second, a few from a cold disk"""
_OURS_ALONE = ("PYTHONPATH", "PYTHONHOME")
"""what points our own Python to its libraries would give another one ours instead of its own"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that was probed."""

    python: Path
    missing: Mapping[str, Missing | None]
    """of each backend it was asked about"""
    images: Missing | None = None
    """why it cannot decode images; None when it can"""


def probe(name: str, path: Path, backends: Sequence[str]) -> Interpreter:
    """Return a Python that can start workers, with what it lacks for these backends.

    Args:
        name: that the user gave it.
        path: its executable, or the folder of its virtual environment.
        backends: by name; each must be known here.

    Raises:
        AbsentError: not there, no Python of ours to use, or it gives no answer.
    """
    # Symbolic links stay: resolving a virtual environment's python would leave the environment.
    python = path.expanduser().absolute()
    if python.is_dir():
        python = python / "bin" / "python"
    answer = _ask(name, python, backends)
    match _read(answer):
        case {"parent": int(parent), "missing": dict(missing), "images": images} if missing.keys() == set(
            backends
        ):
            if parent != os.getpid():
                raise _unusable(
                    name, python, "a program that starts one; its signals would not reach the worker"
                )
            return Interpreter(
                python,
                {key: Missing(**each) if each else None for key, each in missing.items()},
                Missing(**images) if images else None,
            )
        case {"unusable": str(reason)}:
            raise _unusable(name, python, reason)
        case _:
            raise _unusable(name, python, f"the answer {answer[:80]!r}")


def environment_of_others() -> dict[str, str]:
    """Return our environment without what is meant for our own Python."""
    return {key: value for key, value in os.environ.items() if key not in _OURS_ALONE}


def _read(answer: str) -> Any:  # noqa: ANN401 - whatever JSON came
    try:
        return json.loads(answer)
    except ValueError:
        return None


def _ask(name: str, python: Path, backends: Sequence[str]) -> str:
    """Return the last line that a probe under that Python prints; it may be any program and print anything."""
    try:
        done = subprocess.run(
            [str(python), str(BOOTSTRAP), "probe", *backends],
            # Not -P as for a worker: Pythons before 3.11 do not know it and could not say what they are.
            env={**environment_of_others(), "PYTHONSAFEPATH": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_LIMIT_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise _unusable(name, python, f"no answer within {_ANSWER_LIMIT_S:.0f} s") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().rpartition("\n")[2] or "no word"
        raise _unusable(name, python, f"exit code {error.returncode} and {said!r}") from None
    except OSError as error:
        raise _unusable(name, python, error.strerror or str(error)) from None
    return done.stdout.strip().rpartition("\n")[2]


def _unusable(name: str, python: Path, got: str) -> AbsentError:
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return AbsentError(
        f"Cannot use interpreter {name} ({python})",
        expected=f"Python {oldest} or newer with numpy and the backend's library",
        got=got,
        fix="Make one: python3 -m venv ENV && ENV/bin/python -m pip install onnxruntime",
    )
