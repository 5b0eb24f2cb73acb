"""Contact sheets: pictures in a grid, each with its caption below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from clipgen.starter.english import say
from clipgen.starter.grammar import claim_of, random_truth
from clipgen.starter.world.compose import draw

CAPTION = 34


def contact_sheet(pictures: Sequence[Image.Image], captions: Sequence[str], columns: int) -> Image.Image:
    """Pictures of one size in rows, captions below them."""
    width, height = pictures[0].size
    across, down = width + 6, height + CAPTION + 6
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * across, rows * down), "white")
    ink = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for k, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = 3 + (k % columns) * across, 3 + (k // columns) * down
        sheet.paste(picture, (x, y))
        lines = textwrap.wrap(caption, max(10, width // 6))[:2]
        ink.text((x, y + height + 2), "\n".join(lines), fill="black", font=font)
    return sheet


def world_sheet(count: int, seed: int, size: int = 128, columns: int = 10) -> Image.Image:
    """Random pictures of the drawn world with a true caption each."""
    pictures, captions = [], []
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        truth = random_truth(rng)
        pictures.append(Image.fromarray(draw(truth, rng, size)))
        captions.append(say(claim_of(truth, rng), rng))
    return contact_sheet(pictures, captions, columns)
