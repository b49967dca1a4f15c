"""A recommendation, or predictions of some policies, as sections for people."""

from runner.render import numbers
from runner.render.layout import Column, Section, Table
from runner.render.names import domains_text
from runner.render.policy_table import TIED_SHOWN, Cost, legend_lines, percentile_text, policy_table
from runner.twin.answers import Estimate, Rated, Recommendation, Side
from runner.units import duration_text

_FASTEST_SHOWN = 5
"""where nothing keeps the limit"""


def recommendation_sections(answer: Recommendation) -> tuple[Section, ...]:
    """Return what to run, what else was found, and what it rests on."""
    return (_head(answer), *_tables(answer), _grounds(answer))


def infeasible_text(answer: Recommendation) -> str:
    """Return why nothing keeps the limit, in one line; empty where something does."""
    if answer.infeasible == "rate":
        above = (answer.question.rate_hz or answer.capacity_hz) >= answer.capacity_hz
        near = "above" if above else "too close to"
        return f"infeasible: rate {near} capacity {numbers.digits(answer.capacity_hz)}/s"
    if answer.infeasible == "latency":
        fastest = _by_response(answer)[0].prediction
        found = numbers.quantity(fastest.response_percentile_s.mean, "s")
        percentile = percentile_text(answer.question)
        return f"infeasible: best {percentile} is {found} ({fastest.policy} on {fastest.contender})"
    return ""


def _head(answer: Recommendation) -> Section:
    question = answer.question
    rate = "" if question.rate_hz is None else f"{question.rate_hz:g} requests/s, "
    asked = f"{rate}{question.arrivals} arrivals"
    if question.limit_s is not None:
        asked += f", {percentile_text(question)} within {duration_text(question.limit_s)}"
    lines = [asked, f"from report {answer.report_id}"]
    if winner := answer.winner:
        best = winner.prediction
        lines += [
            f"Run {best.policy} on {best.contender}:",
            f"{Cost(answer).said(winner)}, {percentile_text(question)} {_interval(best.response_percentile_s)}",
        ]
    elif answer.infeasible:
        lines.append(infeasible_text(answer))
    what = "Recommendation" if answer.winner or answer.infeasible else "Prediction"
    return Section(f"{what} for {' '.join(filter(None, (answer.model, answer.variant)))}", lines=tuple(lines))


def _tables(answer: Recommendation) -> tuple[Section, ...]:
    is_search = bool(answer.naive)
    if answer.winner is None:
        rows = [(one, "") for one in _by_response(answer)]
        rows = rows[:_FASTEST_SHOWN] if is_search else rows
        title = "The fastest" if answer.infeasible else "Policies"
        tables = (Section(title, tables=(policy_table(answer, rows),), notes=legend_lines(answer, rows)),)
        return (*(tables if rows else ()), *_others(answer))
    rows = _roles(answer, is_search=is_search)
    title = "Least cost within the limit"
    first = Section(title, tables=(policy_table(answer, rows),), notes=legend_lines(answer, rows))
    if not is_search:
        return (first,)
    front = policy_table(answer, [(one, "") for one in answer.front])
    title = "Latency against cost: no other is both faster and cheaper"
    return (first, Section(title, tables=(front,)), *_others(answer))


def _roles(answer: Recommendation, *, is_search: bool) -> list[tuple[Rated, str]]:
    """Return the rows of the main table with what each is there for."""
    tied = [one for one in answer.rated if one.tied]
    rows = [(answer.winner, "winner")] if answer.winner else []
    rows += [(one, "tied") for one in tied[:TIED_SHOWN]]
    rows += [(one, "unsure") for one in answer.rated if _is_cheaper_perhaps(one)][:1]
    rows += [(answer.runner_up, "runner-up")] if answer.runner_up else []
    for naive in answer.naive:
        place = next((at for at, (one, _) in enumerate(rows) if one is naive.rated), None)
        if place is None:
            rows.append((naive.rated, naive.name))
        else:
            rows[place] = (naive.rated, f"{rows[place][1]}, {naive.name}")
    if not is_search:  # what was asked for is shown whole
        rows += [(one, "") for one in answer.rated if all(one is not other for other, _ in rows)]
    return rows


def _is_cheaper_perhaps(one: Rated) -> bool:
    """Return whether it costs less than the winner, beyond chance, and only perhaps keeps the limit."""
    return one.kept == "perhaps" and one.cost_ratio is not None and one.cost_ratio.high < 1


def _others(answer: Recommendation) -> tuple[Section, ...]:
    """Return what holds at other rates."""
    if answer.searched_hz is None:
        return ()
    lowest, highest = (f"{rate_hz:.4g}" for rate_hz in answer.searched_hz)
    columns = (Column("requests/s", "left"), Column("backend", "left"), Column("for example", "left"))
    if not answer.takeovers:
        said = "no backend can be told to be the best"
        if best := answer.throughout:
            said = f"{best.contender} has the least cost throughout"
        elif answer.infeasible:
            said = "nothing keeps the limit at any of them"
        return (Section("At other request rates", lines=(f"{lowest} to {highest}/s: {said}",)),)
    rows = [(f"from {lowest}", *_side(answer.takeovers[0].below))]
    rows += [(f"from {_rate(each.rate_hz)}", *_side(each.above)) for each in answer.takeovers]
    note = f"the least cost within the limit, from {lowest} to {highest}/s; within brackets two cannot be told apart"
    return (Section("At other request rates", tables=(Table(columns, tuple(rows)),), notes=(note,)),)


def _rate(rate_hz: Estimate) -> str:
    scale = numbers.Scale("/s", 1.0)
    return numbers.interval(rate_hz.mean, rate_hz.low, rate_hz.high, scale)


def _side(side: Side | None) -> tuple[str, str]:
    return (str(side.contender), side.policy) if side else ("none", "nothing keeps the limit")


def _grounds(answer: Recommendation) -> Section:
    """Return what the answer rests on."""
    lines = [_ranking(answer)]
    lines += [f"{each.contender} takes no part: {each.reason}" for each in answer.excluded]
    for fit in answer.fit:
        error = "" if not fit.error_ratio else f" (between them within {numbers.percent(fit.error_ratio)})"
        processes = "1 process" if fit.workers == 1 else f"{fit.workers} processes"
        sizes = f"batches of {', '.join(map(str, fit.sizes))} measured{error}"
        lines.append(
            f"{fit.contender}: capacity {numbers.digits(fit.capacity_hz)}/s; {sizes},"
            f" gaps up to {duration_text(fit.longest_gap_s)}, {fit.blocks} blocks, {processes}"
        )
    lines += _beyond(answer)
    if answer.rated:
        each = answer.rated[0].prediction
        which = "the trace's first " if answer.question.rate_hz is None else ""
        lines.append(
            f"predicted by {each.rows} queues of {which}{each.requests - each.warm_up} requests, with 95 % limits;"
            f" seed {answer.question.seed}"
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
    longest = {fit.contender: fit.longest_gap_s for fit in answer.fit}
    far = [
        one.prediction
        for one in ((answer.winner,) if answer.winner else answer.rated)
        if not answer.infeasible
        and one.prediction.stable
        and one.prediction.idle_gap_s > longest[one.prediction.contender]
    ]
    return [
        f"{each.policy} on {each.contender} idles for {numbers.quantity(each.idle_gap_s, 's')} on average, longer than"
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
