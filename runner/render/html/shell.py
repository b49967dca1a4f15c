"""The shell of every page: one file that opens from disk, asks for nothing, and runs only the scripts we wrote.

Names come from files and command lines: the templates escape everything, and what plots are drawn from is JSON in
which nothing can end its element. A content security policy holds it all together: a script that got into the text
would not run.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from runner.render.layout import Column, plain

if TYPE_CHECKING:  # loaded when a page is made
    from jinja2 import Environment
    from markupsafe import Markup

_FOLDER = Path(__file__).parent
_LONG_CELL = 48
"""characters from which on a cell of a table may be broken into lines"""
# Browsers read these as markup (HTML, section 13.2) or, the last two, as ends of lines of a script (ECMA-262, 12.3).
_UNSAFE = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def render_page(
    template: str,
    context: Mapping[str, object],
    *,
    sources: Sequence[str] = (),
    inlined: Sequence[str] = (),
) -> str:
    """Return a page, whose template extends ``base.html.jinja``.

    Args:
        template: its file name in ``templates/``.
        context: what the template shows; all of it is escaped.
        sources: addresses of further scripts, relative to the page.
        inlined: texts of further scripts, trusted.
    """
    from markupsafe import Markup  # noqa: PLC0415 - comes with jinja2

    script = static_text("page.js")
    texts = (script, *inlined)
    shell = {
        "policy": policy(texts),
        "style": Markup(static_text("page.css").strip()),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "sources": tuple(sources),
        "inlined": tuple(Markup(text) for text in inlined),  # noqa: S704 - trusted, as said above
    }
    return _environment().get_template(template).render(**shell, **context)


def policy(scripts: Sequence[str]) -> str:
    """Return what a page may load: these inline scripts, and script files of the disk or the server it is on.

    ``file:`` is what 'self' would be for a page opened from disk, where browsers do not agree on it. A hash would bind
    a page to one version of plotly's file. Plots set styles.
    """
    hashes = " ".join(
        f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    return (
        f"default-src 'none'; script-src 'self' file: {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def json_lines(value: Mapping[str, object]) -> "Markup":
    """Return data for a ``<script type="application/json">``, in lines short enough to name a difference."""
    from markupsafe import Markup  # noqa: PLC0415 - comes with jinja2

    fields = []
    for name, inner in value.items():
        if isinstance(inner, Sequence) and inner and isinstance(inner[0], Mapping):
            # Elements of a list, as the traces of a plot: a line for each of their fields.
            items = ",\n".join("{" + ",\n".join(_pairs(item)) + "}" for item in inner)
            fields.append(f"{_json(name)}:[\n{items}\n]")
        else:
            fields.append(f"{_json(name)}:{_json(inner)}")
    return Markup("{\n" + ",\n".join(fields) + "\n}")  # noqa: S704 - nothing in it can end its element


def _pairs(item: Mapping[str, object]) -> list[str]:
    return [f"{_json(name)}:{_json(value)}" for name, value in item.items()]


def _json(value: object) -> str:
    # What is not finite has no place in JSON: it would be an error in the page, here it is one in a test.
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_UNSAFE)


@cache
def static_text(name: str) -> str:
    """Return a file of ours that pages hold."""
    return (_FOLDER / "static" / name).read_text(encoding="utf-8")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - only pages need it

    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_text,
    )
    environment.globals.update(cell_class=_cell_class, json_lines=json_lines)
    return environment


def _text(value: object) -> object:
    """Return what is written for a value: plain text without control characters, markup as it is."""
    return plain(value) if type(value) is str else value


def _cell_class(column: Column, text: str) -> "Markup":
    from markupsafe import Markup  # noqa: PLC0415 - comes with jinja2

    names = [
        name
        for name, applies in (("right", column.align == "right"), ("long", len(text) > _LONG_CELL))
        if applies
    ]
    return Markup(f' class="{" ".join(names)}"' if names else "")  # noqa: S704 - fixed words
