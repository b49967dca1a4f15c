"""How ``--onnx`` names files: ``FILE`` is a model of its own, those with a ``LABEL=`` are the variants of one."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_LABEL = re.compile(r"[A-Za-z0-9._-]+")
"""Short of a slash, so that ``./a=b.onnx`` is a path."""


class OnnxSource(NamedTuple):
    """A file as ``--onnx`` names it."""

    label: str | None
    """of the variant that it is; None for a model of its own"""
    path: Path


def parse_source(text: str) -> OnnxSource:
    """Return the file that ``[LABEL=]FILE`` names; the path of a file that is there is no label and a path."""
    label, equals, path = text.partition("=")
    if equals and path and _LABEL.fullmatch(label) and not Path(text).is_file():
        return OnnxSource(label, Path(path))
    return OnnxSource(None, Path(text))


def sources_of(texts: Sequence[str], model: str) -> tuple[str, ...]:
    """Return those of a run's ``--onnx`` that make up a model, as they were written; none for an exported one."""
    sources = {text: parse_source(text) for text in texts}
    labelled = [text for text, source in sources.items() if source.label]
    if labelled and sources[labelled[0]].path.stem == model:
        return tuple(labelled)
    return tuple(
        text for text, source in sources.items() if source.label is None and source.path.stem == model
    )
