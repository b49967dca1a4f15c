"""Options that a spec passes on to a provider, held against what the provider says is in force."""

from collections.abc import Mapping

from runner.backends.interface import Option
from runner.errors import AbsentError, UsageError, nearest

_TRUTHS = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}
"""how providers spell a switch: CUDA and TensorRT take True and report 1"""

UNCHECKED = "as asked: the provider reports none to check them against"
CHECKED = "as the provider reports them"


def split_options(
    options: Mapping[str, str], own: tuple[Option, ...]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return a backend's own options, and those that are passed on."""
    names = {option.name for option in own}
    ours = {name: value for name, value in options.items() if name in names}
    return ours, {name: value for name, value in options.items() if name not in names}


def check_in_force(
    provider: str, asked: Mapping[str, str], passed: Mapping[str, str], reported: Mapping[str, str]
) -> dict[str, str]:
    """Return the facts of a session's provider options: each with its value in force, and whether that was checked.

    A provider that reports no key but those it was given proves nothing: OpenVINO's and WebGPU's wheels report none at
    all, and QNN's plugin repeats even a key that does not exist.

    Args:
        provider: its name.
        asked: all that it was given.
        passed: those of them that a spec passed on as they are written.
        reported: what the session reports of it.

    Raises:
        UsageError: an option that was passed on and is none of the provider's.
        AbsentError: the provider did not take a value.
    """
    facts = {f"provider.{name}": str(value) for name, value in sorted({**asked, **reported}.items())}
    if not asked:
        return facts
    if reported.keys() <= asked.keys():
        return {**facts, "provider_options": UNCHECKED}
    check_known(provider, passed, reported)
    for name in asked.keys() & reported.keys():
        if not _same(asked[name], str(reported[name])):
            raise AbsentError(
                f"Cannot set {name} of {provider}",
                expected=f"{name}={asked[name]} in force",
                got=f"{name}={reported[name]}",
                fix="Give a value that it takes, or drop the option",
            )
    unreported = sorted(asked.keys() - reported.keys())
    return {**facts, "provider_options": f"{CHECKED}, but {', '.join(unreported)}" if unreported else CHECKED}


def check_known(provider: str, passed: Mapping[str, str], reported: Mapping[str, str]) -> None:
    """Check that what was passed on are options of the provider.

    Raises:
        UsageError: one is not; the nearest is named.
    """
    for name in passed:
        if name not in reported:
            raise UsageError(f"Unknown option {name!r} of {provider}", fix=nearest(name, tuple(reported)))


def _same(asked: str, in_force: str) -> bool:
    """Return whether two spellings of a value mean the same: 1 and True, 2e9 and 2000000000."""
    one, other = asked.strip().casefold(), in_force.strip().casefold()
    if one == other:
        return True
    if one in _TRUTHS and other in _TRUTHS:
        return _TRUTHS[one] == _TRUTHS[other]
    try:
        return float(one) == float(other)
    except ValueError:
        return False
