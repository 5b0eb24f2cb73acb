"""Image reading and conversion: files to PIL, PIL to tensors and back, with all checks on untrusted files."""

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from threading import Lock

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.errors import UsageError
from clipgen.util.text import one_line

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
"""Pillow also opens some thirty rare formats, several of them with programs and parsers known for vulnerabilities."""

HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
"""One of these is near the start of the photographs of many phones, in a format that Pillow cannot read."""

MAX_PIXELS = 50_000_000
MAX_SIDE = 65_535
MAX_BYTES = 200_000_000
MAX_SMALL_TILE = 2**20
"""Tiles of up to this many pixels may be larger than the picture, as is common in small pictures."""

MAX_REASON = 120
"""Maximum number of characters quoted from a decoder's error."""

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
"""By EXIF orientation."""


_decoding = Lock()
"""Silencing warnings and stderr affects the whole process, so that one file is decoded at a time."""


def load_image(path: str | Path, flag: str = "--init") -> tuple[Image.Image, list[str]]:
    """Read the image of a flag as upright RGB, with a note on what was ignored in the file.

    Raises UsageError, which names the flag, the file and the way out, unless it is one complete image of a reasonable
    size.
    """
    return _read_as(_to_rgb, path, flag)


def decode_image(content: bytes, name: str, flag: str, *, alpha: bool = False) -> Image.Image:
    """Return what `load_image` does, of the content of a file called `name`. Raises UsageError as that does.

    alpha: whether an image with transparent parts stays RGBA.
    """
    return _read_as(_to_rgba if alpha else _to_rgb, name, flag, content)[0]


def load_mask(path: str | Path, flag: str = "--mask") -> Image.Image:
    """Read the image of a flag as a mask, grey (mode L): white is chosen, or what is transparent if anything is.

    Raises UsageError as `load_image` does.
    """
    return _read_as(_to_mask, path, flag)[0]


def load_overlay(path: str | Path, flag: str = "--overlay") -> Image.Image:
    """Read the image of a flag as upright RGBA. Raises UsageError as `load_image` does."""
    return _read_as(lambda image: _upright(image).convert("RGBA"), path, flag)[0]


def _read_as(
    convert: Callable[[Image.Image], Image.Image], path: str | Path, flag: str, content: bytes | None = None
) -> tuple[Image.Image, list[str]]:
    """Read the image of a flag, converted from what it is in its file, and notes."""
    try:
        image, notes = _load_image(path, convert, content)
    except UsageError as error:
        raise UsageError(str(error).replace("--init", flag, 1)) from error
    return image, [note.replace("--init", flag, 1) for note in notes]


def _load_image(
    path: str | Path, convert: Callable[[Image.Image], Image.Image], content: bytes | None
) -> tuple[Image.Image, list[str]]:
    if content is None:
        _check_file(path)
    try:
        with _decoding, warnings.catch_warnings():
            # Pillow's own size warning starts above MAX_PIXELS; the others concern metadata that is not used.
            warnings.simplefilter("ignore")
            with Image.open(path if content is None else io.BytesIO(content), formats=FORMATS) as opened:
                _check_size(path, opened.size)
                _check_tiles(path, opened)
                notes = _frame_notes(path, opened)
                with _silent_decoder(opened):
                    opened.load()
                return convert(opened), notes
    except UsageError:
        raise
    except UnidentifiedImageError as error:
        raise _unknown_format(path, Path(path).read_bytes() if content is None else content) from error
    except Image.DecompressionBombError as error:
        raise _refusal(path, f"has more than {MAX_PIXELS // 10**6} megapixels; shrink it first") from error
    except MemoryError as error:
        raise _refusal(path, "does not fit into memory; shrink it first") from error
    except Exception as error:  # Decoders raise all kinds of exceptions on damaged files.
        raise _refusal(path, f"is damaged or incomplete ({_reason(error)}); save or download it again") from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """Return an image object as `load_image` returns that of a file. Raises UsageError."""
    _check_size("image", image.size)
    try:
        image.load()
        return _to_rgb(image)
    except Exception as error:  # As above, if it is still in its file.
        raise _refusal("image", f"cannot be used ({_reason(error)}); save it and open it again") from error


def to_tensor(image: Image.Image, size: tuple[int, int]) -> Tensor:
    """Resize and centre-crop an RGB, RGBA or grey image to `size` (width, height); returns (1, C, H, W) in [0, 1]."""
    return as_tensor(ImageOps.fit(image, size, Image.Resampling.LANCZOS))


def as_tensor(image: Image.Image) -> Tensor:
    """Convert an RGB, RGBA or grey image to (1, C, H, W) in [0, 1]."""
    pixels = torch.from_numpy(np.array(image))
    return (pixels.permute(2, 0, 1) if pixels.dim() == 3 else pixels[None])[None].float() / 255


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images (B, 3, H, W) in [0, 1] to `size` (width, height), bicubic and clamped to [0, 1]."""
    if (images.shape[3], images.shape[2]) == size:
        return images
    return interpolate(images, size[::-1], mode="bicubic", antialias=size[0] < images.shape[3]).clamp(0, 1)


def to_pil(image: Tensor) -> Image.Image:
    """Convert an image (3, H, W), clamped to [0, 1], to 8-bit RGB."""
    planes = image.detach().clamp(0, 1).mul_(255).round_().to(torch.uint8).cpu().numpy()
    return Image.merge("RGB", [Image.fromarray(plane) for plane in planes])  # quicker than to interleave them here


def _refusal(path: str | Path, reason: str) -> UsageError:
    return UsageError(f"--init {str(path)!r} {reason}")


def _unknown_format(path: str | Path, content: bytes) -> UsageError:
    head = content[:64]
    if head[4:8] == b"ftyp" and any(brand in head for brand in HEIC_BRANDS):
        return _refusal(path, "is a HEIC photograph, which clipgen cannot read; export it as JPEG or run heif-convert")
    return _refusal(path, f"is not one of {', '.join(FORMATS)}, or is damaged; convert it to PNG")


def _reason(error: Exception) -> str:
    return one_line(str(error), MAX_REASON) or type(error).__name__


def _check_file(path: str | Path) -> None:
    """Refuse anything but a readable regular file of a reasonable size; devices and pipes could block for ever."""
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
    if max(size) > MAX_SIDE:  # decoders are disproportionately slow on extremely long rows
        raise _refusal(path, f"has a side of {max(size)} pixels, more than {MAX_SIDE}; crop it first")


def _check_tiles(path: str | Path, image: Image.Image) -> None:
    """Refuse a TIFF whose tiles are far larger than the image: the decoder allocates a whole tile."""
    if isinstance(image, TiffImageFile):
        width, height = (image.tag_v2.get(tag, 0) for tag in (TILEWIDTH, TILELENGTH))
        if width * height > max(MAX_SMALL_TILE, 4 * image.width * image.height):
            raise _refusal(path, "is damaged or incomplete (its tiles are larger than the image); save it again")


@contextlib.contextmanager
def _silent_decoder(image: Image.Image) -> Iterator[None]:
    """Silence libtiff, which writes its complaints straight to the terminal."""
    if not isinstance(image, TiffImageFile):
        yield
        return
    try:
        terminal = os.dup(STDERR)
    except OSError:  # stderr is closed: there is nothing to silence
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
    # Phones use MPO to store one photograph with its depth or gain map, which is not worth a note.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        return [f"--init {str(path)!r} is animated; its first frame is used"]
    return []


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return a loaded image as it is meant to be seen: upright, on white, in sRGB."""
    profile = image.info.get("icc_profile")
    image = _upright(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _deep_to_8_bit(image)
    grey = image.mode in ("L", "LA")  # a grey profile needs a grey image
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    if image.mode in ("1", "P", "PA", "RGBA"):  # profiles do not apply to palette indices or alpha
        image = image.convert("L" if grey else "RGB")
    if image.mode == "LAB":  # its values are CIELAB, whatever profile is embedded
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    return _to_srgb(image, profile) if profile else image.convert("RGB")


def _to_mask(image: Image.Image) -> Image.Image:
    """Return a loaded image as a mask: how transparent it is if any of it is, else how bright."""
    if image.has_transparency_data:
        alpha = _upright(image).convert("RGBA").getchannel("A")
        if np.asarray(alpha).min() < 255:
            return ImageOps.invert(alpha)
    return _to_rgb(image).convert("L")


def _to_rgba(image: Image.Image) -> Image.Image:
    """Return a loaded image as RGBA if it has transparent parts, else as `_to_rgb` does."""
    return _upright(image).convert("RGBA") if image.has_transparency_data else _to_rgb(image)


def _upright(image: Image.Image) -> Image.Image:
    """Rotate or flip an image as its EXIF data say; unreadable data are ignored.

    Pillow's own function also writes the data back, which fails on some that can be read.
    """
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # The pixels are intact; damaged EXIF data can raise anything.
        turn = None
    return image if turn is None else image.transpose(turn)


def _deep_to_8_bit(image: Image.Image) -> Image.Image:
    """Scale a grey image of more than 8 bits to 8 bits; Pillow's own conversion clips everything above 255 to white.

    16-bit pixels use their full range; other types use the smallest usual range that holds the brightest pixel.
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
    """Convert from the embedded colour profile to sRGB; a profile that does not fit the image is ignored."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except Exception:  # As with EXIF data, the pixels are intact.
        converted = None
    return converted or image.convert("RGB")
