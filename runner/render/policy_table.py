"""Predictions as rows of a table, with one scale for all costs and one for all times."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runner.render import numbers
from runner.render.layout import Column, Table
from runner.render.numbers import NOTHING
from runner.twin.answers import Estimate, Question, Rated, Recommendation

TIED_SHOWN = 4
"""of the tie set; the rest differs from these by what nobody can measure"""


def percentile_text(question: Question) -> str:
    """Return the response percentile as people call it: ``p95``, ``p99.9``."""
    return f"p{100 * question.percentile_ratio:.10g}"


@dataclass(frozen=True, slots=True)
class Cost:
    """How costs are written: one scale for all."""

    answer: Recommendation

    @property
    def unit(self) -> str:
        """J, or s of CPU time."""
        return "J" if self.answer.metric == "energy_per_image" else "s"

    @property
    def scale(self) -> numbers.Scale:
        """That of all predictions."""
        costs = (one.prediction.cost_per_image.mean for one in self.answer.rated if one.prediction.stable)
        return numbers.scale_for(self.unit, tuple(costs))

    @property
    def header(self) -> str:
        """Of a column."""
        return f"{'energy' if self.unit == 'J' else 'CPU'}\n{self.scale.unit}/img"

    def text(self, one: Rated) -> str:
        """Return it for a column."""
        cost = one.prediction.cost_per_image
        return self.scale.text(cost.mean, half_width_of(cost)) if one.prediction.stable else NOTHING

    def said(self, one: Rated) -> str:
        """Return it for a sentence."""
        cost = one.prediction.cost_per_image
        what = "of CPU time " if self.unit == "s" else ""
        return f"{numbers.quantity(cost.mean, self.unit, half_width_of(cost))} {what}per image"


def policy_table(answer: Recommendation, rows: Sequence[tuple[Rated, str]]) -> Table:
    """Return a row per prediction, each with its part in the answer; without a limit with more percentiles."""
    cost, question = Cost(answer), answer.question
    is_free = question.limit_s is None
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
        *(
            (Column(f"p50\n{time.unit}", drop_rank=4), Column(f"p99\n{time.unit}", drop_rank=3))
            if is_free
            else ()
        ),
        Column("images\n/batch", drop_rank=1),
        Column("busy", drop_rank=5),
        Column(cost.header),
        Column("cost to\nthe cheapest's" if is_free else "cost to\nthe winner's", "left"),
    )
    table = Table(columns, tuple(_row(answer, one, role, time) for one, role in rows))
    kept = [at for at in range(len(columns)) if at or any(role for _, role in rows)]
    return table.pick(kept).without_empty_columns(NOTHING)


def _row(answer: Recommendation, one: Rated, role: str, time: numbers.Scale) -> tuple[str, ...]:
    each, is_free = one.prediction, answer.question.limit_s is None
    if not each.stable:
        return (role, str(each.contender), each.policy, "grows", *(NOTHING,) * (7 if is_free else 5))
    mark = {"yes": "", "perhaps": " ?", "no": " >"}[one.kept]
    times_s = [each.response_s, *((each.response_p50_s, each.response_p99_s) if is_free else ())]
    ratio = one.cost_ratio
    return (
        role,
        str(each.contender),
        each.policy,
        time.text(each.response_percentile_s.mean, half_width_of(each.response_percentile_s)) + mark,
        *(time.text(time_s.mean, half_width_of(time_s)) for time_s in times_s),
        numbers.digits(each.images_per_batch.mean),
        numbers.percent(each.utilisation_ratio.mean),
        Cost(answer).text(one),
        NOTHING
        if ratio is None or one is answer.winner
        else numbers.brief_ratio(ratio.mean, ratio.low, ratio.high),
    )


def legend_lines(answer: Recommendation, rows: Iterable[tuple[Rated, str]]) -> tuple[str, ...]:
    """Return what the marks and parts in these rows mean."""
    shown = [one for one, _ in rows]
    limit, notes = percentile_text(answer.question), []
    if any(one.kept == "perhaps" for one in shown):
        notes.append(f"? {limit} is within the limit by its estimate, and not with its whole 95 % interval")
    if any(one.kept == "no" and one.prediction.stable for one in shown):
        notes.append(f"> {limit} is above the limit")
    if any(not one.prediction.stable for one in shown):
        notes.append("grows: more requests come than can be served so")
    if tied := [one for one in answer.rated if one.tied]:
        more = f"; {len(tied) - TIED_SHOWN} more: -f csv" if len(tied) > TIED_SHOWN else ""
        fastest = min(tied, key=lambda one: one.prediction.response_percentile_s.mean).prediction
        found = numbers.quantity(fastest.response_percentile_s.mean, "s")
        notes.append(
            f"tied: its cost cannot be told from the winner's at 95 %{more}; of these {fastest.policy} on"
            f" {fastest.contender} answers fastest, {limit} {found}"
        )
    if answer.runner_up:
        notes.append("runner-up: the cheapest within the limit that costs more than the winner beyond chance")
    return tuple(notes)


def half_width_of(estimate: Estimate) -> float | None:
    """Return half the width of an estimate's limits, which says how many digits it has."""
    return numbers.half_width(estimate.low, estimate.high)
