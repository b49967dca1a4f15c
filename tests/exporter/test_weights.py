import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from torch import hub

from exporter import weights
from exporter.network import describe
from exporter.weights import Wanted, choose, download, is_online
from runner.errors import AbsentError, FileError

pytestmark = pytest.mark.filterwarnings("ignore")  # of torchvision's import

CONTENT = b"published weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"net-{DIGEST[:8]}.pth"


@pytest.fixture
def server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(403)

        def do_GET(self) -> None:
            if "torn" in self.path:
                self.send_response(200)
                self.send_header("Content-Length", str(2 * len(CONTENT)))
                self.end_headers()
                self.wfile.write(CONTENT)
                return
            self.send_response(200)
            self.end_headers()
            if "trickle" in self.path:
                with suppress(OSError):  # it was given up
                    for start in range(0, len(CONTENT), len(CONTENT) // 50):
                        self.wfile.write(CONTENT[start : start + len(CONTENT) // 50])
                        time.sleep(0.02)
                return
            self.wfile.write(CONTENT)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_download_is_stored_under_its_verified_name(server: str, tmp_path: Path) -> None:
    path = download(f"{server}/{NAME}", tmp_path / "new")
    assert path == tmp_path / "new" / NAME
    assert path.read_bytes() == CONTENT


def test_a_download_with_another_hash_is_an_error_and_leaves_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="expected sha256 00000000"):
        download(f"{server}/net-00000000.pth", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_hangs_or_stays_when_the_server_does_not_answer(silent: str, tmp_path: Path) -> None:
    started_s = time.monotonic()
    assert download(f"{silent}/{NAME}", tmp_path, timeout_s=0.2) is None
    assert not is_online(silent, timeout_s=0.2)
    assert time.monotonic() - started_s < 30  # a hang, not a speed
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_a_network_is_offline(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert not is_online(closed)
    assert download(f"{closed}/{NAME}", tmp_path) is None


def test_auto_does_not_wait_for_a_trickle_and_says_random(
    server: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "GRACE_S", 0.1)
    wanted = Wanted("auto", 0, None, online=True, least_bytes_per_s=10.0 * len(CONTENT))
    chosen = choose("net", f"{server}/trickle/{NAME}", wanted)
    assert chosen.weights.kind == "random"
    assert list(cache.iterdir()) == []
    assert choose("net", f"{server}/{NAME}", wanted).weights.kind == "pretrained"


def test_pretrained_waits_for_a_trickle(server: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "GRACE_S", 0.1)
    chosen = choose("net", f"{server}/trickle/{NAME}", Wanted("pretrained", 0, None, online=True))
    assert chosen.checkpoint == cache / NAME


def test_a_download_that_is_cut_short_is_none_and_leaves_nothing(server: str, tmp_path: Path) -> None:
    assert download(f"{server}/torn/{NAME}", tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_any_answer_is_online(server: str) -> None:
    assert is_online(server)


def test_auto_downloads_then_finds_it_in_the_cache(server: str, cache: Path) -> None:
    wanted = Wanted("auto", 0, None, online=True)
    chosen = choose("net", f"{server}/{NAME}", wanted)
    assert chosen.checkpoint == cache / NAME
    assert chosen.weights.kind == "pretrained"
    assert chosen.weights.sha256 == DIGEST
    offline = choose("net", f"http://127.0.0.1:1/{NAME}", Wanted("pretrained", 0, None, online=False))
    assert offline == chosen


def test_auto_without_any_checkpoint_is_random_and_says_the_seed(cache: Path) -> None:
    chosen = choose("net", f"http://127.0.0.1:1/{NAME}", Wanted("auto", 5, cache, online=False))
    assert chosen.checkpoint is None
    assert (chosen.weights.kind, chosen.weights.source) == ("random", "random, seed 5")


def test_pretrained_offline_is_one_line_that_names_both_ways_out(cache: Path) -> None:
    with pytest.raises(AbsentError) as caught:
        choose("net", f"http://127.0.0.1:1/{NAME}", Wanted("pretrained", 0, None, online=True))
    assert "--weights-dir" in str(caught.value)
    assert "--weights random" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_random_takes_no_checkpoint_even_where_there_is_one(cache: Path) -> None:
    (cache / NAME).write_bytes(CONTENT)
    assert choose("net", f"http://x/{NAME}", Wanted("random", 0, cache, online=True)).weights.kind == "random"


@pytest.mark.parametrize("variables", [{"TORCH_HOME": "~/t"}, {"XDG_CACHE_HOME": "/c"}, {}])
def test_the_cache_is_pytorchs(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert weights._cache_dir() == Path(hub.get_dir()) / "checkpoints"


def test_a_cached_file_that_was_changed_is_refused(cache: Path) -> None:
    (cache / NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(FileError, match=f"expected sha256 {DIGEST[:8]}"):
        choose("net", f"http://x/{NAME}", Wanted("auto", 0, None, online=False))


def test_weights_trained_elsewhere_are_local(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    (tmp_path / "other-11111111.pth").write_bytes(b"")
    wanted = Wanted("pretrained", 0, tmp_path, online=False)
    assert choose("net", "http://x/net-aaaaaaaa.pth", wanted).weights.kind == "local"
    assert choose("net", f"http://x/{NAME}", wanted).weights.kind == "pretrained"
    (tmp_path / "net-22222222.pth").write_bytes(b"")
    with pytest.raises(FileError, match=r"expected one file, got net-22222222\.pth or net-"):
        choose("net", "http://x/net-aaaaaaaa.pth", wanted)


def test_the_published_base_is_torchvisions() -> None:
    assert describe("alexnet").url == f"{weights.PUBLISHED_BASE}alexnet-owt-7be5be79.pth"
