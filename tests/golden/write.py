"""Writes the golden report of the schema version of today, once: ``python -m tests.golden.write``.

What an earlier version wrote can never be made again, so a folder that is there is never written to. The run is made
up, and as much as one run can hold happens in it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from runner.errors import FileError
from runner.meters.interface import Energy, Estimated, Unavailable
from runner.render.archived import RENDERINGS
from runner.report import archive
from runner.report.journal import Journal
from runner.report.lines import HeaderLine, Line, WindowLine
from runner.report.schema import SCHEMA_VERSION
from tests.fakes import cell_key, make_journal
from tests.queues import with_queue
from tests.variants import split_variants

GOLDEN = Path(__file__).parent / "reports"
"""a folder per version"""
_VERSION = "0.1.0+golden"
"""that no installed joulebatch has: as of any other version, wording is not compared"""
_MODEL = "shufflenet_v2_x0_5"
_ENERGIES: tuple[Energy, ...] = (
    Estimated("cpu_package", "--cpu-watts 20:65", 1.5, 0.5, 2.5),
    Unavailable("dram", "no powercap directory", "Run on bare metal"),
)
"""of one window whose meters were lost, so that every kind of energy is there"""


def golden_journal() -> tuple[Line, ...]:
    """Return the lines of a run in which every kind of line and every status occurs."""
    lines = make_journal(
        (_MODEL,),
        ("cpu", "cpu:threads=1", "cuda", "cpu#fp16"),
        (1, 2),
        pace_hz=20,
        mixed=(2, 1),
        blocks=6,
        inferences=12,
        energy="measured",
        profile="publication",
        outcomes={
            cell_key(_MODEL, "cuda", 2): ("failed", "out of memory"),
            cell_key(_MODEL, "cuda", 2, io="device"): ("skipped", "larger than memory"),
            cell_key(_MODEL, "cpu:threads=1", 2, 20): (
                "overloaded",
                "an inference takes longer than its pace",
            ),
        },
        slowness={"cpu:threads=1": 0.7, "cpu#fp16": 2.5},
        notes=(f"{_MODEL}: random weights",),
        disturbed={1: "other processes took 0.3 s of CPU time in 0.5 s on 2 cores"},
        idle_w=(20.0, 20.4),
        workers=3,
        killed_in=2,
    )
    queued = with_queue(
        split_variants(_one_window_changed(lines), {"fp16": "verified"}),
        ("fixed:2", "greedy:2", "timeout:2@50ms"),
        blocks=6,
        requests=40,
        energy=True,
        outcomes={"timeout:2@50ms": ("overloaded", "a request had waited 10 s")},
    )
    return tuple(
        line.model_copy(update={"name": "Golden report", "joulebatch": _VERSION})
        if isinstance(line, HeaderLine)
        else line
        for line in queued
    )


def _one_window_changed(lines: Sequence[Line]) -> tuple[Line, ...]:
    place = next(place for place, line in enumerate(lines) if isinstance(line, WindowLine))
    window = lines[place]
    assert isinstance(window, WindowLine)
    entry = window.entry.model_copy(update={"energy": _ENERGIES, "flags": ("a meter was lost",)})
    return (*lines[:place], window.model_copy(update={"entry": entry}), *lines[place + 1 :])


def write_golden(folder: Path) -> None:
    """Write the report into a folder that is not there yet.

    Raises:
        FileError: it is.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise FileError(f"Cannot write {folder}", expected="no such folder", got="a golden report") from None
    with Journal(folder) as journal:
        for line in golden_journal():
            journal.write(line)
    archive.finish(folder, RENDERINGS)


if __name__ == "__main__":
    target = GOLDEN / f"v{SCHEMA_VERSION}"
    write_golden(target)
    sys.stdout.write(f"{target}\n")
