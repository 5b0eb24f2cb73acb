"""Tokens as a picture, in which each code has its own colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

SPREAD = 0x9E3779B1
"""An odd factor, so that no two codes below 2^24 have the same colour: near ones are far apart (Knuth's hashing)."""


def token_picture(codes: np.ndarray[Any, np.dtype[np.int32]], stride: int) -> Image.Image:
    """Return codes (h, w) as squares of `stride` pixels.

    A code has the same colour in all pictures of all models. What it decodes to depends on its neighbours, and many
    codes decode to much the same, so that only such a colour tells where a code stands again.
    """
    mixed = (codes.astype(np.uint64) * SPREAD) & 0xFFFFFF
    colours = np.stack([mixed >> 16, mixed >> 8, mixed], axis=-1) & 0xFF
    picture = Image.fromarray(colours.astype(np.uint8))
    return picture.resize((picture.width * stride, picture.height * stride), Image.Resampling.NEAREST)
