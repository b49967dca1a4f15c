"""A report as rich tables, readable without colour; a narrow terminal loses columns, and says which."""

import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from runner.encodable import encodable
from runner.render.layout import Section, Table, plain
from runner.render.text_plot import Characters, characters_for, draw

if TYPE_CHECKING:  # it loads pydantic, which sections do without
    from runner.report.schema import Report

_PIPED_WIDTH = 100  # the width that the tables are made for, where no terminal says another
_BETWEEN_OPTIONS = re.compile(r"(?<=,)(?=\S)")
_BEFORE_INTERVAL = re.compile(r" (?=\[[^]]+, )")
_UNKNOWN_WIDTH = 80  # of a terminal that does not tell, as a serial line
_UNLIMITED = 10_000
_INDENT = 2
_HEADER_STYLE = "bold"
_NOTE_STYLE = "dim"


def write_terminal(report: "Report", stream: TextIO, *, details: bool, width: int | None = None) -> None:
    """Write the tables of a report."""
    from runner.render.document import document  # noqa: PLC0415 - loads pydantic, which sections do without

    hint = "-f json has them" if details else "--details and -f csv have them"
    write_sections(document(report, details=details), stream, width, hint)


def write_sections(
    sections: Iterable[Section],
    stream: TextIO,
    width: int | None = None,
    hint: str = "--details and -f csv have them",
    piped_width: int = _PIPED_WIDTH,
) -> None:
    """Write sections one below the other; colours only on a terminal and without NO_COLOR.

    Args:
        sections: what to show.
        stream: where to.
        width: in characters; by default that of COLUMNS or the terminal.
        hint: where to find columns that do not fit.
        piped_width: where no terminal and no COLUMNS says another.
    """
    width = width or _width_of(stream, piped_width)
    console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
    # Rendered first and written at once: rich answers a closed pipe by exiting with 1, our code for a gate.
    with console.capture() as capture:
        for section in sections:
            _print_section(console, section, hint, characters_for(stream))
    stream.write("\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n")


def _width_of(stream: TextIO, piped_width: int) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        return int(columns)
    if not stream.isatty():
        return piped_width
    try:
        return os.get_terminal_size(stream.fileno()).columns or _UNKNOWN_WIDTH
    except OSError:  # a stream of Python's own that says it is a terminal
        return _UNKNOWN_WIDTH


def _print_section(console: Console, section: Section, hint: str, characters: Characters) -> None:
    console.print(Text(_shown(section.title, console), style=_HEADER_STYLE))
    for line in section.lines:
        console.print(_indented(line, console))
    for index, table in enumerate(section.tables):
        if index:
            console.print()
        fitting = _fit(table, console)
        console.print(_rich_table(fitting, 1 if _width(fitting, 1, console) <= console.width else 0, console))
        gone = [
            column.header.split("\n")[0].rstrip(",")
            for column in table.columns
            if column not in fitting.columns
        ]
        if gone:
            text = f"not shown at this width: {', '.join(gone)}; {hint}"
            console.print(_indented(text, console, style=_NOTE_STYLE))
    for plot in section.plots:
        drawing = draw(plot, console.width - _INDENT, characters)
        console.print()
        for line in (drawing.title, *drawing.lines):
            console.print(_indented(line, console))
        for remark in drawing.remarks:
            console.print(_indented(remark, console, style=_NOTE_STYLE))
    if section.plots and section.notes:
        console.print()
    for note in section.notes:
        console.print(_indented(note, console, style=_NOTE_STYLE))
    console.print()


def _shown(text: str, console: Console) -> str:
    return encodable(plain(text), console.encoding)


def _indented(line: str, console: Console, style: str = "") -> RenderableType:
    return Padding(Text(_shown(line, console), style=style), (0, 0, 0, _INDENT))


def _fit(table: Table, console: Console) -> Table:
    """Return the table less as many columns, and with as many line breaks, as it takes to fit.

    What fits at no price is left to wrap anywhere.
    """
    for candidate in _candidates(table):
        if _width(candidate, 0, console) <= console.width:
            return candidate
    return candidate


def _candidates(table: Table) -> Iterator[Table]:
    for limit in sorted({column.drop_rank for column in table.columns} | {0}, reverse=True):
        table = table.pick([i for i, column in enumerate(table.columns) if column.drop_rank <= limit])
        yield table
    yield (table := table.with_breaks(_BETWEEN_OPTIONS))
    yield table.with_breaks(_BEFORE_INTERVAL)


def _width(table: Table, room: int, console: Console) -> int:
    """Return the width that the table would like."""
    return console.measure(
        _rich_table(table, room, console), options=console.options.update(width=_UNLIMITED)
    ).maximum


def _rich_table(table: Table, room: int, console: Console) -> RichTable:
    built = RichTable(
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, room, 0, 0), header_style=_HEADER_STYLE
    )
    for column in table.columns:
        built.add_column(
            Text(_shown(column.header, console)), justify=column.align, overflow="fold", no_wrap=False
        )
    for row in table.rows:
        built.add_row(*(Text(_shown(cell, console), overflow="fold") for cell in row))
    return built
