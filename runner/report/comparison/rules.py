"""Named rules: what two reports must have in common for their cells to be compared.

Each rule is a fact about a cell of a report as a text; two sides agree where the texts are equal. A fact that a report
does not hold is empty, and an empty one on either side agrees with everything: older reports are no accusation.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from runner.report.comparison.evidence import METRICS, GateMetric
from runner.report.schema import BackendEntry, Cell, ModelEntry, QueueCell, Report, SessionEntry

Action = Literal["refuse", "warn"]
AnyCell = Cell | QueueCell
BETWEEN: Final = " <> "
"""between the facts of runs that were to be of one thing and differ; no name of a processor or a file holds it"""


@dataclass(frozen=True, slots=True)
class Context:
    """A cell with what its report says of its model, backend and session."""

    report: Report
    cell: AnyCell
    model: ModelEntry | None
    backend: BackendEntry
    session: SessionEntry | None

    @property
    def on_gpu(self) -> bool:
        """Whether it computes on a GPU."""
        return self.backend.device == "gpu"

    def session_fact(self, name: str) -> str:
        """Return what the worker said of its session, or nothing."""
        return self.session.facts.get(name, "") if self.session else ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What must be the same on both sides."""

    name: str
    what: str
    """that is compared, in words"""
    action: Action
    """refuse: such cells are not compared; warn: they are, and it is said"""
    remedy: str
    fact: Callable[[Context], str]
    metrics: tuple[GateMetric, ...] = METRICS
    """that a difference refuses; the others are compared"""


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule whose facts differ."""

    rule: Rule
    reference: str
    new: str
    action: Action
    """of the rule, or warn where it was let through"""


def contexts(report: Report) -> Iterator[Context]:
    """Yield every cell of a report with its surroundings."""
    models = {(entry.name, entry.variant): entry for entry in report.models}
    backends = {entry.label: entry for entry in report.backends}
    sessions = {(entry.model, entry.contender): entry for entry in report.sessions}
    cells: tuple[AnyCell, ...] = (*report.cells, *(report.queue.cells if report.queue else ()))
    for cell in cells:
        model = models.get((cell.model, cell.variant))
        yield Context(report, cell, model, backends[cell.backend], sessions.get((cell.model, cell.contender)))


def facts(context: Context) -> dict[str, str]:
    """Return a cell's facts by the name of their rule."""
    return {rule.name: rule.fact(context) for rule in RULES.values()}


def breaches(
    reference: Mapping[str, str], new: Mapping[str, str], allowed: frozenset[str]
) -> tuple[Breach, ...]:
    """Return the rules by which two cells differ, in the order of the registry; runs of a side may differ, too."""
    return tuple(
        Breach(rule, reference[name], new[name], "warn" if name in allowed else rule.action)
        for name, rule in RULES.items()
        if (old := reference.get(name)) and (own := new.get(name)) and (old != own or BETWEEN in old)
    )


def _written_options(context: Context) -> str:
    """Return a backend as its spec is written, without its label and its interpreter, which have a rule."""
    options = context.backend.spec.partition(":")[2]
    pairs = sorted(part.strip() for part in options.split(",") if part.strip())
    return f"{context.backend.name}:{','.join(pairs)}" if pairs else context.backend.name


def _provider(context: Context) -> str:
    session = context.session
    if session is None or not session.nodes_by_provider:
        return ""
    providers = ", ".join(sorted(name for name, count in session.nodes_by_provider.items() if count))
    return f"{providers} ({session.placement})"


def _runtime(context: Context) -> str:
    versions = context.report.environment.versions
    return context.session_fact("onnxruntime") or (
        versions.get("torch", "") if context.backend.name == "torch" else ""
    )


def _gpus(context: Context) -> str:
    return ", ".join(gpu.name for gpu in context.report.environment.gpus) if context.on_gpu else ""


def _power_limits(context: Context) -> str:
    limits = [gpu.power_limit_w for gpu in context.report.environment.gpus] if context.on_gpu else []
    return ", ".join("unknown" if limit is None else f"{limit:g} W" for limit in limits)


def _drivers(context: Context) -> str:
    gpus = context.report.environment.gpus if context.on_gpu else ()
    return ", ".join(dict.fromkeys(gpu.driver for gpu in gpus))


def _meters(context: Context) -> str:
    energy = context.cell.summary.energy if context.cell.summary else None
    return f"{' + '.join(energy.domains)} by {', '.join(energy.sources)}" if energy else ""


def _inputs(context: Context) -> str:
    provenance = context.report.provenance
    config = provenance.config
    parts = [f"{name} {config[name]}" for name in ("shapes", "input_values") if config.get(name)]
    if isinstance(context.cell, QueueCell):  # traces and images are served by queues only
        parts += [f"{name} {digest[:12]}" for name, digest in sorted(provenance.files.items())]
    return "; ".join(parts) or "random, seeded"


def _requests(context: Context) -> str:
    if isinstance(context.cell, Cell):
        return ""
    load = context.cell.load
    rate = "as traced" if load.request_rate_hz is None else f"{load.request_rate_hz:.3g}/s"
    return f"{load.request_count} requests, {rate}{', decoded' if load.decoded else ''}"


_ALL = (
    Rule(
        "model-hash",
        "the model file (sha256)",
        "refuse",
        "Measure the same file, or pass --allow model-hash where the two files are what you compare",
        lambda each: each.model.sha256[:12] if each.model else "",
    ),
    Rule(
        "weights",
        "the model's weights",
        "refuse",
        "Export both with the same weights",
        lambda each: each.model.weights if each.model else "",
    ),
    Rule(
        "provider",
        "the providers that ran the nodes, and the placement",
        "refuse",
        "Find out with joulebatch doctor why nodes ran elsewhere",
        _provider,
    ),
    Rule(
        "backend-options",
        "the backend with its options, as written",
        "refuse",
        "Give different options different labels",
        _written_options,
    ),
    Rule(
        "threads",
        "threads of the session",
        "refuse",
        "Set threads= of the backend",
        lambda each: each.session_fact("intra_op_num_threads"),
    ),
    Rule(
        "cpu",
        "the processor's name",
        "refuse",
        "Measure both on the same kind of machine",
        lambda each: each.report.environment.cpu,
    ),
    Rule(
        "usable-cores",
        "cores that affinity and quota leave",
        "refuse",
        "Give both the same affinity and quota",
        lambda each: f"{each.report.environment.usable_cores:g}",
    ),
    Rule("gpu", "the GPUs, of cells on a GPU", "refuse", "Measure both on the same kind of GPU", _gpus),
    Rule(
        "power-limit",
        "the GPUs' power limits",
        "refuse",
        "Set the same limit with nvidia-smi -pl",
        _power_limits,
    ),
    Rule(
        "inputs", "shapes, input values, traces and images", "refuse", "Pass the same inputs to both", _inputs
    ),
    Rule(
        "requests",
        "request count and rate of a queue cell",
        "refuse",
        "Pass the same rates, absolute",
        _requests,
    ),
    Rule(
        "meters",
        "the domains that energy is summed over, and their meters",
        "refuse",
        "See joulebatch doctor for what is missing on one side",
        _meters,
        ("energy",),
    ),
    Rule(
        "onnxruntime-version",
        "the version of ONNX Runtime, or of PyTorch",
        "warn",
        "Fine where the versions are what you compare; compare them in one run to know more",
        _runtime,
    ),
    Rule(
        "interpreter",
        "the Python that ran the session",
        "warn",
        "Pass the same --interpreter",
        lambda each: each.session_fact("python") or each.report.environment.python,
    ),
    Rule("gpu-driver", "the GPUs' driver", "warn", "Update both machines alike", _drivers),
    Rule(
        "governor",
        "the CPU frequency governor",
        "warn",
        "Set the same one on both",
        lambda each: each.report.environment.governor or "",
    ),
    Rule(
        "host",
        "the machine's name",
        "warn",
        "Measure both on one machine; two of one kind differ, too",
        lambda each: each.report.environment.host,
    ),
    Rule(
        "profile",
        "the profile",
        "warn",
        "Pass the same --profile",
        lambda each: each.report.provenance.profile,
    ),
    Rule(
        "joulebatch-version",
        "the version of joulebatch",
        "warn",
        "Measure both with one version",
        lambda each: each.report.joulebatch,
    ),
)
RULES: Final[Mapping[str, Rule]] = {rule.name: rule for rule in _ALL}
"""by name; the page docs/compare.md lists them"""
IDENTITY: Final = tuple(rule.name for rule in _ALL if rule.action == "refuse")
"""the rules by which repeated runs are runs of one thing"""
