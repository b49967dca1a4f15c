"""``joulebatch run``: flags and TOML -> configuration -> measured report -> table and exit code."""

from typing import Any

import click

from runner.cli.measuring import After, measure, measuring_options


class RunCommand(click.Command):
    """The command whose help lists the backends of the registry."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the backends with their options, then the examples."""
        from runner.diagnosis import (  # noqa: PLC0415 - only the help of this command needs it
            backend_summaries,
            session_option_names,
        )

        with formatter.section("Backends"):
            formatter.write_dl(backend_summaries())
        formatter.write_paragraph()
        formatter.write_text(
            f"SESSION stands for {', '.join(session_option_names())}. Values and defaults: joulebatch doctor, and "
            "docs/backends.md."
        )
        super().format_epilog(ctx, formatter)


@click.command(
    cls=RunCommand,
    context_settings={"show_default": True, "max_content_width": 100},
    epilog="""
\b
Examples:
  joulebatch run -m shufflenet --backend cpu --backend cpu:threads=1 --batch-sizes 1,4,16
  joulebatch run -m shufflenet --backend cpu --backend cpu:spin=off --pace 8
  joulebatch run -m shufflenet --backend cpu --backend cpu@old --interpreter old=ENV/bin/python
  joulebatch run --onnx detector.onnx --shape images=3x640x640 --backend A=cpu --backend B=cpu
  joulebatch run --onnx base=old/detector.onnx --onnx new=detector.onnx --backend cpu --fail-on-regression 5%
  joulebatch run -m shufflenet --backend cpu --backend new=cpu@new --interpreter new=ENV --fail-on-regression 5%
  joulebatch run --profile quick --explain
  joulebatch run --resume latest
""",
)
@measuring_options(
    click.option(
        "--batch-sizes", default="1,2,4,8,16,32", metavar="N,...", help="Batch sizes, back to back."
    ),
    click.option(
        "--pace",
        "paces",
        multiple=True,
        metavar="R[@N,...]",
        show_default="none",
        help="Also R images per second, with gaps, at the smallest batch size or those after @; repeatable.",
    ),
    click.option(
        "--gaps",
        "gaps_s",
        default="",
        metavar="DURATION,...",
        show_default="none",
        help="Also every batch size with so much idle time before each inference, as 2ms,20ms: what the twin needs.",
    ),
    click.option(
        "--mixed",
        is_flag=True,
        show_default="off",
        help="Also all batch sizes in turn in one session: what a change of shape costs.",
    ),
    click.option(
        "--target-ci",
        "target_ci_ratio",
        default="2%",
        metavar="PERCENT",
        help="Stop a model once its ratios to the baseline are known to plus or minus this.",
    ),
)
@click.pass_context
def run(ctx: click.Context, /, *, resume: str | None, **flags: Any) -> None:  # noqa: ANN401 - validated by RunConfig
    """Compare backends over batch sizes: latency, images/s, CPU time and energy per image.

    Every model runs under every backend in a process of its own. Short windows of all cells alternate in random
    order, so that ratios hold although the machine's speed wanders.
    """
    from runner.config import RunConfig  # noqa: PLC0415 - --help must not pay for it

    after = After.taken_from(flags)
    measure(ctx, lambda: RunConfig.read(flags), resume, flags["reports_dir"], after)
