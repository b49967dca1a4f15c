"""A report with the latencies of all its windows, whether its run ended or not."""

from collections.abc import Sequence
from pathlib import Path

from runner.errors import FileError
from runner.report.archive import load, making_sense
from runner.report.assemble import collect
from runner.report.derive import derive
from runner.report.folders import REPORT_NAME, is_being_written
from runner.report.journal import read_journal
from runner.report.samples import SAMPLES_NAME, read_samples
from runner.report.schema import Report
from runner.stats.summary import Numbers


def load_with_latencies(folder: Path) -> tuple[Report, Sequence[Numbers]]:
    """Return the report of a folder and, by window, the latency of every inference.

    Raises:
        FileError: a file cannot be read, is none of ours, or the samples are not those of the report's windows.
    """
    if not (folder / REPORT_NAME).exists():
        with making_sense(folder):
            assembled = collect(read_journal(folder))
            report = derive(assembled.report, assembled.latencies_s, assembled.replays)
        status = "running" if is_being_written(folder) else "interrupted"
        return report.model_copy(update={"status": status}), assembled.latencies_s
    report, samples = load(folder), read_samples(folder)
    if [sample.cell for sample in samples] != [window.cell for window in report.windows]:
        raise FileError(
            f"Cannot use {folder / SAMPLES_NAME}",
            expected=f"samples of the report's {len(report.windows)} windows",
            got=f"those of {len(samples)}, or of others",
            fix=f"See what differs: joulebatch reports verify {folder.name}",
        )
    return report, [sample.latencies_s for sample in samples]
