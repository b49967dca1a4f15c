"""What a reader must doubt in a run, and what to do about it: disturbed blocks, unstable cells, net energy."""

from collections.abc import Iterator

from runner.render.names import cells_text
from runner.render.remarks import gathered
from runner.report.schema import Report


def doubt_lines(report: Report) -> Iterator[str]:
    """Yield a line on disturbed blocks, one per kind of unstable cell, and one on net energy."""
    yield from _disturbed(report)
    yield from _unstable(report)
    yield from _net(report)


def _disturbed(report: Report) -> Iterator[str]:
    cells = {cell.key: cell for cell in report.cells}
    blocks: dict[tuple[str, int], bool] = {}
    disturbed: set[tuple[str, int]] = set()
    for window in report.windows:
        block = (cells[window.cell].model, window.block)
        blocks[block] = window.repeated_by is not None
        if window.disturbed:
            disturbed.add(block)
    if not disturbed:
        return
    causes = [
        f"{remark.window_count} x {remark.text}"
        for remark in gathered(((w.disturbed, w.cell) for w in report.windows if w.disturbed), cells)
    ]
    repeated = sum(blocks[block] for block in disturbed)
    fate = (
        "repeated" if repeated == len(disturbed) else f"{repeated} repeated, {len(disturbed) - repeated} not"
    )
    advice = "" if repeated == len(disturbed) else "; close other programs and run again"
    with_them = any(entry.with_disturbed for entry in report.comparisons)
    yield (
        f"{len(disturbed)} of {len(blocks)} blocks were disturbed ({', '.join(causes)}): {fate}"
        f"{'; ratios with them: --details' if with_them else ''}{advice}"
    )


def _unstable(report: Report) -> Iterator[str]:
    cells = {cell.key: cell for cell in report.cells if cell.summary and cell.summary.unstable}
    several = len(report.model_names) > 1
    pairs = ((cell.summary.unstable, key) for key, cell in cells.items() if cell.summary)
    for remark in gathered(pairs, cells):
        yield f"Unstable: {cells_text(remark.cells, with_model=several)}: {remark.text}"


def _net(report: Report) -> Iterator[str]:
    energies = [cell.summary.energy for cell in report.cells if cell.summary and cell.summary.energy]
    if not any(energy.net_per_image_j and not energy.net_reliable for energy in energies):
        return
    if {"before", "after"} <= {idle.moment for idle in report.idle}:
        yield "Net energy is unreliable: idle power before and after the run differs by more than 5 %"
    else:
        yield "Net energy is unreliable: idle power was not measured both before and after the run"
