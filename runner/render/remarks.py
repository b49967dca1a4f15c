"""What single windows say of themselves: flags, doubts about a meter, reads that failed; each text once."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from runner.render.names import DOMAINS, cells_text
from runner.report.schema import OWN_DOMAIN, Cell, Report, Window

_NUMBER = re.compile(r"(?<!\S)\d+(?:\.\d+)?(?!\S)")


@dataclass(frozen=True, slots=True)
class Remark:
    """A text with the windows and cells that it was said of."""

    text: str
    cells: tuple[Cell, ...]
    window_count: int


def remark_lines(report: Report) -> Iterator[str]:
    """Yield a line per distinct remark with its windows and cells, and how many windows energy figures leave out."""
    cells = {cell.key: cell for cell in report.cells}
    several = len(report.model_names) > 1
    pairs = ((text, window.cell) for window in report.windows for text in _texts(window))
    for remark in gathered(pairs, cells):
        where = cells_text(remark.cells, with_model=several)
        yield f"{remark.window_count} of {len(report.windows)} windows: {remark.text} ({where})"
    summaries = [cell.summary for cell in report.cells if cell.summary]
    if left_out := sum(s.window_count - s.energy.window_count for s in summaries if s.energy):
        yield f"Energy figures leave out {left_out} windows in which a meter was not read; other figures keep them"


def unread_lines(report: Report, cells: Iterable[Cell]) -> Iterator[str]:
    """Yield why cells have no energy although their device has a meter."""
    own = {backend.label: OWN_DOMAIN[backend.device] for backend in report.backends}
    silent = {cell.key: cell for cell in cells if cell.summary and cell.summary.energy is None}
    pairs = (
        (entry.reason, window.cell)
        for window in report.windows
        if window.cell in silent
        for entry in window.energy
        if entry.status == "unavailable" and entry.domain == own[silent[window.cell].backend]
    )
    for remark in gathered(pairs, silent):
        yield f"no energy of {cells_text(remark.cells, with_model=False)}: {remark.text}"


def _texts(window: Window) -> dict[str, None]:
    """Return the distinct remarks of one window, in order."""
    texts = list(window.flags)
    for entry in window.energy:
        if entry.status == "measured":
            texts += entry.flags
        elif entry.status == "unavailable":
            texts.append(f"no energy of {DOMAINS[entry.domain]}: {entry.reason}")
    return dict.fromkeys(texts)


def gathered(pairs: Iterable[tuple[str, str]], cells: Mapping[str, Cell]) -> Iterator[Remark]:
    """Yield texts that differ in their numbers only as one, with all cells that they were said of.

    Args:
        pairs: a text and the key of a cell, once per window.
        cells: by key; the order in which they are named.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for text, key in pairs:
        groups.setdefault(_NUMBER.sub("#", text), []).append((text, key))
    for said in groups.values():
        keys = {key for _, key in said}
        concerned = tuple(cell for key, cell in cells.items() if key in keys)
        yield Remark(_merged([text for text, _ in said]), concerned, len(said))


def _merged(texts: list[str]) -> str:
    """Return one text for all, each number as the range of its values: ``3 to 7``."""
    ranges = iter([_range(values) for values in zip(*map(_NUMBER.findall, texts), strict=True)])
    return _NUMBER.sub(lambda _: next(ranges), texts[0])


def _range(values: tuple[str, ...]) -> str:
    low, high = min(values, key=float), max(values, key=float)
    return low if low == high else f"{low} to {high}"
