"""What tests of several folders need: the third-party backend, in this process and in workers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.backends import registry
from tests.models import write_exported
from tests.processes import ROOT, THIRD_PARTY


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the backend ``faulty`` by its entry point."""
    monkeypatch.syspath_prepend(str(THIRD_PARTY))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{THIRD_PARTY}")
    registry._added.cache_clear()
    yield
    registry._added.cache_clear()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an exported model ``tiny``."""
    folder = tmp_path_factory.mktemp("models")
    write_exported(folder)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a working folder of a user who has exported a model ``tiny``."""
    write_exported(tmp_path / "models")
    return tmp_path
