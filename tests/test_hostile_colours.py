"""A picture for --init is seen as it is meant, in every mode, with every profile and whatever its EXIF data say."""

import struct
from pathlib import Path

import numpy as np
import pytest
from mutators import chunk, encoded, png
from PIL import Image, ImageCms

from clipgen.util.images import load_image

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def corners() -> Image.Image:
    """Black with another colour in three of the corners, each 8 x 8 pixels."""
    image = Image.new("RGB", (32, 16))
    for colour, place in ((RED, (0, 0)), (GREEN, (24, 0)), (BLUE, (0, 8))):
        image.paste(colour, (*place, place[0] + 8, place[1] + 8))
    return image


def load(folder: Path, content: bytes) -> Image.Image:
    path = folder / "a.png"
    path.write_bytes(content)
    return load_image(path)[0]


def seen(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the corners: upper left, upper right, lower left, lower right."""
    right, low = image.width - 4, image.height - 4
    found = [image.getpixel(place) for place in ((3, 3), (right, 3), (3, low), (right, low))]
    return [tuple(round(each / 255) * 255 for each in colour) for colour in found if isinstance(colour, tuple)]


def profile(name: str = "sRGB") -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def swapped() -> bytes:
    """A profile in which red is blue."""
    return profile().replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *((mode, "TIFF") for mode in ("RGB", "P", "RGBA", "CMYK", "YCbCr", "LAB")),
        *((mode, "PNG") for mode in ("RGB", "P", "RGBA")),
        *((mode, "JPEG") for mode in ("RGB", "CMYK", "YCbCr")),
    ],
)
def test_every_mode_shows_its_colours(tmp_path: Path, mode: str, kind: str) -> None:
    image = corners()
    if mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), lab, outputMode="LAB") or image
    content = encoded(image if mode == "LAB" else image.convert(mode), kind)
    assert seen(load(tmp_path, content)) == [RED, GREEN, BLUE, (0, 0, 0)]


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_a_profile_is_applied_in_every_mode_that_it_fits(tmp_path: Path, mode: str) -> None:
    image = corners()
    assert seen(load(tmp_path, encoded(image.convert(mode), "PNG", icc_profile=swapped()))) == [
        BLUE, GREEN, RED, (0, 0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["L", "LA", "1", "CMYK"])
def test_a_profile_that_does_not_fit_is_ignored(tmp_path: Path, mode: str) -> None:
    image = corners().convert(mode)
    with_profile = load(tmp_path, encoded(image, "TIFF", icc_profile=swapped()))
    assert with_profile.tobytes() == load(tmp_path, encoded(image, "TIFF")).tobytes()


def test_damaged_profiles_never_cost_the_picture(tmp_path: Path) -> None:
    good, draws = swapped(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(good)
        for place in draws.integers(len(damaged), size=8):
            damaged[place] = draws.integers(256)
        assert load(tmp_path, encoded(corners(), "PNG", icc_profile=bytes(damaged))).size == (32, 16)


def deep_png(pixels: np.ndarray, colour: int, *extra: bytes) -> bytes:
    """A PNG with 16 bits a channel, which Pillow can only write in grey."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return png(pixels.shape[1], pixels.shape[0], *extra, rows=rows, depth=16, colour=colour)


def test_sixteen_bits_keep_their_colours(tmp_path: Path) -> None:
    pixels = np.asarray(corners()).astype(int) * 257
    assert seen(load(tmp_path, deep_png(pixels, 2))) == [RED, GREEN, BLUE, (0, 0, 0)]
    ramp = np.linspace(0, 65535, 64).round().astype(int)[None].repeat(2, 0)
    for content in (deep_png(ramp[..., None].repeat(3, 2), 2), deep_png(ramp, 0)):
        found = np.asarray(load(tmp_path, content))[0]
        assert np.abs(found - np.linspace(0, 255, 64)[:, None]).max() <= 1.01
    alpha = np.where(ramp > 30000, 65535, 0)
    found = np.asarray(load(tmp_path, deep_png(np.stack([ramp, alpha], -1), 4)))[0, :, 0]
    assert (found[:20] == 255).all()
    assert abs(int(found[40]) - 255 * 40 / 63) <= 1.01


def test_transparent_grey_of_sixteen_bits_is_white(tmp_path: Path) -> None:
    pixels = np.full((8, 8), 1000)
    pixels[:4] = 30000
    found = np.asarray(load(tmp_path, deep_png(pixels, 0, chunk(b"tRNS", struct.pack(">H", 1000)))))
    assert (found[4:] == 255).all()
    assert (found[:4] == 117).all()


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [RED, GREEN, BLUE, (0, 0, 0)]), (2, [GREEN, RED, (0, 0, 0), BLUE]), (3, [(0, 0, 0), BLUE, GREEN, RED]),
        (4, [BLUE, (0, 0, 0), RED, GREEN]), (5, [RED, BLUE, GREEN, (0, 0, 0)]), (6, [BLUE, RED, (0, 0, 0), GREEN]),
        (7, [(0, 0, 0), GREEN, BLUE, RED]), (8, [GREEN, (0, 0, 0), RED, BLUE]), (0, [RED, GREEN, BLUE, (0, 0, 0)]),
        (9, [RED, GREEN, BLUE, (0, 0, 0)]), (65535, [RED, GREEN, BLUE, (0, 0, 0)]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation_is_turned_up(
    tmp_path: Path, kind: str, orientation: int, expected: list[tuple[int, ...]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    assert seen(load(tmp_path, encoded(corners(), kind, exif=exif, **options))) == expected


@pytest.mark.parametrize("row", [b"\xff" * 12, b"\x12\x01\x02\0\2\0\0\0006\0\0\0", b"\x12\x01\x05\0\1\0\0\0\x1a\0\0\0"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_data_never_cost_the_picture(tmp_path: Path, kind: str, row: bytes) -> None:
    for exif in (b"Exif\0\0II*\0\x08\0\0\0\1\0" + row, b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff"):
        assert load(tmp_path, encoded(corners(), kind, exif=exif)).size == (32, 16)


def test_exif_data_that_cannot_be_written_back_never_cost_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(corners(), "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\x01\3\0\1\0\0\0\6\0\0\0")
    monkeypatch.setattr(Image.Exif, "tobytes", lambda self, offset=8: 1 / 0)
    assert seen(load(tmp_path, content)) == [BLUE, RED, (0, 0, 0), GREEN]
