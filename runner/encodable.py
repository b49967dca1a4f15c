"""Text for streams whose encoding lacks some of its characters, as under LANG=C: others in their place, no error."""

import codecs
from typing import TextIO

ERRORS = "joulebatch"
"""the name of our error handler, for ``str.encode`` and ``reconfigure``"""
_INSTEAD = {"±": "+-", "…": "...", "─": "-"} | dict(zip("▁▂▃▄▅▆▇█", "12345678", strict=True))


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    instead = (_INSTEAD.get(each) or each.encode("ascii", "backslashreplace").decode() for each in lacking)
    return "".join(instead), error.end


codecs.register_error(ERRORS, _replace)


def encodable(text: str, encoding: str) -> str:
    """Return the text with what an encoding lacks replaced, so that it can be laid out at its final width."""
    return text.encode(encoding, ERRORS).decode(encoding)


def never_fail(stream: TextIO) -> None:
    """Make a stream replace what its encoding lacks."""
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors=ERRORS)
