"""docs/backends.md and the README say of backends what the registry says, and show the package that is tested."""

import re
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

from exporter.torch_backend import BACKEND as TORCH
from exporter.torch_backend import CUDA_BACKEND as TORCH_CUDA
from runner.backends.interface import Backend, Option
from runner.backends.registry import BUILT_IN, find_backend
from runner.backends.spec import parse_spec
from tests.processes import ROOT, THIRD_PARTY, joulebatch, report_of

pytestmark = pytest.mark.live

OURS: tuple[Backend, ...] = (*map(find_backend, BUILT_IN), TORCH, TORCH_CUDA)
DOCS = (ROOT / "docs" / "backends.md").read_text()
README = (ROOT / "README.md").read_text()
EXAMPLE = THIRD_PARTY / "reference_backend.py"


def _names(names: list[str]) -> str:
    others = [each.name for each in OURS if each.name not in names]
    shown = ", ".join(f"`{name}`" for name in names)
    return shown if len(names) <= len(others) else f"all but {', '.join(f'`{name}`' for name in others)}"


def backends_table() -> str:
    lines = ["| backend | what it is | device | io |", "|---|---|---|---|"]
    lines += [f"| `{each.name}` | {each.summary} | {each.device} | {', '.join(each.ios)} |" for each in OURS]
    return "\n".join(lines)


def options_table() -> str:
    """Return every option of every backend that this project brings; backends that share one share its row."""
    owners: dict[Option, list[str]] = {}
    for backend in OURS:
        for option in backend.options:
            owners.setdefault(option, []).append(backend.name)
    lines = ["| option | default | values | of | what it sets |", "|---|---|---|---|---|"]
    for option, names in owners.items():
        values = ", ".join(option.choices) or option.check
        lines.append(
            f"| `{option.name}` | {option.default} | {values} | {_names(names)} | {option.summary} |"
        )
    return "\n".join(lines)


def taken_table() -> str:
    """Return what may not be passed on; keys that one option sets for several backends share a row."""
    owners: dict[tuple[str, str], list[str]] = {}
    for backend in OURS:
        for key, setter in (backend.passing.reserved if backend.passing else {}).items():
            owners.setdefault((key, setter), []).append(backend.name)
    lines = ["| the provider's option | of | set by |", "|---|---|---|"]
    for (key, setter), names in owners.items():
        lines.append(f"| `{key}` | {_names(names)} | {f'`{setter}`' if setter else 'nobody: refused'} |")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "table", [backends_table(), options_table(), taken_table()], ids=["backends", "options", "taken"]
)
def test_the_tables_are_those_of_the_registry(table: str) -> None:
    header = table.partition("\n")[0]
    (block,) = re.findall(rf"^{re.escape(header)}\n(?:\|.*\n)+", DOCS, re.MULTILINE)
    assert block.strip() == table, f"docs/backends.md is to hold:\n\n{table}\n"


def test_the_readme_lists_the_options_of_cpu_and_no_others() -> None:
    (table,) = re.findall(r"\| option \| what it sets \|\n((?:\|.*\n)+)", README)
    first_cells = [line.split("|")[1] for line in table.splitlines()[1:]]
    written = [part for cell in first_cells for part in re.findall(r"`([^`]+)`", cell)]
    names = {part.partition("=")[0] for part in written}
    assert names == {option.name for option in find_backend("cpu").options}
    for part in written:
        name, _, values = part.partition("=")
        for value in values.split(", "):
            if value != "N":
                assert parse_spec(f"cpu:{name}={value}").options[name] == value


def test_the_package_that_is_shown_is_the_one_that_is_tested() -> None:
    assert f"```python\n{EXAMPLE.read_text()}```" in DOCS
    (shown,) = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    points = ConfigParser()
    points.read(THIRD_PARTY / "reference_backend-1.0.dist-info" / "entry_points.txt")
    written = tomllib.loads(shown)["project"]["entry-points"]
    assert written == {section: dict(points[section]) for section in points.sections()}


def test_a_package_s_backend_is_listed_and_compared_as_any_other(home: Path) -> None:
    assert "onnx-reference" in joulebatch("run", "--help", cwd=home).stdout
    result = joulebatch(
        "run", "-m", "tiny", "--backend", "cpu", "--backend", "onnx-reference", "--batch-sizes", "1,2",
        "--profile", "quick", "--time-budget", "10s", "--meter", "none", cwd=home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    report = report_of(home)
    (session,) = (each for each in report.sessions if each.backend == "onnx-reference")
    assert session.placement == "full"
    assert session.parity
    assert session.parity.status == "passed"
    cells = [cell for cell in report.cells if cell.backend == "onnx-reference"]
    assert [cell.status for cell in cells] == ["measured", "measured"]
    assert all(cell.summary and cell.summary.window_count for cell in cells)
