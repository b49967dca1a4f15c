"""What the command line spells out, because no help is to load it, is what its modules know."""

from typing import get_args

import click

from runner.cli.options import FORMATS
from runner.cli.run import run
from runner.config import RunConfig
from runner.profiles import PROFILES
from runner.render import FORMATS as RENDERED


def test_formats_are_those_that_can_be_rendered() -> None:
    assert tuple(RENDERED) == FORMATS


def test_profiles_are_those_that_a_run_can_be_planned_by() -> None:
    (offered,) = (param.type for param in run.params if param.name == "profile")
    assert isinstance(offered, click.Choice)
    configured = get_args(RunConfig.model_fields["profile"].annotation)
    assert tuple(offered.choices) == configured == tuple(PROFILES)


def test_the_help_tells_how_many_workers_each_profile_takes() -> None:
    (shown,) = (
        param.show_default
        for param in run.params
        if isinstance(param, click.Option) and param.name == "workers"
    )
    assert shown == ", ".join(f"{profile.name} {profile.workers}" for profile in PROFILES.values())
