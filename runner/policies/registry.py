"""The one registry of policies, and what turns a spec into one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runner.errors import UsageError, nearest
from runner.policies import deadline, fixed, greedy, timeout
from runner.policies.interface import Policy, PolicyKind, ServiceTimes
from runner.units import duration_text, parse_duration_s

POLICIES: Mapping[str, PolicyKind] = {
    module.KIND.name: module.KIND for module in (fixed, greedy, timeout, deadline)
}
LARGEST_BATCH = 65_536
"""ours: so many images of 3 x 224 x 224 in fp32 are 39 GB of input alone; it bounds what counts batches by size"""
_SIZE = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """What was asked for; a policy once service times are known, where it needs them."""

    kind: str
    largest_batch: int
    delay_s: float
    """0 where the kind takes none"""

    def __str__(self) -> str:
        """As the user writes it."""
        delay = f"@{duration_text(self.delay_s)}" if POLICIES[self.kind].takes_delay else ""
        return f"{self.kind}:{self.largest_batch}{delay}"

    def policy(self, service_s: ServiceTimes | None = None) -> Policy:
        """Return the policy.

        Args:
            service_s: expected service times by batch size, for kinds that need them.
        """
        return POLICIES[self.kind].make(self.largest_batch, self.delay_s, service_s)


def parse_policy(text: str) -> PolicySpec:
    """Return what a spec such as ``timeout:16@50ms`` asks for.

    Raises:
        UsageError: an unknown kind, no positive batch size, or a duration that is missing, wrong or not taken.
    """
    name, _, rest = text.strip().partition(":")
    kind = POLICIES.get(name.lower())
    if kind is None:
        raise UsageError(f"Unknown policy {name!r}", fix=nearest(name, tuple(POLICIES)))
    size, at, delay = rest.partition("@")
    if bool(at) != kind.takes_delay or not _is_batch_size(size):
        raise UsageError(
            f"Cannot read policy {text!r}",
            expected=f"{kind.form} with a batch size from 1 to {LARGEST_BATCH}",
            got=repr(rest),
        )
    return PolicySpec(kind.name, int(size), parse_duration_s(delay, f"policy {text!r}") if at else 0.0)


def _is_batch_size(text: str) -> bool:
    return bool(_SIZE.fullmatch(text)) and 1 <= int(text) <= LARGEST_BATCH
