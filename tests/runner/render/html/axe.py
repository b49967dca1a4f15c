"""axe-core: what a page owes to people who see it badly, or not at all."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest


def assert_for_all_readers(page: Any) -> None:
    """Fail where axe finds something serious, contrast included, or where something sticks out of the window."""
    spec = find_spec("axe_core_python")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("axe-core-python is not installed")
    page.evaluate(Path(spec.submodule_search_locations[0], "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    serious = [
        (each["id"], each["nodes"][0]["html"][:200], each["nodes"][0].get("failureSummary"))
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
    assert serious == []
    assert len(found["passes"]) > 20
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
