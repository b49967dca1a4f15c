"""What ``reports prune`` keeps and removes: rules that add up, and a removal that happens whole or not at all.

A report is renamed into a hidden sibling first and deleted there. A crash in between leaves the whole report, or a
leftover that no command shows and the next prune deletes.
"""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runner.errors import FileError
from runner.report.archive import CHECKSUMS_NAME
from runner.report.disk import is_temporary, sync
from runner.report.filters import Filters, started
from runner.report.folders import JOURNAL_NAME, REPORT_NAME
from runner.report.listing import Listed

LEFTOVER_PREFIX = ".pruned-"
_SCRATCH_FOLDER, _SCRATCH_FILE = ".duckdb", "samples.parquet.part"
"""what a run that was killed while it wrote its samples leaves"""
_FOREIGN_SHOWN = 3
"""file names that a reason holds"""


@dataclass(frozen=True, slots=True)
class Keeps:
    """Which of the considered reports stay; what one rule keeps no other removes."""

    last: int = 0
    """this many of the newest"""
    daily: int = 0
    """the newest of each of the last days that have some, so many days; days are those of the run's own zone"""
    since: datetime | None = None
    named: bool = False
    ids: frozenset[str] = frozenset()
    latest: bool = False
    """the newest that can be read, whatever its folder is called"""

    @property
    def are_none(self) -> bool:
        """Whether nothing would be kept."""
        return not (self.last or self.daily or self.since or self.named or self.ids or self.latest)


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to become of a report, and why."""

    row: Listed
    reason: str
    """why it stays; empty for one that is to go"""
    size_bytes: int = 0

    @property
    def goes(self) -> bool:
        """Whether it is to be removed."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of a report that was to go; a reason where it is still there."""

    report_id: str
    size_bytes: int
    reason: str = ""
    failed: bool = False
    """the disk refused; the other reasons are somebody else's doing"""


def fates(  # noqa: PLR0913 - where, which, and what is asked of them
    reports_dir: Path,
    rows: Sequence[Listed],
    filters: Filters,
    rules: Keeps,
    *,
    interrupted: bool,
    files: Collection[str],
) -> tuple[Fate, ...]:
    """Return what is to become of every report, in their order.

    Args:
        reports_dir: where they are.
        rows: newest first.
        filters: which reports are considered; the others stay.
        rules: which of these stay.
        interrupted: whether reports of interrupted runs are considered.
        files: names of what a report's folder holds.
    """
    spared = {
        row.report_id: _spared(reports_dir / row.report_id, row, filters, interrupted, files) for row in rows
    }
    considered = [row for row in rows if not spared[row.report_id]]
    latest = max(rows, key=started).report_id if rows else ""  # an unreadable one counts as the oldest
    kept = _kept(sorted(considered, key=started, reverse=True), rules, latest)
    return tuple(
        _fate(reports_dir, row, spared[row.report_id] or kept.get(row.report_id, "")) for row in rows
    )


def _fate(reports_dir: Path, row: Listed, reason: str) -> Fate:
    return Fate(row, reason, 0 if reason else size_of(reports_dir / row.report_id))


def _spared(folder: Path, row: Listed, filters: Filters, interrupted: bool, files: Collection[str]) -> str:
    """Return why no rule is asked about a report; empty for one that is considered."""
    if folder.is_symlink():
        return "a link, which is never followed"
    if row.status == "unreadable":
        return "unreadable: nobody can tell what it is"
    if row.status == "running":
        return "running"
    if not filters.fit(row):
        return "not what the filters ask for"
    if row.status == "interrupted" and not interrupted:
        return "interrupted: only its journal holds what was measured; --interrupted considers it"
    return _foreign(folder, files)


def _foreign(folder: Path, files: Collection[str]) -> str:
    """Return what a folder holds that no run wrote; whoever put it there may want it."""
    own = {JOURNAL_NAME, REPORT_NAME, CHECKSUMS_NAME, *files}
    own |= {_SCRATCH_FILE}
    try:
        with os.scandir(folder) as entries:
            foreign = sorted(
                entry.name
                for entry in entries
                if not (
                    entry.is_file(follow_symlinks=False)
                    and (entry.name in own or is_temporary(entry.name, own))
                )
                and not (entry.is_dir(follow_symlinks=False) and entry.name == _SCRATCH_FOLDER)
            )
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    more = "…" if len(foreign) > _FOREIGN_SHOWN else ""
    return f"holds what no run wrote: {', '.join(foreign[:_FOREIGN_SHOWN])}{more}" if foreign else ""


def _kept(newest_first: Sequence[Listed], rules: Keeps, latest: str) -> dict[str, str]:
    """Return the considered reports that a rule keeps, with that rule."""
    kept: dict[str, str] = {}
    days: set[str] = set()
    for place, row in enumerate(newest_first):
        moment = started(row)
        new_day = moment.date().isoformat() not in days
        days.add(moment.date().isoformat())
        if row.report_id in rules.ids or (rules.latest and row.report_id == latest):
            kept[row.report_id] = "--keep"
        elif rules.named and row.name:
            kept[row.report_id] = "--keep-named"
        elif place < rules.last:
            kept[row.report_id] = f"--keep-last {rules.last}"
        elif rules.since and moment >= rules.since:
            kept[row.report_id] = "--keep-since"
        elif new_day and len(days) <= rules.daily:
            kept[row.report_id] = f"--keep-daily {rules.daily}"
    return kept


def size_of(folder: Path) -> int:
    """Return how much a folder holds; what vanishes meanwhile, or cannot be read, counts nothing."""
    total_bytes = 0
    for home, _, names in os.walk(folder):
        for name in names:
            try:
                total_bytes += os.lstat(f"{home}/{name}").st_size
            except OSError:
                continue
    return total_bytes


def leftovers(reports_dir: Path) -> tuple[Path, ...]:
    """Return what a prune that was killed had taken out of sight and not deleted."""
    try:
        return tuple(
            sorted(
                path
                for path in reports_dir.iterdir()
                if path.name.startswith(LEFTOVER_PREFIX) and path.is_dir() and not path.is_symlink()
            )
        )
    except OSError:
        return ()


def delete(leftover: Path) -> None:
    """Delete what was taken out of sight; another prune may be at it too.

    Raises:
        FileError: the disk refuses.
    """
    try:
        while leftover.exists():
            try:
                shutil.rmtree(leftover)
            except FileNotFoundError:
                continue
    except OSError as error:
        raise FileError(
            f"Cannot delete {leftover}",
            got=str(error.strerror),
            fix="It is a report no more: delete the folder by hand",
        ) from error


def remove(fate: Fate, reports_dir: Path, files: Collection[str]) -> Removal:
    """Remove a report whole, unless it is not any more what was decided on."""
    report_id = fate.row.report_id
    folder, hidden = reports_dir / report_id, reports_dir / f"{LEFTOVER_PREFIX}{report_id}"
    try:
        with _held(folder) as is_free:
            if not is_free:
                return Removal(report_id, 0, "in use by another process")
            changed = folder.is_symlink() or _status_now(folder) != fate.row.status
            if reason := "changed meanwhile" if changed else _foreign(folder, files):
                return Removal(report_id, 0, reason)
            folder.rename(hidden)
            sync(reports_dir)  # before anything is deleted: a power cut must not bring half a report back
            delete(hidden)
    except FileNotFoundError:
        return Removal(report_id, 0, "gone already")
    except FileError as error:
        return Removal(report_id, 0, str(error), failed=True)
    except OSError as error:
        return Removal(report_id, 0, f"cannot be removed: {error.strerror}", failed=True)
    return Removal(report_id, fate.size_bytes)


def _status_now(folder: Path) -> str:
    """Return the state of a report whose lock is ours; raises FileNotFoundError where it is gone."""
    folder.lstat()
    return "complete" if (folder / REPORT_NAME).exists() else "interrupted"


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Hold the lock that a run takes, so that none resumes the report while it goes; yields whether it was free."""
    try:
        stream = (folder / JOURNAL_NAME).open("rb")
    except FileNotFoundError:  # no journal that a run could write
        yield True
        return
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
