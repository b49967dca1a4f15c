"""Backend specs: ``[LABEL=]NAME[@INTERPRETER][:key=value,...]``, checked against the registry."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.backends.interface import Backend, Option
from runner.backends.registry import find_backend
from runner.errors import UsageError, nearest

_SPEC = re.compile(
    r"(?:(?P<label>[^=:,]+)=)?(?P<name>[^=:,@]+)(?:@(?P<interpreter>[^=:,@]+))?(?::(?P<options>.*))?"
)
_SIZE = re.compile(r"[1-9]\d*[KMG]?", re.IGNORECASE)
_CORES = re.compile(r"[0-9]{1,4}(-[0-9]{1,4})?(\+[0-9]{1,4}(-[0-9]{1,4})?)*")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
"""of options that are passed on; every provider's are of this form"""
_MISSPELT_RATIO = 0.9
"""likeness (difflib) from which a key is one of ours misspelt: thread (0.92), not device_id (0.80)"""
_SIZE_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """One backend of a run."""

    label: str
    """unique in the run; the spec as written, unless LABEL= was given"""
    text: str
    name: str
    options: Mapping[str, str]
    """every option of the backend with the value in force, and those that are passed on as they are written"""
    interpreter: str | None = None
    """name of the Python that runs it; None is our own"""
    python: Path | None = None
    """its executable, known once the interpreter was found"""


def parse_spec(text: str) -> BackendSpec:
    """Return the backend that a spec names.

    Raises:
        UsageError: not of the form, or an unknown name, option or value.
    """
    text = text.strip()
    match = _SPEC.fullmatch(text)
    if match is None:
        raise UsageError(
            f"Cannot read backend {text!r}",
            expected="[LABEL=]NAME[@INTERPRETER][:key=value,...]",
            fix="Write for example cpu:threads=1,spin=off",
        )
    name = match["name"].strip().lower()
    backend = find_backend(name)
    given = _parse_options(text, backend, match["options"])
    options = {option.name: option.default for option in backend.options} | given
    _check_needs(text, options, backend.options)
    interpreter = match["interpreter"].strip().lower() if match["interpreter"] else None
    return BackendSpec((match["label"] or text).strip(), text, name, options, interpreter)


def parse_specs(texts: tuple[str, ...]) -> tuple[BackendSpec, ...]:
    """Return the backends of a run, in order.

    Raises:
        UsageError: one cannot be read, or two have one label.
    """
    specs = tuple(parse_spec(text) for text in texts)
    labels = [spec.label for spec in specs]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(
                f"Backend {label!r} was given twice",
                expected="different labels",
                fix=f"To compare a backend with itself, label both: --backend A={label} --backend B={label}",
            )
    return specs


def size_bytes(text: str) -> int:
    """Return bytes from a checked size such as 512M."""
    unit = text[-1].upper()
    return int(text[:-1]) * _SIZE_UNITS[unit] if unit in _SIZE_UNITS else int(text)


def _parse_options(text: str, backend: Backend, listing: str | None) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in (listing or "").split(",") if listing is not None else ():
        written, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise UsageError(
                f"Cannot read option {part!r} of backend {text!r}",
                expected="key=value",
                fix=f"Options of {backend.name}: {describe(backend.options)}",
            )
        own = {option.name: option for option in backend.options}.get(written.lower())
        if own is None:
            _check_passed(written, backend)
        else:
            value = value.lower()
            _check(backend.name, own, value)
        key = own.name if own else written
        if key in given:
            raise UsageError(f"Option {key!r} of backend {text!r} was given twice", fix="Give it once")
        given[key] = value
    return given


def _check_passed(key: str, backend: Backend) -> None:
    """Check that a backend may pass an option on: the provider says later whether it knows it.

    Raises:
        UsageError: it may not, or the key looks like one of ours misspelt.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only needed where an option is passed on

    own = tuple(option.name for option in backend.options)
    if (
        backend.passing is None
        or _KEY.fullmatch(key) is None
        or get_close_matches(key.lower(), own, n=1, cutoff=_MISSPELT_RATIO)
    ):
        raise UsageError(f"Unknown option {key!r} of backend {backend.name}", fix=nearest(key, own))
    if (setter := backend.passing.reserved.get(key.lower())) is not None:
        raise UsageError(
            f"Cannot pass {key!r} on from backend {backend.name}",
            expected=f"{setter}, which sets it" if setter else "an option that is left to a spec",
            fix=f"Write {setter}=..." if setter else f"Drop {key}",
        )


def describe(options: tuple[Option, ...]) -> str:
    """Return the options of a backend with their values and defaults, for help and errors."""
    return (
        ", ".join(f"{o.name}={'|'.join(o.choices) or o.check} (default {o.default})" for o in options)
        or "none"
    )


def _check_needs(text: str, options: Mapping[str, str], known: tuple[Option, ...]) -> None:
    for option in known:
        if option.needs is None or options[option.name] == option.default:
            continue
        name, value = option.needs
        if options[name] != value:
            raise UsageError(
                f"Option {option.name!r} of backend {text!r} would do nothing",
                expected=f"{name}={value} beside it",
                got=f"{name}={options[name]}",
                fix=f"Drop one of the two: {option.name}, or {name}={options[name]}",
            )


def are_cores(text: str) -> bool:
    """Return whether a text is a list of cores whose ranges ascend."""
    if _CORES.fullmatch(text) is None:
        return False
    ranges = [part.split("-") for part in text.split("+")]
    return all(int(ends[0]) <= int(ends[-1]) for ends in ranges)


def _check(backend: str, option: Option, value: str) -> None:
    expected = {
        "choice": " or ".join(option.choices),
        "count": "a whole number from 1 up",
        "size": "bytes, with an optional K, M or G",
        "index": "a whole number from 0 up",
        "cores": "cores such as 0-1+4",
    }[option.check]
    valid = (
        value == option.default
        or {
            "choice": value in option.choices,
            "count": value.isascii() and value.isdigit() and int(value) > 0,
            "size": _SIZE.fullmatch(value) is not None,
            "index": value.isascii() and value.isdigit(),
            "cores": are_cores(value),
        }[option.check]
    )
    if not valid:
        raise UsageError(
            f"Bad value for option {option.name!r} of backend {backend}",
            expected=expected,
            got=repr(value),
            fix=f"Write for example {backend}:{option.name}={option.choices[0] if option.choices else option.default}",
        )
