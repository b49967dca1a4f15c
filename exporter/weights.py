"""Where a network's weights come from: a published or local checkpoint, or a seed."""

import os
import re
import tempfile
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from time import monotonic
from typing import BinaryIO, Literal, get_args

from runner.errors import AbsentError, FileError
from runner.hashing import hash_file
from runner.manifest import Weights

Mode = Literal["auto", "pretrained", "random"]
MODES: tuple[Mode, ...] = get_args(Mode)

PUBLISHED_BASE = "https://download.pytorch.org/models/"
"""where every checkpoint of torchvision is (torchvision/models/*.py)"""
TIMEOUT_S = 4.0
"""for a connection and for each read: long for a server that is there, short for one that is not"""
AUTO_BYTES_PER_S = 5_000_000.0
"""what all downloads of auto together must reach: the five networks of the study, 0.98 GB, then take 200 s at most"""
GRACE_S = 5.0
"""before a rate is judged: a connection begins slowly"""

_CHUNK_BYTES = 1 << 20
_HASHED_NAME = re.compile(r"(?P<stem>.+)-(?P<prefix>[0-9a-f]{8,64})\.pth")
"""torch.hub's convention: the name ends with the first digits of the file's SHA-256"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; the same for every network of an export."""

    mode: Mode
    seed: int
    weights_dir: Path | None
    online: bool
    """whether a download may be tried"""
    least_bytes_per_s: float = 0.0
    """a slower download is given up"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The weights of one network."""

    weights: Weights
    checkpoint: Path | None
    """None for random weights"""


def is_online(url: str = PUBLISHED_BASE, timeout_s: float = TIMEOUT_S) -> bool:
    """Return whether a server answers, whatever it says.

    Asked in a thread, because looking up a name knows no timeout.
    """
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(_answers(url, timeout_s)), daemon=True)
    thread.start()
    thread.join(2 * timeout_s)
    return bool(answers and answers[0])


def choose(model: str, url: str, wanted: Wanted) -> Chosen:
    """Return the weights for a network: local files first, then the cache, then the network, then the seed.

    Args:
        model: its name, for messages.
        url: of the published checkpoint, whose file name carries its hash.
        wanted: what was asked for.

    Raises:
        AbsentError: pretrained weights were asked for and cannot be had.
        FileError: a checkpoint is not what its name says.
    """
    if wanted.mode != "random":
        path = find_stored(model, file_name(url), wanted.weights_dir)
        if path is None and wanted.online:
            path = download(url, _cache_dir(), least_bytes_per_s=wanted.least_bytes_per_s)
        if path is not None:
            return _verified(model, url, path, wanted.seed)
        if wanted.mode == "pretrained":
            raise AbsentError(
                f"Cannot get the weights of {model}",
                expected=f"{file_name(url)} in {wanted.weights_dir or _cache_dir()}, or a download",
                got="none",
                fix=f"Get {url} and pass --weights-dir DIR, or pass --weights random",
            )
    return Chosen(Weights("random", f"random, seed {wanted.seed}", wanted.seed), None)


def download(
    url: str, folder: Path, *, timeout_s: float = TIMEOUT_S, least_bytes_per_s: float = 0.0
) -> Path | None:
    """Return where a checkpoint was stored, or None when the server cannot be reached, stops or is too slow.

    Raises:
        FileError: what came does not have the hash in its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file_name(url)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=target.name, suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream, urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - as below
            _receive(answer, stream, least_bytes_per_s)
        _check_name(hash_file(part), target, "Try again, or pass --weights random")
        part.replace(target)
    except (OSError, HTTPException):
        return None
    finally:
        part.unlink(missing_ok=True)
    return target


def find_stored(model: str, published: str, weights_dir: Path | None) -> Path | None:
    """Return the checkpoint on this machine, not verified yet, or None.

    Args:
        model: a network's name.
        published: the file name of its published checkpoint.
        weights_dir: where to look first; the cache comes second.

    Raises:
        FileError: several files in the folder could be meant.
    """
    if weights_dir is not None and (local := _find_local(model, published, weights_dir)):
        return local
    cached = _cache_dir() / published
    return cached if cached.is_file() else None


def file_name(url: str) -> str:
    """Return the name that a published checkpoint is stored under."""
    return url.rpartition("/")[2]


def _receive(answer: HTTPResponse, stream: BinaryIO, least_bytes_per_s: float) -> None:
    """Store a whole body.

    Raises:
        OSError: it comes too slowly, or not whole.
    """
    size_bytes = answer.length  # None where the server does not say
    received_bytes, started_s = 0, monotonic()
    # read1 returns what has come; read would wait for a whole chunk, however slowly it comes.
    while received_bytes != size_bytes and (chunk := answer.read1(_CHUNK_BYTES)):
        received_bytes += stream.write(chunk)
        elapsed_s = monotonic() - started_s
        if elapsed_s > GRACE_S and received_bytes < least_bytes_per_s * elapsed_s:
            raise TimeoutError
    if size_bytes is not None and received_bytes != size_bytes:
        raise ConnectionError


def _answers(url: str, timeout_s: float) -> bool:
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - https, or the loopback server of a test
    try:
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310 - the same
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, HTTPException):
        return False


def _find_local(model: str, published_name: str, folder: Path) -> Path | None:
    """Return the published file in a folder, or the only one of the same stem: weights trained elsewhere."""
    published = folder / published_name
    if published.is_file():
        return published
    parts = _HASHED_NAME.fullmatch(published.name)
    stem = parts["stem"] if parts else model
    others = [
        path
        for path in sorted(folder.glob("*.pth"))
        if (match := _HASHED_NAME.fullmatch(path.name)) and match["stem"] == stem
    ]
    if len(others) > 1:
        names = " or ".join(path.name for path in others)
        raise FileError(
            f"Cannot tell the weights of {model}", expected="one file", got=names, fix="Move one away"
        )
    return others[0] if others else None


def _verified(model: str, url: str, path: Path, seed: int) -> Chosen:
    """Return a checkpoint whose hash is the one in its name; only the published name makes it pretrained."""
    try:
        sha256 = hash_file(path)
    except OSError as error:
        raise FileError(
            f"Cannot read the weights of {model}", got=str(error), fix="Check the file"
        ) from error
    _check_name(sha256, path, "Get it again, or pass --weights random")
    kind: Literal["pretrained", "local"] = "pretrained" if path.name == file_name(url) else "local"
    source = f"{kind}, {path.name}, sha256 {sha256[:12]}"
    # Links are kept: the name with the hash is that of the link.
    return Chosen(Weights(kind, source, seed, sha256), path.absolute())


def _check_name(sha256: str, path: Path, fix: str) -> None:
    parts = _HASHED_NAME.fullmatch(path.name)
    if parts is None or not sha256.startswith(parts["prefix"]):
        expected = f"sha256 {parts['prefix']}…" if parts else "a hash in its name"
        raise FileError(f"Cannot use {path}", expected=expected, got=f"{sha256[:12]}…", fix=fix)


def _cache_dir() -> Path:
    """Return where PyTorch keeps checkpoints, as ``torch.hub.get_dir`` documents it; torch takes seconds to import."""
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", f"{caches}/torch")
    return Path(os.path.expanduser(home)) / "hub" / "checkpoints"  # noqa: PTH111 - pathlib's fails without a home
