"""What this machine can measure, for people."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from runner.diagnosis import backend_facts, meter_facts, model_states
from runner.render.numbers import size
from runner.report.environment import read_environment


def show_machine(console: Console, models_dir: Path) -> None:
    """Print the machine, its meters, backends and models, each with the remedy for what is missing."""
    machine = read_environment(())
    kind = "virtual machine" if machine.hypervisor else "machine"
    console.print(f"{kind}: {machine.cpu}, {machine.usable_cores:g} of {machine.cores} cores usable")
    console.print(
        f"memory {size(machine.memory_bytes)}, governor {machine.governor or 'not readable'}, {machine.os}"
    )
    console.print(", ".join(f"{name} {version}" for name, version in machine.versions.items()))
    _print(console, "Energy", ("domain", "read through", "remedy"), _meter_rows())
    _print(console, "Backends", ("name", "state", "options"), _backend_rows())
    _print(console, f"Models in {models_dir}", ("model", "state"), model_states(models_dir))


def _meter_rows() -> tuple[tuple[str, ...], ...]:
    return tuple(
        (m.domain, m.source if m.status == "measured" else f"unavailable: {m.reason}", m.remedy)
        for m in meter_facts()
    )


def _backend_rows() -> tuple[tuple[str, ...], ...]:
    return tuple(
        (f.name, "ready" if f.missing is None else f"{f.missing.reason}. {f.missing.fix}.", f.options)
        for f in backend_facts()
    )


def _print(console: Console, title: str, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print()
    console.print(table)
