"""The options of a gate: the same words for ``run``, ``queue`` and ``reports compare``."""

import click

FAIL_ON_REGRESSION = click.option(
    "--fail-on-regression",
    "regression",
    multiple=True,
    metavar="PERCENT|METRIC=PERCENT,...",
    show_default="off",
    help="Exit with 1 when a figure is surely worse by more: 5% for all, or latency=5%,energy=3%,cpu=10%.",
)
FAIL_ON_PARITY = click.option(
    "--fail-on-parity",
    "parity",
    is_flag=True,
    show_default="off",
    help="Exit with 1 when outputs are not those of the reference.",
)
STRICT = click.option(
    "--strict",
    is_flag=True,
    show_default="off",
    help="With --fail-on-regression: exit with 1 also where the gate cannot tell.",
)
