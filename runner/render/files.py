"""A model's files: the line above its table, their sizes, and what is known of the quality of its variants."""

from runner.render import numbers
from runner.report.schema import ModelEntry, Report

NEVER_WINS = "compared, never best"


def title_of(report: Report, name: str) -> str:
    """Return the line above a model's table."""
    model, *others = report.variants_of(name)
    batch = f", batch fixed at {model.fixed_batch}" if model.fixed_batch else ""
    is_random = model.weights_kind == "random"
    weights = (
        f"RANDOM weights, {model.weights.removeprefix('random, ')}"
        if is_random
        else f"weights: {model.weights}"
    )
    what = name if others else f"{name} {model.variant}, {numbers.size(model.size_bytes)}"
    return f"{what}, {weights}{batch}"


def size_lines(report: Report, name: str) -> tuple[str, ...]:
    """Return the sizes of a model's files, each beside the first; nothing for one file, whose title has it."""
    first, *others = report.variants_of(name)
    if not others:
        return ()
    sizes = (
        f"{each.variant} {numbers.size(each.size_bytes)} ({numbers.percent(each.size_bytes / first.size_bytes)})"
        for each in others
    )
    return (f"files: {first.variant} {numbers.size(first.size_bytes)}, {', '.join(sizes)}",)


def quality_text(file: ModelEntry) -> str:
    """Return what is known of a variant's quality, with the numbers behind it."""
    why = "random weights, whose answers mean nothing" if file.weights_kind == "random" else "no parity known"
    parts = [f"quality {file.quality}{f' ({why})' if file.quality == 'unverified' else ''}"]
    if (parity := file.parity) and parity.max_error_ratio is not None:
        allowed = numbers.scientific(parity.tolerance_ratio)
        parts.append(f"error {numbers.scientific(parity.max_error_ratio)} of the range, {allowed} allowed")
        if parity.top1_agreement_ratio is not None:
            parts.append(f"top-1 agrees in {numbers.percent(parity.top1_agreement_ratio)}")
    elif parity and parity.reason:
        parts.append(parity.reason)
    return ", ".join(parts)
