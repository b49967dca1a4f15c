"""QueueConfig: what ``joulebatch queue`` was asked for beside what any run is, validated once."""

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from runner.arrivals.registry import parse_arrivals
from runner.errors import UsageError
from runner.policies.registry import parse_policy

PAPER_POLICIES = ("fixed:16", "fixed:32", "fixed:64", "fixed:128", "greedy:128")
PAPER_RATES_HZ = (16.0, 32.0)
PAPER_REQUESTS = 8192
"""this and the two above: Yarally et al. 2023 (arXiv 2307.11434)"""


def ladder(largest: int) -> tuple[int, ...]:
    """Return the batch sizes that a queue is calibrated at: powers of two, and the largest that a policy forms."""
    return tuple(sorted({largest, *(2**power for power in range(largest.bit_length()))}))


def _policies(value: Any) -> Any:  # noqa: ANN401 - what pydantic was given
    if not isinstance(value, list | tuple):
        return value
    specs = [str(parse_policy(text)) for text in value]
    return _once(specs, "--policy")


def _arrivals(value: Any) -> Any:  # noqa: ANN401 - the same
    return parse_arrivals(value).spec if isinstance(value, str) else value


def _numbers(flag: str, example: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:  # noqa: ANN401 - the same
        if not isinstance(value, str):
            return value
        return _once([_positive(part, flag, example) for part in value.split(",") if value], flag)

    return read


def _positive(text: str, flag: str, example: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (isfinite(number) and number > 0):
        raise UsageError(
            f"Cannot read {flag}",
            expected="numbers above 0",
            got=repr(text.strip()),
            fix=f"Write for example {example}",
        )
    return number


def _once(values: list[Any], flag: str) -> tuple[Any, ...]:
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    if twice:
        raise UsageError(f"Cannot use {flag}", expected="each once", got=f"{twice[0]} twice", fix="Drop one")
    return tuple(values)


class QueueConfig(BaseModel):
    """Policies, rates and arrivals. A dump in JSON mode reads back as the same configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policies: Annotated[tuple[str, ...], BeforeValidator(_policies)] = ()
    """canonical specs; none: only calibrate"""
    request_rates_hz: Annotated[tuple[float, ...], BeforeValidator(_numbers("--request-rate", "16,32"))] = ()
    relative_loads: Annotated[
        tuple[float, ...], BeforeValidator(_numbers("--relative-load", "0.3,0.6,0.8"))
    ] = ()
    arrivals: Annotated[str, BeforeValidator(_arrivals)] = "uniform"
    requests: Annotated[int, Field(ge=1)] = PAPER_REQUESTS
    images: Path | None = None

    @model_validator(mode="after")
    def _have_rates(self) -> Self:
        arrivals = parse_arrivals(self.arrivals)
        rates = bool(self.request_rates_hz or self.relative_loads)
        if self.policies and arrivals.takes_rate and not rates:
            raise UsageError(
                "Cannot run a queue",
                expected="a rate at which requests arrive",
                got="none",
                fix="Pass --request-rate 16,32 or --relative-load 0.3,0.6,0.8",
            )
        if rates and not arrivals.takes_rate:
            raise UsageError(
                f"Cannot use {self.arrivals} at a rate",
                expected="the times of the file",
                got="--request-rate or --relative-load",
                fix="Drop it",
            )
        return self
