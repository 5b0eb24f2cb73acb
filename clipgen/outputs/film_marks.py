"""The XMP packet of a finished film, in the place that each format has for it.

MP4: a `uuid` box after the last (XMP specification, part 3). GIF: the application extension "XMP DataXMP", whose end
leads readers that know only blocks back to the next one. APNG: a text chunk, as in a PNG. WebM has no place for XMP:
there ffmpeg writes a comment.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

from clipgen.outputs.embedded import PNG_XMP
from clipgen.outputs.xmp import comment, packet

_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_GIF_END, _PNG_END = b"\x3b", b"\0\0\0\0IEND\xaeB`\x82"


def comment_of(suffix: str, source: str) -> tuple[str, ...]:
    """Return the arguments by which ffmpeg writes a DigitalSourceType as a comment, where other software looks."""
    return ("-metadata", f"comment={comment(source)}") if source and suffix in (".mp4", ".webm") else ()


def mark_film(path: Path, suffix: str, source: str) -> None:
    """Add a packet with a DigitalSourceType to a whole film. Raises OSError."""
    form = _FORMS.get(suffix)
    if form is None or not source:
        return
    end, block = form
    with path.open("r+b") as file:
        file.seek(-len(end), os.SEEK_END)
        if file.read() != end:
            raise OSError(f"the film does not end as {suffix.removeprefix('.')} does")
        file.seek(-len(end), os.SEEK_END)
        file.write(block(packet(source)) + end)


def _box(xmp: bytes) -> bytes:
    return (8 + len(_UUID) + len(xmp)).to_bytes(4, "big") + b"uuid" + _UUID + xmp


def _extension(xmp: bytes) -> bytes:
    back = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    return b"\x21\xff\x0bXMP DataXMP" + xmp + back


def _chunk(xmp: bytes) -> bytes:
    body = b"iTXt" + PNG_XMP.encode() + bytes(5) + xmp
    return (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


_FORMS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    ".mp4": (b"", _box),
    ".gif": (_GIF_END, _extension),
    ".apng": (_PNG_END, _chunk),
}
"""How a whole film ends, and what stands before that."""
