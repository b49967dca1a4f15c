"""The workflow and the commands that the docs give for CI are those of this command line."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package of their own, for this one call

from runner.cli import cli
from tests.processes import ROOT

DOCS = ROOT / "docs"
WORKFLOW = DOCS / "ci" / "joulebatch.yml"
PAGES = (DOCS / "ci.md", DOCS / "compare.md", DOCS / "convert.md", DOCS / "html.md", DOCS / "site.md")


def workflow() -> dict[Any, Any]:
    loaded = yaml.safe_load(WORKFLOW.read_text())
    assert isinstance(loaded, dict)
    return loaded


def steps() -> list[dict[str, Any]]:
    return [step for job in workflow()["jobs"].values() for step in job["steps"]]


def scripts() -> Iterator[str]:
    """Yield what a shell runs: the workflow's steps, GitLab's, and the indented lines and plain blocks of the pages."""
    yield from (step["run"] for step in steps() if "run" in step)
    for page in PAGES:
        text = page.read_text()
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
            for job in yaml.safe_load(block).values():
                yield from (*job["script"], *job["after_script"])
        yield from re.findall(r"^```\n(.*?)```", text, re.DOTALL | re.MULTILINE)
        yield from re.findall(r"^ {4}(joulebatch (?:.*\\\n)*.*)", text, re.MULTILINE)


def commands(script: str) -> Iterator[list[str]]:
    """Yield the words behind every ``joulebatch`` of a script."""
    lexer = shlex.shlex(
        script.replace("\\\n", " ").replace("\n", ";\n"), posix=True, punctuation_chars=";&|<>"
    )
    lexer.whitespace_split = True
    words: list[str] = []
    for word in (*lexer, ";"):
        if not set(word) <= set(";&|<>"):
            words.append(word)
            continue
        words = words[1:] if words[:1] == ["do"] else words
        if words and Path(words[0]).name == "joulebatch":
            yield words[1:]
        words = []


COMMANDS = list(dict.fromkeys(shlex.join(words) for script in scripts() for words in commands(script)))


def parse(words: list[str]) -> click.Context:
    """Return the context in which click would call the command that these words name."""
    context: click.Context = cli.make_context("joulebatch", list(words), resilient_parsing=True)
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found, name
        command = found
        if isinstance(command, click.Group):
            context = click.Context(command, parent=context, info_name=name)
    return command.make_context(command.name, list(words), parent=context)


def test_the_commands_are_found() -> None:
    assert len(COMMANDS) >= 12
    said = " ".join(COMMANDS)
    assert all(word in said for word in ("export", "run", "reports convert", "reports compare"))


@pytest.mark.parametrize("line", COMMANDS)
def test_click_takes_every_command(line: str) -> None:
    parse(shlex.split(line))


@pytest.mark.parametrize("line", ["run --no-such-option", "reports convert --to nope", "run --batch-sizes"])
def test_click_would_refuse_what_is_wrong(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(shlex.split(line))


def test_bash_takes_every_script() -> None:
    for script in scripts():
        done = subprocess.run(
            ["bash", "-n"], input=script, text=True, capture_output=True, check=False, timeout=10
        )
        assert (done.returncode, done.stderr) == (0, ""), script


def test_the_workflow_is_one_that_github_would_run() -> None:
    loaded = workflow()
    assert set(loaded[True]) == {"pull_request", "push"}  # YAML 1.1 reads `on` so
    for job in loaded["jobs"].values():
        assert job["runs-on"]
        assert job["timeout-minutes"] < 60
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])


def test_what_a_failed_gate_measured_is_shown_and_kept() -> None:
    job = workflow()["jobs"]["compare"]
    names = [step.get("name") for step in job["steps"]]
    after = job["steps"][names.index("Measure") + 1 :]
    assert len(after) == 2
    assert all(step["if"] == "${{ !cancelled() }}" for step in after)
    assert "GITHUB_STEP_SUMMARY" in after[0]["run"]
    assert after[1]["with"]["path"] == "reports"


def test_the_trend_is_written_where_the_action_reads_it() -> None:
    (action,) = (step for step in steps() if "github-action-benchmark" in step.get("uses", ""))
    assert action["with"]["tool"] == "customSmallerIsBetter"
    written = [words[words.index("-o") + 1] for line in COMMANDS if "-o" in (words := shlex.split(line))]
    assert action["with"]["output-file-path"] in written


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}
            assert anchor in anchors, target
