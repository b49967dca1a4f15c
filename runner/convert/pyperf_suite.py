"""A report as a pyperf benchmark suite: a benchmark per measured cell, whose values are its windows' mean latencies.

pyperf's units are second, byte and integer, and it calls every change faster or slower, so energy stays out.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from io import StringIO
from math import fsum
from typing import TYPE_CHECKING

from runner.convert.interface import Converted, Request
from runner.errors import AbsentError
from runner.report.evidence import figure_windows
from runner.report.schema import Cell, Report, SessionEntry, Window

if TYPE_CHECKING:
    import pyperf  # type: ignore[import-untyped]  # it brings no types

Metadata = dict[str, str | int | float]


def convert(request: Request) -> Converted:
    """Return pyperf's JSON.

    Raises:
        AbsentError: pyperf is not installed, or no cell was measured.
    """
    try:
        import pyperf  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise AbsentError(
            "Cannot convert to pyperf",
            expected="the package pyperf",
            got="none",
            fix='Run: python -m pip install "joulebatch[pyperf]"',
        ) from error
    report = request.report
    places = figure_windows(report.windows)
    benchmarks = [
        pyperf.Benchmark([*_runs(report, cell, [report.windows[place] for place in places[cell.key]])])
        for cell in report.cells
        if cell.status == "measured" and cell.key in places
    ]
    if not benchmarks:
        raise AbsentError(
            f"Cannot convert report {report.report_id} to pyperf",
            expected="a measured cell",
            got="none",
            fix=f"Run: joulebatch reports show {report.report_id}",
        )
    stream = StringIO()
    pyperf.BenchmarkSuite(benchmarks).dump(stream)
    return Converted(stream.getvalue().encode(), tuple(_notes(report, len(benchmarks))))


def _notes(report: Report, count: int) -> Iterator[str]:
    if left_out := len(report.cells) - count:
        yield f"left out: {left_out} of {len(report.cells)} cells, which were not measured"
    if report.queue and report.queue.cells:
        yield f"left out: {len(report.queue.cells)} queue cells; --to mlflow and github-action-benchmark have them"


def _runs(report: Report, cell: Cell, windows: Sequence[Window]) -> "Iterator[pyperf.Run]":
    """Yield a run per worker; one with windows of several lengths gives several, as loops are a run's and true."""
    import pyperf  # noqa: PLC0415 - the same

    common = _metadata(report, cell)
    by_run: dict[tuple[int, int], list[Window]] = defaultdict(list)
    for window in windows:
        by_run[window.worker, window.inference_count].append(window)
    # Which worker's it was is known only where no resume started others.
    first_s = None if report.resumes else cell.first_inference_s
    for place, ((worker, inference_count), own) in enumerate(sorted(by_run.items())):
        metadata = {
            **common,
            "loops": inference_count,
            "worker": worker,
            "duration": fsum(window.wall_s for window in own),
        }
        yield pyperf.Run(
            [window.latency_mean_s for window in own],
            warmups=[(1, first_s)] if first_s and place == 0 else None,
            metadata=metadata,
            collect_metadata=False,
        )


def _metadata(report: Report, cell: Cell) -> Metadata:
    """Return what pyperf has names for, then what is ours; it refuses empty texts and those of several lines."""
    environment, load = report.environment, cell.load
    sessions = {(each.model, each.contender): each for each in report.sessions}
    session = sessions.get((cell.model, cell.contender))
    python = session.facts.get("python") if session else None
    what = f"a pass over batches of {', '.join(map(str, load.mixed))}" if load.mixed else "an inference"
    images = "1 image" if load.batch_size == 1 else f"{load.batch_size} images"
    facts: dict[str, str | float | None] = {
        "name": cell.key,
        "unit": "second",
        "inner_loops": 1,
        "description": f"latency of {what}, {images}: the mean of each window",
        # pyperf's own dates are local and name no zone; the whole one follows.
        "date": datetime.fromisoformat(report.started_at).replace(tzinfo=None).isoformat(" "),
        "hostname": environment.host,
        "platform": f"{environment.os}, {environment.kernel}",
        "cpu_model_name": environment.cpu,
        "cpu_count": environment.cores,
        "python_version": python or environment.python,
        "mem_max_rss": cell.peak_memory_bytes,
        **_own_metadata(report, cell),
        **_session_metadata(session, environment.versions),
    }
    return {name: _line(value) for name, value in facts.items() if value is not None and value != ""}


def _own_metadata(report: Report, cell: Cell) -> dict[str, str | float | None]:
    """Return what was run and how."""
    file = next((e for e in report.models if (e.name, e.variant) == (cell.model, cell.variant)), None)
    backend = next((each for each in report.backends if each.label == cell.backend), None)
    return {
        "report_id": report.report_id,
        "started_at": report.started_at,
        "joulebatch_version": report.joulebatch,
        "profile": report.provenance.profile,
        "model": cell.model,
        "model_sha256": file.sha256 if file else None,
        "variant": cell.variant,
        "quality": file.quality if file else None,
        "backend": cell.backend,
        "backend_spec": backend.spec if backend else None,
        "io": cell.io,
        "batch_size": cell.load.batch_size,
        "pace_hz": cell.load.pace_hz,
        "gap_s": cell.load.gap_s or None,
        "mixed": ",".join(map(str, cell.load.mixed)),
        "first_inference_s": cell.first_inference_s,
        "warm_up_inferences": cell.warm_up_inferences or None,
        "unstable": cell.summary.unstable if cell.summary else None,
    }


def _session_metadata(
    session: SessionEntry | None, packages: Collection[str]
) -> dict[str, str | float | None]:
    """Return what the session said of itself; its versions are those of the interpreter that it ran under."""
    if session is None:
        return {}
    return {
        "parity": session.parity.status if session.parity else None,
        "placement": session.placement,
        **{
            f"{name}_version" if name in packages else name if "." in name else f"session.{name}": fact
            for name, fact in session.facts.items()
            if name != "python"  # pyperf has a name for it
        },
    }


def _line(value: str | float) -> str | int | float:
    """Return a value without characters that end a line; what they were can still be read."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value)
