"""Whether a film or a PNG is a whole file, by the structure of its format; no frame is decoded."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from clipgen.util.regular import open_regular

MAX_FILM = 1 << 34
MAX_BOXES = 1000
_GIF_EXTENSION, _GIF_IMAGE, _GIF_END = b"\x21", b"\x2c", b"\x3b"
_TABLE = 0x80
"""The bit of a GIF's flags that says that a table of colours follows."""
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_WEBM_PARTS = {b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75", b"\x1c\x53\xbb\x6b"}
"""What a segment must have: information, tracks, clusters of frames, and cues, which are written last."""
_DOC_TYPE = b"\x42\x82\x84webm"
_PNG_START = b"\x89PNG\r\n\x1a\n"
MAX_HEADER, MAX_ELEMENTS = 1000, 100_000
_CHUNK = 1 << 20


def is_whole_film(path: Path) -> bool:
    """Tell whether a film, or a .png, is a regular file with its beginning, its end, and all parts in between."""
    try:
        with open_regular(path.resolve(), MAX_FILM) as file:
            return _WALKS[path.suffix](file, os.fstat(file.fileno()).st_size)
    except (OSError, RuntimeError):  # resolve raises the second for links in a circle
        return False


def _is_whole_mp4(file: BinaryIO, size: int) -> bool:
    """Tell whether the boxes of a file of `size` bytes end where it does, and are those of a film."""
    kinds: set[bytes] = set()
    place = 0
    for _ in range(MAX_BOXES):
        if place >= size:
            break
        file.seek(place)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            return False
        kinds.add(head[4:8])
        place += length
    return place == size and {b"ftyp", b"moov", b"mdat"} <= kinds


def _is_whole_gif(file: BinaryIO, size: int) -> bool:
    """Tell whether the blocks of a file of `size` bytes are complete, with at least one frame, and the end is last."""
    start = file.read(13)
    if len(start) < 13 or start[:6] != b"GIF89a":
        return False
    _skip_table(file, start[10])
    frames = 0
    while (kind := file.read(1)) in (_GIF_EXTENSION, _GIF_IMAGE):
        if kind == _GIF_IMAGE:
            _skip_table(file, (file.read(9) + b"\0" * 9)[8])
            frames += 1
        file.seek(1, os.SEEK_CUR)  # the label of an extension, or the code size of an image
        while length := file.read(1):
            if length == b"\0":
                break
            file.seek(length[0], os.SEEK_CUR)
    return kind == _GIF_END and frames > 0 and file.tell() == size


def _skip_table(file: BinaryIO, flags: int) -> None:
    if flags & _TABLE:
        file.seek(3 * 2 ** ((flags & 7) + 1), os.SEEK_CUR)


def _is_whole_webm(file: BinaryIO, size: int) -> bool:
    """Tell whether a file of `size` bytes is an EBML header and one segment, whose elements end where it does."""
    kind, header = _element(file)
    if kind != _EBML or not 0 <= header <= MAX_HEADER or _DOC_TYPE not in file.read(header):
        return False
    kind, length = _element(file)
    if kind != _SEGMENT or length != size - file.tell():  # a stream that was cut off has no known length, or another
        return False
    kinds: set[bytes] = set()
    for _ in range(MAX_ELEMENTS):
        if file.tell() >= size:
            break
        kind, length = _element(file)
        if length < 0:
            return False
        kinds.add(kind)
        file.seek(length, os.SEEK_CUR)
    return file.tell() == size and kinds >= _WEBM_PARTS


def _element(file: BinaryIO) -> tuple[bytes, int]:
    """Read the identifier of an EBML element, and the length of its content: -1 if it has none, or is cut off."""
    kind, length = _number(file), _number(file)
    ones = 7 * len(length)
    value = int.from_bytes(length, "big") & ((1 << ones) - 1)
    return kind, -1 if not kind or not length or value == (1 << ones) - 1 else value


def _number(file: BinaryIO) -> bytes:
    """Read a number of EBML, whose first byte tells how many follow; empty if it is none, or is cut off."""
    first = file.read(1)
    rest = 8 - first[0].bit_length() if first and first[0] else -1
    number = first + file.read(rest) if rest >= 0 else b""
    return number if len(number) == rest + 1 else b""


def _is_whole_apng(file: BinaryIO, size: int) -> bool:
    """Tell whether the chunks of a file of `size` bytes are undamaged, and have as many frames as they say."""
    said, frames = -1, 0
    for kind, start in _chunks(file, size):
        if kind == b"acTL":
            said = int.from_bytes(start[:4], "big")
        frames += kind == b"fcTL"
        if kind == b"IEND":
            return frames == said > 0
    return False


def _is_whole_png(file: BinaryIO, size: int) -> bool:
    """Tell whether the chunks of a file of `size` bytes are undamaged, and the end is last."""
    return [kind for kind, _ in _chunks(file, size)][-1:] == [b"IEND"]


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind of each chunk of a PNG, and how it starts, as far as they are undamaged; IEND ends the file."""
    if file.read(len(_PNG_START)) != _PNG_START:
        return
    first = True
    while len(head := file.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if first != (kind == b"IHDR") or length > size - file.tell():
            return
        first, start, digest, left = False, b"", zlib.crc32(kind), length
        while left and (part := file.read(min(left, _CHUNK))):
            start, digest, left = start or part[:4], zlib.crc32(part, digest), left - len(part)
        if file.read(4) != digest.to_bytes(4, "big") or (kind == b"IEND" and file.tell() != size):
            return
        yield kind, start
        if kind == b"IEND":
            return


_WALKS = {
    ".mp4": _is_whole_mp4,
    ".webm": _is_whole_webm,
    ".gif": _is_whole_gif,
    ".apng": _is_whole_apng,
    ".png": _is_whole_png,
}
