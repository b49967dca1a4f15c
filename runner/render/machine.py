"""What this machine can measure, for people."""

from runner.diagnosis import BackendFacts, MachineFacts
from runner.meters.interface import MeterStatus
from runner.render.layout import Column, Section, Table
from runner.render.numbers import size


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
        Section("Backends", lines=tuple(_backend_line(backend) for backend in facts.backends)),
        Section(
            f"Models in {facts.models_dir}",
            tables=(Table((Column("model", "left"), Column("state", "left")), facts.models),),
        ),
    )


def _meter_line(meter: MeterStatus) -> str:
    if meter.status == "unavailable":
        return f"{meter.domain}: unavailable ({meter.reason}). {meter.remedy.rstrip('.')}."
    return f"{meter.domain}: read through {meter.source} ({', '.join(meter.devices)})"


def _backend_line(backend: BackendFacts) -> str:
    if backend.missing is not None:
        return f"{backend.name}: absent: {backend.missing.reason}. {backend.missing.fix}."
    return f"{backend.name}: ready. Options: {backend.options}"
