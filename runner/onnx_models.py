"""The ``--onnx`` files of a run as models: each by itself, or with labels as the variants of one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from runner.errors import UsageError
from runner.modelfile import ModelFile
from runner.onnx_sources import parse_source
from runner.onnxfile import open_onnx
from runner.shapes import Shapes, declared


def open_sources(
    texts: Sequence[str], shapes: Shapes, values: Mapping[str, str]
) -> tuple[tuple[ModelFile, ...], ...]:
    """Return the models of a run's ``--onnx``, each with its variants; the labelled files are one, after the others.

    Args:
        texts: as they were written.
        shapes: sizes by input name.
        values: what inputs hold, by input name.

    Raises:
        AbsentError, FileError: as `open_onnx`.
        UsageError: as `open_onnx`, or a label twice, or labelled files that do not take the same inputs.
    """
    sources = [parse_source(text) for text in texts]
    alone = [(open_onnx(source.path, shapes, values),) for source in sources if source.label is None]
    labelled = [(source.label, source.path) for source in sources if source.label is not None]
    return (*alone, _open_variants(labelled, shapes, values)) if labelled else tuple(alone)


def _open_variants(
    labelled: Sequence[tuple[str, Path]], shapes: Shapes, values: Mapping[str, str]
) -> tuple[ModelFile, ...]:
    """Return labelled files as variants of one model, which is called as the first of them."""
    labels = [label for label, _ in labelled]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(
                "Cannot use --onnx", expected="each label once", got=f"{label} twice", fix="Rename a label"
            )
    name = labelled[0][1].stem
    first, *others = (
        replace(open_onnx(path, shapes, values), name=name, variant=label) for label, path in labelled
    )
    for other in others:
        if (needed := _inputs_text(first)) != (taken := _inputs_text(other)):
            raise UsageError(
                f"Cannot compare {other.path} with {first.path}",
                expected=f"the same inputs, {needed}",
                got=taken,
                fix="Give files of the same inputs, or drop the labels and give each file a name of its own",
            )
    return first, *others


def _inputs_text(file: ModelFile) -> str:
    """Return what goes into a file, whatever it calls its batch dimension."""
    named = (
        replace(spec, shape=tuple("batch" if isinstance(size, str) else size for size in spec.shape))
        for spec in sorted(file.inputs, key=lambda spec: spec.name)
    )
    return "; ".join(f"{spec.name} {spec.dtype} ({declared(spec)})" for spec in named)
