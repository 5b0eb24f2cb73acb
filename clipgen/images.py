"""Pictures in and out: files to PIL, PIL to tensors and back, with every rule for files that cannot be trusted."""

import io
import warnings
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from clipgen.errors import UsageError
from clipgen.presets import Size

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")
"""Pillow would also open some thirty rare formats, several of them through programs and parsers with a bad record."""

MAX_PIXELS = 50_000_000
MAX_BYTES = 200_000_000


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
                _check_pixels(path, opened.width * opened.height)
                notes = _frame_notes(path, opened)
                opened.load()
                return _to_rgb(opened), notes
    except UsageError:
        raise
    except UnidentifiedImageError as error:
        raise _refusal(path, f"is not one of {', '.join(FORMATS)}; convert it to PNG") from error
    except Image.DecompressionBombError as error:
        raise _refusal(path, f"has more than {MAX_PIXELS // 10**6} megapixels; shrink it first") from error
    except MemoryError as error:
        raise _refusal(path, "does not fit into memory; shrink it first") from error
    except Exception as error:  # On damaged files decoders raise whatever they stumble on.
        raise _refusal(path, f"is damaged or incomplete ({_one_line(error)}); save or download it again") from error


def to_tensor(image: Image.Image, size: Size) -> Tensor:
    """Scale and centre-crop an RGB picture to `size` (width, height); returns (1, 3, H, W) in [0, 1]."""
    fitted = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)[None].float() / 255


def to_pil(image: Tensor) -> Image.Image:
    """Turn one picture (3, H, W) in [0, 1] into 8-bit RGB."""
    pixels = (image.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def _refusal(path: str | Path, reason: str) -> UsageError:
    return UsageError(f"--init {str(path)!r} {reason}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _check_file(path: str | Path) -> None:
    """Refuse what is not a readable regular file of a sane size; devices and pipes could block for ever."""
    try:
        status = Path(path).stat()
    except FileNotFoundError as error:
        raise _refusal(path, "does not exist; check the path") from error
    except (OSError, ValueError) as error:
        raise _refusal(path, f"cannot be opened ({_one_line(error)}); check the path") from error
    if S_ISDIR(status.st_mode):
        raise _refusal(path, "is a folder; name an image file in it")
    if not S_ISREG(status.st_mode):
        raise _refusal(path, "is not a regular file; name an image file")
    if status.st_size > MAX_BYTES:
        raise _refusal(path, f"is larger than {MAX_BYTES // 10**6} MB; shrink the image first")


def _check_pixels(path: str | Path, pixels: int) -> None:
    if pixels > MAX_PIXELS:
        found, limit = pixels / 10**6, MAX_PIXELS // 10**6
        raise _refusal(path, f"has {found:.0f} megapixels, more than the {limit} that are accepted; shrink it first")


def _frame_notes(path: str | Path, image: Image.Image) -> list[str]:
    # MPO is how phones store one photograph with its depth or gain map: nobody misses those.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        return [f"--init {str(path)!r} is animated; its first frame is used"]
    return []


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return any loaded picture as it is meant to be seen: upright, on white, in sRGB."""
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep_to_8_bit(image).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(white, layer).convert("RGB")
    return _to_srgb(image, profile) if profile else image.convert("RGB")


def _deep_to_8_bit(image: Image.Image) -> Image.Image:
    """Scale a grey picture with deep pixels to 8 bits; Pillow's own conversion cuts everything above 255 to white.

    16-bit pixels use their full range; of the other kinds the smallest usual range that holds the brightest pixel.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    brightest = float(values.max())
    usual = (65535.0,) if image.mode.startswith("I;16") else (1.0, 255.0, 65535.0, brightest)
    white = next(limit for limit in usual if brightest <= limit)
    return Image.fromarray((values.clip(0, white) / white * 255).round().astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert from the picture's own colour profile; one that does not fit the picture is ignored."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        converted = None
    return converted or image.convert("RGB")
