"""An archive as one page that opens from disk, offline: its reports, two of them compared, a cell over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.render import numbers
from runner.render.html.shell import render_page, static_text
from runner.render.html.site_data import address_of, site_data, started_text
from runner.report.overview import Entry


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page lies and what it may load."""

    reports: str
    """the folder of reports, relative to the page"""
    scripts: tuple[str, ...]
    """that draw, relative to the page; none where they are not there"""
    name: str
    """of the archive, for people"""


@dataclass(frozen=True, slots=True)
class _Row:
    """A report in the table."""

    entry: Entry
    address: str
    started: str


def site_page(
    entries: Sequence[Entry], place: Place, log_t: Sequence[float], built: datetime, by: str
) -> str:
    """Return the page of an archive.

    Args:
        entries: its reports, the newest first.
        place: where the page lies.
        log_t: quantiles of t, by which it computes limits.
        built: when.
        by: which version of joulebatch.
    """
    counts = dict.fromkeys(("complete", "running", "interrupted", "unreadable"), 0)
    for entry in entries:
        counts[entry.status] += 1
    context = {
        "rows": tuple(
            _Row(entry, address_of(entry, place.reports), started_text(entry)) for entry in entries
        ),
        "counts": ", ".join(f"{count} {status}" for status, count in counts.items() if count),
        "archive": place.name,
        "data": site_data(entries, place.reports, log_t),
        "models": sorted({model for entry in entries for model in entry.models}),
        "backends": sorted({backend for entry in entries for backend in entry.backends}),
        "hosts": sorted({entry.host for entry in entries if entry.host}),
        "built": numbers.moment(built.isoformat()),
        "version": by,
        "site_style": static_text("site.css"),
    }
    return render_page("site.html.jinja", context, sources=place.scripts, inlined=(static_text("site.js"),))
