"""``joulebatch doctor``: what this machine can measure, or what is in a model and who can run it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli.options import FOLDER, INPUT, INTERPRETER, MODELS_DIR, SHAPE, format_option
from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.diagnosis import MachineFacts
    from runner.model_diagnosis import ModelFacts


@click.command(
    context_settings={"show_default": True},
    epilog="""
\b
Examples:
  joulebatch doctor
  joulebatch doctor models/alexnet.onnx
  joulebatch doctor detector.onnx --shape images=3x640x640
  joulebatch doctor detector.onnx --interpreter ov=OV --backend openvino@ov -f json
""",
)
@click.argument("file", required=False, type=FOLDER, metavar="[FILE.onnx]")
@SHAPE
@INPUT
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="SPEC",
    show_default="all that are here",
    help="A backend that is to open the file, as `joulebatch run` takes them; repeatable.",
)
@INTERPRETER
@MODELS_DIR
@format_option(("table", "json"))
def doctor(file: Path | None, models_dir: Path, format_name: str, **flags: tuple[str, ...]) -> None:
    """Say what this machine can measure, or what is in an ONNX file.

    For what it cannot, say why and what to do. Given a file, say what is in it instead: it is opened under every
    backend this machine has, to see where its operators really run.
    """
    from runner.render.doctor_data import write_facts_json  # noqa: PLC0415 - --help must not pay for it
    from runner.render.terminal import write_sections  # noqa: PLC0415 - the same

    facts: MachineFacts | ModelFacts
    if file is None:
        from runner.diagnosis import machine_facts  # noqa: PLC0415 - the same
        from runner.render.machine import machine_sections  # noqa: PLC0415 - the same

        _refuse_without_file(flags)
        facts = machine_facts(models_dir)
        sections = machine_sections(facts)
    else:
        from runner.config import RunConfig  # noqa: PLC0415 - the same
        from runner.model_diagnosis import model_facts  # noqa: PLC0415 - the same
        from runner.render.model import model_sections  # noqa: PLC0415 - the same

        config = RunConfig.read(
            {
                "onnx_files": (str(file),),
                "batch_sizes": "1",
                "target_ci_ratio": "2%",
                "models_dir": models_dir,
                "reports_dir": Path("reports"),
                **flags,
            }
        )
        facts = model_facts(file, config)
        sections = model_sections(facts)
    if format_name == "json":
        write_facts_json(facts, sys.stdout)
    else:
        write_sections(sections, sys.stdout)


def _refuse_without_file(flags: Mapping[str, tuple[str, ...]]) -> None:
    given = [name for name, values in flags.items() if values]
    if given:
        option = {
            "shapes": "shape",
            "input_values": "input",
            "backends": "backend",
            "interpreters": "interpreter",
        }
        raise UsageError(
            f"Cannot use --{option[given[0]]}",
            expected="a FILE.onnx that it is about",
            got="none",
            fix="Add the file",
        )
