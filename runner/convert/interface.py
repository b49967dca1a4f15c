"""What a converter is: a report in, what another tool reads out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.report.schema import Report


@dataclass(frozen=True, slots=True)
class Request:
    """A report and how it is to be converted; a field of one converter alone is None for the others."""

    folder: Path
    """of the report, for a converter that hands on its files"""
    report: Report
    force: bool = False
    """whether what is there already may be replaced, or be made once more"""
    tracking_uri: str | None = None
    experiment: str | None = None
    self_contained: bool | None = None


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion gave."""

    data: bytes
    """what the file or standard output gets; of a converter that sends elsewhere, where to look"""
    notes: tuple[str, ...] = ()
    """what the result does not hold, for people"""


class Converter(Protocol):
    """Puts a report into the form of another tool."""

    def __call__(self, request: Request) -> Converted:
        """Return the report in that form.

        Raises:
            AbsentError: a library or a server that it needs is not there, or there is nothing to convert.
            FileError: the report is not as it must be.
        """
