"""``joulebatch recommend --verify``: the winner and a naive choice live, predicted beside measured."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.progress import progress_on_stderr
from runner.errors import SIGNALLED, AbsentError

if TYPE_CHECKING:
    from runner.config import RunConfig
    from runner.report.schema import Report
    from runner.twin.answers import Prediction, Recommendation

REQUESTS = 900
"""of each cell; three windows of 300 leave 45 requests beyond a p95"""
LONGEST_S = 90.0
"""of the replays of a cell; slower requests are fewer"""
FEWEST_REQUESTS = 60
"""of each cell, however slow they come: three windows of 20, one beyond a p95 in each; ours"""
FEWEST_BATCHES = 4
"""of the largest size, in each cell; ours"""
CALIBRATION_S = 300.0
"""of the time budget, for the batches"""
REPLAY_ALLOWANCE = 2
"""times that the replays fit into the rest of the budget: disturbed blocks are repeated"""


def check_recommendation(
    answer: "Recommendation", archived: "Report", reports_dir: Path, *, quiet: bool, verbose: bool
) -> None:
    """Replay the winner and the naive choice at the rate in question, archive that, and show it beside the twin.

    Args:
        answer: with a winner.
        archived: the report that it was searched in: its models, interpreters and backends are run again.
        reports_dir: where the new report goes.
        quiet: whether to show no progress on stderr.
        verbose: whether to show a line for every step.

    Raises:
        AbsentError, FileError, UsageError: models or backends are not what they were, or not there; or nothing of
            it could be replayed.
    """
    from runner.experiment import run_experiment  # noqa: PLC0415 - only with --verify
    from runner.render.layout import plain  # noqa: PLC0415 - the same
    from runner.render.terminal import write_sections  # noqa: PLC0415 - the same
    from runner.render.verification import verification_section  # noqa: PLC0415 - the same
    from runner.selection import select  # noqa: PLC0415 - the same

    chosen = to_verify(answer)
    config = verifying_config(answer, archived, chosen, reports_dir)
    click.echo(plain(f"Verifying {' and '.join(each.policy for each in chosen)} live"), err=True)
    progress = progress_on_stderr(quiet=quiet, verbose=verbose, budget_s=config.time_budget_s)
    try:
        outcome = run_experiment(config, select(config), ("joulebatch", *sys.argv[1:]), progress)
    finally:
        progress.close()
    write_sections((verification_section(answer, chosen, outcome.report),), sys.stdout)
    click.echo(f"{'Interrupted report' if outcome.interrupted_by else 'Report'}: {outcome.folder}", err=True)
    if outcome.interrupted_by:
        click.get_current_context().exit(SIGNALLED + outcome.interrupted_by)
    cells = outcome.report.queue.cells if outcome.report.queue else ()
    if not any(cell.summary for cell in cells):
        reasons = sorted({cell.reason for cell in cells})
        raise AbsentError("Nothing could be verified", got="; ".join(reasons), fix=f"See {outcome.folder}")


def to_verify(answer: "Recommendation") -> tuple["Prediction", ...]:
    """Return the winner, and the naive choice on its backend that the winner was not."""
    assert answer.winner is not None
    winner = answer.winner.prediction
    naive = [each.rated.prediction for each in answer.naive if each.rated.prediction.stable]
    other = [each for each in naive if (each.contender, each.policy) != (winner.contender, winner.policy)]
    other.sort(key=lambda each: each.contender != winner.contender)
    return (winner, *other[:1])


def verifying_config(
    answer: "Recommendation", archived: "Report", chosen: tuple["Prediction", ...], reports_dir: Path
) -> "RunConfig":
    """Return what replays these choices, set up as the report was."""
    from runner.backends.spec import parse_specs  # noqa: PLC0415 - only with --verify
    from runner.config import RunConfig  # noqa: PLC0415 - the same
    from runner.gaps import CALIBRATION_GAPS_S  # noqa: PLC0415 - the same
    from runner.onnx_sources import parse_source, sources_of  # noqa: PLC0415 - the same
    from runner.onnxfile import read_graph  # noqa: PLC0415 - the same
    from runner.policies.registry import parse_policy  # noqa: PLC0415 - the same
    from runner.queue.config import ladder  # noqa: PLC0415 - the same

    labels = [each.backend for each in chosen]
    specs = tuple(entry.spec for entry in archived.backends if entry.label in labels)
    begun_with: dict[str, Any] = dict(archived.provenance.config)
    question = answer.question
    largest = max(parse_policy(each.policy).largest_batch for each in chosen)
    requests = max(
        FEWEST_BATCHES * largest,
        FEWEST_REQUESTS,
        min(REQUESTS, int(LONGEST_S * (question.rate_hz or REQUESTS))),
    )
    variants = tuple(dict.fromkeys(each.variant for each in chosen))
    files = sources_of(begun_with["onnx_files"], answer.model)
    pairs = len(set(labels)) * (len(files) or len(variants)) * len({each.policy for each in chosen})
    budget_s = CALIBRATION_S + REPLAY_ALLOWANCE * pairs * requests / (question.rate_hz or 1.0)
    rates = "" if question.rate_hz is None else f"{question.rate_hz!r}"
    used = {spec.interpreter for spec in parse_specs(specs)}
    # Sizes and values of the other files' inputs would be unknown to a run of this one.
    inputs = {each.name for file in files for each in read_graph(parse_source(file).path)[1].inputs}
    return RunConfig.read(
        begun_with
        | {
            "models": () if files else (answer.model,),
            "onnx_files": files,
            "shapes": {name: sizes for name, sizes in begun_with.get("shapes", {}).items() if name in inputs},
            "input_values": {
                name: value for name, value in begun_with.get("input_values", {}).items() if name in inputs
            },
            "variants": () if files else variants,
            "allow_other_outputs": begun_with.get("allow_other_outputs", False)
            and any(parse_source(file).label for file in files),
            "interpreters": {name: path for name, path in begun_with["interpreters"].items() if name in used},
            "backends": specs,
            "baseline": None,
            "batch_sizes": ladder(largest),
            "gaps_s": CALIBRATION_GAPS_S,
            "paces": (),
            "mixed": False,
            "profile": "quick",
            "time_budget_s": budget_s,
            "workers": None,
            "seed": question.seed + 1,  # arrivals that the twin has not seen
            "name": f"verify {archived.report_id}"[:40],
            "reports_dir": reports_dir,
            "queue": {
                "policies": tuple(dict.fromkeys(each.policy for each in chosen)),
                "request_rates_hz": rates,
                "arrivals": question.arrivals,
                "requests": requests,
            },
        }
    )
