"""Rows of any shape, as a query returns them: a table for people, CSV and JSON in full precision for programs."""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import TextIO

from runner.render import numbers
from runner.render.layout import Column, Section, Table
from runner.render.terminal import write_sections

Row = Sequence[object]


def write_rows(
    columns: Sequence[str], rows: Iterable[Row], format_name: str, stream: TextIO, *, limit: int = 0
) -> bool:
    """Write rows under their columns; return whether there were more than the limit (0: none) lets through."""
    source = iter(rows)
    shown = islice(source, limit) if limit else source
    match format_name:
        case "json":
            _write_json(columns, shown, stream)
        case "csv":
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_field(value) for value in row] for row in shown)
        case _:
            _write_table(columns, list(shown), stream)
    return next(source, None) is not None


def _write_json(columns: Sequence[str], rows: Iterator[Row], stream: TextIO) -> None:
    """Write an object a line; of two columns with one name the later one counts."""
    separator = "[\n"
    for row in rows:
        record = {name: plain(value) for name, value in zip(columns, row, strict=True)}
        stream.write(separator + json.dumps(record, allow_nan=False))
        separator = ",\n"
    stream.write("[]\n" if separator == "[\n" else "\n]\n")


def plain(value: object) -> object:
    """Return a value as JSON can hold it: null for what is no number, times in ISO 8601, exact decimals as numbers."""
    found: object
    match value:
        case None | bool() | int() | str():
            found = value
        case float():
            found = value if math.isfinite(value) else None
        case Decimal():
            found = float(value)
        case datetime() | date() | time():
            found = value.isoformat()
        case Mapping():
            found = {str(plain(key)): plain(each) for key, each in value.items()}
        case list() | tuple():
            found = [plain(each) for each in value]
        case bytes():
            found = value.hex()
        case _:
            found = str(value)
    return found


def _field(value: object) -> object:
    """Return a field of CSV: empty for null, JSON for what has parts."""
    found = plain(value)
    if isinstance(found, bool):
        return str(found).lower()
    return json.dumps(found) if isinstance(found, dict | list) else found


def _write_table(columns: Sequence[str], rows: Sequence[Row], stream: TextIO) -> None:
    texts = tuple(tuple(_text(value) for value in row) for row in rows)
    heads = tuple(
        Column(
            name,
            "right" if any(_is_number(row[place]) for row in rows) else "left",
            drop_rank=min(place, _LAST_RANK),
        )
        for place, name in enumerate(columns)
    )
    note = "1 row" if len(rows) == 1 else f"{len(rows):,} rows"
    write_sections(
        (Section("Query", tables=(Table(heads, texts),), notes=(note,)),), stream, hint="-f csv has them"
    )


_LAST_RANK = 12
"""columns after so many are dropped together where a table does not fit: laying one out costs time for each rank"""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _text(value: object) -> str:
    found = plain(value)
    if found is None:
        return numbers.NOTHING
    if isinstance(found, float):
        return numbers.figure(found)
    return str(_field(value))
