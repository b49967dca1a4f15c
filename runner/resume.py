"""Which run is to go on, with what it was begun, and whether it may go on here and now."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from runner.config import RunConfig
from runner.errors import FileError, UsageError
from runner.report.archive import LATEST, resolve
from runner.report.folders import JOURNAL_NAME, REPORT_NAME, is_being_written, report_folders
from runner.report.journal import read_journal, torn_bytes
from runner.report.lines import HeaderLine
from runner.report.schema import Gpu, SessionEntry
from runner.so_far import SoFar, so_far_of

_SAME_MEMORY_RATIO = 0.01
"""what the kernel keeps for itself differs by some megabytes from one boot to the next"""


def resumable(reports_dir: Path, text: str) -> Path:
    """Return the folder of a run that can go on: an id, a path, or ``latest`` of those that are not complete.

    Raises:
        UsageError: it is complete, or its run goes on.
        FileError: no report is there.
    """
    if text == LATEST:
        folders = [each for each in report_folders(reports_dir) if not (each / REPORT_NAME).exists()]
        if not folders:
            raise UsageError(
                "Cannot resume", expected=f"a report in {reports_dir} that is not complete", got="none"
            )
        folder = max(folders, key=lambda each: each.name)
    else:
        folder = resolve(reports_dir, text)
    _refuse_complete(folder)
    if is_being_written(folder):
        raise UsageError(
            f"Cannot resume {folder.name}", expected="a run that has ended", got="one that goes on"
        )
    return folder


def _refuse_complete(folder: Path) -> None:
    if (folder / REPORT_NAME).exists():
        raise UsageError(
            f"Cannot resume {folder.name}", expected="a report that is not complete", got="one that is"
        )


def resumed_config(header: HeaderLine) -> RunConfig:
    """Return the configuration that a run was begun with.

    Raises:
        FileError: this joulebatch does not understand it.
    """
    try:
        return RunConfig.read(header.provenance.config)
    except UsageError as error:
        raise FileError(
            f"Cannot resume {header.report_id}, begun by joulebatch {header.joulebatch}",
            got=str(error),
            fix="Resume it with that version",
        ) from error


def read_so_far(folder: Path) -> SoFar:
    """Return what the journal of a run says that was interrupted or killed.

    Only under the journal's lock does it hold for longer than a moment.

    Raises:
        UsageError: another run completed it meanwhile.
        FileError: no journal, or none that can be read.
    """
    _refuse_complete(folder)
    lines = read_journal(folder)
    header = next(lines, None)
    if not isinstance(header, HeaderLine):
        raise FileError(
            f"Cannot resume {folder.name}",
            expected=f"a {JOURNAL_NAME} that begins with a header",
            got="a run that was ended before it began",
            fix="Start a new run",
        )
    return so_far_of(header, lines, torn_bytes(folder))


def check_unchanged(so_far: SoFar, header_now: HeaderLine) -> None:
    """Check that models, backends, versions, meters and machine are those that the run was begun with.

    Raises:
        FileError: its stretches could not be compared; the message names what was and what is.
    """
    then, now = dict(_identity(so_far.header)), dict(_identity(header_now))
    was_bytes, is_bytes = (header.environment.memory_bytes for header in (so_far.header, header_now))
    if abs(is_bytes - was_bytes) > _SAME_MEMORY_RATIO * was_bytes:
        then["memory"], now["memory"] = f"{was_bytes} bytes", f"{is_bytes} bytes"
    _refuse_changes(f"Cannot resume {so_far.header.report_id}", then, now)


def check_session(was: SessionEntry | None, now: SessionEntry) -> None:
    """Check that a backend opened the model as it did in earlier stretches, if it did.

    Raises:
        FileError: another library, placement or setting; the message names what was and what is.
    """
    if was is None or "failed" in {was.status, now.status}:
        return
    then = {**was.facts, "nodes": str(was.nodes_by_provider)}
    here = {**now.facts, "nodes": str(now.nodes_by_provider)}
    _refuse_changes(f"Cannot resume {now.model} on {now.contender}", then, here)


def _refuse_changes(what: str, then: Mapping[str, str], now: Mapping[str, str]) -> None:
    changed = [subject for subject in {**then, **now} if then.get(subject) != now.get(subject)]
    if changed:
        raise FileError(
            what,
            expected=", ".join(f"{subject} {then.get(subject, 'absent')}" for subject in changed),
            got=", ".join(f"{subject} {now.get(subject, 'absent')}" for subject in changed),
            fix="Go back to what it was begun with, or start a new run",
        )


def _identity(header: HeaderLine) -> Iterator[tuple[str, str]]:
    """Yield, by subject, what must be the same in all stretches of a run."""
    machine = header.environment
    yield "host", machine.host
    yield "kernel", machine.kernel
    yield "CPU", machine.cpu
    yield "cores", f"{machine.cores} ({machine.usable_cores:g} usable)"
    yield "GPUs", "; ".join(map(_describe, machine.gpus)) or "none"
    yield "python", machine.python
    yield from machine.versions.items()
    for model in header.models:
        yield f"model {model.name} {model.variant}", f"sha256 {model.sha256}"
    for name, sha256 in header.provenance.files.items():
        yield name, f"sha256 {sha256}"
    for backend in header.backends:
        options = ",".join(f"{key}={value}" for key, value in sorted(backend.options.items()))
        by = f" by {backend.interpreter}" if backend.interpreter else ""
        yield f"backend {backend.label}", f"{backend.name}:{options}{by}"
    for meter in header.meters:
        yield f"meter of {meter.domain}", " ".join((meter.status, meter.source, *meter.devices)).strip()
    for number, cell in enumerate(header.cells, start=1):
        yield f"cell {cell.key}", f"as number {number}"


def _describe(gpu: Gpu) -> str:
    limit = "" if gpu.power_limit_w is None else f", {gpu.power_limit_w:g} W"
    return f"{gpu.name} {gpu.uuid} with {gpu.memory_bytes} bytes{limit}, driver {gpu.driver}"
