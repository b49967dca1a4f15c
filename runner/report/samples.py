"""``samples.parquet``: every inference of a run as one row, read from the journal by duckdb."""

from pathlib import Path

from runner.errors import FileError
from runner.report.disk import sync
from runner.report.journal import JOURNAL_NAME

SAMPLES_NAME = "samples.parquet"

_LONGEST_LINE_BYTES = 16 * 1024 * 1024
"""duckdb's own limit, which is raised for longer windows"""

_ROWS = """
WITH journal AS (
    SELECT * FROM read_json(
        $journal, format = 'newline_delimited', maximum_object_size = $longest_bytes,
        columns = {
            kind: 'VARCHAR', model: 'VARCHAR', variant: 'VARCHAR', block: 'INTEGER', latencies_s: 'DOUBLE[]',
            entry: 'STRUCT(cell VARCHAR, block INTEGER)',
            cells: 'STRUCT("key" VARCHAR, model VARCHAR, variant VARCHAR)[]'
        }
    )
), planned AS (
    SELECT DISTINCT unnest(cells, recursive := true) FROM journal WHERE kind = 'header'
), finished AS (
    SELECT DISTINCT "key" AS cell, block
    FROM (SELECT model, variant, block FROM journal WHERE kind = 'block') JOIN planned USING (model, variant)
), windows AS (
    SELECT entry.cell AS cell, entry.block AS block, latencies_s, row_number() OVER () - 1 AS "window"
    FROM journal WHERE kind = 'window'
)
SELECT
    cell, block, "window"::INTEGER AS "window",
    generate_subscripts(latencies_s, 1)::INTEGER - 1 AS inference,
    unnest(latencies_s) AS latency_s, paired
FROM (
    SELECT windows.*, finished.cell IS NOT NULL AS paired
    FROM windows LEFT JOIN finished USING (cell, block)
)
ORDER BY "window", inference
"""


def write_samples(folder: Path) -> Path:
    """Write ``samples.parquet`` beside the journal in a report's folder and return its path.

    Its columns are cell, block, window (the place in the report's ``windows``), inference (the place in its
    window), latency_s and paired. A run without windows gives no rows and the same columns.

    Raises:
        FileError: the journal cannot be read, or the disk is full.
    """
    import duckdb  # noqa: PLC0415 - costs 0.1 s, and only a finished run needs it

    journal, target = folder / JOURNAL_NAME, folder / SAMPLES_NAME
    part = target.with_suffix(".parquet.part")
    try:
        with journal.open("rb") as lines:
            longest_bytes = max(_LONGEST_LINE_BYTES, max(map(len, lines), default=0))
        with duckdb.connect(config=_settings(folder)) as connection:
            rows = connection.sql(_ROWS, params={"journal": str(journal), "longest_bytes": longest_bytes})
            rows.write_parquet(str(part), compression="zstd")
        sync(part)
        part.replace(target)
    except (OSError, duckdb.Error) as error:
        part.unlink(missing_ok=True)
        detail = str(error).splitlines()[0]
        raise FileError(
            f"Cannot write {target}", got=detail, fix="The journal beside it holds the same"
        ) from error
    return target


def _settings(folder: Path) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "autoinstall_known_extensions": False,  # JSON and Parquet are in the wheel; nothing is downloaded
        "autoload_known_extensions": False,
        "threads": 1,  # keeps the windows in the order of the journal
        "memory_limit": "512MB",  # what does not fit is sorted on the disk
        "temp_directory": str(folder / ".duckdb"),
    }
