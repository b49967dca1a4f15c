"""SQL over all reports: a DuckDB in memory that holds the views a query names, and can read nothing else.

Nothing is indexed and nothing kept: every query loads the reports, as ``reports show`` would. What a query does not
name is not made, and samples are read by DuckDB itself, only the columns that it needs.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_core import to_json

from runner.errors import FileError, JoulebatchError, UsageError
from runner.report.archive import load
from runner.report.folders import REPORT_NAME, report_folders
from runner.report.samples import SAMPLES_NAME, no_pattern
from runner.report.schema import Report
from runner.report.views import View

if TYPE_CHECKING:
    import duckdb

_WHAT = "Cannot run the query"
_HELP = "To see views and columns, run: joulebatch reports query"
_SPILL = "10GB"
_LARGEST = 2**63 - 1
"""integer of a column"""
_ROWS_AT_ONCE = 1000
"""that are held as Python objects"""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A report, or the samples of one, that no view holds."""

    report_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query returns."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[object, ...]]
    """read while they are asked for; a query that fails midway raises here"""
    left_out: tuple[LeftOut, ...]
    report_count: int
    """that were found, those left out included"""


@contextmanager
def answer(reports_dir: Path, sql: str, views: Sequence[View]) -> Iterator[Answer]:
    """Yield the answer to one statement that returns rows.

    Raises:
        UsageError: the SQL is wrong, forbidden, or more than one statement.
        FileError: the folder or a file in it cannot be read.
    """
    import duckdb  # noqa: PLC0415 - costs 0.1 s

    with ExitStack() as stack, _explained():
        _check(sql)
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="joulebatch-")))
        connection = stack.enter_context(duckdb.connect(config=_settings(home)))
        folders = sorted(report_folders(reports_dir), key=lambda folder: folder.name)
        left_out = _fill(connection, folders, _named(sql, views), home)
        result = connection.execute(sql)
        columns = tuple(column[0] for column in result.description)
        yield Answer(columns, _rows(result), left_out, len(folders))


def _check(sql: str) -> None:
    """Refuse what is not exactly one SELECT: DuckDB could write files that it may read."""
    import duckdb  # noqa: PLC0415 - costs 0.1 s

    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise UsageError(_WHAT, expected="text in UTF-8", got=error.reason) from error
    statements = duckdb.extract_statements(sql)
    if len(statements) != 1:
        raise UsageError(_WHAT, expected="one statement", got=str(len(statements) or "none"), fix=_HELP)
    kind = statements[0].type.name
    if kind == "MULTI":  # what PIVOT is, unless it says which columns come out
        raise UsageError(
            _WHAT,
            expected="a statement that returns rows",
            got="a PIVOT whose columns depend on the rows",
            fix="Name them, as in: PIVOT cells ON backend IN ('cpu', 'torch') USING first(latency_s)",
        )
    if kind != "SELECT":
        raise UsageError(
            _WHAT, expected="a statement that returns rows", got=kind, fix="Begin it with SELECT"
        )


def _named(sql: str, views: Sequence[View]) -> tuple[View, ...]:
    """Return the views whose name is anywhere in a statement; all where none is, as in SHOW TABLES."""
    words = set(re.findall(r"\w+", sql.casefold()))
    return tuple(view for view in views if view.name in words) or tuple(views)


def _settings(home: Path) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "autoinstall_known_extensions": False,  # JSON and Parquet are in the wheel; nothing is downloaded
        "autoload_known_extensions": False,
        "python_enable_replacements": False,  # our own variables are no tables
        "temp_directory": str(home / "spill"),
        "max_temp_directory_size": _SPILL,  # a query without a join condition must not fill the disk
    }


def _fill(
    connection: "duckdb.DuckDBPyConnection", folders: Sequence[Path], views: Sequence[View], home: Path
) -> tuple[LeftOut, ...]:
    """Make the views, then lock the database up; return what is in none of them."""
    tables = [view for view in views if view.rows is not None]
    left_out = _write_tables(folders, tables, home) if tables else []
    for view in tables:
        _load_table(connection, view, home)
    readable: list[Path] = []
    for view in views:
        if view.rows is None:
            found, broken = _samples(connection, folders, view)
            readable += found
            known = {each.report_id for each in left_out}
            left_out += [each for each in broken if each.report_id not in known]
            connection.execute(_samples_view(view, found))
    for name, value in (
        # Both are looked up: the pattern before DuckDB finds out what it stands for, and then the file.
        ("allowed_paths", [text for path in readable for text in {no_pattern(path), str(path)}]),
        ("enable_external_access", False),
        ("lock_configuration", True),
    ):
        connection.execute(f"SET {name} = {_literal(value)}")
    return tuple(left_out)


def _write_tables(folders: Sequence[Path], views: Sequence[View], home: Path) -> list[LeftOut]:
    """Write the rows of every report, a JSON line each and a file per view; reports are held one at a time."""
    left_out = []
    with ExitStack() as stack:
        files = [stack.enter_context((home / view.name).open("wb")) for view in views]
        for folder in folders:
            try:
                report = load(folder)
                lines = [_lines(view, folder.name, report) for view in views]
            except JoulebatchError as error:
                left_out.append(LeftOut(folder.name, str(error)))
            except (ValueError, LookupError) as error:  # what was tampered with need not make sense
                left_out.append(LeftOut(folder.name, f"makes no sense: {_first_line(error)}"))
            else:
                for file, found in zip(files, lines, strict=True):
                    file.write(found)
    return left_out


def _lines(view: View, report_id: str, report: Report) -> bytes:
    assert view.rows is not None
    # The folder's name, as everywhere a report is asked for: it may be a renamed copy.
    rows = [{**row, "report_id": report_id} for row in view.rows(report)]
    for row in rows:
        for name, value in row.items():
            if isinstance(value, int) and not -_LARGEST - 1 <= value <= _LARGEST:
                raise ValueError(f"{name} needs more than 64 bits")
    return b"".join(to_json(row, inf_nan_mode="null") + b"\n" for row in rows)


def _load_table(connection: "duckdb.DuckDBPyConnection", view: View, home: Path) -> None:
    columns = ", ".join(f"{_name(column.name)}: {_literal(column.type)}" for column in view.columns)
    order = ", ".join(_name(column.name) for column in view.columns)
    path = _literal(str(home / view.name))
    connection.execute(
        f"CREATE TABLE {_name(view.name)} AS SELECT {order} "  # noqa: S608 - all of it is ours, and quoted
        f"FROM read_json({path}, format = 'newline_delimited', columns = {{{columns}}})"
    )
    (home / view.name).unlink()


def _samples(
    connection: "duckdb.DuckDBPyConnection", folders: Sequence[Path], view: View
) -> tuple[list[Path], list[LeftOut]]:
    """Return the samples of complete reports, and which of them are none."""
    import duckdb  # noqa: PLC0415 - costs 0.1 s

    wanted = {column.name for column in view.columns} - {"report_id"}
    found: list[Path] = []
    broken: list[LeftOut] = []
    for folder in folders:
        path = folder.absolute() / SAMPLES_NAME
        if not (folder / REPORT_NAME).exists():
            continue
        try:
            schema = connection.execute("SELECT name FROM parquet_schema($path)", {"path": no_pattern(path)})
            absent = sorted(wanted - {name for (name,) in schema.fetchall()})
            reason = f"{SAMPLES_NAME} has no {', '.join(absent)}" if absent else ""
        except duckdb.Error as error:
            reason = f"Cannot read {path}: {_first_line(error)}"
        if reason:
            broken.append(LeftOut(folder.name, reason))
        else:
            found.append(path)
    return found, broken


def _samples_view(view: View, paths: Sequence[Path]) -> str:
    """Return the statement that makes a view of all samples; the name of their folder is the report's id."""
    name = _name(view.name)
    if not paths:
        return (
            f"CREATE TABLE {name} ({', '.join(f'{_name(each.name)} {each.type}' for each in view.columns)})"
        )
    columns = ", ".join(
        "parse_path(filename)[-2] AS report_id" if each.name == "report_id" else _name(each.name)
        for each in view.columns
    )
    files = _literal([no_pattern(path) for path in paths])
    return f"CREATE VIEW {name} AS SELECT {columns} FROM read_parquet({files}, filename = true)"  # noqa: S608 - ours


def _rows(result: "duckdb.DuckDBPyConnection") -> Iterator[tuple[object, ...]]:
    with _explained():
        while rows := result.fetchmany(_ROWS_AT_ONCE):
            yield from rows


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what DuckDB says into one line of ours."""
    import duckdb  # noqa: PLC0415 - costs 0.1 s

    try:
        yield
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise FileError(_WHAT, got=_first_line(error)) from error
    except RuntimeError as error:  # the class that DuckDB raises for Ctrl-C, with these words
        if "interrupted" not in str(error):
            raise
        raise KeyboardInterrupt from error
    except (OverflowError, ValueError) as error:  # a date or an interval that Python has no value for
        raise UsageError(_WHAT, got=_first_line(error), fix="Cast it to VARCHAR") from error
    except duckdb.InvalidInputException as error:
        if "pytz" not in str(error):
            raise UsageError(_WHAT, got=_first_line(error), fix=_HELP) from error
        raise UsageError(
            _WHAT,
            expected="times without a zone",
            got="TIMESTAMP WITH TIME ZONE",
            fix="Cast it, as in now()::TIMESTAMP",
        ) from error
    except duckdb.Error as error:
        raise UsageError(_WHAT, got=_first_line(error), fix=_HELP) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _name(text: str) -> str:
    """Return a name as SQL quotes it: ``window`` is a word of SQL."""
    return '"' + text.replace('"', '""') + '"'


def _literal(value: str | bool | Sequence[str]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"[{', '.join(map(_literal, value))}]"
