"""What a page holds, read as a browser would read it; and reports that try to be markup."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from runner.report.assemble import assemble
from runner.report.schema import Report
from tests.fakes import make_journal
from tests.queues import IDLE_W, with_queue

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
ENTITY = "&lt;b&gt;'`${1}{{7*7}}%{x}"
VOID = {"meta", "link", "br", "input", "img"}


@dataclass
class Page(HTMLParser):
    """The elements and texts of a page; an element that is closed out of order fails."""

    text: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=list)
    scripts: list[tuple[dict[str, str | None], str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in {"td", "th"}:
            self.cells[-1].append("")
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif inside != "style":
            self.words.append(data)
        if inside in {"td", "th"}:
            self.cells[-1][-1] += data

    @property
    def figures(self) -> list[dict[str, Any]]:
        """What the plots are drawn from."""
        return [json.loads(text) for attrs, text in self.scripts if attrs.get("type") == "application/json"]

    def texts_of_figures(self) -> Iterator[str]:
        """Yield every text that Plotly is given."""
        todo: list[object] = list(self.figures)
        while todo:
            match todo.pop():
                case dict() as value:
                    todo += value.values()
                case list() as value:
                    todo += value
                case str() as value:
                    yield value


def hostile() -> Report:
    """A report whose every name is markup."""
    lines = make_journal(
        (SCRIPT, IMAGE),
        ("cpu", f"torch:{IMAGE}", ENTITY),
        pace_hz=8,
        energy="measured",
        blocks=4,
        notes=(SCRIPT,),
    )
    report = assemble(lines)
    environment = report.environment.model_copy(update={"host": IMAGE, "cpu": SCRIPT, "os": ENTITY})
    return report.model_copy(update={"name": f"{SCRIPT}{IMAGE}", "environment": environment})


def queue() -> Report:
    """A queue with joules, idle power and two rates."""
    lines = make_journal(backends=("cpu",), batch_sizes=(1,), energy="measured", idle_w=(IDLE_W, IDLE_W))
    policies = ("fixed:2", "fixed:8", "greedy:8")
    return assemble(with_queue(lines, policies, energy=True, late_s=0.0015, rates_hz=(20.0, 80.0)))
