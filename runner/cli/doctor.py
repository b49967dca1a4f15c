"""``joulebatch doctor``: what this machine can measure, or what is in a model and who can run it."""

import sys
from pathlib import Path

import click


@click.command(
    context_settings={"show_default": True},
    epilog="""
\b
Examples:
  joulebatch doctor
  joulebatch doctor models/alexnet.onnx
""",
)
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[FILE.onnx]")
@click.option(
    "--models-dir", type=click.Path(path_type=Path), default=Path("models"), help="Where exported models are."
)
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
