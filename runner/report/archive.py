"""The life of a report's folder: created, written to, finished, found again and loaded.

Whether a report is running, interrupted or complete follows from the folder alone: only complete ones have
``report.json``, which never changes again; a journal that is locked belongs to a run that is alive.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from runner.errors import FileError, UsageError, nearest
from runner.hashing import hash_file
from runner.report.assemble import assemble
from runner.report.disk import locked, replace_file
from runner.report.folders import JOURNAL_NAME, REPORT_NAME, is_report, report_folders, status_of
from runner.report.journal import read_journal
from runner.report.reading import read_report
from runner.report.samples import SAMPLES_NAME, write_samples
from runner.report.schema import Report

CHECKSUMS_NAME = "SHA256SUMS"
LATEST = "latest"

_SUFFIX_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # without what is misread: 0 o, 1 i l
_SUFFIX_LENGTH = 4  # 31**4: about a million ids for one second and name
_NAME_LENGTH = 40  # keeps folder names within what people can read and every file system can hold


def create(reports_dir: Path, name: str | None, now: datetime) -> Path:
    """Return a new folder whose name, the report's id, sorts by time (UTC) and is safe in every file system.

    Raises:
        FileError: the folder cannot be made.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", (name or "").lower())[:_NAME_LENGTH].strip("-")
    stem = "-".join(filter(None, (f"{now.astimezone(UTC):%Y-%m-%dT%H-%M-%S}", slug)))
    while True:
        suffix = "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(_SUFFIX_LENGTH))
        folder = reports_dir / f"{stem}-{suffix}"
        try:
            reports_dir.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            if reports_dir.is_dir():
                continue
            raise FileError(
                f"Cannot create a report in {reports_dir}",
                expected="a folder",
                got="a file",
                fix="Pass another --reports-dir",
            ) from None
        except OSError as error:
            raise FileError(
                f"Cannot create a report in {reports_dir}",
                got=str(error.strerror),
                fix="Pass another --reports-dir",
            ) from error
        return folder


def finish(folder: Path, renderings: Mapping[str, Callable[[Report], str]]) -> Report:
    """Return the report of a run that has ended, after writing it: samples, renderings, checksums, itself last.

    Each is written whole or not at all, and all of them or none: what cannot be finished leaves the folder as it was.
    The journal must be closed by its ``EndLine``: its checksum is taken here. Who finishes a report holds the journal
    while it goes on, so that nobody resumes or prunes it.

    Args:
        folder: of the report.
        renderings: by file name, what makes the text of that file.

    Raises:
        FileError: the report is complete already, or the disk refuses.
    """
    try:
        with locked(folder):
            return _finish(folder, renderings)
    except OSError as error:
        raise FileError(
            f"Cannot finish the report in {folder}",
            got=str(error),
            fix="Free some space; the journal there keeps what was measured",
        ) from error


def _finish(folder: Path, renderings: Mapping[str, Callable[[Report], str]]) -> Report:
    if (folder / REPORT_NAME).exists():
        raise FileError(
            f"Cannot write {folder / REPORT_NAME}",
            expected="a report that is not complete",
            got="one that is",
        )
    report = assemble(read_journal(folder))
    data = (report.model_dump_json(indent=1) + "\n").encode()
    made = (SAMPLES_NAME, *renderings, CHECKSUMS_NAME)
    try:
        write_samples(folder, [window.paired for window in report.windows])
        for name, render in renderings.items():
            replace_file(folder / name, render(report).encode())
        hashes = {name: hash_file(folder / name) for name in (JOURNAL_NAME, SAMPLES_NAME, *renderings)}
        hashes[REPORT_NAME] = hashlib.sha256(data).hexdigest()
        # Two spaces: the form that `sha256sum --check` reads (coreutils manual, "md5sum invocation").
        sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
        replace_file(folder / CHECKSUMS_NAME, sums.encode())
        replace_file(folder / REPORT_NAME, data)
    except BaseException:
        if not (folder / REPORT_NAME).exists():  # its name is there from the moment on that all is written
            for name in made:
                with suppress(OSError):
                    (folder / name).unlink()
        raise
    return report


def resolve(reports_dir: Path, text: str) -> Path:
    """Return the folder that is meant by ``latest``, an id, a unique prefix of one, or a path.

    Raises:
        FileError: no report is there.
        UsageError: no id begins so, or several do.
    """
    path = Path(text)
    if is_report(path):
        return path
    if path.name == REPORT_NAME and _is_file(path):
        return path.parent
    folders = {folder.name: folder for folder in report_folders(reports_dir)}
    what = f"Cannot find report {text!r}" if text != LATEST else "Cannot find a report"
    if not folders:
        raise FileError(
            what,
            expected=f"reports in {reports_dir}",
            got="none",
            fix="Pass another --reports-dir, or run: joulebatch run",
        )
    if text == LATEST:
        return folders[max(folders)]
    matches = (
        [text] if text in folders else sorted(name for name in folders if text and name.startswith(text))
    )
    match matches:
        case [only]:
            return folders[only]
        case []:
            fix = nearest(text, tuple(sorted(folders, reverse=True)))
            raise UsageError(
                what,
                expected=f"latest, a path, or the start of an id in {reports_dir}",
                got=repr(text),
                fix=fix,
            )
        case _:
            raise UsageError(what, expected="one report", got=", ".join(matches), fix="Write more of the id")


def load(folder: Path) -> Report:
    """Return the report of a folder; one that is not complete is assembled from its journal.

    Raises:
        FileError: it cannot be read, is none of ours, or is of a newer schema version.
    """
    try:
        return load_with_version(folder)[0]
    except FileNotFoundError:
        # Whatever its last line says: a run that ended while its report was written did not complete it.
        with making_sense(folder):
            return assemble(read_journal(folder)).model_copy(update={"status": status_of(folder)})


@contextmanager
def making_sense(folder: Path) -> Iterator[None]:
    """Turn what goes wrong with the figures of a journal into an error of its file.

    Raises:
        FileError: its windows give no figures.
    """
    try:
        yield
    except (ArithmeticError, LookupError, ValueError) as error:  # what was edited need not make sense
        raise FileError(
            f"Cannot read {folder / JOURNAL_NAME}", expected="windows that give figures", got=str(error)
        ) from error


def load_with_version(folder: Path) -> tuple[Report, int]:
    """Return the report of a folder that is complete, and the schema version that it was written in.

    Raises:
        FileNotFoundError: it is not complete.
        FileError: as of ``load``.
    """
    path = folder / REPORT_NAME
    return read_report(path, _rebuild(path))


def _rebuild(path: Path) -> str:
    return (
        f"Move it away to rebuild the report from {JOURNAL_NAME}"
        if (path.parent / JOURNAL_NAME).exists()
        else ""
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # longer than any name can be, or in a folder that is closed to us
        return False
