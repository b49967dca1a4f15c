"""Files as no run writes them: cut, edited and foreign, from a source of randomness."""

from collections.abc import Iterator
from random import Random
from typing import Any

from pydantic_core import to_json

Path = tuple[str | int, ...]

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3.5, -0.0, 1e-320, 1e308, -1e308, 10**30, -(10**18), "", "x", "nobody", "\0",
    "\x1b[2J", "<b>|`*", "é" * 300, "2026-13-45", "2026-11-23T21:34:05+00:00", "9999-12-31T23:59:59+14:00", "0", [], {},
    [[]], [None], {"key": 1}, "measured", "unavailable", "complete", "skipped", [1, 2, 3], "fixed:0", "trace:/dev/null",
)  # fmt: skip
"""that replace a value"""
TOKENS = (
    b"NaN",
    b"Infinity",
    b"-1",
    b"null",
    b"[" * 500,
    b'"',
    b"\\ud800",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\n",
    b"1e999",
    b"{}",
    b",",
)
FOREIGN = (
    b"",
    b"\n",
    b"null",
    b"[]",
    b"{}",
    b'"report"',
    b"[" * 9999,
    b"9" * 5000,
    b"\x00" * 64,
    b"PAR1",
    b"\xff\xfe{}",
    b'{"kind": "header"}\n',
    b'{"schema_version": 1}',
    b'{"schema_version": [0]}',
    b'{"schema_version": 1e999}',
)


def damaged(data: bytes, rng: Random) -> bytes:
    """Return the bytes of a file with one thing done to them that knows nothing of JSON."""
    match rng.randrange(5):
        case 0:
            return data[: rng.randrange(len(data) + 1)]
        case 1:
            place = rng.randrange(len(data))
            return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
        case 2:
            place = rng.randrange(len(data) + 1)
            return data[:place] + rng.choice(TOKENS) + data[place:]
        case 3:
            first, last = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
            return data[:first] + data[last:]
        case _:
            return rng.choice(FOREIGN)


def edited(tree: Any, rng: Random) -> bytes:
    """Return JSON with one to three values changed, removed, added or exchanged; the tree stays as it is."""
    for _ in range(rng.randrange(1, 4)):
        tree = _edited_once(tree, rng)
    return to_json(tree, inf_nan_mode="constants")


def _edited_once(tree: Any, rng: Random) -> Any:
    path = _random_path(tree, rng)
    value = at(tree, path)
    match rng.randrange(6):
        case 0:
            return _without(tree, path)
        case 1 if isinstance(value, dict):
            return replaced(
                tree,
                path,
                {**value, rng.choice(("x_of_v9", "baselines", "", "__class__")): rng.choice(VALUES)},
            )
        case 1 | 2 if isinstance(value, int | float) and not isinstance(value, bool):
            return replaced(
                tree, path, rng.choice((-value, 0, value * 1000, value + 1, float("nan"), float("inf")))
            )
        case 2 | 3 if isinstance(value, list) and value:
            return replaced(tree, path, rng.choice((value * 2, value[:-1], value[::-1], [value[0]])))
        case 3 | 4:  # of another place, as of another cell
            other = at(tree, _random_path(tree, rng))
            return replaced(tree, path, other)
        case _:
            return replaced(tree, path, rng.choice(VALUES))


def _random_path(tree: Any, rng: Random) -> Path:
    """Return a path into the tree, each level as likely to be the last as not: long lists do not win."""
    path: Path = ()
    while True:
        node = at(tree, path)
        names: list[Any] = (
            list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        )
        if not names or (path and rng.random() < 0.15):
            return path
        path = (*path, rng.choice(names))


def at(tree: Any, path: Path) -> Any:
    """Return what lies at a path."""
    for name in path:
        tree = tree[name]
    return tree


def replaced(tree: Any, path: Path, value: object) -> Any:
    """Return the tree with another value at a path; no list or object of the given tree is changed."""
    if not path:
        return value
    first, *rest = path
    inner = replaced(tree[first], tuple(rest), value)
    if isinstance(tree, dict):
        return {**tree, str(first): inner}
    return [inner if place == first else each for place, each in enumerate(tree)]


def _without(tree: Any, path: Path) -> Any:
    if not path:
        return None
    holder = at(tree, path[:-1])
    if isinstance(holder, dict):
        rest: Any = {name: value for name, value in holder.items() if name != path[-1]}
    else:
        rest = [value for place, value in enumerate(holder) if place != path[-1]]
    return replaced(tree, path[:-1], rest)


def objects_in(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every object."""
    if isinstance(tree, dict):
        yield path
    names: Any = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for name in names:
        yield from objects_in(tree[name], (*path, name))
