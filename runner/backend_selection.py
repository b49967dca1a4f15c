"""Which backends a run compares: each known to be there before anything is measured."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from runner.backends.registry import backend_names, find_backend
from runner.backends.spec import BackendSpec, parse_specs
from runner.config import RunConfig
from runner.errors import AbsentError, UsageError, nearest
from runner.onnx_sources import parse_source
from runner.variants import REFERENCE_VARIANT, kind_of
from runner.workers.interpreter import Interpreter, probe

DEFAULT_BACKENDS = ("cpu", "torch", "cuda")
"""in this order, as far as the machine has them"""
_BY_SIZE = ("static", "compile", "graphs")
"""options with which the first batch of a size takes long; a queue forms any size, within its served time"""


def select_backends(config: RunConfig) -> tuple[BackendSpec, ...]:
    """Return the backends of a run, each known to be there.

    Raises:
        UsageError: a spec that cannot be read, or an interpreter that is unknown or unused.
        AbsentError: a backend or interpreter that was asked for and is not there, with what is missing.
    """
    specs = parse_specs(config.backends)
    interpreters = select_interpreters(config, specs)
    if not specs:
        labels = default_backends(exported_only=not config.onnx_files, variants=_variants(config))
        return parse_specs(labels)
    return tuple(_select_backend(config, spec, interpreters) for spec in specs)


def select_interpreters(config: RunConfig, specs: Sequence[BackendSpec]) -> dict[str, Interpreter]:
    """Return by name the interpreters that these backends run under, each probed.

    Raises:
        UsageError: one that was not given, or that was given and no backend uses.
        AbsentError: one that is not there or of no use.
    """
    for spec in specs:
        if spec.interpreter and spec.interpreter not in config.interpreters:
            known = tuple(config.interpreters)
            raise UsageError(
                f"Unknown interpreter {spec.interpreter!r} in backend {spec.text}",
                fix=f"{f'{nearest(spec.interpreter, known)}. ' if known else ''}"
                f"Say where it is: --interpreter {spec.interpreter}=PATH",
            )
    backends = {
        name: {spec.name for spec in specs if spec.interpreter == name} for name in config.interpreters
    }
    for name, used_by in backends.items():
        if not used_by:
            raise UsageError(
                f"No backend uses interpreter {name!r}",
                fix=f"Add --backend cpu@{name}, or drop --interpreter {name}",
            )
    return {name: probe(name, path, sorted(backends[name])) for name, path in config.interpreters.items()}


def _select_backend(
    config: RunConfig, spec: BackendSpec, interpreters: Mapping[str, Interpreter]
) -> BackendSpec:
    """Return a backend that is there, with the Python that runs it."""
    backend = find_backend(spec.name)
    interpreter = interpreters[spec.interpreter] if spec.interpreter else None
    missing = interpreter.missing[spec.name] if interpreter else backend.missing()
    if missing is None and interpreter and config.queue and config.queue.images:
        missing = interpreter.images
    if missing:
        pip = f". Its own pip is {interpreter.python} -m pip" if interpreter else ""
        raise AbsentError(
            f"Cannot run backend {spec.text}", got=missing.reason, fix=missing.fix.rstrip(".") + pip
        )
    if backend.needs_manifest and config.onnx_files:
        raise UsageError(
            f"Cannot run {config.onnx_files[0]} on {spec.text}",
            expected="a model exported by joulebatch",
            got="a bare ONNX file",
            fix=f"Drop --backend {spec.text}, or pass the model by -m",
        )
    if not set(_variants(config)) & set(backend.variants):
        raise UsageError(
            f"Cannot run {spec.text} here",
            expected=f"--variant {' or '.join(backend.variants)}",
            got=" and ".join(config.variants),
            fix=f"Add --variant {backend.variants[0]}, or drop --backend {spec.text}",
        )
    for name in _BY_SIZE:
        if config.queue and spec.options.get(name) == "on":
            raise UsageError(
                f"Cannot replay a queue on {spec.text}",
                expected="a session that takes batches of any size",
                got="one that is made anew for each size, when it first comes",
                fix=f"Drop {name}=on",
            )
    return replace(spec, python=interpreter.python) if interpreter else spec


def _variants(config: RunConfig) -> tuple[str, ...]:
    """Return the variants that backends must know: those asked for, and those of ``--onnx`` files by their labels."""
    labels = (parse_source(text).label for text in config.onnx_files)
    exported = () if config.onnx_files and not config.models else config.variants
    return (*exported, *(kind_of(label or REFERENCE_VARIANT) for label in labels))


def default_backends(
    *, exported_only: bool, variants: Collection[str] = (REFERENCE_VARIANT,)
) -> tuple[str, ...]:
    """Return the default backends that this machine has, and that can run one of these variants.

    Raises:
        AbsentError: not even the CPU backend.
    """
    if missing := find_backend("cpu").missing():
        raise AbsentError("Cannot run backend cpu", got=missing.reason, fix=missing.fix)
    return tuple(
        name
        for name in DEFAULT_BACKENDS
        if name in backend_names()
        and find_backend(name).missing() is None
        and (exported_only or not find_backend(name).needs_manifest)
        and set(variants) & set(find_backend(name).variants)
    )
