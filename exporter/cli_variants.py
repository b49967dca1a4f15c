"""The variants of an export: which are up to date, the others made, each with a line that says how near it comes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from exporter.jobs import export_all
from exporter.progress import show_progress
from exporter.variant_request import VariantRequest, find_current_variant
from runner.derivation import Derivation
from runner.errors import JoulebatchError
from runner.manifest import Manifest
from runner.units import BYTES_PER_MB
from runner.variants import REFERENCE_VARIANT


@dataclass(frozen=True, slots=True)
class Effort:
    """How variants are made."""

    jobs: int
    """processes; one has all cores for its calibration"""
    force: bool
    """make again what is up to date"""
    quiet: bool


def export_variants(
    references: Sequence[Manifest],
    models_dir: Path,
    variants: Sequence[str],
    images: Path | None,
    effort: Effort,
) -> list[JoulebatchError]:
    """Make the variants of these models that are not up to date, tell of each, and return what failed.

    Args:
        references: of the fp32 files, verified.
        models_dir: where they are.
        variants: those asked for; the reference among them is there already.
        images: to calibrate on.
        effort: how.
    """
    made_from = dict(_requests(references, models_dir, variants, images))
    current: dict[VariantRequest, Manifest] = {}
    for request, reference in made_from.items():
        manifest = None if effort.force else find_current_variant(request, reference)
        if manifest is not None:
            current[request] = manifest
    missing = [request for request in made_from if request not in current]
    made: dict[VariantRequest, Manifest] = {}
    errors = []
    if missing:
        with show_progress(quiet=effort.quiet) as progress:
            results = export_all(missing, min(effort.jobs, len(missing)), progress)
        for request, result in zip(missing, results, strict=True):
            if isinstance(result, Manifest):
                made[request] = result
            else:
                errors.append(result)
    for request, reference in made_from.items():
        manifest = (current | made).get(request)
        if manifest is not None and not effort.quiet:
            _tell(models_dir, manifest, reference, "unchanged" if request in current else "exported")
    return errors


def size_bytes(manifest: Manifest) -> int:
    """Return the size of a model's files, without its reference."""
    return sum(file.size_bytes for file in (manifest.file, *manifest.external_data))


def _requests(
    references: Sequence[Manifest], models_dir: Path, variants: Sequence[str], images: Path | None
) -> Iterator[tuple[VariantRequest, Manifest]]:
    for reference in references:
        for variant in dict.fromkeys(variants):
            if variant != REFERENCE_VARIANT:
                yield VariantRequest(reference.model, variant, models_dir, images), reference


def _tell(models_dir: Path, manifest: Manifest, reference: Manifest, state: str) -> None:
    assert manifest.derivation is not None
    size, of = size_bytes(manifest) / BYTES_PER_MB, size_bytes(manifest) / size_bytes(reference)
    click.echo(
        f"{models_dir / manifest.file.name}  {size:.1f} MB ({of:.0%} of fp32)  {state}, {_said(manifest.derivation)}"
    )


def _said(made: Derivation) -> str:
    """Return how near a variant comes to the reference outputs."""
    parity = made.parity
    if parity.status == "failed":
        return f"quality LOST: {parity.reason}; it can be measured and never wins"
    agrees = "" if parity.top1_agreement_ratio is None else f", top-1 {parity.top1_agreement_ratio:.0%}"
    return f"error {parity.max_error_ratio:.1e} of the range, {parity.tolerance_ratio:.0e} allowed{agrees}"
