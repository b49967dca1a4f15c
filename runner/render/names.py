"""How loads, cells and domains of energy are called in text."""

from collections.abc import Sequence

from runner.render.numbers import NOTHING, digits
from runner.report.schema import Cell, Load, QueueLoad, Report
from runner.units import duration_text

DOMAINS = {"cpu_package": "CPU package", "dram": "DRAM", "gpu": "GPU"}

_CELLS_SHOWN = 3


def load_text(load: Load) -> str:
    """Return a load as people write it: ``b4``, ``b1 @ 8/s`` at a pace, ``b4 + 20ms`` after idling, ``mix1,16,4``."""
    if load.mixed:
        return f"mix{','.join(map(str, load.mixed))}"
    pace = "" if load.pace_hz is None else f" @ {load.pace_hz:g}/s"
    gap = f" + {duration_text(load.gap_s)}" if load.gap_s else ""
    return f"b{load.batch_size}{pace}{gap}"


def rate_text(load: QueueLoad) -> str:
    """Return a rate as people write it: ``32``, or ``41 (0.6C)`` for a share of the capacity."""
    rate = NOTHING if load.request_rate_hz is None else digits(load.request_rate_hz)
    return rate if load.relative_load is None else f"{rate} ({load.relative_load:g}C)"


def cells_text(cells: Sequence[Cell], *, with_model: bool) -> str:
    """Return what cells are called, the first few of many: ``cpu b1, torch b4, torch b8 and 5 more``."""
    names = [
        " ".join(
            filter(
                None,
                (
                    cell.model if with_model else "",
                    str(cell.contender),
                    load_text(cell.load),
                    "device" if cell.io == "device" else "",
                ),
            )
        )
        for cell in cells[:_CELLS_SHOWN]
    ]
    more = len(cells) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def model_text(report: Report, model: str) -> str:
    """Return what a model is called in titles: with its variant where it has one only."""
    files = report.variants_of(model)
    return f"{model} {files[0].variant}" if len(files) == 1 else model


def domains_text(domains: Sequence[str]) -> str:
    """Return what a sum of joules counts; a GPU without its processor is marked as such."""
    return "gpu only" if tuple(domains) == ("gpu",) else " + ".join(DOMAINS[domain] for domain in domains)
