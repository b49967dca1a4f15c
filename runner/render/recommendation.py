"""A recommendation, or predictions of some policies, as sections for people."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runner.render import numbers
from runner.render.layout import Column, Section, Table
from runner.render.names import domains_text
from runner.render.numbers import NOTHING
from runner.twin.answers import Estimate, Question, Rated, Recommendation, Side
from runner.units import duration_text

_TIED_SHOWN = 4
"""of the tie set; the rest differs from these by what nobody can measure"""
_FASTEST_SHOWN = 5
"""where nothing keeps the limit"""


def recommendation_sections(answer: Recommendation) -> tuple[Section, ...]:
    """Return what to run, what else was found, and what it rests on."""
    return (_head(answer), *_tables(answer), _grounds(answer))


def infeasible_text(answer: Recommendation) -> str:
    """Return why nothing keeps the limit, in one line; empty where something does."""
    if answer.infeasible == "rate":
        best = max(answer.fit, key=lambda fit: fit.capacity_hz)
        return f"infeasible: rate above capacity {numbers.digits(best.capacity_hz)}/s"
    if answer.infeasible == "latency":
        fastest = _by_response(answer)[0].prediction
        found = numbers.quantity(fastest.response_percentile_s.mean, "s")
        percentile = percentile_text(answer.question)
        return f"infeasible: best {percentile} is {found} ({fastest.policy} on {fastest.backend})"
    return ""


def percentile_text(question: Question) -> str:
    """Return the response percentile as people call it: ``p95``, ``p99.9``."""
    return f"p{100 * question.percentile_ratio:.10g}"


def _head(answer: Recommendation) -> Section:
    question = answer.question
    rate = "" if question.rate_hz is None else f"{question.rate_hz:g} requests/s, "
    asked = f"{rate}{question.arrivals} arrivals"
    if question.limit_s is not None:
        asked += f", {percentile_text(question)} within {duration_text(question.limit_s)}"
    lines = [asked, f"from report {answer.report_id}"]
    if winner := answer.winner:
        cost = _Cost(answer)
        lines.append(
            f"-> {winner.prediction.policy} on {winner.prediction.backend}: {cost.said(winner)},"
            f" {percentile_text(question)} {_interval(winner.prediction.response_percentile_s)}"
        )
    elif answer.infeasible:
        lines.append(infeasible_text(answer))
    what = "Recommendation" if answer.winner or answer.infeasible else "Prediction"
    return Section(f"{what} for {answer.model} {answer.variant}", lines=tuple(lines))


@dataclass(frozen=True, slots=True)
class _Cost:
    """How costs are written: one scale for all."""

    answer: Recommendation

    @property
    def unit(self) -> str:
        return "J" if self.answer.metric == "energy_per_image" else "s"

    @property
    def scale(self) -> numbers.Scale:
        costs = (one.prediction.cost_per_image.mean for one in self.answer.rated if one.prediction.stable)
        return numbers.scale_for(self.unit, tuple(costs))

    @property
    def header(self) -> str:
        return f"{'energy' if self.unit == 'J' else 'CPU'}\n{self.scale.unit}/img"

    def text(self, one: Rated) -> str:
        cost = one.prediction.cost_per_image
        return self.scale.text(cost.mean, _half(cost)) if one.prediction.stable else NOTHING

    def said(self, one: Rated) -> str:
        cost = one.prediction.cost_per_image
        what = "of CPU time " if self.unit == "s" else ""
        return f"{numbers.quantity(cost.mean, self.unit, _half(cost))} {what}per image"


def _tables(answer: Recommendation) -> tuple[Section, ...]:
    if answer.winner is None:
        rows = [(one, "") for one in _by_response(answer)]
        if not rows:
            return ()
        shown = rows[:_FASTEST_SHOWN] if answer.infeasible and answer.searched_hz else rows
        title = "The fastest" if answer.infeasible else "Policies"
        return (
            Section(title, tables=(_table(answer, shown),), notes=_legend(answer, shown)),
            *_others(answer),
        )
    rows = _roles(answer)
    first = Section(
        "Least cost within the limit", tables=(_table(answer, rows),), notes=_legend(answer, rows)
    )
    front = [(one, "") for one in answer.front]
    if answer.searched_hz is None and len(front) == len(answer.rated):
        return (first,)
    title = "Latency against cost: no other is both faster and cheaper"
    return (first, Section(title, tables=(_table(answer, front),)), *_others(answer))


def _roles(answer: Recommendation) -> list[tuple[Rated, str]]:
    """Return the rows of the main table with what each is there for."""
    tied = [one for one in answer.rated if one.tied]
    rows = [(answer.winner, "winner")] if answer.winner else []
    rows += [(one, "tied") for one in tied[:_TIED_SHOWN]]
    rows += [(answer.runner_up, "runner-up")] if answer.runner_up else []
    for naive in answer.naive:
        place = next((at for at, (one, _) in enumerate(rows) if one is naive.rated), None)
        if place is None:
            rows.append((naive.rated, naive.name))
        else:
            rows[place] = (naive.rated, f"{rows[place][1]}, {naive.name}")
    if not answer.searched_hz:  # what was asked for is shown whole
        rows += [(one, "") for one in answer.rated if all(one is not other for other, _ in rows)]
    return rows


def _table(answer: Recommendation, rows: Sequence[tuple[Rated, str]]) -> Table:
    cost, question = _Cost(answer), answer.question
    stable = [one.prediction for one, _ in rows if one.prediction.stable]
    time = numbers.scale_for(
        "s", tuple(mean.mean for each in stable for mean in (each.response_percentile_s, each.response_s))
    )
    columns = (
        Column("", "left"),
        Column("backend", "left"),
        Column("policy", "left"),
        Column(f"{percentile_text(question)}\n{time.unit}"),
        Column(f"mean\n{time.unit}", drop_rank=2),
        Column("images\n/batch", drop_rank=1),
        Column("busy", drop_rank=3),
        Column(cost.header),
        Column("cost to\nthe winner's", "left"),
    )
    table = Table(columns, tuple(_row(answer, one, role, time) for one, role in rows))
    return table.pick(
        [at for at in range(len(columns)) if at != 0 or any(role for _, role in rows)]
    ).without_empty_columns(NOTHING)


def _row(answer: Recommendation, one: Rated, role: str, time: numbers.Scale) -> tuple[str, ...]:
    each = one.prediction
    if not each.stable:
        return (role, each.backend, each.policy, "grows", *(NOTHING,) * 5)
    mark = {"yes": "", "perhaps": " ?", "no": " >"}[one.kept]
    response_s, batch = each.response_percentile_s, each.images_per_batch
    ratio = one.cost_ratio
    return (
        role,
        each.backend,
        each.policy,
        time.text(response_s.mean, _half(response_s)) + mark,
        time.text(each.response_s.mean, _half(each.response_s)),
        numbers.digits(batch.mean, _half(batch)),
        numbers.percent(each.utilisation_ratio.mean),
        _Cost(answer).text(one),
        NOTHING
        if ratio is None or one is answer.winner
        else numbers.brief_ratio(ratio.mean, ratio.low, ratio.high),
    )


def _legend(answer: Recommendation, rows: Iterable[tuple[Rated, str]]) -> tuple[str, ...]:
    shown = [one for one, _ in rows]
    limit, notes = percentile_text(answer.question), []
    if any(one.kept == "perhaps" for one in shown):
        notes.append(f"? {limit} is within the limit by its estimate, and not with its whole 95 % interval")
    if any(one.kept == "no" and one.prediction.stable for one in shown):
        notes.append(f"> {limit} is above the limit")
    if any(not one.prediction.stable for one in shown):
        notes.append("grows: more requests come than can be served so")
    if tied := [one for one in answer.rated if one.tied]:
        more = f"; {len(tied) - _TIED_SHOWN} more: -f csv" if len(tied) > _TIED_SHOWN else ""
        notes.append(f"tied: its cost cannot be told from the winner's at 95 %{more}")
    if answer.runner_up:
        notes.append("runner-up: the cheapest within the limit that costs more than the winner beyond chance")
    return tuple(notes)


def _others(answer: Recommendation) -> tuple[Section, ...]:
    """Return what holds at other rates."""
    if answer.searched_hz is None:
        return ()
    lowest, highest = (numbers.digits(rate_hz) for rate_hz in answer.searched_hz)
    columns = (Column("requests/s", "left"), Column("backend", "left"), Column("for example", "left"))
    if not answer.takeovers:
        best = answer.throughout
        said = (
            f"{best.backend} has the least cost throughout"
            if best
            else "no backend can be told to be the best"
        )
        return (Section("At other request rates", lines=(f"{lowest} to {highest}/s: {said}",)),)
    rows = [(f"from {lowest}", *_side(answer.takeovers[0].below))]
    rows += [(f"from {_rate(each.rate_hz)}", *_side(each.above)) for each in answer.takeovers]
    note = f"the least cost within the limit, from {lowest} to {highest}/s; within brackets two cannot be told apart"
    return (Section("At other request rates", tables=(Table(columns, tuple(rows)),), notes=(note,)),)


def _rate(rate_hz: Estimate) -> str:
    scale = numbers.Scale("/s", 1.0)
    return numbers.interval(rate_hz.mean, rate_hz.low, rate_hz.high, scale)


def _side(side: Side | None) -> tuple[str, str]:
    return (side.backend, side.policy) if side else ("none", "nothing keeps the limit")


def _grounds(answer: Recommendation) -> Section:
    """Return what the answer rests on."""
    lines = [_ranking(answer)]
    lines += [f"{each.backend} takes no part: {each.reason}" for each in answer.excluded]
    for fit in answer.fit:
        error = "" if not fit.error_ratio else f" (between them within {numbers.percent(fit.error_ratio)})"
        processes = "1 process" if fit.workers == 1 else f"{fit.workers} processes"
        lines.append(
            f"{fit.backend}: capacity {numbers.digits(fit.capacity_hz)}/s; batches of {', '.join(map(str, fit.sizes))}"
            f" measured{error}, gaps up to {duration_text(fit.longest_gap_s)}, {fit.blocks} blocks, {processes}"
        )
    lines += _beyond(answer)
    if answer.rated:
        each = answer.rated[0].prediction
        lines.append(
            f"predicted by {each.rows} queues of {each.requests - each.warm_up} requests, with 95 % limits; seed"
            f" {answer.question.seed}"
        )
    return Section("What this rests on", notes=tuple(lines))


def _ranking(answer: Recommendation) -> str:
    if answer.domains:
        return f"cost: measured joules of {domains_text(answer.domains)}, gross, idle power included"
    return (
        "cost: CPU time at equal images/s, idle gaps included, because this report holds no joules that cover all;"
        " it ranks backends of one type of device"
    )


def _beyond(answer: Recommendation) -> list[str]:
    """Return a line where idle gaps are longer than any that was measured."""
    longest = {fit.backend: fit.longest_gap_s for fit in answer.fit}
    far = [
        one.prediction
        for one in ((answer.winner,) if answer.winner else answer.rated)
        if one.prediction.stable and one.prediction.idle_gap_s > longest[one.prediction.backend]
    ]
    return [
        f"{each.policy} on {each.backend} idles for {numbers.quantity(each.idle_gap_s, 's')} on average, longer than"
        f" any measured gap: the rest is extrapolated"
        for each in far
    ]


def _by_response(answer: Recommendation) -> list[Rated]:
    """Return predictions from the fastest on; those whose queues grow at the end."""
    return sorted(
        answer.rated,
        key=lambda one: (not one.prediction.stable, one.prediction.response_percentile_s.mean),
    )


def _interval(time_s: Estimate) -> str:
    scale = numbers.scale_for("s", (time_s.mean,))
    return f"{numbers.interval(time_s.mean, time_s.low, time_s.high, scale)} {scale.unit}"


def _half(estimate: Estimate) -> float | None:
    return numbers.half_width(estimate.low, estimate.high)
