"""``joulebatch doctor``: what this machine can measure, or what is in a model and who can run it."""

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
    from rich.console import Console  # noqa: PLC0415 - --help must not pay for it

    console = Console(highlight=False, markup=False)
    if file is None:
        from runner.render.machine import show_machine  # noqa: PLC0415 - the same

        show_machine(console, models_dir)
    else:
        from runner.render.model import show_model  # noqa: PLC0415 - the same

        show_model(console, file)
