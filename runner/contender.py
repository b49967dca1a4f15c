"""Who takes part in the comparison of a model: each of its variants under each backend that can run it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from runner.backends.registry import find_backend
from runner.backends.spec import BackendSpec
from runner.variants import REFERENCE_VARIANT, kind_of


class Contender(NamedTuple):
    """A variant of a model under a backend: what one worker runs."""

    variant: str
    backend: str
    """its label"""

    def __str__(self) -> str:
        """As people say it: the backend, and the variant where that is not the reference."""
        return self.backend if self.variant == REFERENCE_VARIANT else f"{self.backend} {self.variant}"


def contenders(variants: Iterable[str], specs: Sequence[BackendSpec]) -> tuple[Contender, ...]:
    """Return the contenders of a model, variant by variant; a backend takes part with the variants that it can run."""
    return tuple(
        Contender(variant, spec.label)
        for variant in variants
        for spec in specs
        if kind_of(variant) in find_backend(spec.name).variants
    )
