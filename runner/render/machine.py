"""What this machine can measure, for people."""

from runner.diagnosis import BackendFacts, GpuDiagnosis, MachineFacts
from runner.meters.interface import MeterStatus
from runner.render.layout import Column, Section, Table
from runner.render.numbers import quantity, size


def machine_sections(facts: MachineFacts) -> tuple[Section, ...]:
    """Return the machine, its meters, backends and models, each with the remedy for what is missing."""
    machine = facts.environment
    kind = "Virtual machine" if machine.hypervisor else "Machine"
    return (
        Section(
            f"{kind}: {machine.cpu}, {machine.usable_cores:g} of {machine.cores} cores usable",
            lines=(
                f"memory {size(machine.memory_bytes)}, governor {machine.governor or 'not readable'}, {machine.os}",
                ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
            ),
        ),
        Section("Energy", lines=tuple(_meter_line(meter) for meter in facts.meters)),
        *((Section("GPUs", lines=tuple(_gpu_line(gpu) for gpu in facts.gpus)),) if facts.gpus else ()),
        Section("Backends", lines=tuple(_backend_line(backend) for backend in facts.backends)),
        Section(
            f"Models in {facts.models_dir}",
            tables=(Table((Column("model", "left"), Column("state", "left")), facts.models),),
        ),
    )


def _meter_line(meter: MeterStatus) -> str:
    if meter.status == "unavailable":
        return _sentences(f"{meter.domain}: unavailable ({meter.reason})", meter.remedy)
    tick = ""
    if meter.tick_s is not None:
        tick = f"; it changes every {quantity(meter.tick_s, 's')}, by {quantity(meter.tick_j, 'J')} or more"
    return f"{meter.domain}: read through {meter.source} ({', '.join(meter.devices)}){tick}"


def _gpu_line(gpu: GpuDiagnosis) -> str:
    facts = gpu.facts
    limit = "" if facts.power_limit_w is None else f", power limit {quantity(facts.power_limit_w, 'W')}"
    pids = ", ".join(map(str, facts.foreign_pids))
    return _sentences(
        f"{facts.uuid}: {facts.name}, driver {facts.driver}, {size(facts.memory_bytes)}{limit}",
        "MIG is on: its counters cover all instances, whoever uses them" if facts.has_mig else "",
        f"Held back by {', '.join(gpu.slowdowns)}: let it cool, or check its supply" if gpu.slowdowns else "",
        f"Processes that compute on it now would be counted: {pids}; stop them" if pids else "",
    )


def _sentences(*parts: str) -> str:
    """Return the parts that say something, each with its full stop."""
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)


def _backend_line(backend: BackendFacts) -> str:
    if backend.missing is not None:
        return _sentences(f"{backend.name}: absent: {backend.missing.reason}", backend.missing.fix)
    return f"{backend.name}: ready. Options: {backend.options}"
