"""What a queue is to measure: every policy at every rate under every backend."""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil

from runner.arrivals.registry import parse_arrivals
from runner.contender import Contender
from runner.errors import UsageError
from runner.modelfile import ModelFile
from runner.policies.registry import parse_policy
from runner.queue.arrivals import mean_rate_hz
from runner.queue.config import QueueConfig
from runner.report.schema import NOT_REACHED, QueueCell, QueueLoad


def queue_cells(
    config: QueueConfig, file: ModelFile, taking_part: Sequence[Contender], windows: int
) -> tuple[QueueCell, ...]:
    """Return the cells of a model: rate by rate, the policies of each in the order given, contenders side by side.

    Args:
        config: what was asked for.
        file: the model.
        taking_part: the contenders.
        windows: how many each cell gets, over which its requests are spread.

    Raises:
        UsageError: a fixed batch is larger than the requests of a window, or than the model's.
    """
    if not config.policies:
        return ()
    count = requests_per_window(config, windows)
    if not parse_arrivals(config.arrivals).takes_rate:
        mean_rate_hz(config.arrivals, count)
    _check_batches(config, file, count, windows)
    return tuple(
        QueueCell(
            key="/".join((file.name, variant, backend, load_label(load))),
            model=file.name,
            variant=variant,
            backend=backend,
            load=load,
            status="skipped",
            reason=NOT_REACHED,
        )
        for load in _loads(config, count)
        for variant, backend in taking_part
    )


def requests_per_window(config: QueueConfig, windows: int) -> int:
    """Return how many requests a window replays: its part of all, or a whole trace."""
    available = parse_arrivals(config.arrivals).available
    return ceil(config.requests / windows) if available is None else min(config.requests, available)


def largest_batch(policies: Iterable[str]) -> int:
    """Return the largest batch that any of these policies forms."""
    return max(parse_policy(policy).largest_batch for policy in policies)


def rate_label(load: QueueLoad) -> str:
    """Return the rate as cells' keys spell it: ``32/s``, ``0.6C`` for 60 % of capacity; nothing for a trace."""
    if load.relative_load is not None:
        return f"{load.relative_load:g}C"
    return "" if load.request_rate_hz is None else f"{load.request_rate_hz:.12g}/s"


def load_label(load: QueueLoad) -> str:
    """Return a load as cells' keys spell it: ``greedy:128,32/s,uniform``."""
    return ",".join(filter(None, (load.policy, rate_label(load), load.arrivals)))


def _loads(config: QueueConfig, count: int) -> Iterator[QueueLoad]:
    rates: list[tuple[float | None, float | None]] = [(rate, None) for rate in config.request_rates_hz]
    rates += [(None, load) for load in config.relative_loads]
    for rate_hz, relative_load in rates or [(None, None)]:
        for policy in config.policies:
            yield QueueLoad(
                policy=policy,
                arrivals=config.arrivals,
                request_rate_hz=rate_hz,
                relative_load=relative_load,
                request_count=count,
                decoded=config.images is not None,
            )


def _check_batches(config: QueueConfig, file: ModelFile, count: int, windows: int) -> None:
    for policy in config.policies:
        spec = parse_policy(policy)
        if spec.kind == "fixed" and spec.largest_batch > count:
            raise UsageError(
                f"Cannot run {policy}",
                expected=f"at least {spec.largest_batch} requests in a window",
                got=f"{count} ({config.requests} over {windows} windows)",
                fix=f"Pass --requests {spec.largest_batch * windows}, or a smaller batch",
            )
        if file.fixed_batch is not None and (spec.largest_batch, file.fixed_batch) != (1, 1):
            raise UsageError(
                f"Cannot run {policy} on {file.name}",
                expected="a model with a dynamic batch",
                got=f"one whose batch is fixed at {file.fixed_batch}",
                fix="Export it with a dynamic batch axis",
            )
