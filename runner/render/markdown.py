"""A report as GitHub Markdown; names are escaped, so that a model called ``<b>|`` stays text."""

import html
import re
from collections.abc import Sequence
from typing import TextIO

from runner.render.document import document
from runner.render.layout import Section, Table, plain
from runner.report.schema import Report

# Only what could begin something (GitHub Flavored Markdown, section 6): emphasis, code and cells; underscores
# that begin a word; brackets that make a link, footnote or task; every tilde but the last, as it takes two.
_INLINE = re.compile(r"[\\`*|]|(?<![^\W_])_|\](?=[(\[:])|\[(?=\^|[ xX]\])|~(?=.*~)")
# Headings, list items and rules, which a line may begin with (section 4 and 5); two hyphens behind a bullet are a rule.
_BLOCK = re.compile(r"^(\d*)([-+.)](?=\s|$)|#+(?=\s|$)|-(?=[-\s]+$))")


def write_markdown(report: Report, stream: TextIO, *, details: bool, width: int | None = None) -> None:
    """Write the report as Markdown; the width of tables is the reader's affair."""
    del width
    stream.write(to_markdown(report, details=details))


def to_markdown(report: Report, *, details: bool = True) -> str:
    """Return the report as Markdown text."""
    return sections_to_markdown(document(report, details=details))


def sections_to_markdown(sections: Sequence[Section]) -> str:
    """Return sections as Markdown text, the first of them as its title."""
    first, *others = sections
    parts = [_section(first, level=1), *(_section(section, level=2) for section in others)]
    return "\n\n".join(parts) + "\n"


def _section(section: Section, level: int) -> str:
    blocks = [f"{'#' * level} {_escape(section.title)}"]
    blocks += [_bullets(section.lines)] if section.lines else []
    blocks += [_table(table) for table in section.tables]
    blocks += [_bullets(section.notes)] if section.notes else []
    return "\n\n".join(blocks)


def _bullets(lines: tuple[str, ...]) -> str:
    return "\n".join("- " + _BLOCK.sub(r"\1\\\2", _escape(line)) for line in lines)


def _table(table: Table) -> str:
    rows = [_row(tuple(column.header for column in table.columns))]
    rows.append(
        "|" + "|".join(" ---: " if column.align == "right" else " --- " for column in table.columns) + "|"
    )
    rows += [_row(row) for row in table.rows]
    return "\n".join(rows)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join("<br>".join(_escape(part) for part in cell.split("\n")) for cell in cells) + " |"


def _escape(text: str) -> str:
    """Return text in which neither Markdown nor HTML sees a mark of its own."""
    return _INLINE.sub(r"\\\g<0>", html.escape(" ".join(plain(text).split()), quote=False))
