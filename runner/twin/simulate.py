"""The discrete-event simulation of queues: many replications or cells at once, one per row."""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from runner.errors import UsageError
from runner.policies.interface import Policy
from runner.twin.figures import QueueFigures
from runner.twin.growth import Growth
from runner.twin.queues import Queues
from runner.twin.service import Floats, Service
from runner.twin.tally import Tally

STRETCH = 128
"""arrivals of a row that are taken up together, and after which its queue is looked at"""


def simulate(  # noqa: PLR0913 - what is simulated, and the one option
    policy: Policy,
    service: Service,
    arrivals_s: Iterable[Floats],
    requests: int,
    rng: np.random.Generator,
    *,
    warm_up: int = 0,
) -> QueueFigures:
    """Return what happens to requests that queue for a server which takes them in batches, oldest first.

    Every row has its own queue and its own server, idle and empty at time 0. Memory does not grow with the requests,
    but with the longest queue. Equal generators and arrivals give equal figures, whatever the chunks.

    Args:
        policy: when to take how many; asked as the live queue asks it. An arrival at the very moment counts as waiting.
        service: what batches take.
        arrivals_s: chunks of shape (rows, any size), in seconds from 0 on; each row ascends, from chunk to chunk too.
        requests: how many of each row.
        rng: for the service.
        warm_up: how many requests of each row the figures leave out, with the batches that they are in.

    Raises:
        UsageError: fewer arrivals than requests, or no request beyond the warm-up.
    """
    if not 0 <= warm_up < requests:
        raise UsageError(
            f"Cannot simulate {requests} requests", expected=f"more than the {warm_up} of the warm-up"
        )
    stretches = _stretches(arrivals_s, requests)
    first = next(stretches)
    rows = len(first[0])
    queues = Queues(policy, service.start(rows, rng), rows)
    tally, growth = Tally(rows, policy.largest_batch, warm_up), Growth(rows, policy.largest_batch)
    arrived, stable = np.zeros(rows, np.int64), np.ones(rows, np.bool_)
    for stretch_s, last in chain((first,), stretches):
        arrived[queues.live] += stretch_s.shape[1]
        tally.add(queues.serve(stretch_s, last=last))
        if last:
            ended = queues.live
        else:
            ended = queues.live[growth.look(queues.live, queues.backlog())]
            stable[ended] = False
        tally.add_waiting(ended, queues.waiting_s(ended), queues.free_s[ended])
        queues.stop(ended)
        if not queues.live.size:
            break
    return tally.figures(arrived, stable, queues.free_s)


def _stretches(arrivals_s: Iterable[Floats], requests: int) -> Iterator[tuple[Floats, bool]]:
    """Yield arrivals cut anew, whatever the chunks were, and whether they are the last."""
    left, held_s = requests, None
    for chunk_s in arrivals_s:
        held_s = chunk_s if held_s is None else np.concatenate((held_s, chunk_s), axis=1)
        while held_s.shape[1] >= (size := min(STRETCH, left)):
            left -= size
            yield held_s[:, :size], left == 0
            if not left:
                return
            held_s = held_s[:, size:]
    raise UsageError(
        f"Cannot simulate {requests} requests",
        expected="as many arrivals",
        got=str(requests - left + (0 if held_s is None else held_s.shape[1])),
    )
