"""``joulebatch export``: the command; everything heavy is imported inside."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.units import BYTES_PER_MB
from runner.variants import REFERENCE_VARIANT, VARIANTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.request import Request
    from exporter.weights import Mode
    from runner.errors import JoulebatchError
    from runner.manifest import Manifest

MAX_SEED = 2**63 - 1
"""NumPy takes any seed from 0 up, torch.manual_seed 64 bits; this also fits a signed column of a database"""


@click.command(
    context_settings={"max_content_width": 100},
    epilog="""
\b
Examples:
  joulebatch export                        the five networks of the study
  joulebatch export shufflenet resnet50    others, by name or its beginning
  joulebatch export shufflenet --variant fp16 --variant int8-static
  joulebatch export --weights pretrained --weights-dir ~/checkpoints
""",
)
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option(
    "--models-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="PATH",
    default=Path("models"),
    show_default=True,
    help="Where the files go.",
)
@click.option(
    "--weights",
    type=click.Choice(("auto", "pretrained", "random")),
    default="auto",
    show_default=True,
    help="auto: published weights from --weights-dir, the cache or a fast download, else random ones.",
)
@click.option(
    "--weights-dir",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="PATH",
    show_default="none",
    help="A folder with torchvision's checkpoint files; the hash in each name is verified.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, MAX_SEED),
    default=0,
    metavar="N",
    show_default=True,
    help="Of random weights and of the reference inputs.",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(VARIANTS),
    default=(REFERENCE_VARIANT,),
    metavar="|".join(VARIANTS),
    show_default="fp32 alone",
    help="Beside fp32 this variant, made from the checked fp32 file by onnxruntime's tools; repeatable.",
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    show_default="seeded noise",
    help="A folder of JPEG and PNG files that int8-static is calibrated on.",
)
@click.option("--opset", default=18, metavar="N", show_default=True, help="18, 19 or 20.")
@click.option(
    "--jobs",
    default="auto",
    metavar="N|auto",
    show_default=True,
    help="Processes; auto: as cores and memory allow.",
)
@click.option("--force", is_flag=True, show_default="off", help="Export again what is up to date.")
@click.option("-q", "--quiet", is_flag=True, show_default="off", help="Only errors and warnings.")
def export(  # noqa: PLR0913 - a parameter per flag
    *,
    models: tuple[str, ...],
    models_dir: Path,
    weights: "Mode",
    weights_dir: Path | None,
    seed: int,
    variants: tuple[str, ...],
    images: Path | None,
    opset: int,
    jobs: str,
    force: bool,
    quiet: bool,
) -> None:
    """Export torchvision networks to checked ONNX files with a dynamic batch.

    Without MODEL: alexnet, densenet121, shufflenet_v2_x0_5, vit_b_16, convnext_base. A repeated export
    changes nothing; a changed or truncated file is exported again. Every variant is compared with the reference
    outputs of fp32: one that comes too far from them is written all the same, and said to have lost its quality.
    """
    from exporter.catalogue import resolve  # noqa: PLC0415 - the help needs none of it
    from exporter.cli_variants import Effort, export_variants, size_bytes  # noqa: PLC0415 - the same
    from exporter.request import Request, find_current  # noqa: PLC0415 - the same
    from exporter.weights import Wanted  # noqa: PLC0415 - the same

    count = _parse_jobs(jobs)
    wanted = Wanted(weights, seed, weights_dir, online=False)
    if images is not None and "int8-static" not in variants:
        raise _unused_images()
    requests = tuple(Request(name, models_dir, wanted, opset) for name in resolve(models, models_dir))
    current = {} if force else find_current(requests)
    missing = tuple(request for request in requests if request.model not in current)
    exported, errors = _export(missing, count, quiet=quiet)
    for request in requests:
        state, manifest = "unchanged", current.get(request.model)
        if manifest is None:
            state, manifest = "exported", exported.get(request.model)
        if manifest and not quiet:
            size_mb = size_bytes(manifest) / BYTES_PER_MB
            click.echo(
                f"{models_dir / manifest.file.name}  {size_mb:.1f} MB  {state}, {manifest.weights.source}"
            )
    references = tuple(manifest for each in requests if (manifest := (current | exported).get(each.model)))
    errors += export_variants(references, models_dir, variants, images, Effort(count or 1, force, quiet))
    _warn_of_random(references, seed)
    for error in errors[1:]:
        click.echo(f"joulebatch: {error}", err=True)
    if errors:
        raise errors[0]


def _unused_images() -> "JoulebatchError":
    from runner.errors import UsageError  # noqa: PLC0415 - the help needs no errors

    return UsageError(
        "Cannot use --images",
        expected="a variant that is calibrated on them",
        got="none",
        fix="Add --variant int8-static, or drop --images",
    )


def _parse_jobs(text: str) -> int | None:
    """Return the number of processes, or None for auto."""
    from runner.errors import UsageError  # noqa: PLC0415 - the help needs no errors

    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError("Cannot read --jobs", expected="auto or a whole number from 1 up", got=repr(text))
    return int(text)


def _export(
    requests: "tuple[Request, ...]", jobs: int | None, *, quiet: bool
) -> "tuple[dict[str, Manifest], list[JoulebatchError]]":
    """Return what was exported, by name, and the errors of the others."""
    if not requests:
        return {}, []
    from exporter.jobs import default_jobs, export_all  # noqa: PLC0415 - nothing to do needs no processes
    from exporter.progress import show_progress  # noqa: PLC0415 - the same
    from exporter.weights import AUTO_BYTES_PER_S, is_online  # noqa: PLC0415 - the same
    from runner.manifest import Manifest  # noqa: PLC0415 - the same

    wanted = requests[0].wanted
    count = min(jobs or default_jobs(len(requests)), len(requests))
    # Asked once here, so that a machine without a network waits once and not for every network.
    online = wanted.mode != "random" and is_online()
    # Who asks for pretrained weights waits for them; auto has others.
    least = AUTO_BYTES_PER_S / count if wanted.mode == "auto" else 0.0
    wanted = replace(wanted, online=online, least_bytes_per_s=least)
    with show_progress(quiet=quiet) as progress:
        results = export_all(
            tuple(replace(request, wanted=wanted) for request in requests),
            count,
            progress,
        )
    named = {request.model: result for request, result in zip(requests, results, strict=True)}
    manifests = {name: result for name, result in named.items() if isinstance(result, Manifest)}
    return manifests, [result for result in results if not isinstance(result, Manifest)]


def _warn_of_random(manifests: "Iterable[Manifest]", seed: int) -> None:
    names = [manifest.model for manifest in manifests if manifest.weights.kind == "random"]
    if names:
        click.echo(
            f"joulebatch: RANDOM weights (seed {seed}) in {', '.join(names)}: time and energy are real, "
            "predictions mean nothing. For published weights pass --weights pretrained, which waits for a slow "
            "download; offline add --weights-dir.",
            err=True,
        )
