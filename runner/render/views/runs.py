"""The views ``runs``, ``models`` and ``backends``: what was run, where, and what it compared."""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from runner.report.schema import Report
from runner.report.views import Column, View

REPORT_ID = Column("report_id", "VARCHAR", "id of the report: the name of its folder")


def utc(iso_text: str | None) -> str | None:
    """Return a moment in UTC without its zone, as TIMESTAMP holds it; DuckDB's zones would need another package."""
    if iso_text is None:
        return None
    return datetime.fromisoformat(iso_text).astimezone(UTC).replace(tzinfo=None).isoformat()


def _runs(report: Report) -> Iterator[dict[str, object]]:
    environment, provenance = report.environment, report.provenance
    yield {
        "name": report.name,
        "status": report.status,
        "started_at": utc(report.started_at),
        "ended_at": utc(report.ended_at),
        "measured_s": report.measured_s,
        "command": shlex.join(provenance.argv),
        "profile": provenance.profile,
        "baseline": report.baseline_label,
        "seed": provenance.seed,
        "time_budget_s": provenance.time_budget_s,
        "target_ci_ratio": provenance.target_ci_ratio,
        "minimum_detectable_ratio": report.minimum_detectable_ratio,
        "cell_count": len(report.cells),
        "window_count": len(report.windows),
        "queue_cell_count": len(report.queue.cells) if report.queue else 0,
        "resume_count": len(report.resumes),
        "host": environment.host,
        "cpu": environment.cpu,
        "cores": environment.cores,
        "usable_cores": environment.usable_cores,
        "memory_bytes": environment.memory_bytes,
        "gpus": [gpu.name for gpu in environment.gpus],
        "gpu_drivers": [gpu.driver for gpu in environment.gpus],
        "governor": environment.governor,
        "hypervisor": environment.hypervisor,
        "os": environment.os,
        "kernel": environment.kernel,
        "python": environment.python,
        "joulebatch": report.joulebatch,
        "versions": environment.versions,
        "git_commit": environment.git.commit if environment.git else None,
        "git_dirty": environment.git.dirty if environment.git else None,
        "notes": report.notes,
        "findings": [finding.title for finding in report.findings],
    }


RUNS = View(
    "runs",
    "a report",
    (
        REPORT_ID,
        Column("name", "VARCHAR", "of --name; null without one"),
        Column("status", "VARCHAR", "complete, interrupted or running"),
        Column("started_at", "TIMESTAMP", "when it began, in UTC"),
        Column("ended_at", "TIMESTAMP", "when it ended, in UTC; null where nobody knows"),
        Column("measured_s", "DOUBLE", "wall time from start to last window", "s"),
        Column("command", "VARCHAR", "the command line"),
        Column("profile", "VARCHAR", "quick, standard or publication"),
        Column("baseline", "VARCHAR", "label of the backend that ratios are against"),
        Column("seed", "BIGINT", "of every random choice"),
        Column("time_budget_s", "DOUBLE", "of --time-budget; null without one", "s"),
        Column("target_ci_ratio", "DOUBLE", "width of interval that was aimed at", "ratio"),
        Column("minimum_detectable_ratio", "DOUBLE", "smallest ratio to the baseline told from 1", "ratio"),
        Column("cell_count", "BIGINT", "rows in cells"),
        Column("window_count", "BIGINT", "rows in windows"),
        Column("queue_cell_count", "BIGINT", "rows in queue_cells"),
        Column("resume_count", "BIGINT", "how often the run was resumed"),
        Column("host", "VARCHAR", "name of the machine"),
        Column("cpu", "VARCHAR", "model of its processor"),
        Column("cores", "BIGINT", "logical processors of the machine"),
        Column("usable_cores", "DOUBLE", "what affinity and the cgroup's quota leave"),
        Column("memory_bytes", "BIGINT", "of the machine", "bytes"),
        Column("gpus", "VARCHAR[]", "their names"),
        Column("gpu_drivers", "VARCHAR[]", "their drivers' versions, in that order"),
        Column("governor", "VARCHAR", "of the CPU's frequency; null where it is not said"),
        Column("hypervisor", "BOOLEAN", "whether it is a virtual machine"),
        Column("os", "VARCHAR", "operating system"),
        Column("kernel", "VARCHAR", "its version"),
        Column("python", "VARCHAR", "its version"),
        Column("joulebatch", "VARCHAR", "its version"),
        Column("versions", "MAP(VARCHAR, VARCHAR)", "by package: versions['onnxruntime']"),
        Column("git_commit", "VARCHAR", "of the repository that the run was started in"),
        Column("git_dirty", "BOOLEAN", "whether that had uncommitted changes"),
        Column("notes", "VARCHAR[]", "what a reader must know"),
        Column("findings", "VARCHAR[]", "titles of what the figures give away"),
    ),
    _runs,
)


def _models(report: Report) -> Iterator[dict[str, object]]:
    names = (
        "variant",
        "file",
        "sha256",
        "size_bytes",
        "opset",
        "fixed_batch",
        "weights",
        "weights_kind",
        "quality",
    )
    more = ("year", "published_accuracy", "parameter_count", "multiply_adds")
    for entry in report.models:
        yield {"model": entry.name, **{name: getattr(entry, name) for name in (*names, *more)}}


MODELS = View(
    "models",
    "a file of a model in a report",
    (
        REPORT_ID,
        Column("model", "VARCHAR", "name of the network"),
        Column(
            "variant", "VARCHAR", "fp32, fp16, int8-static or int8-dynamic, or the label of an `--onnx` file"
        ),
        Column("file", "VARCHAR", "name of the ONNX file"),
        Column("sha256", "VARCHAR", "of the file"),
        Column("size_bytes", "BIGINT", "of the file", "bytes"),
        Column("opset", "BIGINT", "of ONNX"),
        Column("fixed_batch", "BIGINT", "the only batch size of a model without a dynamic batch"),
        Column("weights", "VARCHAR", "where they come from"),
        Column("weights_kind", "VARCHAR", "pretrained, local, random or unknown"),
        Column("quality", "VARCHAR", "reference, verified, unverified or lost"),
        Column("year", "BIGINT", "of publication"),
        Column("published_accuracy", "MAP(VARCHAR, DOUBLE)", "published_accuracy['acc@1']", "ratio"),
        Column("parameter_count", "BIGINT", "of the network"),
        Column("multiply_adds", "BIGINT", "of an image"),
    ),
    _models,
)


def _backends(report: Report) -> Iterator[dict[str, object]]:
    for entry in report.backends:
        names = ("spec", "name", "device", "options", "interpreter")
        yield {"backend": entry.label, **{name: getattr(entry, name) for name in names}}


BACKENDS = View(
    "backends",
    "a backend in a report",
    (
        REPORT_ID,
        Column("backend", "VARCHAR", "its label, as in cells"),
        Column("spec", "VARCHAR", "as it was written"),
        Column("name", "VARCHAR", "without options: cpu, cuda, torch"),
        Column("device", "VARCHAR", "cpu, gpu or other"),
        Column("options", "MAP(VARCHAR, VARCHAR)", "with the values in force: options['threads']"),
        Column("interpreter", "VARCHAR", "path of another Python that ran it; null for our own"),
    ),
    _backends,
)
