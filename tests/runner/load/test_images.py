import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from exporter.torchvision_ops import import_torchvision
from runner.errors import FileError, UsageError
from runner.load.image_files import check_images
from runner.load.images import Decoder, Target, geometry, target_of
from runner.manifest import TensorSpec
from tests.photographs import PHOTOGRAPHS, photograph, write_plain

STUDY = Target("input", "float32", 224, 224)

Reference = Callable[..., NDArray[np.float32]]


@pytest.fixture(scope="module")
def reference() -> Reference:
    """torchvision's own loader and transform of the study's networks: a file becomes 3 x H x W."""
    torchvision = import_torchvision()
    transforms, load = torchvision.transforms, torchvision.datasets.folder.pil_loader

    def transform(path: Path, crop: int = 224) -> NDArray[np.float32]:
        steps = (
            transforms.Resize(round(crop * 256 / 224)),
            transforms.CenterCrop(crop),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, for palettes with transparency
            array: NDArray[np.float32] = transforms.Compose(steps)(load(path)).numpy()
        return array

    return transform


def _decode(path: Path, target: Target = STUDY) -> NDArray[np.floating[Any]]:
    """Return one image as the module makes it, 3 x H x W."""
    batch: NDArray[np.floating[Any]] = np.full((1, 3, target.height, target.width), np.nan, target.dtype)
    check_images([path])
    Decoder([path], target).fill(batch, 0)
    return batch.reshape(batch.shape[1:])


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("suffix", ["", ".jpg", ".png"])
def test_photographs_become_bit_for_bit_what_torchvision_makes_of_them(
    name: str, suffix: str, tmp_path: Path, reference: Reference
) -> None:
    path = photograph(name)
    if suffix:
        copy = tmp_path / f"copy{suffix}"
        with Image.open(path) as image:
            image.save(copy)
        path = copy
    decoded = _decode(path)
    np.testing.assert_array_equal(decoded, reference(path))
    assert decoded.std() > 0.3  # a photograph, not a plain area


@pytest.mark.parametrize(
    "weights", ["AlexNet_Weights", "DenseNet121_Weights", "ShuffleNet_V2_X0_5_Weights", "ViT_B_16_Weights"]
)
def test_published_weights_of_study_networks_ask_for_this_transform(weights: str) -> None:
    published = getattr(import_torchvision().models, weights).IMAGENET1K_V1.transforms()
    path = photograph("rocket.jpg")
    with Image.open(path) as image:
        np.testing.assert_array_equal(published(image).numpy(), _decode(path))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_half_precision_is_the_single_precision_rounded_once(name: str) -> None:
    path = photograph(name)
    half = _decode(path, Target("input", "float16", 224, 224))
    np.testing.assert_array_equal(half, _decode(path).astype(np.float16))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_kind_of_pixels_is_converted_as_torchvision_does(
    mode: str, tmp_path: Path, reference: Reference
) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    with Image.open(photograph("astronaut.png")) as image:
        if "A" in mode:
            image.putalpha(image.convert("L"))
        image.convert(mode).save(path)
    with Image.open(path) as image:
        assert image.mode == mode
    np.testing.assert_array_equal(_decode(path), reference(path))


@pytest.mark.parametrize(("mode", "transparency"), [("L", 7), ("P", 7), ("P", bytes(range(256)))])
def test_transparency_is_dropped_without_a_warning(
    mode: str, transparency: int | bytes, tmp_path: Path, reference: Reference
) -> None:
    path = tmp_path / "a.png"
    with Image.open(photograph("astronaut.png")) as image:
        image.convert(mode).save(path, transparency=transparency)
    with Image.open(path) as image:
        assert image.info["transparency"]
    np.testing.assert_array_equal(_decode(path), reference(path))


def test_grey_of_16_bits_keeps_its_upper_byte(tmp_path: Path, reference: Reference) -> None:
    with Image.open(photograph("astronaut.png")) as image:
        grey = np.asarray(image.convert("L"))
    lower = np.arange(grey.size, dtype=np.uint16).reshape(grey.shape) % 256
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 256 + lower).save(tmp_path / "16.png")
    with Image.open(tmp_path / "16.png") as image:
        assert image.mode.startswith("I")
    np.testing.assert_array_equal(_decode(tmp_path / "16.png"), reference(tmp_path / "8.png"))


def test_exif_orientation_is_not_applied(tmp_path: Path, reference: Reference) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    with Image.open(photograph("coffee.png")) as image:
        image.save(tmp_path / "plain.jpg")
        image.save(tmp_path / "turned.jpg", exif=exif)
    with Image.open(tmp_path / "turned.jpg") as image:
        assert image.getexif()[0x0112] == 6
    turned = _decode(tmp_path / "turned.jpg")
    np.testing.assert_array_equal(turned, _decode(tmp_path / "plain.jpg"))
    np.testing.assert_array_equal(turned, reference(tmp_path / "turned.jpg"))


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 7, 32, 64, 99]))
@example(1, 90, 32)
@example(90, 1, 32)
@example(1, 1, 224)
def test_any_size_is_cut_as_torchvision_cuts_it(
    tmp_path_factory: pytest.TempPathFactory, reference: Reference, width: int, height: int, crop: int
) -> None:
    pixels = np.random.default_rng(width * 100 + height).integers(0, 256, (height, width, 3), np.uint8)
    path = tmp_path_factory.mktemp("sizes") / "a.png"
    Image.fromarray(pixels).save(path)
    np.testing.assert_array_equal(_decode(path, Target("x", "float32", crop, crop)), reference(path, crop))


@given(*(st.integers(1, side) for side in (20_000, 20_000, 1024, 1024)))
def test_an_image_just_covers_its_target_and_is_cut_in_the_centre(
    width: int, height: int, across: int, down: int
) -> None:
    (wide, high), (left, top, right, bottom) = geometry((width, height), Target("x", "float32", down, across))
    least_wide, least_high = round(across * 8 / 7), round(down * 8 / 7)
    assert wide >= least_wide
    assert high >= least_high
    # One side is as asked; the other keeps the ratio and is rounded as torchvision rounds it.
    by_width = least_wide, int(least_wide * height / width)
    by_height = int(least_high * width / height), least_high
    assert (wide, high) in (by_width, by_height)
    assert (right - left, bottom - top) == (across, down)
    assert left >= 0
    assert top >= 0
    assert abs(left - (wide - right)) <= 1
    assert abs(top - (high - bottom)) <= 1


def _levels(batch: NDArray[np.float32]) -> list[int]:
    """Return the level of each even grey image of a batch."""
    assert all(len(np.unique(image[0])) == 1 for image in batch)
    return [round(255 * (float(image[0, 0, 0]) * 0.229 + 0.485)) for image in batch]


def test_images_follow_each_other_from_the_number_asked_for_and_start_over(tmp_path: Path) -> None:
    decoder = Decoder(write_plain(tmp_path, 10, 20, 30), STUDY)
    batch = np.full((5, 3, 224, 224), np.nan, np.float32)
    for first, levels in [(0, [10, 20, 30, 10, 20]), (4, [20, 30, 10, 20, 30]), (300, [10, 20, 30, 10, 20])]:
        decoder.fill(batch, first)
        assert _levels(batch) == levels


def test_a_part_of_an_array_is_filled_and_nothing_else(tmp_path: Path) -> None:
    whole = np.full((6, 3, 224, 224), np.nan, np.float32)
    Decoder(write_plain(tmp_path, 10), STUDY).fill(whole[2:4], 0)
    assert _levels(whole[2:4]) == [10, 10]
    assert np.isnan(whole[:2]).all()
    assert np.isnan(whole[4:]).all()


def test_files_are_read_when_a_batch_is_filled(tmp_path: Path) -> None:
    (path,) = write_plain(tmp_path, 10)
    decoder = Decoder([path], STUDY)
    write_plain(tmp_path, 20)
    batch = np.empty((1, 3, 224, 224), np.float32)
    decoder.fill(batch, 0)
    assert _levels(batch) == [20]
    path.unlink()
    with pytest.raises(FileError, match=f"Cannot decode {path}: expected a whole JPEG or PNG, got .*No such"):
        decoder.fill(batch, 0)


def test_memory_and_open_files_do_not_grow_with_the_images_served() -> None:
    decoder = Decoder([photograph(name) for name in PHOTOGRAPHS], STUDY)
    batch = np.empty((8, 3, 224, 224), np.float32)
    process = psutil.Process()
    decoder.fill(batch, 0)
    resident_bytes, files = process.memory_info().rss, process.num_fds()
    for first in range(8, 88, 8):
        decoder.fill(batch, first)
    # One image that stayed per call would be 10 times 0.8 MB or more.
    assert process.memory_info().rss - resident_bytes < 5e6
    assert process.num_fds() == files


@pytest.mark.parametrize("batch", ["n", 16])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_batch_of_coloured_images_is_a_target(batch: str | int, dtype: str) -> None:
    assert target_of([TensorSpec("x", dtype, (batch, 3, 299, 320))]) == Target("x", dtype, 299, 320)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((("x", "float32", ("n", 224, 224, 3)),), "input 'x': .*, got float32 n x 224 x 224 x 3"),
        ((("x", "float32", ("n", 1, 28, 28)),), "input 'x': .*, got float32 n x 1 x 28 x 28"),
        ((("x", "float32", ("n", 3, "h", "w")),), "input 'x': .*, got float32 n x 3 x h x w"),
        ((("x", "float32", ("n", 3, 224)),), "input 'x': .*, got float32 n x 3 x 224"),
        ((("x", "uint8", ("n", 3, 224, 224)),), "input 'x': .*, got uint8 n x 3 x 224 x 224"),
        ((("x", "float64", ("n", 3, 224, 224)),), "input 'x': .*, got float64 n x 3 x 224 x 224"),
        ((("x", "float32", ()),), "input 'x': .*, got float32 scalar"),
        (
            (("a", "float32", ("n", 3, 8, 8)), ("b", "int64", ("n", 4))),
            "input 'a' and input 'b': .*, got float32 n x 3 x 8 x 8 and int64 n x 4",
        ),
        ((), "a model without inputs: .*, got none"),
    ],
)
def test_a_model_that_takes_something_else_is_refused(inputs: tuple[Any, ...], message: str) -> None:
    expected = f"^Cannot feed images to {message}. Choose another model, or leave the images out.$"
    with pytest.raises(UsageError, match=expected) as caught:
        target_of([TensorSpec(*each) for each in inputs])
    assert "expected one float input of 3 x H x W after the batch" in str(caught.value)
