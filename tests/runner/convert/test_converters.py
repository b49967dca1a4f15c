"""What holds for every converter of the registry."""

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import click
import pytest

from runner.cli.reports.convert import convert as command
from runner.convert.interface import Request
from runner.convert.registry import CONVERTERS, find_converter
from runner.errors import AbsentError
from runner.report.lines import Line
from tests.fakes import make_journal
from tests.processes import ROOT
from tests.queues import with_queue

Requested = Callable[[Sequence[Line]], Request]
DOCS = (ROOT / "docs" / "convert.md").read_text()
OF_FILES = [name for name, entry in CONVERTERS.items() if "output" in entry.options]
COMMON = {"report", "reports_dir", "converter_name", "force", "debug"}


@pytest.mark.parametrize("name", CONVERTERS)
def test_a_converter_is_loaded_when_it_is_used(name: str) -> None:
    module, _, attribute = CONVERTERS[name].target.partition(":")
    assert find_converter(name) is getattr(import_module(module), attribute)


def test_every_option_belongs_to_a_converter_and_is_the_command_s() -> None:
    owned = {option for entry in CONVERTERS.values() for option in entry.options}
    assert owned == {param.name for param in command.params} - COMMON


@pytest.mark.parametrize("name", OF_FILES)
@pytest.mark.parametrize("queue", [False, True], ids=["run", "queue"])
def test_the_same_report_gives_the_same_bytes(requested: Requested, name: str, *, queue: bool) -> None:
    request = requested(with_queue(make_journal()) if queue else make_journal())
    first, second = (find_converter(name)(request).data for _ in range(2))
    assert first == second
    assert first.endswith(b"\n")


@pytest.mark.parametrize("name", OF_FILES)
def test_a_run_without_a_figure_gives_text_or_one_line(requested: Requested, name: str) -> None:
    request = requested(make_journal(blocks=0))
    try:
        assert b"alexnet" in find_converter(name)(request).data
    except AbsentError as error:
        assert "expected a measured cell, got none" in str(error)  # noqa: PT017 - either of two outcomes is right


def test_the_table_of_the_docs_is_the_registry_s() -> None:
    lines = ["| `--to` | what it gives | takes |", "|---|---|---|"]
    for name, entry in CONVERTERS.items():
        flags = [_flag(param) for param in command.params if param.name in entry.options]
        lines.append(f"| `{name}` | {entry.summary} | {', '.join(f'`{flag}`' for flag in flags)} |")
    table = "\n".join(lines)
    (block,) = re.findall(rf"^{re.escape(lines[0])}\n(?:\|.*\n)+", DOCS, re.MULTILINE)
    assert block.strip() == table, f"docs/convert.md is to hold:\n\n{table}\n"


def _flag(param: click.Parameter) -> str:
    return max(param.opts, key=len)


@pytest.mark.parametrize("name", CONVERTERS)
def test_the_docs_have_a_section_for_every_converter(name: str) -> None:
    assert re.search(rf"^## .*`{name}`", DOCS, re.MULTILINE)


def test_no_module_hides_the_library_that_it_converts_to() -> None:
    names = {path.stem for path in (ROOT / "runner" / "convert").glob("*.py")}
    assert not names & {"pyperf", "mlflow", "csv"}
    assert Path(import_module("pyperf").__file__ or "").parent.name == "pyperf"
