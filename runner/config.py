"""RunConfig: what a run was asked to do, validated once, from flags and TOML."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from runner.errors import FileError, UsageError, nearest
from runner.inputs import parse_values
from runner.queue.config import QueueConfig
from runner.shapes import Size, parse_shape
from runner.units import parse_duration_s, parse_percent_ratio
from runner.variants import REFERENCE_VARIANT, VARIANTS

QUICK_BUDGET_S = 300.0
"""default --time-budget of the quick profile"""
_Value = TypeVar("_Value")
_INTERPRETER_NAME = re.compile(r"[a-z0-9._-]+")


class Pace(BaseModel):
    """Images per second with gaps, for some batch sizes."""

    model_config = ConfigDict(frozen=True)

    images_per_s: float
    batch_sizes: tuple[int, ...]
    """empty: the smallest batch size of the run"""


def parse_batch_sizes(text: str) -> tuple[int, ...]:
    """Return batch sizes, ascending, from text such as ``1,2,4``.

    Raises:
        UsageError: not whole numbers from 1 up, or one twice.
    """
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdigit() and int(part) > 0):
            raise UsageError(
                "Cannot read batch sizes",
                expected="whole numbers from 1 up",
                got=repr(part),
                fix="Write for example 1,2,4",
            )
    sizes = [int(part) for part in parts]
    twice = sorted({size for size in sizes if sizes.count(size) > 1})
    if twice:
        raise UsageError(
            "Cannot read batch sizes", expected="each once", got=f"{twice[0]} twice", fix="Drop one"
        )
    return tuple(sorted(sizes))


def parse_pace(text: str) -> Pace:
    """Return a pace from text such as ``8`` or ``8@1,4`` (images per second @ batch sizes).

    Raises:
        UsageError: no positive number, or batch sizes that cannot be read.
    """
    rate, at, sizes = text.partition("@")
    try:
        images_per_s = float(rate)
    except ValueError:
        images_per_s = 0.0
    if not 0 < images_per_s < float("inf"):
        raise UsageError(
            "Cannot read --pace",
            expected="images per second above 0, optionally @ batch sizes",
            got=repr(text),
            fix="Write for example 8 or 8@1,4",
        )
    return Pace(images_per_s=images_per_s, batch_sizes=parse_batch_sizes(sizes) if at else ())


def parse_gaps(text: str) -> tuple[float, ...]:
    """Return idle times in seconds, ascending, from text such as ``2ms,20ms``; none from no text.

    Raises:
        UsageError: no durations, or one twice.
    """
    gaps_s = [parse_duration_s(part, "--gaps") for part in text.split(",") if text]
    if len(set(gaps_s)) < len(gaps_s):
        raise UsageError("Cannot use --gaps", expected="each duration once", got=repr(text), fix="Drop one")
    return tuple(sorted(gaps_s))


def parse_variants(texts: Sequence[str]) -> tuple[str, ...]:
    """Return variants in the order given.

    Raises:
        UsageError: one that is unknown, or given twice.
    """
    for text in texts:
        if text not in VARIANTS:
            raise UsageError(f"Unknown --variant {text!r}", fix=nearest(text, VARIANTS))
        if list(texts).count(text) > 1:
            raise UsageError(
                "Cannot use --variant", expected="each once", got=f"{text} twice", fix="Drop one"
            )
    return tuple(texts) or (REFERENCE_VARIANT,)


def parse_shapes(texts: tuple[str, ...]) -> dict[str, tuple[Size, ...]]:
    """Return sizes by input name.

    Raises:
        UsageError: one cannot be read, or an input has two.
    """
    return _by_name("--shape", "input", map(parse_shape, texts))


def parse_input_values(texts: tuple[str, ...]) -> dict[str, str]:
    """Return what inputs hold, as it was written, by input name.

    Raises:
        UsageError: one cannot be read, or an input has two.
    """
    return _by_name("--input", "input", map(_parse_input_value, texts))


def _parse_input_value(text: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    if not equals or not name:
        raise UsageError(
            "Cannot read --input",
            expected="NAME=VALUE",
            got=repr(text),
            fix="Write for example sr=16000, ids=0:30522 or images=photos.npy",
        )
    parse_values(value)
    return name, value


def parse_interpreters(texts: tuple[str, ...]) -> dict[str, Path]:
    """Return the path of another Python, or of its virtual environment, by the name given to it.

    Raises:
        UsageError: one cannot be read, or a name has two.
    """
    return _by_name("--interpreter", "name", map(_parse_interpreter, texts))


def _parse_interpreter(text: str) -> tuple[str, Path]:
    name, _, path = (part.strip() for part in text.partition("="))
    name = name.lower()
    if not _INTERPRETER_NAME.fullmatch(name) or not path:
        raise UsageError(
            "Cannot read --interpreter",
            expected="NAME=PATH, the name of letters, digits, dots, dashes and underscores",
            got=repr(text),
            fix="Write for example ort124=ENV/bin/python",
        )
    return name, Path(path)


def _by_name(option: str, what: str, pairs: Iterable[tuple[str, _Value]]) -> dict[str, _Value]:
    """Return values by name, each name of which was given once."""
    values: dict[str, _Value] = {}
    for name, value in pairs:
        if name in values:
            raise UsageError(
                f"Cannot use {option}", expected=f"each {what} once", got=f"{name} twice", fix="Drop one"
            )
        values[name] = value
    return values


def _as_written(parse: Callable[[Any], object], form: type = str) -> BeforeValidator:
    """Return a validator that parses what a user wrote, in that form, and passes on what a report holds."""
    return BeforeValidator(lambda value: parse(value) if isinstance(value, form) else value)


class RunConfig(BaseModel):
    """Everything ``joulebatch run`` can be told; what names something of this machine is looked up by `selection`.

    A dump in JSON mode, as a report holds it, reads back as the same configuration.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] = ()
    onnx_files: tuple[str, ...] = ()
    """``[LABEL=]FILE``, as they were written"""
    shapes: Annotated[dict[str, tuple[Size, ...]], _as_written(parse_shapes, tuple)] = {}
    input_values: Annotated[dict[str, str], _as_written(parse_input_values, tuple)] = {}
    variants: Annotated[tuple[str, ...], BeforeValidator(parse_variants)] = (REFERENCE_VARIANT,)
    backends: tuple[str, ...] = ()
    interpreters: Annotated[dict[str, Path], _as_written(parse_interpreters, tuple)] = {}
    baseline: str | None = None
    batch_sizes: Annotated[tuple[int, ...], _as_written(parse_batch_sizes)]
    gaps_s: Annotated[tuple[float, ...], _as_written(parse_gaps)] = ()
    paces: tuple[Annotated[Pace, _as_written(parse_pace)], ...] = ()
    mixed: bool = False
    profile: Literal["quick", "standard", "publication"] = "standard"
    time_budget_s: Annotated[
        float | None, _as_written(lambda text: parse_duration_s(text, "--time-budget"))
    ] = None
    target_ci_ratio: Annotated[float, _as_written(lambda text: parse_percent_ratio(text, "--target-ci"))]
    queue: QueueConfig | None = None
    seed: int = Field(default=0, ge=0, lt=2**63)
    workers: Annotated[int | None, Field(ge=1)] = None
    meter: str = "auto"
    cpu_watts: str | None = None
    allow_fallback: bool = False
    allow_unverified: bool = False
    allow_other_outputs: bool = False
    models_dir: Path
    reports_dir: Path
    name: str | None = None

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return the configuration in parsed flags, or in a report.

        Raises:
            UsageError: the first value that cannot be used.
        """
        try:
            config = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = "-".join(str(part) for part in first["loc"])
            raise UsageError(
                f"Bad value for {where}", expected=first["msg"], got=repr(first["input"])
            ) from error
        if config.profile == "quick" and config.time_budget_s is None:
            return config.model_copy(update={"time_budget_s": QUICK_BUDGET_S})
        return config


def read_toml(path: Path, known: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings in a TOML file, keyed as flags without their dashes in front.

    Raises:
        FileError: it cannot be read, or is no TOML.
        UsageError: a key that is no flag.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        got = error.strerror if isinstance(error, OSError) else str(error)
        raise FileError(
            f"Cannot read {path}", expected="a TOML file", got=str(got), fix="Correct --config"
        ) from error
    for key in settings:
        if key not in known:
            raise UsageError(f"Unknown setting {key!r} in {path}", fix=nearest(key, known))
    return settings
