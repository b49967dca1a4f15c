"""What the study found, in words: the effect of policy and batch size on response and cost."""

from collections.abc import Sequence

from runner.render import numbers
from runner.render.layout import Column, Section, Table
from runner.report.schema import QueueCell, QueueComparison, QueueMetric, QueueStudy, QueueTest

SIGNIFICANT = 0.05
"""p below which a rank test counts; the convention that the study's readers know"""
_METRICS: dict[QueueMetric, str] = {
    "response": "response",
    "energy_per_image": "energy/img",
    "cpu_s_per_image": "CPU/img",
}
_COLUMNS = (
    Column("model", "left"),
    Column("backend", "left"),
    Column("requests\n/s"),
    Column("effect of", "left"),
    Column("on", "left"),
    Column("compared\nwith", "left"),
    Column("what holds", "left"),
    Column("rank test", "left", 1),
)
_DIFFERENT = ("less", "more")


def findings_section(study: QueueStudy) -> Section:
    """Return the table of what holds for every model, contender and rate."""
    cells = {cell.key: cell for cell in study.cells}
    rows = []
    for family in _families(study):
        for metric in _METRICS:
            ratios = [
                each
                for each in study.comparisons
                if each.against == "policy" and each.metric == metric and each.cell in family
            ]
            if ratios:
                rows.append(_row(study, [cells[key] for key in family], metric, ratios, "policy"))
            fixed = [cells[key] for key in family if cells[key].load.policy.startswith("fixed:")]
            own = [each for each in ratios if each.cell in {cell.key for cell in fixed}]
            if own and len(fixed) > 1 and fixed[0].key == ratios[0].baseline_cell:
                rows.append(_row(study, fixed, metric, own, "batch size"))
    note = (
        "differences by paired 95 % intervals; rank tests (Friedman over all, Wilcoxon with Holm's correction against "
        "the first) need 6 blocks and decide nothing; d is Cliff's delta"
    )
    if not rows:
        return Section("What holds", lines=("no two policies could be compared at one rate",))
    return Section("What holds", tables=(Table(_COLUMNS, tuple(rows)),), notes=(note,))


def _families(study: QueueStudy) -> list[list[str]]:
    """Return the keys of the cells that were compared with one first policy each, that one included."""
    families: dict[str, list[str]] = {}
    for each in study.comparisons:
        if each.against == "policy":
            family = families.setdefault(each.baseline_cell, [each.baseline_cell])
            if each.cell not in family:
                family.append(each.cell)
    return list(families.values())


def _row(
    study: QueueStudy,
    cells: Sequence[QueueCell],
    metric: QueueMetric,
    ratios: Sequence[QueueComparison],
    factor: str,
) -> tuple[str, ...]:
    first = cells[0]
    tests = [
        test
        for test in study.tests
        if test.factor == factor and test.metric == metric and set(test.cells) <= {cell.key for cell in cells}
    ]
    rate = first.load.request_rate_hz
    load = first.load.relative_load
    return (
        first.model,
        str(first.contender),
        numbers.NOTHING if rate is None else numbers.digits(rate) + (f" ({load:g}C)" if load else ""),
        factor,
        _METRICS[metric],
        first.load.policy,
        _claim(cells, ratios),
        _tests(tests),
    )


def _claim(cells: Sequence[QueueCell], ratios: Sequence[QueueComparison]) -> str:
    """Return the differences that hold, ascending: ``greedy:8 0.27x (d -1.00)``; or that none was seen."""
    policies = {cell.key: cell.load.policy for cell in cells}
    held = sorted((each for each in ratios if each.verdict in _DIFFERENT), key=lambda each: each.ratio)
    listed = ", ".join(
        f"{policies[each.cell]} {numbers.ratio(each.ratio)}"
        + ("" if each.cliffs_delta is None else f" (d {each.cliffs_delta:+.2f})")
        for each in held
    )
    return listed or "no difference seen"


def _tests(tests: Sequence[QueueTest]) -> str:
    """Return what the rank tests say."""
    overall = [test for test in tests if test.test == "friedman"]
    pairs = [test for test in tests if test.test == "wilcoxon"]
    texts = [f"Friedman p {numbers.probability(test.p)}" for test in overall]
    if pairs:
        significant = sum((test.p_holm or 1.0) < SIGNIFICANT for test in pairs)
        texts.append(f"{significant} of {len(pairs)} pairs below {SIGNIFICANT:g}")
    return ", ".join(texts) or "too few blocks"
