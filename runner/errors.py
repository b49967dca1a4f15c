"""The one tree of errors; each class knows its exit code, only the command line prints and exits."""

SIGNALLED = 128
"""a shell's exit code of a program that a signal ended is this plus the signal's number: 129, 130 and 143"""


class JoulebatchError(Exception):
    """An error a user can act on, as one line: what failed, what was expected, what came, how to fix it.

    Args:
        what: what failed and for which subject, as "Cannot open densenet121 on cuda".
        expected: what would have been right.
        got: what came instead.
        fix: a whole sentence that says what to do, without its full stop.
    """

    exit_code: int = 70

    def __init__(self, what: str, *, expected: str = "", got: str = "", fix: str = "") -> None:
        self.what, self.expected, self.got, self.fix = what, expected, got, fix
        detail = ", ".join(
            part for part in (expected and f"expected {expected}", got and f"got {got.rstrip('.')}") if part
        )
        sentence = f"{what}: {detail}." if detail else f"{what}."
        super().__init__(" ".join(f"{sentence} {fix}.".split()) if fix else " ".join(sentence.split()))


class GateError(JoulebatchError):
    """A gate that was asked for failed."""

    exit_code = 1


class UsageError(JoulebatchError):
    """Input that cannot be parsed, or an unknown name."""

    exit_code = 2


class AbsentError(JoulebatchError):
    """Something known and asked for is not there, or nothing could be measured."""

    exit_code = 3


class FileError(JoulebatchError):
    """A model file, report, archive or disk is not as it must be."""

    exit_code = 4


_NAMES_SHOWN = 12
"""what still fits a terminal's two or three lines"""


def nearest(name: str, valid: tuple[str, ...]) -> str:
    """Return the fix for an unknown name: the nearest valid one if any, and what is valid."""
    from difflib import get_close_matches  # noqa: PLC0415 - only needed when something is wrong

    if not valid:
        return "There are none to choose from"
    close = get_close_matches(name.lower(), valid, n=1, cutoff=0.5)
    hint = f"Did you mean {close[0]}? " if close else ""
    more = f" and {len(valid) - _NAMES_SHOWN} more" if len(valid) > _NAMES_SHOWN else ""
    return f"{hint}Valid: {', '.join(valid[:_NAMES_SHOWN])}{more}"
