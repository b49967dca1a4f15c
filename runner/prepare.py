"""Opens one model under every contender, runs every shape once, ascending, and warms it up."""

from runner.bench import Bench, Bound, Roster, bound_of
from runner.durations import WINDOW_S, fewest_inferences, period_s, predict_load_s, smallest_run_s, visit_s
from runner.errors import JoulebatchError
from runner.inputs import bytes_of
from runner.load.warmup import FRESH_INFERENCES, STRETCH_S
from runner.machine.memory import available_bytes
from runner.report.lines import SessionLine
from runner.report.schema import UNTRUSTED_PLACEMENTS, Cell, SessionEntry
from runner.resume import check_session
from runner.stats.stability import STRETCHES
from runner.units import BYTES_PER_MB
from runner.workers.crew import BackendLostError
from runner.workers.parent import CellFailedError, WorkerLostError
from runner.workers.protocol import Opened, Prepare, Prepared

_WARM_UP_PART = 0.1
"""of a model's time, for warming up all its shapes"""


def open_sessions(roster: Roster) -> None:
    """Open the model everywhere; a contender that cannot, or that fell back, costs its own cells."""
    bench = roster.bench
    began_s = bench.budget.now_s()
    bench.progress.say("opening")
    for contender, opened in roster.crew.open_all().items():
        entry = SessionEntry(model=roster.plan.name, **contender._asdict(), status="opened")
        entry = entry.model_copy(update=_facts(opened, bench))
        known = roster.so_far.sessions.get(contender)
        check_session(known, entry)
        if isinstance(opened, Opened) and opened.peak_memory_bytes:
            roster.memory.saw_open(contender, opened.peak_memory_bytes)
        if known and known.status == entry.status:
            entry = known  # a resumed run's, with its parity
        else:
            bench.journal.write(SessionLine(entry=entry))
        if entry.status == "opened":
            roster.sessions[contender] = entry
        for cell in roster.cells_of(contender) if entry.status == "failed" else ():
            roster.close(cell, "failed", entry.reason)
    roster.fresh_s = bench.budget.now_s() - began_s


def _facts(opened: Opened | JoulebatchError, bench: Bench) -> dict[str, object]:
    """Return what is known of a session, or why there is none."""
    if isinstance(opened, JoulebatchError):
        return {"status": "failed", "reason": str(opened).removesuffix(".")}
    placement = opened.placement
    facts: dict[str, object] = {
        "placement": placement["label"],
        "nodes_by_provider": placement["nodes_by_provider"],
        "heavy_on_cpu": tuple(placement["heavy_on_cpu"]),
        "facts": dict(opened.facts),
        "open_s": opened.open_s,
    }
    if placement["label"] in UNTRUSTED_PLACEMENTS and not bench.allow_fallback:
        nodes = ", ".join(
            f"{count} nodes on {name}" for name, count in placement["nodes_by_provider"].items()
        )
        reason = f"placement {placement['label']} ({nodes}); --allow-fallback measures it all the same"
        facts |= {"status": "failed", "reason": reason}
    return facts


def prepare_cells(roster: Roster) -> None:
    """Bind, run and warm up every shape, ascending, as far as the budget allows; back to back before paced."""
    prepared: dict[Bound, Prepared] = {}
    for cell in roster.plan.cells:
        shape = bound_of(cell)
        if cell.key not in roster.live or _shows_no_gap(roster, cell) or _does_not_fit(roster, cell):
            continue
        if shape not in prepared and (_lacks_a_size(roster, cell) or _needs_too_much_memory(roster, cell)):
            continue
        if shape not in prepared and (done := _prepare(roster, cell)):
            prepared[shape] = done
        if shape in prepared:
            _admit(roster, cell, prepared[shape])


def _prepare(roster: Roster, cell: Cell) -> Prepared | None:
    """Return what the worker saw, or None when the shape failed."""
    rule = roster.bench.profile.warm_up
    roster.bench.progress.say(f"warming up {cell.contender} at batch {_sizes_text(cell)}")
    cap_s = _warm_up_cap_s(roster)
    request = Prepare(
        cell.load.batch_size, cell.io, rule.inferences, cap_s, rule.steady, mixed=cell.load.mixed
    )
    try:
        done = roster.crew.prepare(cell.contender, request, _predict_s(roster, cell))
    except (CellFailedError, WorkerLostError, BackendLostError) as error:
        shape = bound_of(cell)
        roster.fail([each for each in roster.live.values() if bound_of(each) == shape], error)
        return None
    roster.fresh_s += done.first_inference_s + FRESH_INFERENCES * done.inference_s
    if done.peak_memory_bytes and not cell.load.mixed:  # a mixed load binds nothing of its own
        roster.memory.saw(cell.contender, cell.load.batch_size, done.peak_memory_bytes)
    if done.unsteady:
        roster.note(
            f"{cell.contender} at batch {_sizes_text(cell)} reached no steady state in {cap_s:.2g} s of warm-up; "
            f"rerun on a quieter machine{', or with a larger --time-budget' if cap_s < rule.cap_s else ''}"
        )
    return done


def _warm_up_cap_s(roster: Roster) -> float:
    """Return how long a warm-up may last: the profile's cap, and a tenth of the time for all shapes together.

    On a machine that is never steady every warm-up lasts to its cap, which would leave a minute half used.
    """
    rule, shapes = roster.bench.profile.warm_up, len({bound_of(cell) for cell in roster.plan.cells})
    part_s = _WARM_UP_PART * roster.bench.budget.for_more_s / shapes
    return min(rule.cap_s, max(STRETCHES * STRETCH_S, part_s))


def _admit(roster: Roster, cell: Cell, prepared: Prepared) -> None:
    """Take a cell whose shape is bound and warm into the blocks, unless its pace is above its capacity."""
    roster.inference_s[cell.key] = prepared.inference_s
    if roster.so_far.was_visited(cell):
        known = roster.so_far.cells[cell.key]
        roster.ready[cell.key] = known.model_copy(update={"status": cell.status, "reason": cell.reason})
        return
    period = period_s(cell.load)
    if period is not None and prepared.inference_s > period:
        capacity_hz = cell.load.batch_size / prepared.inference_s
        reason = f"{cell.load.pace_hz:g} images/s asked for, capacity {capacity_hz:.3g}"
        roster.close(cell, "overloaded", reason)
        return
    # The first run of a shape belongs to the cell that made it: its load back to back where there is one.
    first_of_shape = bound_of(cell) not in map(bound_of, roster.ready.values())
    roster.ready[cell.key] = cell.model_copy(
        update={
            "first_inference_s": prepared.first_inference_s if first_of_shape else None,
            "warm_up_inferences": prepared.warm_up_inferences,
            "peak_memory_bytes": prepared.peak_memory_bytes,
        }
    )


def _does_not_fit(roster: Roster, cell: Cell) -> bool:
    """Skip a cell whose smallest run is predicted not to fit beside those already admitted."""
    if roster.so_far.was_visited(cell):
        return False
    profile, budget = roster.bench.profile, roster.bench.budget
    predicted_s = _predict_s(roster, cell)
    admitted_s = profile.min_blocks * sum(
        visit_s(each, each_s, fewest_inferences(each, each_s, WINDOW_S, 1))
        for each, each_s in ((each, roster.inference_s[key]) for key, each in roster.ready.items())
    )
    fresh_s = (profile.workers - 1) * roster.fresh_s
    need_s = admitted_s + fresh_s + smallest_run_s((cell,), {cell.key: predicted_s}, profile)
    left_s = budget.for_needs_s
    if need_s <= left_s:
        return False
    reason = f"budget: needs {need_s:.0f} s with the cells before it, {max(0.0, left_s):.0f} s are left"
    roster.close(cell, "skipped", reason, predicted_inference_s=predicted_s)
    return True


def _shows_no_gap(roster: Roster, cell: Cell) -> bool:
    """Skip a cell whose idle gap would not show in its batch, where gaps are measured for a twin."""
    inference_s = _alone_s(roster, cell).get(cell.load.batch_size)
    known = any(
        (each.contender, each.io, each.load.gap_s) == (cell.contender, cell.io, cell.load.gap_s)
        for each in roster.ready.values()
        if each.load.batch_size < cell.load.batch_size
    )
    if inference_s is None or not known or roster.so_far.was_visited(cell):
        return False
    if roster.plan.measures(cell, inference_s):
        return False
    reason = (
        f"no idle gap shows in a batch of {inference_s:.3g} s; the twin has what it adds from a smaller one"
    )
    roster.close(cell, "skipped", reason)
    return True


def _lacks_a_size(roster: Roster, cell: Cell) -> bool:
    """Skip a mixed load of which a batch size is not measured alone: what it cost could not be told."""
    if roster.so_far.was_visited(cell):
        return False
    alone = set(_alone_s(roster, cell))
    missing = sorted(set(cell.load.mixed) - alone)
    if missing:
        roster.close(cell, "skipped", f"batch {', '.join(map(str, missing))} is not measured alone")
    return bool(missing)


def _alone_s(roster: Roster, cell: Cell) -> dict[int, float]:
    """Return what an inference takes, by batch size, of those that a cell's contender has run alone."""
    return {
        each.load.batch_size: roster.inference_s[key]
        for key, each in roster.ready.items()
        if (each.contender, each.io) == (cell.contender, cell.io) and not each.load.mixed
    }


def _sizes_text(cell: Cell) -> str:
    return ",".join(map(str, cell.load.sizes))


def _needs_too_much_memory(roster: Roster, cell: Cell) -> bool:
    """Skip a cell that would wake the kernel's out-of-memory killer, which may not stop at our worker."""
    if roster.so_far.was_visited(cell) or cell.load.mixed:
        return False
    size, left_bytes = cell.load.batch_size, available_bytes()
    input_bytes = sum(bytes_of(spec, size) for spec in roster.plan.file.inputs)
    need_bytes = roster.memory.need_bytes(cell.contender, size) or 0
    if max(need_bytes, input_bytes) <= left_bytes:
        return False
    need_bytes, what = max(
        (need_bytes, f"batch {size} may need {{}} more than smaller ones"),
        (input_bytes, f"the inputs of batch {size} alone take {{}}"),
    )
    need, left = f"{need_bytes / BYTES_PER_MB:.0f} MB", f"{left_bytes / BYTES_PER_MB:.0f} MB"
    reason = f"memory: {what.format(need)}, {left} are available"
    roster.close(cell, "skipped", reason, predicted_memory_bytes=need_bytes)
    return True


def _predict_s(roster: Roster, cell: Cell) -> float:
    """Return a cell's inference time, scaled from the largest batch of its contender that was run."""
    known = _alone_s(roster, cell)
    if not known:
        return predict_load_s(roster.plan.files[cell.variant], cell.load)
    if cell.load.mixed and set(cell.load.mixed) <= known.keys():
        return sum(known[size] for size in cell.load.mixed)
    largest = max(known)
    return known[largest] * max(1.0, cell.load.batch_size / largest)
