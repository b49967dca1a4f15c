"""What a renderer lays out: sections of titled tables and lines, all text, numbers already formatted."""

import re
from dataclasses import dataclass
from typing import Literal

from runner.render.text_plot import Plot


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    header: str
    """a line break separates the quantity from its unit"""
    align: Literal["left", "right"] = "right"
    drop_rank: int = 0
    """on narrow terminals the highest rank goes first; 0 always stays"""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    def without_empty_columns(self, nothing: str) -> "Table":
        """Return the table less the columns in which no row says anything; the first always stays."""
        kept = [
            i
            for i in range(len(self.columns))
            if i == 0 or any(row[i] not in ("", nothing) for row in self.rows)
        ]
        return self.pick(kept)

    def with_breaks(self, where: re.Pattern[str]) -> "Table":
        """Return the table with a line break in its cells for every match."""
        return Table(self.columns, tuple(tuple(where.sub("\n", cell) for cell in row) for row in self.rows))

    def pick(self, indices: list[int]) -> "Table":
        """Return the table with these columns only."""
        return Table(
            tuple(self.columns[i] for i in indices),
            tuple(tuple(row[i] for i in indices) for row in self.rows),
        )


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report: a title, lines, tables, and the notes that belong under them."""

    title: str
    lines: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    """below the tables; in a terminal only"""


class Footnotes:
    """Numbers texts that do not fit into a row, each text once."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def mark(self, text: str) -> str:
        """Return the number of a text as rows show it: ``[1]``."""
        if text not in self._texts:
            self._texts.append(text)
        return f"[{self._texts.index(text) + 1}]"

    def lines(self) -> tuple[str, ...]:
        """Return the texts behind their numbers."""
        return tuple(f"[{number}] {text}" for number, text in enumerate(self._texts, start=1))


def plain(text: str) -> str:
    """Return text without characters that a terminal would obey; names come from files and command lines."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)
