"""Pictures in and out: files to PIL, PIL to tensors and back, with every rule for files that cannot be trusted."""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.errors import UsageError
from clipgen.util.text import one_line

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
"""Pillow would also open some thirty rare formats, several of them through programs and parsers with a bad record."""

HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
"""One of them stands near the beginning of the photographs of many phones, which Pillow cannot read."""

MAX_PIXELS = 50_000_000
MAX_SIDE = 65_535
MAX_BYTES = 200_000_000
MAX_SMALL_TILE = 2**20
"""Tiles with so many pixels at most may be larger than the picture, as they are in small pictures."""

MAX_REASON = 120
"""Of the characters of what a decoder says."""

STDERR = 2

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By the orientation that EXIF data state."""


def load_image(path: str | Path) -> tuple[Image.Image, list[str]]:
    """Read the picture for --init as upright RGB, and say what was left out of it.

    Any file that is not one whole picture of a sane size is a UsageError that names the file and the way out.
    """
    _check_file(path)
    try:
        with warnings.catch_warnings():
            # Pillow's own size warning comes above MAX_PIXELS; the others are about metadata that is not used.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as opened:
                _check_size(path, opened.size)
                _check_tiles(path, opened)
                notes = _frame_notes(path, opened)
                with _silent_decoder(opened):
                    opened.load()
                return _to_rgb(opened), notes
    except UsageError:
        raise
    except UnidentifiedImageError as error:
        raise _unknown_format(path) from error
    except Image.DecompressionBombError as error:
        raise _refusal(path, f"has more than {MAX_PIXELS // 10**6} megapixels; shrink it first") from error
    except MemoryError as error:
        raise _refusal(path, "does not fit into memory; shrink it first") from error
    except Exception as error:  # On damaged files decoders raise whatever they stumble on.
        raise _refusal(path, f"is damaged or incomplete ({_reason(error)}); save or download it again") from error


def to_tensor(image: Image.Image, size: tuple[int, int]) -> Tensor:
    """Scale and centre-crop an RGB picture to `size` (width, height); returns (1, 3, H, W) in [0, 1]."""
    fitted = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)[None].float() / 255


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale images (B, 3, H, W) in [0, 1] to `size` (width, height)."""
    if (images.shape[3], images.shape[2]) == size:
        return images
    return interpolate(images, size[::-1], mode="bicubic", antialias=size[0] < images.shape[3]).clamp(0, 1)


def to_pil(image: Tensor) -> Image.Image:
    """Turn one picture (3, H, W) in [0, 1] into 8-bit RGB."""
    pixels = (image.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def _refusal(path: str | Path, reason: str) -> UsageError:
    return UsageError(f"--init {str(path)!r} {reason}")


def _unknown_format(path: str | Path) -> UsageError:
    with Path(path).open("rb") as file:
        head = file.read(64)
    if head[4:8] == b"ftyp" and any(brand in head for brand in HEIC_BRANDS):
        return _refusal(path, "is a HEIC photograph, which clipgen cannot read; export it as JPEG or run heif-convert")
    return _refusal(path, f"is not one of {', '.join(FORMATS)}, or is damaged; convert it to PNG")


def _reason(error: Exception) -> str:
    return one_line(str(error), MAX_REASON) or type(error).__name__


def _check_file(path: str | Path) -> None:
    """Refuse what is not a readable regular file of a sane size; devices and pipes could block for ever."""
    try:
        status = Path(path).stat()
    except FileNotFoundError as error:
        raise _refusal(path, "does not exist; check the path") from error
    except (OSError, ValueError) as error:
        raise _refusal(path, f"cannot be opened ({_reason(error)}); check the path") from error
    if S_ISDIR(status.st_mode):
        raise _refusal(path, "is a folder; name an image file in it")
    if not S_ISREG(status.st_mode):
        raise _refusal(path, "is not a regular file; name an image file")
    if status.st_size > MAX_BYTES:
        raise _refusal(path, f"is larger than {MAX_BYTES // 10**6} MB; shrink the image first")


def _check_size(path: str | Path, size: tuple[int, int]) -> None:
    pixels = size[0] * size[1]
    if pixels > MAX_PIXELS:
        found, limit = pixels / 10**6, MAX_PIXELS // 10**6
        raise _refusal(path, f"has {found:.4g} megapixels, more than the {limit} that are accepted; shrink it first")
    if max(size) > MAX_SIDE:  # rows without end take decoders more time than their number says
        raise _refusal(path, f"has a side of {max(size)} pixels, more than {MAX_SIDE}; cut it first")


def _check_tiles(path: str | Path, image: Image.Image) -> None:
    """Refuse a TIFF with tiles far larger than itself: the decoder makes room for a whole one."""
    if isinstance(image, TiffImageFile):
        width, height = (image.tag_v2.get(tag, 0) for tag in (TILEWIDTH, TILELENGTH))
        if width * height > max(MAX_SMALL_TILE, 4 * image.width * image.height):
            raise _refusal(path, "is damaged or incomplete (its tiles are larger than itself); save it again")


@contextlib.contextmanager
def _silent_decoder(image: Image.Image) -> Iterator[None]:
    """Keep libtiff, which writes its complaints straight to the terminal, from doing so."""
    if not isinstance(image, TiffImageFile):
        yield
        return
    try:
        terminal = os.dup(STDERR)
    except OSError:  # closed: nothing to keep it from
        yield
        return
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), STDERR)
    try:
        yield
    finally:
        os.dup2(terminal, STDERR)
        os.close(terminal)


def _frame_notes(path: str | Path, image: Image.Image) -> list[str]:
    # MPO is how phones store one photograph with its depth or gain map: nobody misses those.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        return [f"--init {str(path)!r} is animated; its first frame is used"]
    return []


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return any loaded picture as it is meant to be seen: upright, on white, in sRGB."""
    profile = image.info.get("icc_profile")
    image = _upright(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _deep_to_8_bit(image)
    grey = image.mode in ("L", "LA")  # as a grey profile needs it
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    if image.mode in ("1", "P", "PA", "RGBA"):  # profiles are not about indices or alpha
        image = image.convert("L" if grey else "RGB")
    if image.mode == "LAB":  # it has colours of its own, whatever profile it was made with
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    return _to_srgb(image, profile) if profile else image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF data say; those that cannot be read say nothing.

    Pillow's own function also writes the data back, which fails on some that can be read.
    """
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # The pixels are whole; what damaged EXIF data raise is not foreseeable.
        turn = None
    return image if turn is None else image.transpose(turn)


def _deep_to_8_bit(image: Image.Image) -> Image.Image:
    """Scale a grey picture with deep pixels to 8 bits; Pillow's own conversion cuts everything above 255 to white.

    16-bit pixels use their full range; of the other kinds the smallest usual range that holds the brightest pixel.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    brightest = float(values.max())
    usual = (65535.0,) if image.mode.startswith("I;16") else (1.0, 255.0, 65535.0, brightest)
    white = next(limit for limit in usual if brightest <= limit)
    grey = (values.clip(0, white) / white * 255).round().astype(np.uint8)
    if isinstance(transparent := image.info.get("transparency"), int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert from the picture's own colour profile; one that does not fit the picture is ignored."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except Exception:  # As of EXIF data: the pixels are whole.
        converted = None
    return converted or image.convert("RGB")
