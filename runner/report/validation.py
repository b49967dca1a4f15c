"""What pydantic says of a file, in a line."""

from pydantic import ValidationError

_SHOWN_LENGTH = 120
"""of what is wrong; a field's name may be as long as a file"""


def said(error: ValidationError) -> str:
    """Return the first thing that is wrong, with the field it is wrong in."""
    detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    text = f"{where}: {detail['msg']}" if where else detail["msg"]
    return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"
