"""A picture as a PNG, JPEG or WebP file that says how it came to be, with its recipe.

A PNG holds the recipe in text chunks, see `clipgen.outputs.metadata`. JPEG and WebP have no such: there it stands in
the XMP packet, and the text for web UIs in the EXIF user comment, where those look for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from clipgen.config.plan import Plan
from clipgen.config.saving import PNG, QUALITY, Saving
from clipgen.errors import UsageError
from clipgen.outputs.embedded import JPEG_XMP, PNG_XMP
from clipgen.outputs.metadata import CHUNK, WEB_UI_CHUNK, web_ui_text
from clipgen.outputs.xmp import packet, source_of

JPEG = (".jpg", ".jpeg")
MAX_SEGMENT = 65_533
"""Bytes of a segment of a JPEG, which holds its XMP packet or its EXIF data."""
SPARE = 1000
"""Bytes that the outcome of a run may add to its plan."""


def write_picture(
    file: Path | BinaryIO, image: Image.Image, plan: Plan, record: Mapping[str, Any] | None, saving: Saving
) -> None:
    """Write the picture of a plan, with its record unless that is None. Raises OSError, or UsageError as `check`."""
    record = record if saving.metadata else None
    source = source_of(plan) if saving.mark else ""
    if saving.suffix == PNG:
        texts = {} if record is None else {CHUNK: json.dumps(record), WEB_UI_CHUNK: web_ui_text(plan)}
        _write_png(file, image, packet(source), texts)
        return
    if record is not None:
        check_room(plan, record, saving, spare=0)
    _write_lossy(file, image, saving, *_blocks(plan, record, source))


def write_marked(file: Path, image: Image.Image, source: str, suffix: str = PNG, **texts: str) -> None:
    """Write a picture that has no recipe, with its DigitalSourceType, if it has one, and the texts that a PNG holds."""
    if suffix == PNG:
        _write_png(file, image, packet(source), texts)
    else:
        _write_lossy(file, image, Saving(suffix), packet(source), b"")


def check_room(plan: Plan, record: Mapping[str, Any], saving: Saving, *, spare: int = SPARE) -> None:
    """Raise a UsageError unless the file of a picture has room for the recipe; record: its plan, or all of it."""
    if saving.suffix not in JPEG or not saving.metadata:
        return
    blocks = _blocks(plan, record, source_of(plan))
    longest = max(len(JPEG_XMP) + len(blocks[0]), len(blocks[1])) + spare
    if longest > MAX_SEGMENT:
        raise UsageError(
            f"-o FILE{saving.suffix}: the recipe of this picture has {longest:,} bytes, and a JPEG has room for "
            f"{MAX_SEGMENT:,}; use -o FILE.png or FILE.webp, or --no-metadata"
        )


def _write_png(file: Path | BinaryIO, image: Image.Image, xmp: bytes, texts: Mapping[str, str]) -> None:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    if xmp:
        info.add_itxt(PNG_XMP, xmp.decode())
    image.save(file, format="PNG", pnginfo=info)


def _write_lossy(file: Path | BinaryIO, image: Image.Image, saving: Saving, xmp: bytes, exif: bytes) -> None:
    quality = QUALITY if saving.quality is None else saving.quality
    kept = {name: data for name, data in (("xmp", xmp), ("exif", exif)) if data}
    if saving.suffix == ".webp":
        image.save(file, format="WEBP", quality=quality, **kept)
    else:
        image.save(file, format="JPEG", quality=quality, subsampling=0, optimize=True, **kept)


def _blocks(plan: Plan, record: Mapping[str, Any] | None, source: str) -> tuple[bytes, bytes]:
    """Return the XMP packet and the EXIF data of a JPEG or WebP."""
    if record is None:
        return packet(source), b""
    exif = Image.Exif()
    exif.endian = ">"  # in which readers expect the text
    text = web_ui_text(plan).encode("utf-16-be")
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"UNICODE\0" + text
    return packet(source, json.dumps(record)), exif.tobytes()
