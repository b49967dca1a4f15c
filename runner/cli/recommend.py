"""``joulebatch recommend``: a report and a question -> the twin -> the policy of least cost, or predictions."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import ALLOW_UNVERIFIED, REPORTS_DIR, PolicyCommand, format_option
from runner.cli.progress import progress_on_stderr
from runner.errors import GateError, UsageError

if TYPE_CHECKING:  # these load pydantic and scipy, which no help needs
    from runner.twin.answers import Recommendation
    from runner.twin.recommend import Ask


@click.command(
    cls=PolicyCommand,
    context_settings={"show_default": True, "max_content_width": 100},
    epilog="""
\b
Examples:
  joulebatch recommend latest --request-rate 32 --latency-threshold 200ms
  joulebatch recommend --request-rate 32 --latency-threshold 50ms --percentile 99 --arrivals poisson
  joulebatch recommend --request-rate 32 --policy greedy:8 --policy timeout:8@50ms
  joulebatch recommend --arrivals trace:FILE.csv:time --latency-threshold 200ms

\b
A report has what this needs when it was measured with idle gaps, for example:
  joulebatch run -m shufflenet --backend cpu --backend cpu:spin=off --gaps 2ms,20ms,100ms
""",
)
@click.argument("report", default="latest", metavar="[REPORT]")
@click.option(
    "-m",
    "--model",
    metavar="NAME",
    show_default="the only one",
    help="A model of the report, or the unique beginning of its name.",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="LABEL",
    show_default="all of the report",
    help="A backend of the report; repeatable.",
)
@click.option(
    "--request-rate",
    "rate_hz",
    type=float,
    metavar="R",
    show_default="none",
    help="Images per second that arrive; a trace takes none.",
)
@click.option(
    "--latency-threshold",
    "threshold",
    metavar="DURATION",
    show_default="none",
    help="Limit of the response percentile, from a request's arrival to its answer, as 200ms.",
)
@click.option(
    "--percentile",
    type=float,
    default=95,
    metavar="P",
    help="Which response percentile is to stay within it.",
)
@click.option("--arrivals", default="uniform", metavar="KIND", help="When requests come, see below.")
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="SPEC",
    show_default="search",
    help="Predict just this policy, see below; repeatable. The threshold is optional then.",
)
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, help="Of arrivals and resampling.")
@click.option(
    "--verify",
    is_flag=True,
    show_default="off",
    help="Replay the winner and the naive choice live, and show predicted beside measured.",
)
@ALLOW_UNVERIFIED
@REPORTS_DIR
@format_option()
@click.option("-q", "--quiet", is_flag=True, show_default="off", help="No progress on stderr.")
@click.option("-v", "--verbose", is_flag=True, show_default="off", help="A line on stderr for every policy.")
def recommend(  # noqa: PLR0913 - one for each flag
    *,
    report: str,
    model: str | None,
    backends: tuple[str, ...],
    rate_hz: float | None,
    threshold: str | None,
    percentile: float,
    arrivals: str,
    policies: tuple[str, ...],
    seed: int,
    verify: bool,
    allow_unverified: bool,
    reports_dir: Path,
    format_name: str,
    quiet: bool,
    verbose: bool,
) -> None:
    """Recommend a backend and a batching policy for a request rate and a latency limit.

    A simulation of the queue, calibrated from the windows of REPORT ("latest", an id, the start of one, or a
    folder), searches backends,
    policies, batch sizes and delays for the least cost per image whose response percentile stays within the limit.
    Exits with 1 when none does.
    """
    from runner.policies.registry import parse_policy  # noqa: PLC0415 - loads numpy
    from runner.report.archive import resolve  # noqa: PLC0415 - loads pydantic
    from runner.report.latencies import load_with_latencies  # noqa: PLC0415 - the same
    from runner.twin.eligible import find_eligible  # noqa: PLC0415 - loads scipy
    from runner.twin.recommend import predict_policies, recommend_policy  # noqa: PLC0415 - the same

    specs = [parse_policy(text) for text in policies]
    ask = _ask(arrivals, rate_hz, threshold, percentile, seed)
    if not specs and ask.limit_s is None:
        raise UsageError(
            "Cannot search for a policy",
            expected="--latency-threshold, or --policy to predict one",
            got="neither",
            fix="Pass for example --latency-threshold 200ms",
        )
    if verify and specs:
        raise UsageError(
            "Cannot use --verify with --policy",
            expected="a search, whose winner is verified",
            fix="Drop one, or replay the policy: joulebatch queue --policy SPEC",
        )
    loaded, latencies_s = load_with_latencies(resolve(reports_dir, report))
    eligible = find_eligible(loaded, latencies_s, model, backends, allow_unverified=allow_unverified)
    progress = progress_on_stderr(quiet=quiet, verbose=verbose)
    try:
        if specs:
            answer = predict_policies(loaded, eligible, ask, specs, progress.say)
        else:
            answer = recommend_policy(loaded, eligible, ask, progress.say)
    finally:
        progress.close()
    _write(answer, format_name)
    if answer.infeasible:
        from runner.render.recommendation import infeasible_text  # noqa: PLC0415 - as above

        raise GateError(infeasible_text(answer))
    if verify:
        from runner.cli.check_recommendation import check_recommendation  # noqa: PLC0415 - measures

        check_recommendation(answer, loaded, reports_dir, quiet=quiet, verbose=verbose)


def _ask(text: str, rate_hz: float | None, threshold: str | None, percentile: float, seed: int) -> "Ask":
    """Return what is asked.

    Raises:
        UsageError: arrivals, a rate, a limit or a percentile that cannot be.
    """
    from numpy.random import default_rng  # noqa: PLC0415 - no help needs it

    from runner.arrivals.registry import parse_arrivals  # noqa: PLC0415 - loads numpy
    from runner.twin.recommend import Ask  # noqa: PLC0415 - loads scipy
    from runner.units import parse_duration_s  # noqa: PLC0415 - as the others

    limit_s = None if threshold is None else parse_duration_s(threshold, "--latency-threshold")
    if not 0 < percentile < 100:  # noqa: PLR2004 - of a hundred
        raise UsageError(
            "Cannot use --percentile",
            expected="a number above 0 and below 100",
            got=f"{percentile:g}",
            fix="Pass for example --percentile 95",
        )
    arrivals = parse_arrivals(text)
    arrivals.chunks(rate_hz, 1, 1, default_rng(seed))  # refuses a rate that cannot be at once
    return Ask(arrivals, rate_hz, percentile / 100, limit_s, seed)


def _write(answer: "Recommendation", format_name: str) -> None:
    from runner.render import recommendation, recommendation_data  # noqa: PLC0415 - loads pydantic

    if format_name == "json":
        recommendation_data.write_recommendation_json(answer, sys.stdout)
    elif format_name == "csv":
        recommendation_data.write_recommendation_csv(answer, sys.stdout)
    elif format_name == "md":
        from runner.render.markdown import sections_to_markdown  # noqa: PLC0415 - as above

        sys.stdout.write(sections_to_markdown(recommendation.recommendation_sections(answer)))
    else:
        from runner.render.terminal import write_sections  # noqa: PLC0415 - loads rich

        write_sections(recommendation.recommendation_sections(answer), sys.stdout, hint="-f csv has them")
