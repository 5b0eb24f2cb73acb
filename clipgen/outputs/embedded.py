"""What a picture file says of itself: the text chunks of a PNG, the XMP packet of a JPEG or WebP. Nothing is decoded.

Other people's files are hostile data: sizes and counts are bounded before anything is read.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from clipgen.config.upscales import MAX_PIXELS
from clipgen.errors import UsageError
from clipgen.outputs.xmp import MAX_PACKET, Packet, parsed
from clipgen.util.text import one_line

FORMATS = ("PNG", "JPEG", "WEBP")
"""Those that clipgen writes."""
MAX_BYTES = 200_000_000
MAX_REASON = 120
MAX_PARTS = 10_000
"""Segments of a JPEG or chunks of a WebP that are looked at."""
PNG_XMP = "XML:com.adobe.xmp"
"""The keyword of a text chunk that holds an XMP packet."""
RECIPE = "clipgen"
"""The keyword of the text with the recipe, also if it stands in an XMP packet."""
JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"

_ENDS = {"PNG": b"\0\0\0\0IEND\xaeB`\x82", "JPEG": b"\xff\xd9", "WEBP": b""}
_JPEG, _APP1, _PIXELS, _END = b"\xff\xd8\xff", b"\xe1", b"\xda", b"\xd9"


def texts_in(path: Path) -> dict[str, str]:
    """Return the texts of a picture file by keyword; raises UsageError if it is none, or damaged."""
    try:
        if not path.is_file():  # a device or a pipe could block for ever
            raise UsageError(f"{str(path)!r} is not a file; check the path")
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{str(path)!r} is larger than {MAX_BYTES // 10**6} MB, which no picture of clipgen is")
        with path.open("rb") as file:
            return _texts(file, str(path))
    except UsageError:
        raise
    except UnidentifiedImageError as error:
        raise UsageError(
            f"{str(path)!r} is not a PNG, JPEG or WebP file, or a damaged one; name a picture of clipgen"
        ) from error
    except Exception as error:  # Decoders raise all kinds of exceptions on damaged files.
        reason = getattr(error, "strerror", None) or one_line(str(error), MAX_REASON)
        raise UsageError(f"{str(path)!r} cannot be read as a picture ({reason})") from error


def source_in(path: Path) -> str:
    """Return the DigitalSourceType that a picture file has, untrusted; empty if it has none."""
    try:
        texts = texts_in(path)
        return parsed(texts[PNG_XMP].encode()).source if PNG_XMP in texts else ""
    except UsageError:
        return ""


def is_whole_picture(path: Path) -> bool:
    """Tell whether a picture file has all its pixels, and its end."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return False
            image.load()
            end = _ENDS[str(image.format)]
        with path.open("rb") as file:
            file.seek(-len(end), os.SEEK_END)
            return file.read() == end
    except Exception:  # as above
        return False


def _texts(file: BinaryIO, name: str) -> dict[str, str]:
    head = file.read(12)
    parts = None
    if head.startswith(_JPEG):
        parts = _jpeg_packets(file)
    elif head[:4] == b"RIFF" and head[8:] == b"WEBP":
        parts = _webp_packets(file)
    if parts is None:
        file.seek(0)
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=("PNG",)) as image:
            return {str(key): value for key, value in image.info.items() if isinstance(value, str)}
    for data in parts:
        try:
            found = parsed(data)
        except UsageError as error:
            raise UsageError(f"{name!r} cannot be read: {error}") from error
        return _named(found, data)
    return {}


def _named(found: Packet, data: bytes) -> dict[str, str]:
    recipe = {} if found.recipe is None else {RECIPE: found.recipe}
    return {PNG_XMP: data.decode("utf-8", "replace"), **recipe}


def _jpeg_packets(file: BinaryIO) -> Iterator[bytes]:
    """Yield the XMP packets in the segments of a JPEG before its pixels; one has at most 64 kB."""
    file.seek(2)
    for _ in range(MAX_PARTS):
        mark, kind = file.read(1), file.read(1)
        length = int.from_bytes(file.read(2), "big") - 2
        if mark != b"\xff" or kind in (_PIXELS, _END, b"") or length < 0:
            return
        if kind != _APP1:
            file.seek(length, os.SEEK_CUR)
            continue
        data = file.read(length)
        if data.startswith(JPEG_XMP):
            yield data.removeprefix(JPEG_XMP)


def _webp_packets(file: BinaryIO) -> Iterator[bytes]:
    """Yield the XMP packets among the chunks of a WebP."""
    file.seek(12)
    for _ in range(MAX_PARTS):
        head = file.read(8)
        if len(head) < 8:
            return
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"XMP ":
            yield file.read(min(length, MAX_PACKET + 1))
            return
        file.seek(length + length % 2, os.SEEK_CUR)
