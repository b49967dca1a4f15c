"""What the reader of reports makes of files that no run wrote: ``python -m benchmarks.fuzz --cases 100000``.

Every case is a small report, or its journal, with one to three things done to it, and follows from its seed alone. The
file is read as by ``reports show`` and ``reports list``; what can be read is shown in every data format and as
Markdown, and parts of it as tables and verified. Anything but a report or a typed error is a crash, which is printed
with its seed.
"""

import argparse
import io
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from runner.errors import JoulebatchError
from runner.render import FORMATS, render
from runner.render.archived import RENDERINGS
from runner.report import archive
from runner.report.folders import JOURNAL_NAME, REPORT_NAME
from runner.report.journal import Journal
from runner.report.listing import listing
from runner.report.schema import Report
from runner.report.verify import verify
from tests.fakes import cell_key, make_journal
from tests.hostile import damaged, edited
from tests.queues import with_queue

_VERIFIED_SHARE = 0.05
_DETAILED_SHARE = 0.7
_TABLE_SHARE = 0.1
_CASES_A_LINE = 5000


def write_small(folder: Path) -> None:
    """Write a complete report with a bit of everything, small enough to be read some thousand times."""
    folder.mkdir(parents=True)
    lines = make_journal(
        backends=("cpu", "cuda"),
        batch_sizes=(1, 2),
        blocks=2,
        inferences=3,
        energy="measured",
        outcomes={cell_key("alexnet", "cuda", 2): ("failed", "out of memory")},
        disturbed={0: "foreign CPU time 31 %"},
        idle_w=(20.0, 20.4),
        notes=("random weights",),
    )
    with Journal(folder) as journal:
        for line in with_queue(lines, blocks=2, requests=8, energy=True):
            journal.write(line)
    archive.finish(folder, RENDERINGS)


class Reader:
    """Reads damaged copies of one report."""

    def __init__(self, whole: Path, folder: Path) -> None:
        """Args: the report as it was written; the folder of the copies, which is not there yet."""
        shutil.copytree(whole, folder)
        self._folder = folder
        self._bytes = {name: (whole / name).read_bytes() for name in (REPORT_NAME, JOURNAL_NAME)}
        self._tree = json.loads(self._bytes[REPORT_NAME])
        self._lines = [json.loads(line) for line in self._bytes[JOURNAL_NAME].splitlines()]

    def read(self, rng: Random) -> str:
        """Read one damaged copy and return what came of it; whatever is no typed error passes through."""
        report_path, journal_path = (self._folder / name for name in (REPORT_NAME, JOURNAL_NAME))
        is_journal = rng.random() < 0.3  # noqa: PLR2004 - a third: a journal has fewer readers
        if is_journal:
            report_path.unlink(missing_ok=True)
            journal_path.write_bytes(self._journal(rng))
        else:
            broken = rng.random() < 0.2  # noqa: PLR2004 - most bytes that are hit give no JSON, which is soon known
            data = self._bytes[REPORT_NAME]
            report_path.write_bytes(damaged(data, rng) if broken else edited(self._tree, rng))
            journal_path.write_bytes(self._bytes[JOURNAL_NAME])
        listing(self._folder.parent)
        what = "journal" if is_journal else "report"
        try:
            report = archive.load(self._folder)
        except JoulebatchError as error:
            if "\n" in str(error):
                raise RuntimeError("an error of several lines") from error
            return f"{what}: {type(error).__name__}"
        _show(report, rng)
        if not is_journal and rng.random() < _VERIFIED_SHARE:
            return f"{what}: shown, {self._verified()}"
        return f"{what}: shown"

    def _journal(self, rng: Random) -> bytes:
        if rng.random() < 0.2:  # noqa: PLR2004 - as above
            return damaged(self._bytes[JOURNAL_NAME], rng)
        lines = self._bytes[JOURNAL_NAME].splitlines(keepends=True)
        place = rng.randrange(len(lines))
        match rng.randrange(4):
            case 0:
                del lines[place]
            case 1:
                lines.insert(rng.randrange(len(lines)), lines[place])
            case _:
                lines[place] = edited(self._lines[place], rng) + b"\n"
        return b"".join(lines)

    def _verified(self) -> str:
        try:
            checks = tuple(verify(self._folder, RENDERINGS))
        except JoulebatchError as error:
            return type(error).__name__
        return "differs" if any(check.differences for check in checks) else "verified"


def _show(report: Report, rng: Random) -> None:
    # A terminal's tables take as long as all else together, and say what Markdown says.
    names = [*sorted(FORMATS.keys() - {"table"}), *(["table"] if rng.random() < _TABLE_SHARE else [])]
    for name in names:
        render(
            report, name, io.StringIO(), details=rng.random() < _DETAILED_SHARE, width=rng.choice((40, 120))
        )
    RENDERINGS[rng.choice(sorted(RENDERINGS))](report)
    written = report.model_dump_json()
    if Report.model_validate_json(written).model_dump_json() != written:
        raise RuntimeError("does not survive a round trip")


def main() -> int:
    """Return 1 if anything crashed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first case; the next has the next")
    asked = parser.parse_args()
    tally, done, began_s = Tally(), 0, time.monotonic()
    with (
        tempfile.TemporaryDirectory() as scratch,
        suppress(KeyboardInterrupt),
    ):  # what was tried so far counts
        write_small(Path(scratch, "whole"))
        reader = Reader(Path(scratch, "whole"), Path(scratch, "reports", "2026-11-23T21-34-05-k3f9"))
        for seed in range(asked.seed, asked.seed + asked.cases):
            tally.add(reader, seed)
            done += 1
            if done % _CASES_A_LINE == 0:
                print(f"{done} cases, {sum(tally.crashes.values())} crashes", file=sys.stderr, flush=True)
    for outcome, count in sorted(tally.outcomes.items()):
        print(f"{outcome:32}{count:>9}")
    crashed, took_s = sum(tally.crashes.values()), time.monotonic() - began_s
    print(f"{done} cases in {took_s:.0f} s, {crashed} crashes; go on with --seed {asked.seed + done}")
    for where, count in tally.crashes.most_common():
        print(f"  {count:>6} {where}")
    return 1 if crashed else 0


@dataclass(frozen=True, slots=True)
class Tally:
    """How many cases came to what."""

    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)

    def add(self, reader: Reader, seed: int) -> None:
        """Try one case; print the first crash of every kind."""
        try:
            self.outcomes[reader.read(Random(seed))] += 1  # noqa: S311 - no secrets here
        except Exception as error:  # noqa: BLE001 - every crash is what is looked for
            frames = [
                f"{Path(each.filename).name}:{each.lineno}"
                for each in traceback.extract_tb(error.__traceback__)
            ]
            where = f"{type(error).__name__} in {frames[-1]}"
            self.crashes[where] += 1
            if self.crashes[where] == 1:
                print(f"seed {seed}: {where}: {error!s:.200} via {' > '.join(frames[-5:])}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
