"""Text for streams whose encoding lacks some of its characters, as under LANG=C: others in their place, no error."""

import codecs
from typing import TextIO

ESCAPED = "joulebatch-escaped"
"""an error handler that loses nothing: \\u00b1 as in JSON, so that data stays data"""
READABLE = "joulebatch-readable"
"""an error handler for people"""
_INSTEAD = {"±": "+-", "…": "...", "─": "-"} | dict(zip("▁▂▃▄▅▆▇█", "12345678", strict=True))


def _escaped(text: str) -> str:
    units = text.encode(
        "utf-16-be", "surrogatepass"
    )  # JSON writes what lies beyond 16 bits as two surrogates
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _escaped(error.object[error.start : error.end]), error.end


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_INSTEAD.get(each) or _escaped(each) for each in lacking), error.end


codecs.register_error(ESCAPED, _escape)
codecs.register_error(READABLE, _replace)


def encodable(text: str, encoding: str) -> str:
    """Return the text with what an encoding lacks replaced, so that it can be laid out at its final width."""
    return text.encode(encoding, READABLE).decode(encoding)


def never_fail(stream: TextIO) -> None:
    """Make a stream escape what its encoding lacks."""
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors=ESCAPED)
