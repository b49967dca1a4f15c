"""Which reports of a listing are meant: by model, backend, host, name, status and time; and in which order."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runner.errors import UsageError, nearest
from runner.report.listing import Listed

_DAYS = {"m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0}
_AGE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([mhdw])\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked of a report; of several texts under one word any may fit, and empty asks nothing.

    A text fits what holds it, in whatever case: ``vit`` fits ``vit_b_16``.
    """

    models: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    """of labels and specs"""
    hosts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    since: datetime | None = None
    statuses: tuple[str, ...] = ()

    def fit(self, row: Listed) -> bool:
        """Return whether a report is meant; of an unreadable one only the status is known."""
        if self.statuses and row.status not in self.statuses:
            return False
        return row.status == "unreadable" or all(fits(row) for _, fits in self._asked())

    @property
    def need_content(self) -> bool:
        """Whether something is asked that an unreadable report cannot answer."""
        return bool(self._asked())

    def why_none(self, rows: Sequence[Listed]) -> str:
        """Return why nothing fits: what each filter alone leaves of the reports, and what there is instead."""
        parts = [f"{asked} fits {sum(map(fits, rows))}" for asked, fits in self._asked()]
        if self.statuses:
            left = sum(row.status in self.statuses for row in rows)
            parts.append(f"--status {' '.join(self.statuses)} fits {left}")
        return f"none of {len(rows)} fits: {', '.join(parts)}"

    def _asked(self) -> tuple[tuple[str, Callable[[Listed], bool]], ...]:
        """Return the filters that were set, but the status, each as its flags and its test."""
        texts: tuple[tuple[str, tuple[str, ...], Callable[[Listed], Iterable[str]]], ...] = (
            ("--model", self.models, lambda row: row.models),
            ("--backend", self.backends, lambda row: (*row.backends, *row.specs)),
            ("--host", self.hosts, lambda row: filter(None, (row.host,))),
            ("--name", self.names, lambda row: filter(None, (row.name,))),
        )
        asked = [(f"{flag} {' '.join(wanted)}", _holds(wanted, of)) for flag, wanted, of in texts if wanted]
        if (since := self.since) is not None:
            asked.append((f"--since {since:%Y-%m-%d %H:%M %z}", lambda row: started(row) >= since))
        return tuple(asked)


def _holds(wanted: tuple[str, ...], of: Callable[[Listed], Iterable[str]]) -> Callable[[Listed], bool]:
    folded = [text.casefold() for text in wanted]
    return lambda row: any(text in value.casefold() for value in of(row) for text in folded)


def started(row: Listed) -> datetime:
    """Return when a run was started, in UTC where it says no zone; of an unreadable one the beginning of time."""
    if row.started_at is None:
        return datetime.min.replace(tzinfo=UTC)
    moment = datetime.fromisoformat(row.started_at)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_since(text: str, flag: str, now: datetime) -> datetime:
    """Return the moment that a date, an ISO time or an age before now names; without a zone it is local.

    Raises:
        UsageError: none of these.
    """
    try:
        if age := _AGE.fullmatch(text):
            return now - timedelta(days=float(age[1]) * _DAYS[age[2].lower()])
        moment = datetime.fromisoformat(text.strip())
        return moment if moment.tzinfo else moment.astimezone()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"Cannot read {flag}",
            expected="a date, a time or an age",
            got=repr(text),
            fix="Write for example 2026-11-24, 2026-11-24T18:30+01:00, 7d or 12h",
        ) from None


_Key = Callable[[Listed], object]
SORTS: dict[str, tuple[_Key, bool]] = {
    "started": (started, True),
    "id": (lambda row: row.report_id, False),
    "name": (lambda row: row.name.casefold() if row.name else None, False),
    "host": (lambda row: row.host.casefold() if row.host else None, False),
    "status": (lambda row: row.status, False),
    "duration": (lambda row: row.measured_s, True),
    "models": (lambda row: row.models or None, False),
    "backends": (lambda row: row.backends or None, False),
    "cells": (lambda row: row.cell_count, True),
}
"""by the word after ``--sort``: what is compared, and whether the largest comes first"""


def in_order(rows: Iterable[Listed], sort: str, *, reverse: bool) -> tuple[Listed, ...]:
    """Return reports in an order; those without what is compared come last, unreadable ones after them.

    Args:
        rows: newest first, which stays the order of equals.
        sort: of ``SORTS``.
        reverse: whether to turn the order of this word round.

    Raises:
        UsageError: an unknown word.
    """
    if sort not in SORTS:
        raise UsageError(
            "Cannot sort", expected="a column to sort by", got=repr(sort), fix=nearest(sort, tuple(SORTS))
        )
    key, descending = SORTS[sort]
    readable, unreadable = _split(rows, lambda row: row.status != "unreadable")
    comparable, others = _split(readable, lambda row: key(row) is not None)
    comparable.sort(key=key, reverse=descending != reverse)  # type: ignore[arg-type] # no None is left
    return (*comparable, *others, *unreadable)


def _split(rows: Iterable[Listed], test: Callable[[Listed], bool]) -> tuple[list[Listed], list[Listed]]:
    fitting: list[Listed] = []
    rest: list[Listed] = []
    for row in rows:
        (fitting if test(row) else rest).append(row)
    return fitting, rest
