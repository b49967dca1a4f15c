"""``samples.parquet``: every inference of a run as one row, written and read by duckdb."""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.errors import FileError
from runner.report.disk import sync
from runner.report.folders import JOURNAL_NAME

SAMPLES_NAME = "samples.parquet"

_LONGEST_LINE_BYTES = 16 * 1024 * 1024
"""duckdb's own limit, which is raised for longer windows"""

_ROWS = """
WITH windows AS (
    SELECT entry.cell AS cell, entry.block AS block, latencies_s, row_number() OVER () - 1 AS "window"
    FROM read_json(
        $journal, format = 'newline_delimited', maximum_object_size = $longest_bytes,
        columns = {
            kind: 'VARCHAR', latencies_s: 'DOUBLE[]', entry: 'STRUCT(cell VARCHAR, block INTEGER)'
        }
    )
    WHERE kind = 'window'
)
SELECT
    cell, block, "window"::INTEGER AS "window",
    generate_subscripts(latencies_s, 1)::INTEGER - 1 AS inference,
    unnest(latencies_s) AS latency_s, ($paired::BOOLEAN[])["window" + 1] AS paired
FROM windows
ORDER BY "window", inference
"""

_WINDOWS = """
SELECT cell, block, "window", paired, list(latency_s ORDER BY inference) AS latencies_s
FROM read_parquet($path) GROUP BY ALL ORDER BY "window"
"""
_WINDOWS_AT_ONCE = 1000
"""rows of lists that are held as Python objects, some 10 MB for windows of 300 inferences"""


@dataclass(frozen=True, slots=True)
class SampledWindow:
    """What the rows of one window say."""

    cell: str
    block: int
    window: int
    """its place in the report's ``windows``"""
    paired: bool
    latencies_s: "array[float]"


def write_samples(folder: Path, paired: Sequence[bool]) -> Path:
    """Write ``samples.parquet`` beside the journal in a report's folder and return its path.

    Its columns are cell, block, window (the place in the report's ``windows``), inference (the place in its
    window), latency_s and paired. A run without windows gives no rows and the same columns.

    Args:
        folder: of the report.
        paired: by window, as the report says.

    Raises:
        FileError: the journal cannot be read, or the disk is full.
    """
    import duckdb  # noqa: PLC0415 - costs 0.1 s, and only a finished run needs it

    journal, target = folder / JOURNAL_NAME, folder / SAMPLES_NAME
    part = target.with_suffix(".parquet.part")
    try:
        with journal.open("rb") as lines:
            longest_bytes = max(_LONGEST_LINE_BYTES, max(map(len, lines), default=0))
        params = {"journal": no_pattern(journal), "longest_bytes": longest_bytes, "paired": list(paired)}
        with duckdb.connect(config=_settings(folder)) as connection:
            connection.sql(_ROWS, params=params).write_parquet(str(part), compression="zstd")
        sync(part)
        part.replace(target)
    except (OSError, duckdb.Error) as error:
        part.unlink(missing_ok=True)
        detail = str(error).splitlines()[0]
        raise FileError(
            f"Cannot write {target}", got=detail, fix="The journal beside it holds the same"
        ) from error
    return target


def read_samples(folder: Path) -> tuple[SampledWindow, ...]:
    """Return what ``samples.parquet`` in a report's folder says, by window.

    Raises:
        FileError: it is not there, or none of ours.
    """
    import duckdb  # noqa: PLC0415 - costs 0.1 s, and most commands read no samples

    path = folder / SAMPLES_NAME
    found: list[SampledWindow] = []
    try:
        with path.open("rb"), duckdb.connect(config=_settings(folder)) as connection:
            rows = connection.execute(_WINDOWS, {"path": no_pattern(path)})
            while chunk := rows.fetchmany(_WINDOWS_AT_ONCE):
                found += (
                    SampledWindow(cell, block, window, paired, array("d", latencies_s))
                    for cell, block, window, paired, latencies_s in chunk
                )
    except (OSError, TypeError, duckdb.Error) as error:  # TypeError: a row without a latency
        detail = str(error).splitlines()[0]
        raise FileError(f"Cannot read {path}", expected="samples of a report", got=detail) from error
    return tuple(found)


def no_pattern(path: Path) -> str:
    """Return a path as DuckDB takes it for the one that it is: a star in it would stand for other folders' names."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))


def _settings(folder: Path) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "autoinstall_known_extensions": False,  # JSON and Parquet are in the wheel; nothing is downloaded
        "autoload_known_extensions": False,
        "threads": 1,  # keeps the windows in the order of the journal
        "memory_limit": "512MB",  # what does not fit is sorted on the disk
        "temp_directory": str(folder / ".duckdb"),
    }
