"""Runs of several variants, made of runs of several backends: ``cpu#fp16`` becomes the variant fp16 under cpu."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from exporter.variant_request import VariantRequest
from exporter.variants import make_variant
from runner.manifest import Manifest
from runner.report.lines import BlockLine, CellLine, HeaderLine, Line, ModelEndLine, SessionLine
from runner.report.schema import Cell, ModelEntry, Parity, Quality, SessionEntry
from tests.models import write_exported

QUALITIES: Mapping[str, Quality] = {"fp32": "reference"}
"""of variants that a test says nothing of: unverified, as with random weights"""


def split_variants(lines: Sequence[Line], qualities: Mapping[str, Quality] | None = None) -> tuple[Line, ...]:
    """Return the lines of a run whose backends name a variant behind a ``#``."""
    known = {**QUALITIES, **(qualities or {})}
    return tuple(_split(line, known) for line in lines)


def _split(line: Line, qualities: Mapping[str, Quality]) -> Line:
    match line:
        case HeaderLine():
            variants = dict.fromkeys(_names(backend.label)[1] for backend in line.backends)
            backends = {_names(each.label)[0]: each for each in reversed(line.backends)}
            update = {
                "models": tuple(
                    _file(model, each, qualities.get(each, "unverified"))
                    for model in line.models
                    for each in variants
                ),
                "backends": tuple(
                    each.model_copy(update={"label": label, "spec": label})
                    for label, each in reversed(backends.items())
                ),
                "cells": tuple(map(_of_variant, line.cells)),
            }
            return line.model_copy(update=update)
        case SessionLine():
            return line.model_copy(update={"entry": _of_variant(line.entry)})
        case CellLine():
            return line.model_copy(update={"entry": _of_variant(line.entry)})
        case BlockLine() | ModelEndLine():
            return line.model_copy(update={"variant": None})
    return line


def _names(text: str) -> tuple[str, str]:
    """Return label and variant."""
    label, _, variant = text.partition("#")
    return label, variant or "fp32"


def _of_variant(entry: Cell | SessionEntry) -> Cell | SessionEntry:
    label, variant = _names(entry.backend)
    return entry.model_copy(update={"backend": label, "variant": variant})


def _file(model: ModelEntry, variant: str, quality: Quality) -> ModelEntry:
    if variant == "fp32":
        return model
    lost = quality == "lost"
    parity = Parity(
        status="failed" if lost else "passed",
        reason="error 7.3e-01 of the range, tolerance 5.0e-02" if lost else "",
        max_error_ratio=0.73 if lost else 0.002,
        tolerance_ratio=0.05 if lost else 0.01,
        top1_agreement_ratio=0.0 if lost else 1.0,
    )
    facts = {"variant": variant, "quality": quality, "parity": parity}
    return model.model_copy(update={**facts, "size_bytes": model.size_bytes // (4 if lost else 2)})


def write_variant(folder: Path, name: str = "tiny", variant: str = "fp16") -> Manifest:
    """Write a model as the exporter leaves it, where it is not there, and a variant of it."""
    if not (folder / f"{name}.onnx").exists():
        write_exported(folder, name)
    return make_variant(VariantRequest(name, variant, folder), 1, lambda stage: None)
