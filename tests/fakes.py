"""Builders of plausible runs, for tests of everything that reads a journal or a report."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from runner.backends.interface import Io
from runner.conditions import Conditions, MachineState
from runner.meters.interface import Energy, Estimated, Measured
from runner.report.lines import (
    BlockLine,
    CellLine,
    EndLine,
    HeaderLine,
    IdleLine,
    Line,
    ModelEndLine,
    NoteLine,
    ResumeLine,
    SessionLine,
    WindowLine,
)
from runner.report.schema import (
    BackendEntry,
    Cell,
    Environment,
    Git,
    Gpu,
    IdleWindow,
    Load,
    MeterEntry,
    ModelEntry,
    Parity,
    Provenance,
    Resume,
    SessionEntry,
    Window,
)

EnergyKind = Literal["measured", "estimated", "unavailable"]
Profile = Literal["quick", "standard", "publication"]
Outcome = tuple[Literal["failed", "skipped", "overloaded", "unvisited"], str]
"""what becomes of a cell, and why; unvisited leaves no line and no window, as when the run ended before it"""

GPU = Gpu(
    uuid="GPU-5d3c1f0e",
    name="NVIDIA H100 80GB HBM3",
    driver="570.86.15",
    memory_bytes=85_520_809_984,
    power_limit_w=700.0,
)
SERVICE_S = {"alexnet": 0.029, "densenet121": 0.114, "shufflenet_v2_x0_5": 0.002, "vit_b_16": 0.253}
"""per image at batch 1, about what two cores take"""
YEARS = {
    "alexnet": 2012,
    "densenet121": 2016,
    "shufflenet_v2_x0_5": 2018,
    "vit_b_16": 2020,
    "convnext_base": 2022,
}
ACCURACIES = {
    "alexnet": 0.56522,
    "densenet121": 0.74434,
    "shufflenet_v2_x0_5": 0.60552,
    "vit_b_16": 0.81072,
    "convnext_base": 0.84062,
}
"""top-1, as torchvision publishes them"""


def cell_key(  # noqa: PLR0913, PLR0917 - what a key is made of
    model: str,
    backend: str,
    batch_size: int,
    pace_hz: float | None = None,
    io: Io = "host",
    mixed: tuple[int, ...] = (),
) -> str:
    """Return the key that ``make_journal`` gives to a cell."""
    if mixed:
        return f"{model}/fp32/{backend}/mix{','.join(map(str, mixed))}/{io}"
    pace = "" if pace_hz is None else f"@{pace_hz:g}"
    return f"{model}/fp32/{backend}/b{batch_size}{pace}/{io}"


def make_journal(  # noqa: PLR0913 - each argument is one thing a test varies
    models: Sequence[str] = ("alexnet",),
    backends: Sequence[str] = ("cpu", "torch"),
    batch_sizes: Sequence[int] = (1, 4),
    *,
    pace_hz: float | None = None,
    mixed: tuple[int, ...] = (),
    blocks: int = 5,
    inferences: int = 12,
    energy: EnergyKind = "unavailable",
    profile: Profile = "standard",
    ending: Literal["complete", "interrupted"] | None = "complete",
    outcomes: Mapping[str, Outcome] | None = None,
    parity_failed: Sequence[str] = (),
    slowness: Mapping[str, float] | None = None,
    noise_ratio: float = 0.03,
    notes: Sequence[str] = (),
    disturbed: Mapping[int, str] | None = None,
    idle_w: Sequence[float] = (),
    workers: int = 1,
    killed_in: int | None = None,
    written_by: str = "0.1.0",
    seed: int = 0,
) -> tuple[Line, ...]:
    """Return the lines of a whole run.

    Args:
        models: names; those of the study get their year and a likely speed.
        backends: specs, the first is the baseline; those of ``cuda`` compute on the GPU and have io=device.
        batch_sizes: back to back, and at the pace when there is one.
        pace_hz: images per second of the additional paced loads.
        mixed: the batch sizes of an additional mixed load, in the order of a pass.
        blocks: how many were finished; 0 gives no windows.
        inferences: per window.
        energy: what every meter says.
        profile: of the provenance only.
        ending: None leaves out the last line, as a killed run does.
        outcomes: by ``cell_key``, for cells that are not simply measured.
        parity_failed: backends whose sessions fail parity.
        slowness: factor on latency by backend; 1.25 per place in ``backends`` unless given.
        noise_ratio: standard deviation of a window's log latency.
        notes: lines of their own.
        disturbed: cause by block; its first window is twice as slow, and the block is repeated at the end.
        written_by: the version of joulebatch.
        idle_w: what the processor draws at rest before and, where a second is given, after the run.
        workers: how many processes of each backend take the blocks in turn.
        killed_in: block of the first model that the run was killed in, after half of it, and then resumed.
        seed: of all noise.
    """
    outcomes = outcomes or {}
    slowness = {name: 1.25**place for place, name in enumerate(backends)} | dict(slowness or {})
    loads = [Load(batch_size=b, pace_hz=p) for p in dict.fromkeys((None, pace_hz)) for b in batch_sizes]
    loads += [Load(batch_size=sum(mixed), pace_hz=None, mixed=mixed)] if mixed else []
    cells = [
        _planned(model, backend, load, io)
        for model, load, backend in product(models, loads, backends)
        for io in _ios(backend)
    ]
    run = _Run(random.Random(seed), slowness, inferences, energy, noise_ratio)
    moments: tuple[Literal["before", "after"], ...] = ("before", "after")
    idle = [_idle(moment, power_w) for moment, power_w in zip(moments, idle_w, strict=False)]
    header = _header(
        models, backends, cells, profile=profile, energy=energy, written_by=written_by, seed=seed
    )
    lines: list[Line] = [header]
    lines += [*(NoteLine(text=text) for text in notes), *idle[:1]]
    for model in models:
        own = [cell for cell in cells if cell.model == model]
        lines += [_session(model, backend, failed=backend in parity_failed) for backend in backends]
        lines += [_visited(cell, outcomes.get(cell.key), inferences) for cell in own if _seen(cell, outcomes)]
        running = [cell for cell in own if outcomes.get(cell.key, ("overloaded", ""))[0] == "overloaded"]
        causes = dict(disturbed or {})
        numbers = [*range(blocks), *range(blocks, blocks + len(causes))]
        for number, repeats in zip(numbers, (*(None,) * blocks, *causes), strict=True):
            worker = min(number * workers // max(blocks, 1), workers - 1)
            windows = run.block(running, number, worker, causes.get(number, ""))
            if number == killed_in and model == models[0]:
                lines += [*windows[: len(windows) // 2], *_resumed(model, backends)]
                windows = run.block(running, number, worker + 1, causes.get(number, ""))
            lines += [*windows, BlockLine(model=model, variant="fp32", block=number, repeats=repeats)]
        lines.append(ModelEndLine(model=model, variant="fp32"))
    lines += idle[1:]
    if ending:
        lines.append(EndLine(status=ending, ended_at="2026-11-23T21:39:05+00:00", measured_s=300.0))
    return tuple(lines)


@dataclass(slots=True)
class _Run:
    """Takes windows, one after the other."""

    rng: random.Random
    slowness: Mapping[str, float]
    inferences: int
    energy: EnergyKind
    noise_ratio: float
    started_s: float = 1000.0

    def block(self, cells: Sequence[Cell], number: int, worker: int, cause: str) -> list[WindowLine]:
        """Return a window of each cell; a cause makes the first one slow and disturbed."""
        drift = self.rng.gauss(0, 0.05)
        lines = []
        for cell in self.rng.sample(cells, len(cells)):
            noise = drift + self.rng.gauss(0, self.noise_ratio)
            mean_s = _latency_s(cell, self.slowness) * 2.718**noise * (2 if cause else 1)
            line = _window(cell, number, self.started_s, mean_s, self.inferences, self.energy, self.rng)
            facts = {"worker": worker, "disturbed": cause}
            lines.append(line.model_copy(update={"entry": line.entry.model_copy(update=facts)}))
            self.started_s += 0.5
            cause = ""
        return lines


def _resumed(model: str, backends: Sequence[str]) -> tuple[Line, ...]:
    entry = Resume(
        at="2026-11-24T08:00:00+00:00",
        argv=("joulebatch", "run", "--resume", "latest"),
        dropped_bytes=37,
        measured_s=60.0,
    )
    return (ResumeLine(entry=entry), *(_session(model, backend, failed=False) for backend in backends))


def _idle(moment: Literal["before", "after"], power_w: float) -> IdleLine:
    return IdleLine(
        entry=IdleWindow(
            moment=moment,
            model=None,
            started_s=900.0 if moment == "before" else 9000.0,
            wall_s=30.0,
            foreign_cpu_s=0.6,
            energy=(
                Measured(domain="cpu_package", source="pyRAPL", energy_j=30 * power_w, bound_j=0.1),
                Measured(domain="dram", source="pyRAPL", energy_j=30 * 2.5, bound_j=0.1),
                Measured(domain="gpu", source="nvml-counter", energy_j=30 * 70.0, bound_j=4.0),
            ),
        )
    )


def _ios(backend: str) -> Iterator[Io]:
    yield "host"
    if backend.startswith("cuda"):
        yield "device"


def _device(backend: str) -> Literal["cpu", "gpu"]:
    return "gpu" if backend.startswith("cuda") else "cpu"


def _planned(model: str, backend: str, load: Load, io: Io) -> Cell:
    return Cell(
        key=cell_key(model, backend, load.batch_size, load.pace_hz, io, load.mixed),
        model=model,
        variant="fp32",
        backend=backend,
        load=load,
        io=io,
        status="skipped",
        reason="not reached",
    )


def _seen(cell: Cell, outcomes: Mapping[str, Outcome]) -> bool:
    return cell.key not in outcomes or outcomes[cell.key][0] != "unvisited"


def _visited(cell: Cell, outcome: Outcome | None, inferences: int) -> CellLine:
    status, reason = outcome or (cell.status, cell.reason)  # of a cell that goes well nothing more is said
    predicted_s = 0.03 * cell.load.batch_size if outcome and status == "skipped" else None
    facts = {"status": status, "reason": reason, "predicted_inference_s": predicted_s}
    if outcome is None or status == "overloaded":
        first_s = 0.08 * cell.load.batch_size
        facts |= {"first_inference_s": first_s, "warm_up_inferences": 40, "inferences_per_window": inferences}
    return CellLine(entry=cell.model_copy(update=facts))


def _latency_s(cell: Cell, slowness: Mapping[str, float]) -> float:
    # A larger batch costs less per image; a GPU runs 20 times as fast and copies cost a tenth of that.
    batches = sum(float(size**0.9) for size in cell.load.sizes)
    service_s = SERVICE_S.get(cell.model, 0.05) * batches * slowness[cell.backend]
    if _device(cell.backend) == "gpu":
        service_s /= 20 if cell.io == "host" else 22
    return service_s


def _window(  # noqa: PLR0913, PLR0917 - what a window is made of
    cell: Cell,
    block: int,
    started_s: float,
    mean_s: float,
    inferences: int,
    energy: EnergyKind,
    rng: random.Random,
) -> WindowLine:
    latencies_s = tuple(mean_s * 2.718 ** rng.gauss(0, 0.05) for _ in range(inferences))
    busy_s = sum(latencies_s)
    pace_hz = cell.load.pace_hz
    wall_s = busy_s if pace_hz is None else max(busy_s, inferences * cell.load.batch_size / pace_hz)
    return WindowLine(
        entry=Window(
            cell=cell.key,
            block=block,
            paired=False,
            started_s=started_s,
            wall_s=wall_s,
            inference_count=inferences,
            latency_mean_s=busy_s / inferences,
            cpu_s=busy_s * (1.9 if _device(cell.backend) == "cpu" else 1.0),
            conditions=_conditions(0.02 * wall_s, wall_s),
            flags=("another worker was still busy",) if rng.random() < 0.02 else (),
            energy=_energy(cell, energy, wall_s, busy_s),
        ),
        latencies_s=latencies_s,
    )


def _conditions(foreign_cpu_s: float, wall_s: float) -> Conditions:
    before, after = MachineState(55.0, 2.7e9, "performance"), MachineState(56.0, 2.9e9, "performance")
    return Conditions(before, after, wall_s, 2, foreign_cpu_s, 0.0, 0.0, None, 4, 1, 0, 0, 0)


def _energy(cell: Cell, kind: EnergyKind, wall_s: float, busy_s: float) -> tuple[Energy, ...]:
    cpu_j = 20 * wall_s + 45 * busy_s
    gpu_j = 70 * wall_s + (400 * busy_s if _device(cell.backend) == "gpu" else 0)
    match kind:
        case "measured":
            return (
                Measured(domain="cpu_package", source="pyRAPL", energy_j=cpu_j, bound_j=0.005 * cpu_j),
                Measured(domain="dram", source="pyRAPL", energy_j=cpu_j / 8, bound_j=0.005 * cpu_j),
                Measured(domain="gpu", source="nvml-counter", energy_j=gpu_j, bound_j=0.02 * gpu_j),
            )
        case "estimated":
            return (Estimated("cpu_package", "--cpu-watts 20:65", cpu_j, cpu_j / 2, cpu_j * 2),)
        case "unavailable":
            return ()


def _header(  # noqa: PLR0913 - what a header is made of
    models: Sequence[str],
    backends: Sequence[str],
    cells: Sequence[Cell],
    *,
    profile: Profile,
    energy: EnergyKind,
    written_by: str,
    seed: int,
) -> HeaderLine:
    return HeaderLine(
        report_id="2026-11-23T21-34-05-k3f9",
        name=None,
        started_at="2026-11-23T21:34:05+00:00",
        joulebatch=written_by,
        provenance=Provenance(
            argv=("joulebatch", "run"),
            seed=seed,
            profile=profile,
            time_budget_s=300.0 if profile == "quick" else None,
            target_ci_ratio=0.02,
            baseline=backends[0],
            config={},
        ),
        environment=_environment(gpu=any(_device(backend) == "gpu" for backend in backends)),
        meters=_meters(energy),
        models=tuple(_model(model) for model in models),
        backends=tuple(
            BackendEntry(
                label=backend,
                spec=backend,
                name=backend.split(":")[0],
                device=_device(backend),
                options={"threads": "2"},
            )
            for backend in backends
        ),
        cells=tuple(cells),
    )


def _environment(*, gpu: bool) -> Environment:
    return Environment(
        host="bench",
        os="Debian GNU/Linux 13",
        kernel="6.12.48",
        python="3.11.14",
        cpu="Intel(R) Xeon(R) Platinum 8481C",
        cores=2,
        usable_cores=2.0,
        memory_bytes=8_335_749_120,
        governor=None,
        hypervisor=True,
        gpus=(GPU,) if gpu else (),
        versions={"onnxruntime": "1.32.0", "torch": "2.13.0", "joulebatch": "0.1.0"},
        git=Git(commit="0123456789abcdef0123456789abcdef01234567", dirty=False),
    )


def _meters(kind: EnergyKind) -> tuple[MeterEntry, ...]:
    match kind:
        case "measured":
            return (
                MeterEntry(domain="cpu_package", status=kind, source="pyRAPL", devices=("package-0",)),
                MeterEntry(domain="dram", status=kind, source="pyRAPL", devices=("package-0",)),
                MeterEntry(domain="gpu", status=kind, source="nvml-counter", devices=(GPU.uuid,)),
            )
        case "estimated":
            return (MeterEntry(domain="cpu_package", status=kind, source="--cpu-watts 20:65"),)
        case "unavailable":
            remedy = "Run on bare metal, or pass --cpu-watts IDLE:MAX for an estimate"
            return (
                MeterEntry(domain="cpu_package", status=kind, reason="no powercap directory", remedy=remedy),
                MeterEntry(domain="dram", status=kind, reason="no powercap directory", remedy=remedy),
                MeterEntry(domain="gpu", status=kind, reason="no NVIDIA driver"),
            )


def _model(name: str) -> ModelEntry:
    return ModelEntry(
        name=name,
        variant="fp32",
        file=f"{name}.onnx",
        sha256="0" * 64,
        size_bytes=31_000_000,
        opset=18,
        fixed_batch=None,
        weights="random, seed 0",
        weights_kind="random",
        year=YEARS.get(name),
        paper=None,
        published_accuracy={"acc@1": ACCURACIES.get(name, 0.74434), "acc@5": 0.91972},
        parameter_count=7_978_856,
        multiply_adds=2_834_000_000,
    )


def _session(model: str, backend: str, *, failed: bool) -> SessionLine:
    provider = "CUDAExecutionProvider" if _device(backend) == "gpu" else "CPUExecutionProvider"
    return SessionLine(
        entry=SessionEntry(
            model=model,
            variant="fp32",
            backend=backend,
            status="opened",
            placement=None if backend == "torch" else "full",
            nodes_by_provider={} if backend == "torch" else {provider: 120},
            facts={"threads": "2"},
            open_s=0.4,
            parity=Parity(
                status="failed" if failed else "passed",
                reason="differs by 0.3 of the reference's range" if failed else "",
                max_error_ratio=0.3 if failed else 2e-6,
                tolerance_ratio=1e-4,
                top1_agreement_ratio=0.5 if failed else 1.0,
            ),
        )
    )
