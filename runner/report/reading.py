"""``report.json`` as a report, or one line that says why it is none."""

from pathlib import Path

from pydantic import ValidationError
from pydantic_core import from_json

from runner.errors import FileError
from runner.report.references import broken_reference
from runner.report.schema import Report
from runner.report.validation import said
from runner.report.versions import check_version, upgraded_report, version_of


def read_report(path: Path, fix: str) -> tuple[Report, int]:
    """Return the report in a file, and the schema version that it was written in.

    Args:
        path: of ``report.json``.
        fix: what to do about one that is damaged.

    Raises:
        FileError: it cannot be read, is none of ours, or is of a newer version.
    """
    what = f"Cannot read {path}"
    try:
        raw = from_json(path.read_bytes(), allow_inf_nan=False)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileError(what, got=str(error.strerror)) from error
    except ValueError as error:
        raise FileError(what, expected="JSON", got=str(error), fix=fix) from error
    version = version_of(raw)
    check_version(what, version)
    try:
        report = Report.model_validate(upgraded_report(raw, version) if isinstance(raw, dict) else raw)
    except ValidationError as error:
        raise FileError(what, expected="a report", got=said(error), fix=fix) from error
    if broken := broken_reference(report):
        raise FileError(what, expected="a report", got=broken, fix=fix)
    return report, version
