"""How long ``reports list`` and ``reports query`` take with many reports, as whole processes.

Run from the checkout: ``python -m benchmarks.archive [--counts 1000,3000,10000] [--rounds N]``. The archive is made in
a temporary folder from the reports in ``reports/reference``: the real header line of each, with another id, host and
name, its first windows and its real last line; ``report.json`` is a hard link to one copy, since listing only looks
whether it is there. Goal: 10,000 reports in at most 1 s in every format, the start of the interpreter included, and
CPU time that grows no faster than the number of reports. The query, over whole copies, has no goal.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "reports" / "reference"
GOAL_S = 1.0
GOAL_COUNT = 10_000
LINEAR = 1.2
"""how much more a report of the last step may cost than one of all, for noise"""
BODY_BYTES = 1 << 16
"""of each journal's windows that are kept, so that its two ends lie on different pages"""
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FORMATS = ("table", "json", "csv")
QUERY_COUNT = 1000
QUERIES = (
    "SELECT status, count(*) FROM runs GROUP BY ALL",
    "SELECT model, backend, median(latency_s) FROM cells GROUP BY ALL",
    "SELECT cell, count(*) FROM windows GROUP BY ALL",
    "SELECT cell, quantile_cont(latency_s, 0.99) FROM inferences GROUP BY ALL",
)


def sources() -> list[Path]:
    """Return the reports that the archive is made of."""
    return sorted(folder for folder in REFERENCE.iterdir() if (folder / "report.json").exists())


def make_listed(reports_dir: Path, first: int, last: int) -> None:
    """Add reports ``first`` to ``last`` (excluded) that are as good as whole ones for a listing."""
    parts = []
    for source in sources():
        header, *body, end = (source / "journal.jsonl").read_bytes().splitlines(keepends=True)
        link = reports_dir.parent / f"{source.name}.json"
        if not link.exists():
            shutil.copyfile(source / "report.json", link)
        parts.append(
            (json.loads(header), b"".join(body)[:BODY_BYTES].rpartition(b"\n")[0] + b"\n" + end, link)
        )
    for number in range(first, last):
        header, rest, link = parts[number % len(parts)]
        folder = reports_dir / identify(header, number)
        folder.mkdir(parents=True)
        line = json.dumps(header, separators=(",", ":")).encode() + b"\n"
        (folder / "journal.jsonl").write_bytes(line + rest)
        (folder / "report.json").hardlink_to(link)


def make_whole(reports_dir: Path, count: int) -> None:
    """Make so many whole reports."""
    for number in range(count):
        source = sources()[number % len(sources())]
        report = json.loads((source / "report.json").read_bytes())
        folder = reports_dir / identify(report, number)
        shutil.copytree(source, folder)
        (folder / "report.json").write_text(json.dumps(report, indent=1))


def identify(head: dict[str, object], number: int) -> str:
    """Give a header or report an id, a start, a host and a name of its own; return the id."""
    started = BEGAN + timedelta(minutes=17 * number)
    suffix = "".join("23456789abcdefgh"[number >> shift & 15] for shift in (12, 8, 4, 0))
    environment = head["environment"]
    assert isinstance(environment, dict)
    environment["host"] = f"host{number % 7}"
    report_id = f"{started:%Y-%m-%dT%H-%M-%S}-{suffix}"
    name = f"night {number // 10}" if number % 3 == 0 else None
    head |= {"report_id": report_id, "started_at": started.isoformat(), "name": name}
    return report_id


@dataclass(frozen=True, slots=True)
class Taken:
    """What a process took from its start to its end."""

    wall_s: float
    cpu_s: float
    """what wall time would be on a machine that does nothing else, or less with two threads"""


def take(*arguments: str) -> Taken:
    """Run a command and return what it took."""
    command = [sys.executable, "-m", "runner", "reports", *arguments]
    started_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    wall_s, after = time.perf_counter() - started_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def drop_from_memory(reports_dir: Path) -> None:
    """Ask the kernel to forget what the journals hold; names of files it keeps (posix_fadvise needs no rights)."""
    os.sync()
    for journal in reports_dir.glob("*/journal.jsonl"):
        descriptor = os.open(journal, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def time_listing(counts: Sequence[int], rounds: int, home: Path) -> bool:
    """Print how long listing takes by number of reports; return whether the goals were met."""
    reports_dir, made, met = home / "reports", 0, True
    reports_dir.mkdir()
    seconds: dict[str, list[float]] = {name: [] for name in FORMATS}
    print(f"{'reports list, s':<18}{'reports':>8}{'fastest':>9}{'median':>9}{'CPU time':>10}")
    for count in counts:
        make_listed(reports_dir, made, count)
        made = count
        for name in FORMATS:
            arguments = ("list", "-f", name, "--reports-dir", str(reports_dir))
            take(*arguments)  # fills the disk cache
            taken = [take(*arguments) for _ in range(rounds)]
            walls, middle_cpu_s = [each.wall_s for each in taken], median(each.cpu_s for each in taken)
            seconds[name].append(middle_cpu_s)
            verdict = ""
            if count >= GOAL_COUNT:
                met &= median(walls) <= GOAL_S
                verdict = "  met" if median(walls) <= GOAL_S else f"  missed: {GOAL_S} s"
            figures = f"{min(walls):>9.3f}{median(walls):>9.3f}{middle_cpu_s:>10.3f}"
            print(f"{name:<18}{count:>8,}{figures}{verdict}", flush=True)
    if len(counts) > 2:  # noqa: PLR2004 - two steps to compare
        for name, taken_s in seconds.items():
            met &= is_linear(name, counts, taken_s)
    drop_from_memory(reports_dir)
    cold_s = take("list", "-f", "csv", "--reports-dir", str(reports_dir)).wall_s
    print(f"csv, journals not in memory: {cold_s:.2f} s for {made:,} reports (no goal)")
    return met


def is_linear(name: str, counts: Sequence[int], taken_s: Sequence[float]) -> bool:
    """Print what a report costs in CPU time, over all and over the last step, and return whether that stays."""
    whole_us = (taken_s[-1] - taken_s[0]) / (counts[-1] - counts[0]) * 1e6
    last_us = (taken_s[-1] - taken_s[-2]) / (counts[-1] - counts[-2]) * 1e6
    verdict = "linear" if last_us <= LINEAR * whole_us else "MORE THAN LINEAR"
    print(f"{name}: {whole_us:.1f} us of CPU per report, {last_us:.1f} us over the last step: {verdict}")
    return last_us <= LINEAR * whole_us


def time_query(count: int, home: Path) -> None:
    """Print how long some queries take."""
    reports_dir = home / "whole"
    make_whole(reports_dir, count)
    print(f"\nreports query over {count:,} whole reports (no goal)")
    for query in QUERIES:
        taken = take("query", query, "-f", "csv", "--reports-dir", str(reports_dir))
        print(f"{taken.wall_s:>7.2f} s, CPU time {taken.cpu_s:>5.2f} s  {query}", flush=True)


def main() -> int:
    """Measure, print, and return 1 when a goal was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", default="1000,3000,10000", help="ascending")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--query-reports", type=int, default=QUERY_COUNT, help="0 times no query")
    arguments = parser.parse_args()
    counts = tuple(int(each) for each in arguments.counts.split(","))
    with tempfile.TemporaryDirectory() as home:
        met = time_listing(counts, arguments.rounds, Path(home))
        if arguments.query_reports:
            time_query(arguments.query_reports, Path(home))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
