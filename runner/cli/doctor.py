"""``joulebatch doctor``: what this machine can measure, or what is in a model and who can run it."""

import sys
from pathlib import Path

import click

from runner.cli.options import FOLDER, MODELS_DIR


@click.command(
    context_settings={"show_default": True},
    epilog="""
\b
Examples:
  joulebatch doctor
  joulebatch doctor models/alexnet.onnx
""",
)
@click.argument("file", required=False, type=FOLDER, metavar="[FILE.onnx]")
@MODELS_DIR
def doctor(file: Path | None, models_dir: Path) -> None:
    """Say what this machine can measure.

    For what it cannot, say why and what to do. Given a file, say what is in it instead: it is opened under every
    backend this machine has, to see where its operators really run.
    """
    from runner.diagnosis import machine_facts, model_facts  # noqa: PLC0415 - --help must not pay for it
    from runner.render.machine import machine_sections  # noqa: PLC0415 - the same
    from runner.render.model import model_section  # noqa: PLC0415 - the same
    from runner.render.terminal import write_sections  # noqa: PLC0415 - the same

    sections = (
        machine_sections(machine_facts(models_dir)) if file is None else (model_section(model_facts(file)),)
    )
    write_sections(sections, sys.stdout)
