"""``joulebatch queue``: flags and TOML -> configuration -> replayed arrivals -> tables and exit code."""

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from runner.cli.measuring import After, measure, measuring_options
from runner.cli.options import FOLDER, PolicyCommand
from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.config import RunConfig

_BY_PAPER = ("policies", "request_rates_hz", "arrivals")
"""settled by --paper"""
_TARGET_CI = "2%"
"""of the calibration's ratios between backends; the replays are as many as the profile says"""


@click.command(
    cls=PolicyCommand,
    context_settings={"show_default": True, "max_content_width": 100},
    epilog="""
\b
Examples:
  joulebatch queue -m shufflenet --policy greedy:16 --policy timeout:16@20ms --relative-load 0.3,0.6,0.8
  joulebatch queue -m shufflenet --backend cpu --backend cpu:spin=off --policy fixed:8 --request-rate 16,32
  joulebatch queue --paper --requests 600 --profile quick --explain
  joulebatch queue -m alexnet --arrivals trace:times.csv:seconds --policy deadline:16@200ms
  joulebatch queue --resume latest
""",
)
@measuring_options(
    click.option(
        "--policy",
        "policies",
        multiple=True,
        metavar="SPEC",
        show_default="the study's five",
        help="How waiting requests become batches, see below; the first is what others are compared with; repeatable.",
    ),
    click.option(
        "--request-rate",
        "request_rates_hz",
        default="",
        metavar="R,...",
        show_default="none",
        help="Requests per second.",
    ),
    click.option(
        "--relative-load",
        "relative_loads",
        default="",
        metavar="SHARE,...",
        show_default="none",
        help="Also shares of what each backend could serve at most, as 0.3,0.6,0.8.",
    ),
    click.option(
        "--arrivals",
        default="uniform",
        metavar="KIND",
        help="When requests come, see below; the same for every policy.",
    ),
    click.option(
        "--requests",
        type=click.IntRange(1),
        default=8192,
        metavar="N",
        help="Of each cell, over all its windows; of a trace in every window.",
    ),
    click.option(
        "--images",
        type=FOLDER,
        metavar="DIR",
        show_default="ready inputs",
        help="JPEG and PNG files that are decoded and transformed within the served time, in turn.",
    ),
    click.option(
        "--paper",
        is_flag=True,
        show_default="off",
        help="The study's own grid: five policies, 16 and 32 requests per second, uniform arrivals.",
    ),
    click.option(
        "--calibrate",
        is_flag=True,
        show_default="off",
        help="Only measure what the twin needs: every batch size back to back and after idle times.",
    ),
)
@click.pass_context
def queue(
    ctx: click.Context,
    /,
    *,
    resume: str | None,
    paper: bool,
    calibrate: bool,
    **flags: Any,  # noqa: ANN401 - validated by RunConfig
) -> None:
    """Compare batching policies at request rates: waits, responses, batches formed, energy and CPU time per image.

    Requests that arrive at given times are served in batches by a worker of each backend; every policy gets the same
    arrivals, block by block. Before that, batches are measured back to back and after idle times, which tells the
    capacity and calibrates the twin.
    """
    after = After.taken_from(flags)
    if paper:
        _refuse_beside_paper(ctx, calibrate=calibrate)
    reports_dir = flags["reports_dir"]
    measure(ctx, lambda: _read(flags, paper=paper, calibrate=calibrate), resume, reports_dir, after)


def _read(flags: dict[str, Any], *, paper: bool, calibrate: bool) -> "RunConfig":
    from runner.config import RunConfig  # noqa: PLC0415 - --help must not pay for it
    from runner.gaps import CALIBRATION_GAPS_S  # noqa: PLC0415 - the same
    from runner.queue.cells import largest_batch  # noqa: PLC0415 - the same
    from runner.queue.config import (  # noqa: PLC0415 - the same
        PAPER_POLICIES,
        PAPER_RATES_HZ,
        QueueConfig,
        ladder,
    )

    asked = {name: flags.pop(name) for name in QueueConfig.model_fields}
    asked["policies"] = asked["policies"] or PAPER_POLICIES
    if paper:
        asked["request_rates_hz"] = PAPER_RATES_HZ
    sizes = ladder(largest_batch(asked["policies"]))
    if calibrate:
        asked |= {"policies": (), "request_rates_hz": (), "relative_loads": ()}
    return RunConfig.read(
        {
            **flags,
            "queue": asked,
            "batch_sizes": sizes,
            "gaps_s": CALIBRATION_GAPS_S,
            "target_ci_ratio": _TARGET_CI,
        }
    )


def _refuse_beside_paper(ctx: click.Context, *, calibrate: bool) -> None:
    given = [
        param.opts[-1]
        for param in ctx.command.params
        if param.name in _BY_PAPER and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE
    ]
    for flag in (*given, *(["--calibrate"] if calibrate else [])):
        raise UsageError(
            f"Cannot use {flag} with --paper",
            expected="the study's grid as it was",
            fix="Drop one of the two",
        )
