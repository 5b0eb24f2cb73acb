import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from clipgen.errors import UsageError
from clipgen.util.images import MAX_BYTES, load_image, to_pil, to_tensor

SIZE = (40, 24)


def photograph() -> Image.Image:
    """A smooth picture with a red left and a blue right side."""
    x = np.linspace(0, 255, SIZE[0]).astype(np.uint8)
    row = np.stack([255 - x, np.full_like(x, 60), x], axis=-1)
    return Image.fromarray(np.repeat(row[None], SIZE[1], axis=0))


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def mean(image: Image.Image) -> list[float]:
    return list(np.asarray(image, dtype=float).mean((0, 1)))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif", "tiff", "avif"])
def test_every_accepted_format_looks_as_it_was_saved(tmp_path: Path, suffix: str) -> None:
    image, notes = load_image(saved(tmp_path / f"a.{suffix}", photograph()))
    assert (image.mode, image.size, notes) == ("RGB", SIZE, [])
    assert mean(image) == pytest.approx(mean(photograph()), abs=4)


def deep(kind: type[np.generic], full: float) -> Image.Image:
    grey = np.linspace(0, full, SIZE[0]).astype(kind)
    return Image.fromarray(np.repeat(grey[None], SIZE[1], axis=0))


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("16.png", deep(np.uint16, 65535)),
        ("16.tiff", deep(np.uint16, 65535)),
        ("32.tiff", deep(np.int32, 65535)),
        ("bright.tiff", deep(np.int32, 10**6)),
        ("unit.tiff", deep(np.float32, 1)),
        ("bytes.tiff", deep(np.float32, 255)),
        ("grey.png", deep(np.uint8, 255)),
    ],
)
def test_a_ramp_from_black_to_white_stays_one_at_any_depth(tmp_path: Path, name: str, image: Image.Image) -> None:
    loaded, _ = load_image(saved(tmp_path / name, image))
    ramp = np.asarray(loaded)[0, :, 0].astype(int)
    assert list(ramp) == pytest.approx(np.linspace(0, 255, SIZE[0]), abs=1.01)


def test_numbers_that_are_not_finite_are_black(tmp_path: Path) -> None:
    pixels = np.full((8, 8), 0.5, dtype=np.float32)
    pixels[0] = [np.nan, np.inf, -np.inf, -1, 0, 1, 0.5, 0.5]
    loaded, _ = load_image(saved(tmp_path / "a.tiff", Image.fromarray(pixels)))
    assert list(np.asarray(loaded)[0, :, 0]) == [0, 0, 0, 0, 0, 255, 128, 128]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_every_colour_mode_keeps_its_colours(tmp_path: Path, mode: str) -> None:
    image = photograph().convert(mode)
    loaded, _ = load_image(saved(tmp_path / "a.tiff", image))
    assert loaded.mode == "RGB"
    assert mean(loaded) == pytest.approx(mean(image.convert("RGB")), abs=1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_white_and_hides_what_is_below(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 20, 24))
    path = tmp_path / "a.png"
    if mode == "P":
        flat = Image.new("P", SIZE, 1)
        flat.putpalette([0, 0, 0, 0, 0, 0])
        flat.paste(0, (0, 0, 20, 24))
        flat.save(path, transparency=1)
    else:
        image.convert(mode).save(path)
    loaded, _ = load_image(path)
    assert loaded.getpixel((5, 5)) == (0, 0, 0)
    assert loaded.getpixel((30, 5)) == (255, 255, 255)


def test_a_picture_lying_on_its_side_is_turned_up(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    loaded, _ = load_image(saved(tmp_path / "a.jpg", photograph(), exif=exif))
    assert loaded.size == (24, 40)
    top, bottom = loaded.getpixel((12, 2)), loaded.getpixel((12, 37))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > 200 > top[2]
    assert bottom[2] > 200 > bottom[0]


def test_a_colour_profile_is_applied_and_a_broken_one_ignored(tmp_path: Path) -> None:
    red = Image.new("RGB", SIZE, (255, 0, 0))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for name, profile in (("broken", b"nonsense"), ("unfit", lab), ("empty", b""), ("plain", srgb)):
        loaded, _ = load_image(saved(tmp_path / f"{name}.png", red, icc_profile=profile))
        assert loaded.getpixel((0, 0)) == (255, 0, 0)
    loaded, _ = load_image(saved(tmp_path / "swapped.png", red, icc_profile=swapped))
    assert loaded.getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_of_an_animation_the_first_frame_is_used_and_that_is_said(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    loaded, notes = load_image(path)
    pixel = loaded.getpixel((5, 5))
    assert isinstance(pixel, tuple)
    assert pixel[0] > 200 > max(pixel[1:])
    assert notes == [f"--init {str(path)!r} is animated; its first frame is used"]


def bomb(side: int) -> bytes:
    """A PNG that claims side x side pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")
    )


def encoded(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    photograph().save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not one of PNG, JPEG, WEBP, BMP, GIF, TIFF, AVIF, or is damaged; convert it to PNG"),
        (b"just text", "is not one of"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not one of"),
        (encoded("EPS"), "is not one of"),
        (encoded("PPM"), "is not one of"),
        (encoded("PNG")[:-30], "is damaged or incomplete"),
        (encoded("JPEG")[:-30], "is damaged or incomplete"),
        (bomb(8000), "has 64 megapixels, more than the 50 that are accepted; shrink it first"),
        (bomb(40000), "has more than 50 megapixels; shrink it first"),
    ],
)
def test_files_that_are_no_sane_picture_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load_image(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"--init {str(path)!r} ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_the_beginning_of_a_file_loads_or_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    content, path, refused = encoded(kind), tmp_path / "a", 0
    for length in sorted({*range(0, len(content), max(len(content) // 60, 1)), *range(20)}):
        path.write_bytes(content[:length])
        try:
            load_image(path)
        except UsageError as error:
            refused += 1
            assert "\n" not in str(error)  # noqa: PT017 - either ending is right
    assert refused > 20


def test_damaged_bytes_load_or_are_refused_in_one_line(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "TIFF", "GIF", "WEBP", "AVIF"):
        for _ in range(40):
            content = bytearray(encoded(kind))
            for place in draws.integers(len(content), size=4):
                content[place] = draws.integers(256)
            path = tmp_path / "a"
            path.write_bytes(content)
            try:
                assert load_image(path)[0].mode == "RGB"
            except UsageError as error:
                assert "\n" not in str(error)  # noqa: PT017 - either ending is right


def missing(folder: Path) -> Path:
    return folder / "no\nsuch.png"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def huge(folder: Path) -> Path:
    with (folder / "huge.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    return folder / "huge.png"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (missing, "does not exist; check the path"),
        (lambda folder: folder, "is a folder"),
        (pipe, "is not a regular file"),
        (huge, "is larger than 200 MB"),
        (lambda folder: folder / ("x" * 5000), "cannot be opened"),
        (lambda folder: saved(folder / "a.png", photograph()) / "b.png", "cannot be opened"),
    ],
    ids=["missing", "folder", "pipe", "huge", "long", "below a file"],
)
def test_paths_that_are_no_file_are_refused(tmp_path: Path, make: Callable[[Path], Path], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        load_image(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_pictures_keep_their_pixels_as_tensors_and_back() -> None:
    image = photograph()
    tensor = to_tensor(image, SIZE)
    assert tensor.shape == (1, 3, SIZE[1], SIZE[0])
    assert (float(tensor.min()), float(tensor.max())) == (0, 1)
    assert to_pil(tensor[0]).tobytes() == image.tobytes()


def test_pixels_out_of_range_are_cut_and_others_rounded() -> None:
    pixels = torch.tensor([-1.0, 0.499 / 255, 0.501 / 255, 2.0]).expand(3, 1, 4)
    assert to_pil(pixels).tobytes() == bytes([0, 0, 0, 0, 0, 0, 1, 1, 1, 255, 255, 255])


def test_another_shape_is_cropped_around_the_middle_without_stretching() -> None:
    image = Image.new("RGB", (300, 100), "black")
    image.paste((255, 255, 255), (100, 0, 200, 100))
    assert float(to_tensor(image, (32, 32)).mean()) > 0.99
