import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import MAX_TEXT_CHUNK, PngInfo

from runner.errors import AbsentError, FileError
from runner.load.image_files import MOST_ELONGATED, check_images, find_images, missing
from runner.load.images import Decoder, Target
from tests.photographs import photograph, write_plain

STUDY = Target("input", "float32", 224, 224)
NOBODY = 65534
"""the user without rights, on Linux"""


def test_images_are_found_in_subfolders_by_their_suffix_and_sorted_by_path(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.jpeg", "z/a.Png", "k/d/e.jpg", "notes.txt", "jpg", "k/a.jpg.gz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)]
    assert found == ["a.png", "b.JPG", "c.jpeg", "k/d/e.jpg", "z/a.Png"]


def test_a_folder_without_images_is_refused_and_says_what_is_there(tmp_path: Path) -> None:
    for other_count in (0, 1):
        expected = rf"\.jpg or \.jpeg or \.png, got none \(other files: {other_count}\)\. Pass a folder"
        with pytest.raises(FileError, match=f"^No images in {tmp_path}: expected {expected}"):
            find_images(tmp_path)
        (tmp_path / "a.webp").touch()


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"^Cannot read {tmp_path}/none: .*, got No such file or directory"):
        find_images(tmp_path / "none")
    (path,) = write_plain(tmp_path, 10)
    with pytest.raises(FileError, match=f"^Cannot read {path}: .*, got Not a directory"):
        find_images(path)


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Let file permissions hold for this process, which they do not for root."""
    before = os.geteuid()
    os.seteuid(before or NOBODY)
    yield
    os.seteuid(before)


@pytest.mark.usefixtures("unprivileged")
def test_a_subfolder_that_may_not_be_read_is_named_and_not_passed_over() -> None:
    with TemporaryDirectory() as folder:  # not pytest's, which only its owner may enter
        (Path(folder) / "a.png").touch()
        secret = Path(folder) / "secret"
        secret.mkdir(mode=0)
        with pytest.raises(FileError, match=f"^Cannot read {secret}: .*, got Permission denied"):
            find_images(Path(folder))
        secret.rmdir()


@pytest.fixture(scope="module", params=[".jpg", ".png"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real photograph as a file of each format."""
    path: Path = tmp_path_factory.mktemp("whole") / f"a{request.param}"
    with Image.open(photograph("chelsea.png")) as image:
        image.save(path)
    return path


def _fill(paths: Sequence[Path]) -> None:
    Decoder(paths, STUDY).fill(np.empty((1, 3, 224, 224), np.float32), 0)


def _outcome(path: Path) -> str:
    """Return the error that a user would see, if any."""
    try:
        check_images([path])
        _fill([path])
    except FileError as error:
        return str(error)
    return "decoded"


@given(st.floats(0, 0.98))
def test_a_file_that_was_cut_short_is_named(whole: Path, kept_ratio: float) -> None:
    content = whole.read_bytes()
    cut = whole.with_stem("cut")
    cut.write_bytes(content[: int(kept_ratio * len(content))])
    for use in (check_images, _fill):
        with pytest.raises(FileError, match=f"^Cannot decode {cut}: expected a whole JPEG or PNG, got .*"):
            use([cut])


def _write_text_that_unpacks_to_too_much(path: Path) -> None:
    text = PngInfo()
    text.add_text("comment", "a" * (MAX_TEXT_CHUNK + 1), zip=True)
    Image.new("L", (300, 300)).save(path, pnginfo=text)


def _write_part_without_a_name(path: Path) -> None:
    with Image.open(photograph("chelsea.png")) as image:
        image.save(path)
    before, first, *rest = path.read_bytes().split(b"IDAT")
    path.write_bytes(b"IDAT".join((before, first)) + b"\0\0\0\0" + b"IDAT".join(rest))


@pytest.mark.parametrize(
    ("write", "got"),
    [
        (_write_text_that_unpacks_to_too_much, "Decompressed"),  # Pillow's ValueError
        (_write_part_without_a_name, "broken PNG file"),  # its SyntaxError
    ],
)
def test_a_file_is_named_whatever_pillow_raises(
    write: Callable[[Path], None], got: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    write(path)
    assert _outcome(path).startswith(f"Cannot decode {path}: expected a whole JPEG or PNG, got {got}")


@given(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8))
def test_a_file_that_was_changed_is_decoded_or_named(whole: Path, at_ratio: float, patch: bytes) -> None:
    content = bytearray(whole.read_bytes())
    at = int(at_ratio * len(content))
    content[at : at + len(patch)] = patch
    changed = whole.with_stem("changed")
    changed.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert _outcome(changed).startswith(("decoded", f"Cannot decode {changed}: "))


def test_another_format_behind_the_suffix_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (300, 300)).save(path, format="GIF")
    with pytest.raises(FileError, match=f"^Cannot decode {path}: expected a whole JPEG or PNG, got cannot"):
        check_images([path])


@pytest.mark.parametrize("limit", [300 * 300 - 1, 300 * 300 // 2 - 1])  # where Pillow warns, where it raises
def test_an_image_of_more_pixels_than_pillow_trusts_is_refused(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write_plain(tmp_path, 10)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(FileError, match=f"^Cannot decode {path}: expected at most {limit} pixels, got more"):
        check_images([path])


def test_an_image_that_resizing_would_make_huge_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for size in ((MOST_ELONGATED, 1), (1, MOST_ELONGATED)):
        Image.new("L", size).save(path)
        check_images([path])
    Image.new("L", (1, MOST_ELONGATED + 1)).save(path)
    with pytest.raises(FileError, match=f"^Cannot decode {path}: expected sides of at most 100:1, got 101:1"):
        check_images([path])


def test_the_first_broken_file_of_several_is_named(tmp_path: Path) -> None:
    paths = write_plain(tmp_path, 10, 20, 30)
    check_images(paths)
    paths[1].write_bytes(b"")
    with pytest.raises(FileError, match=str(paths[1])):
        check_images(paths)


def test_without_pillow_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing() is None
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert missing() is not None
    message = r"^Cannot decode images: Pillow is not installed\. Install the package pillow\.$"
    with pytest.raises(AbsentError, match=message):
        Decoder([Path("a.png")], STUDY)
    with pytest.raises(AbsentError, match=message):
        check_images([Path("a.png")])
