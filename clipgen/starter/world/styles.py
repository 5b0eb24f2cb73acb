"""Painting styles as image operations on pictures (H, W, 3) in [0, 1].

Every length is a share of the picture's side, so that a style looks the same at any size.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from clipgen.starter.world.canvas import GREY, Picture, Style, blur, edges, saturate, smooth_noise, to_array, to_image
from clipgen.starter.world.painters import blueprint, monet, oil, pointillism, ukiyo_e


def van_gogh(picture: Picture, rng: np.random.Generator) -> Picture:
    """Thick strokes that follow a swirling flow and, near contours, the contour."""
    size = len(picture)
    vivid = saturate(picture, 1.35)
    field = 2.5 * math.pi * smooth_noise(size, 4, rng)
    soft = blur(picture, size / 80) @ GREY
    gy, gx = np.gradient(soft)
    along = np.hypot(gx, gy) > 0.6 / size
    angle = np.where(along, np.arctan2(gy, gx) + math.pi / 2, field)
    canvas = to_image(vivid)
    ink = ImageDraw.Draw(canvas)
    count = 1500
    ys, xs = rng.integers(0, size, count), rng.integers(0, size, count)
    tint = vivid[ys, xs] + rng.normal(0, 0.075, (count, 1)) + rng.normal(0, 0.035, (count, 3))
    colours = (np.clip(tint, 0, 1) * 255).astype(int).tolist()
    reach = size * rng.uniform(0.016, 0.036, count)
    dx, dy = reach * np.cos(angle[ys, xs]), reach * np.sin(angle[ys, xs])
    ends = np.stack([xs - dx, ys - dy, xs + dx, ys + dy], 1).tolist()
    width = max(1, round(size / 75))
    for stroke, colour in zip(ends, colours, strict=True):
        ink.line(stroke, fill=tuple(colour), width=width)
    return to_array(canvas.filter(ImageFilter.UnsharpMask(size / 100, 60)))


def pencil_sketch(picture: Picture, rng: np.random.Generator) -> Picture:
    """Grey contours and hatching on paper."""
    size = len(picture)
    grey = picture @ GREY
    lines = np.clip(edges(blur(picture, size / 220)) * 2.4, 0, 0.85)
    y, x = np.mgrid[0:size, 0:size] / size
    slope = float(rng.uniform(0.7, 1.3))
    wobble = 0.01 * smooth_noise(size, 8, rng)
    strokes = 0.5 + 0.5 * np.sin(2 * math.pi * 46 * (x + slope * y + wobble) / math.hypot(1, slope))
    shade = np.clip(0.92 - grey, 0, 1) * 0.75
    paper = 0.955 + 0.03 * (rng.random((size, size)) - 0.5)
    drawn = paper - shade * (0.35 + 0.65 * strokes) - lines
    return np.repeat(np.clip(drawn, 0.06, 1)[..., None], 3, -1).astype(np.float32)


def watercolour(picture: Picture, rng: np.random.Generator) -> Picture:
    """Pale washes with wavering dark edges, on rough paper that shows at the margin."""
    size = len(picture)
    y, x = np.mgrid[0:size, 0:size]
    shift = 0.035 * size
    ys = np.clip(y + (smooth_noise(size, 14, rng) - 0.5) * shift, 0, size - 1).astype(int)
    xs = np.clip(x + (smooth_noise(size, 14, rng) - 0.5) * shift, 0, size - 1).astype(int)
    wet = to_array(to_image(picture[ys, xs]).filter(ImageFilter.MedianFilter(5)))
    wash = 0.30 + 0.70 * wet + 0.16 * (smooth_noise(size, 9, rng) - 0.5)[..., None]
    rim = np.clip(edges(blur(wet, size / 128)) * 1.1, 0, 0.3)[..., None]
    grain = 0.06 * (smooth_noise(size, size // 3, rng) - 0.5)[..., None]
    painted = np.clip(wash - rim * 0.6 + grain, 0, 1)
    margin = np.minimum(np.minimum(x, size - 1 - x), np.minimum(y, size - 1 - y)) / size
    cover = np.clip((margin - 0.015 - 0.085 * smooth_noise(size, 9, rng)) * 30, 0, 1)[..., None]
    framed: Picture = painted * cover + (0.965 + grain) * (1 - cover)
    return framed


def pixel_art(picture: Picture, rng: np.random.Generator) -> Picture:
    """Large square pixels of a few colours."""
    size = len(picture)
    cells = int(rng.integers(28, 34))
    small = to_image(saturate(picture, 1.15)).resize((cells, cells), Image.Resampling.BOX)
    few = small.quantize(14, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    return to_array(few.resize((size, size), Image.Resampling.NEAREST))


def mosaic(picture: Picture, rng: np.random.Generator) -> Picture:
    """Irregular tiles, each of one colour, with grout between them."""
    size = len(picture)
    cells = int(rng.integers(22, 27))
    pitch = size / cells
    seeds = rng.uniform(0.15, 0.85, (cells, cells, 2))
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / pitch
    row, column = y.astype(int), x.astype(int)
    near = np.full((size, size), 9.0)
    second = near.copy()
    owner = np.zeros((size, size), dtype=int)
    for dr in (-1, 0, 1):
        for dc in (-1, 0, 1):
            r, c = np.clip(row + dr, 0, cells - 1), np.clip(column + dc, 0, cells - 1)
            far = np.hypot(y - r - seeds[r, c, 0], x - c - seeds[r, c, 1])
            closer = far < near - 1e-9
            second = np.where(closer, near, np.where(far > near + 1e-9, np.minimum(second, far), second))
            owner = np.where(closer, r * cells + c, owner)
            near = np.minimum(near, far)
    count = np.maximum(np.bincount(owner.ravel(), minlength=cells * cells), 1)
    means = np.stack([np.bincount(owner.ravel(), picture[..., k].ravel(), cells * cells) / count for k in range(3)], 1)
    means = np.clip(saturate(means, 1.2) + rng.normal(0, 0.035, (len(means), 1)), 0, 1)
    grout = np.clip((second - near - 0.10) / 0.10, 0, 1)[..., None]
    line = np.array([0.86, 0.84, 0.80]) if rng.random() < 0.5 else np.array([0.16, 0.15, 0.17])
    tiled: Picture = means[owner] * grout + line * (1 - grout)
    return tiled


def neon(picture: Picture, _rng: np.random.Generator) -> Picture:
    """Glowing tubes along the contours, in the dark."""
    size = len(picture)
    edge = np.clip(edges(blur(picture, size / 200)) * 2.2, 0, 1)[..., None]
    bright = picture / np.maximum(picture.max(-1, keepdims=True), 0.12)
    glow = saturate(blur(bright, size / 60), 1.9)
    tubes = edge * glow
    halo = blur(np.clip(tubes * 1.5, 0, 1), size / 45) + 0.6 * blur(np.clip(tubes, 0, 1), size / 18)
    dark = np.array([0.045, 0.03, 0.095])
    core = np.clip(edge - 0.75, 0, 1) * 1.2
    lit: Picture = np.clip(dark + picture * 0.14 + halo * 0.95 + tubes + core, 0, 1)
    return lit


def comic(picture: Picture, _rng: np.random.Generator) -> Picture:
    """Flat inks, heavy black contours and halftone dots in the shade."""
    size = len(picture)
    flat = saturate(np.round(blur(picture, size / 150) * 5) / 5, 1.25)
    y, x = np.mgrid[0:size, 0:size] / size
    pitch = 34
    u, v = (x + y) * pitch / math.sqrt(2), (x - y) * pitch / math.sqrt(2)
    dots = np.hypot(u - np.round(u), v - np.round(v))
    shade = np.clip(0.95 - flat @ GREY, 0, 1) * 0.52
    inked = np.where((dots < shade)[..., None], flat * 0.62, np.minimum(flat * 1.06 + 0.03, 1))
    contour = np.clip((edges(blur(picture, size / 160)) - 0.16) * 7, 0, 1)[..., None]
    return inked * (1 - contour) + 0.04 * contour


STYLES: dict[str, Style] = {
    "van gogh": van_gogh,
    "pencil sketch": pencil_sketch,
    "watercolour": watercolour,
    "pixel art": pixel_art,
    "mosaic": mosaic,
    "neon": neon,
    "comic": comic,
    "monet": monet,
    "pointillism": pointillism,
    "ukiyo-e": ukiyo_e,
    "oil": oil,
    "blueprint": blueprint,
}
