"""``joulebatch reports compare``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.gates import FAIL_ON_PARITY, FAIL_ON_REGRESSION, STRICT, read_thresholds
from runner.cli.options import DETAILS, FOLDER, REPORTS_DIR, format_option
from runner.errors import AbsentError, GateError, UsageError, nearest

if TYPE_CHECKING:  # these load pydantic, which no help needs
    from runner.render.comparison import Judgements
    from runner.report.comparison.compare import Side
    from runner.report.comparison.gate import Gate
    from runner.report.comparison.spread import Spread


@dataclass(frozen=True, slots=True)
class _Asked:
    """The flags of the command."""

    reports_dir: Path
    format_name: str
    details: bool
    regression: tuple[str, ...]
    parity: bool
    strict: bool
    allow: tuple[str, ...]
    references: tuple[str, ...]
    pool: bool
    calibrate: bool
    spread: Path | None


@click.command(
    epilog="\b\nExamples:\n"
    "  joulebatch reports compare 2026-11-23T21 latest\n"
    "  joulebatch reports compare --calibrate RUN1 RUN2 RUN3 RUN4 RUN5\n"
    "  joulebatch reports compare 2026-11-23T21 latest --fail-on-regression latency=5%,cpu=10%\n"
    "  joulebatch reports compare RUN1 RUN2 RUN3 --pool --reference RUN4\n"
    "\nRules, statistics and the gate in CI: docs/compare.md."
)
@click.argument("reports", nargs=-1, required=True, metavar="REF NEW...")
@REPORTS_DIR
@FAIL_ON_REGRESSION
@FAIL_ON_PARITY
@STRICT
@click.option(
    "--allow",
    multiple=True,
    metavar="RULE",
    show_default="none",
    help="Compare although this rule refuses, as model-hash; or missing: cells that NEW lacks; repeatable.",
)
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="REPORT",
    show_default="none",
    help="Another run of what REF is, taken with it as one; repeatable.",
)
@click.option(
    "--pool", is_flag=True, show_default="off", help="Take all NEW as runs of one thing: more runs find less."
)
@click.option(
    "--calibrate",
    is_flag=True,
    show_default="off",
    help="Take five or more runs of one thing, and write how far they lie from each other to --spread.",
)
@click.option(
    "--spread",
    type=FOLDER,
    metavar="FILE",
    show_default="spread.json in --reports-dir",
    help="The spread of repeated runs.",
)
@format_option()
@DETAILS
def compare(reports: tuple[str, ...], **flags: Any) -> None:  # noqa: ANN401 - as click makes them
    """Compare archived runs: each NEW with REF, cell by cell, unpaired.

    Exits with 1 when a gate that was asked for fails, and with 3 when nothing could be compared. For two commits or
    two builds one run of both is better: joulebatch run --backend old=cpu@old --backend new=cpu@new.
    """
    asked = _Asked(**flags)
    if asked.calibrate:
        _calibrate(reports, asked)
    else:
        _compare(reports, asked)


def _calibrate(reports: tuple[str, ...], asked: _Asked) -> None:
    from importlib.metadata import version  # noqa: PLC0415 - no help needs it

    from runner.render.comparison import spread_section  # noqa: PLC0415 - loads pydantic
    from runner.render.terminal import write_sections  # noqa: PLC0415 - loads rich
    from runner.report.comparison.spread import SPREAD_NAME, calibrate, rows_of, write_spread  # noqa: PLC0415 - the same

    for flag, given in (
        ("--fail-on-regression", asked.regression),
        ("--fail-on-parity", asked.parity),
        ("--pool", asked.pool),
        ("--reference", asked.references),
        ("--strict", asked.strict),
        ("--details", asked.details),
        ("--format", asked.format_name != "table"),
    ):
        if given:
            raise UsageError(
                f"Cannot use {flag} with --calibrate",
                expected="runs of one thing and no gate",
                fix=f"Drop {flag}",
            )
    side = _side(reports, asked.reports_dir)
    path = asked.spread or asked.reports_dir / SPREAD_NAME
    spread = calibrate(side, version("joulebatch"), _allowed(asked.allow))
    write_spread(path, spread)
    write_sections(
        (spread_section(rows_of(side, spread), len(spread.runs), str(path)),), sys.stdout, hint="widen it"
    )


def _compare(reports: tuple[str, ...], asked: _Asked) -> None:
    from runner.report.comparison.compare import compare as compare_sides  # noqa: PLC0415 - loads pydantic
    from runner.report.comparison.gate import judge  # noqa: PLC0415 - the same

    thresholds = read_thresholds(asked.regression, parity=asked.parity, strict=asked.strict)
    allowed = _allowed(asked.allow)
    reference, *news = reports
    if not news:
        raise UsageError(
            "Cannot compare", expected="REF and at least one NEW", got="one report", fix="Name another report"
        )
    base = _side((reference, *asked.references), asked.reports_dir)
    sides = (
        [_side(tuple(news), asked.reports_dir)]
        if asked.pool
        else [_side((new,), asked.reports_dir) for new in news]
    )
    for side in sides:
        ids = (*base.report_ids, *side.report_ids)
        if twice := next((each for each in ids if ids.count(each) > 1), None):
            raise UsageError(
                "Cannot compare a report with itself", expected="different reports", got=f"{twice} twice"
            )
    spread = _read_spread(asked)
    judgements: Judgements = [
        (
            found := compare_sides(base, side, spread, allowed),
            judge(found, thresholds, parity=asked.parity, allowed=allowed)
            if thresholds or asked.parity
            else None,
        )
        for side in sides
    ]
    _write(judgements, asked)
    _leave(judgements, asked)


def _side(texts: tuple[str, ...], reports_dir: Path) -> "Side":
    from runner.report import archive  # noqa: PLC0415 - loads pydantic
    from runner.report.comparison.compare import make_side  # noqa: PLC0415 - the same

    loaded = [archive.load(archive.resolve(reports_dir, text)) for text in texts]
    for report in loaded:
        if report.status != "complete":
            click.echo(
                f"Report {report.report_id} is {report.status}: what it measured so far is compared", err=True
            )
    return make_side(loaded)


def _allowed(names: tuple[str, ...]) -> frozenset[str]:
    from runner.report.comparison.gate import MISSING  # noqa: PLC0415 - loads pydantic
    from runner.report.comparison.rules import RULES  # noqa: PLC0415 - the same

    valid = (*RULES, MISSING)
    for name in names:
        if name not in valid:
            raise UsageError(
                "Cannot read --allow", expected="a rule", got=repr(name), fix=nearest(name, valid)
            )
    return frozenset(names)


def _read_spread(asked: _Asked) -> "Spread | None":
    from runner.report.comparison.spread import SPREAD_NAME, read_spread  # noqa: PLC0415 - loads pydantic

    path = asked.spread or asked.reports_dir / SPREAD_NAME
    return read_spread(path) if asked.spread or path.exists() else None


def _write(judgements: "Judgements", asked: _Asked) -> None:
    from runner.render import comparison_data  # noqa: PLC0415 - loads pydantic
    from runner.render.comparison import comparison_sections  # noqa: PLC0415 - the same
    from runner.render.markdown import sections_to_markdown  # noqa: PLC0415 - the same
    from runner.render.terminal import write_sections  # noqa: PLC0415 - loads rich

    if asked.format_name == "json":
        comparison_data.write_comparison_json(judgements, sys.stdout)
    elif asked.format_name == "csv":
        comparison_data.write_comparison_csv(judgements, sys.stdout)
    elif asked.format_name == "md":
        click.echo(sections_to_markdown(comparison_sections(judgements, details=asked.details)), nl=False)
    else:
        write_sections(
            comparison_sections(judgements, details=asked.details), sys.stdout, hint="-f csv has them"
        )


def _leave(judgements: "Judgements", asked: _Asked) -> None:
    """Say what a gate found, and end with its exit code."""
    gates = [gate for _, gate in judgements if gate]
    for each, gate in judgements:
        _say(gate, f"{each.new.report_ids[0]}: " if len(judgements) > 1 else "")
    if failed := sum(gate.failed for gate in gates):
        raise GateError("The gate failed", expected="nothing that offends", got=str(failed))
    empty = [each for each, _ in judgements if not each.figures]
    if empty and (gates or len(empty) == len(judgements)):
        names = sorted(
            {breach.rule.name for each in empty for cell in each.matched for breach in cell.refused}
        )
        why = f"refused by {', '.join(names)}" if names else "no figure that both sides have"
        fix = (
            f"See above, or pass --allow {names[0]}"
            if names
            else "Measure the same models, backends and loads"
        )
        raise AbsentError("Nothing could be compared", got=why, fix=fix)
    if asked.regression and any(not gate.judged for gate in gates):
        why = "; ".join(dict.fromkeys(reason for gate in gates if not gate.judged for reason in gate.untold))
        fix = "Back to back CPU time is no cost: add --pace to the runs; energy needs a meter"
        raise AbsentError("The gate could judge nothing", got=why or "no figure", fix=fix)
    if asked.strict and (untold := sum(len(gate.untold) for gate in gates)):
        raise GateError(
            "The gate cannot tell", expected="a verdict of every cell", got=f"{untold} inconclusive"
        )


def _say(gate: "Gate | None", prefix: str) -> None:
    from runner.render.gate import gate_lines  # noqa: PLC0415 - loads pydantic
    from runner.render.layout import plain  # noqa: PLC0415 - the same

    for line in gate_lines(gate) if gate else ():
        click.echo(plain(f"{prefix}{line}"), err=True)
