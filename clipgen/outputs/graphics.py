"""Pictures as what terminals draw: the graphics protocols of Kitty and iTerm2, and Sixel. Each is text in ASCII.

Kitty: https://sw.kovidgoyal.net/kitty/graphics-protocol, iTerm2: https://iterm2.com/documentation-images.html,
Sixel: VT330/VT340 Programmer Reference Manual, chapter 14.
"""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from clipgen.outputs.terminal import ITERM, KITTY, SIXEL

CHUNK = 4096
"""Bytes of base64 in one part of a picture for Kitty, at most."""
COLOURS = 128
"""Of a picture in Sixel."""
QUALITY = 85
_BAND = 6
"""Pixels in a column of Sixel."""
_RUN = re.compile(r"(.)\1{3,}")


@dataclass(frozen=True)
class Box:
    """Where a picture is drawn."""

    columns: int
    rows: int
    cell: tuple[int, int]
    """Width and height of a character cell in pixels."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.columns * self.cell[0], self.rows * self.cell[1]


@dataclass(frozen=True)
class Drawing:
    """What draws a picture into a box whose upper left corner is at the cursor. It may move the cursor."""

    first: str
    again: str
    """What draws it anew, once it has been drawn."""
    gone: str = ""
    """What removes it, if it stays when its place is written over."""


def drawing(kind: str, picture: Image.Image, box: Box, number: int) -> Drawing:
    """Return what draws an RGB picture by a protocol: KITTY, ITERM or SIXEL.

    number: of the picture, from 1; with Kitty another picture of the same number takes its place.
    """
    fitted = picture.resize(box.size, Image.Resampling.BILINEAR)
    if kind == KITTY:
        return _kitty(fitted, box, number)
    text = {ITERM: _iterm, SIXEL: _sixel}[kind](fitted, box)
    return Drawing(text, text)


def _kitty(picture: Image.Image, box: Box, number: int) -> Drawing:
    """Return a placement that keeps its number, so that it moves, and is answered by nothing (q=2)."""
    data = _encoded(picture, "PNG", compress_level=1)
    parts = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    place = f"i={number},p=1,c={box.columns},r={box.rows},C=1,q=2"
    heads = [f"a=T,f=100,{place},"] + ["q=2,"] * (len(parts) - 1)
    more = [1] * (len(parts) - 1) + [0]
    first = "".join(f"\x1b_G{head}m={rest};{part}\x1b\\" for head, rest, part in zip(heads, more, parts, strict=True))
    return Drawing(first, f"\x1b_Ga=p,{place};\x1b\\", f"\x1b_Ga=d,d=i,i={number},q=2;\x1b\\")


def _iterm(picture: Image.Image, box: Box) -> str:
    # WezTerm knows the last key, and would else end below the picture; iTerm2 and mintty ignore it.
    keys = f"inline=1;width={box.columns};height={box.rows};preserveAspectRatio=0;doNotMoveCursor=1"
    return f"\x1b]1337;File={keys}:{_encoded(picture, 'JPEG', quality=QUALITY)}\x07"


def _sixel(picture: Image.Image, _box: Box) -> str:
    """Return whole bands of six rows: a part of one could be drawn below the box."""
    whole = picture.crop((0, 0, picture.width, picture.height // _BAND * _BAND))
    few = whole.quantize(COLOURS, Image.Quantize.FASTOCTREE)
    codes, palette = np.asarray(few), few.getpalette() or []
    shares = [round(level * 100 / 255) for level in palette]
    used = [(code, *shares[3 * code : 3 * code + 3]) for code in np.unique(codes).tolist()]
    colours = "".join(f"#{code};2;{red};{green};{blue}" for code, red, green, blue in used)
    bands = (_band(codes[top : top + _BAND]) for top in range(0, len(codes), _BAND))
    return f'\x1bP0;1q"1;1;{few.width};{few.height}{colours}{"-".join(bands)}\x1b\\'


def _band(codes: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    """Return six rows of codes: for each colour where it is, one character a column, its lowest bit on top."""
    bits = (1 << np.arange(len(codes), dtype=np.uint8))[:, None]
    lines = []
    for code in np.unique(codes):
        columns = (63 + ((codes == code) * bits).sum(0)).astype(np.uint8).tobytes().decode("ascii")
        lines.append(f"#{code}" + _RUN.sub(_repeated, columns))
    return "$".join(lines)


def _repeated(run: re.Match[str]) -> str:
    return f"!{len(run[0])}{run[1]}"


def _encoded(picture: Image.Image, kind: str, **settings: int) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **settings)
    return base64.b64encode(file.getvalue()).decode("ascii")
