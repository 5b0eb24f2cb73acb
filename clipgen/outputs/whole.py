"""Whether a film is a whole file, by the structure of its format; no frame is decoded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from clipgen.util.regular import open_regular

MAX_FILM = 1 << 34
MAX_BOXES = 1000
_GIF_EXTENSION, _GIF_IMAGE, _GIF_END = b"\x21", b"\x2c", b"\x3b"
_TABLE = 0x80
"""The bit of a GIF's flags that says that a table of colours follows."""


def is_whole_film(path: Path) -> bool:
    """Tell whether an .mp4 or .gif is a regular file with its beginning, its end, and all parts in between."""
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


_WALKS = {".mp4": _is_whole_mp4, ".gif": _is_whole_gif}
