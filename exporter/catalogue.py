"""Which networks can be exported: the five of the study, and torchvision's other classification networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.errors import UsageError
from runner.manifest import exported_models
from runner.modelfile import STUDY_MODELS, match_name


@dataclass(frozen=True, slots=True)
class Publication:
    """Where a network comes from; torchvision's metadata do not say."""

    year: int
    paper: str


PUBLICATIONS: Mapping[str, Publication] = {
    # torchvision builds the one-tower variant of arXiv 1404.5997; the study means the first paper.
    "alexnet": Publication(
        2012, "ImageNet Classification with Deep Convolutional Neural Networks (NIPS 2012)"
    ),
    "densenet121": Publication(2016, "Densely Connected Convolutional Networks (arXiv 1608.06993)"),
    "shufflenet_v2_x0_5": Publication(
        2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design (arXiv 1807.11164)"
    ),
    "vit_b_16": Publication(
        2020, "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale (arXiv 2010.11929)"
    ),
    "convnext_base": Publication(2022, "A ConvNet for the 2020s (arXiv 2201.03545)"),
}
"""of the study's networks; the study dates each by its paper"""


def resolve(names: tuple[str, ...], models_dir: Path) -> tuple[str, ...]:
    """Return the networks that are meant, each once; without names the five of the study.

    Args:
        names: in any case; the beginning of a name will do where only one network has it.
        models_dir: what was exported there is known without importing torchvision.

    Raises:
        UsageError: an unknown name, or a beginning of several.
        AbsentError: a name that only torchvision could know, and it cannot be imported.
    """
    return tuple(dict.fromkeys(_resolve(name, models_dir) for name in names)) or STUDY_MODELS


def _resolve(name: str, models_dir: Path) -> str:
    exported = exported_models(models_dir)
    matches = match_name(name, STUDY_MODELS)
    if not matches and name.lower() in exported:
        matches = (name.lower(),)
    if not matches:
        known = _torchvision_names()
        matches = match_name(name, known)
        if not matches:
            raise _unknown(name, known)
    if len(matches) > 1:
        raise UsageError(
            f"{name!r} is no single model", expected=" or ".join(matches), fix="Write more of it"
        )
    return matches[0]


def _unknown(name: str, known: tuple[str, ...]) -> UsageError:
    """Return the error with the nearest names; all of torchvision's would fill a screen."""
    from difflib import get_close_matches  # noqa: PLC0415 - only needed when something is wrong

    close = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return UsageError(
        f"Unknown model {name!r}",
        fix=f"{hint}The study's are {', '.join(STUDY_MODELS)}; torchvision.models.list_models() gives the others",
    )


def _torchvision_names() -> tuple[str, ...]:
    from exporter.torchvision_ops import import_torchvision  # noqa: PLC0415 - seconds that the five need not pay

    models = import_torchvision().models
    return tuple(models.list_models(module=models))
