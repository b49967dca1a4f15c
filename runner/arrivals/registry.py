"""The one registry of arrivals, and what turns a spec into them."""

import re
from collections.abc import Mapping

from runner.arrivals import burst, constant, poisson, trace, uniform
from runner.arrivals.interface import Arrivals, ArrivalsKind
from runner.errors import UsageError, nearest

ARRIVALS: Mapping[str, ArrivalsKind] = {
    module.KIND.name: module.KIND for module in (uniform, poisson, constant, burst, trace)
}


def parse_arrivals(text: str) -> Arrivals:
    """Return the arrivals that a spec such as ``poisson`` or ``trace:FILE`` asks for; a file is read at once.

    Raises:
        UsageError: an unknown kind, an argument that is missing, wrong or not taken, or a file of no use.
        FileError: a file that cannot be read.
    """
    name, colon, argument = text.strip().partition(":")
    kind = ARRIVALS.get(name.lower())
    if kind is None:
        raise UsageError(f"Unknown arrivals {name!r}", fix=nearest(name, tuple(ARRIVALS)))
    if not re.fullmatch(kind.argument, colon + argument, re.DOTALL):
        raise UsageError(
            f"Cannot read arrivals {text!r}",
            expected=kind.form + kind.limits,
            got=repr(colon + argument),
        )
    return kind.make(argument)
