"""Styles of painters and draughtsmen: dabs, dots, woodblock prints, oil and blueprints.

Every length is a share of the picture's side, so that a style looks the same at any size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from clipgen.starter.world.canvas import (
    GREY,
    Picture,
    blur,
    edges,
    saturate,
    smooth_noise,
    to_array,
    to_image,
)

VIOLET = np.array([0.50, 0.40, 0.72], dtype=np.float32)
HAZE = np.array([0.97, 0.90, 0.86], dtype=np.float32)
SUMI = np.array([0.09, 0.12, 0.22], dtype=np.float32)
WASHI = np.array([0.93, 0.88, 0.76], dtype=np.float32)
VERMILION = np.array([0.75, 0.20, 0.17], dtype=np.float32)
INDIGO = np.array([0.12, 0.24, 0.44], dtype=np.float32)
VARNISH = np.array([1.0, 0.90, 0.74], dtype=np.float32)
BLUEPRINT = np.array([0.06, 0.20, 0.50], dtype=np.float32)
CHALK = np.array([0.93, 0.97, 1.0], dtype=np.float32)
PIGMENTS = (
    np.array(
        [
            [233, 220, 188],  # washed paper
            [206, 196, 172],  # worn paper
            [218, 172, 138],  # skin
            [190, 146, 116],  # fawn
            [164, 118, 86],  # clay
            [150, 118, 98],  # umber
            [140, 140, 136],  # grey ash
            [38, 42, 58],  # ink
            [192, 52, 44],  # vermilion
            [220, 126, 52],  # persimmon
            [184, 104, 44],  # rust
            [138, 42, 42],  # madder
            [222, 182, 72],  # ochre
            [158, 124, 56],  # dark ochre
            [126, 84, 58],  # chestnut
            [92, 126, 82],  # pine
            [150, 170, 108],  # willow
            [38, 70, 122],  # indigo
            [88, 106, 140],  # slate
            [112, 150, 178],  # pale indigo
            [116, 84, 134],  # wisteria
            [226, 146, 158],  # cherry
            [86, 150, 146],  # celadon
        ],
        dtype=np.float32,
    )
    / 255
)


def monet(picture: Picture, rng: np.random.Generator) -> Picture:
    """Short broad dabs in hazy light, of colours broken into their neighbours, with violet shadows."""
    size = len(picture)
    soft = blur(picture, size / 100)
    dusk = np.clip(0.56 - 0.3 * soft @ GREY - 0.7 * soft.max(-1), 0, 0.42)[..., None]
    pastel = soft * (1 - dusk) + VIOLET * dusk
    pastel = 0.74 * pastel + 0.26 * HAZE
    canvas = to_image(pastel).resize((2 * size, 2 * size))
    ink = ImageDraw.Draw(canvas)
    for count, length, width in ((620, 0.034, 0.030), (1100, 0.022, 0.017)):
        ys, xs = rng.integers(0, size, count), rng.integers(0, size, count)
        colours = _broken(pastel[ys, xs], rng)
        angle = rng.normal(0, 0.30, count)
        reach = 2 * size * length * rng.uniform(0.6, 1.2, count)
        dx, dy = reach * np.cos(angle), reach * np.sin(angle)
        ends = np.stack([2 * xs - dx, 2 * ys - dy, 2 * xs + dx, 2 * ys + dy], 1).tolist()
        for dab, colour in zip(ends, colours, strict=True):
            ink.line(dab, fill=colour, width=max(1, round(2 * size * width)))
    softened = canvas.resize((size, size), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(size / 320))
    return to_array(softened)


def _broken(colours: Picture, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """8-bit colours turned a little round the grey axis, each another way, and lightened or veiled in turn."""
    count = len(colours)
    grey = (colours @ GREY)[:, None]
    turn = rng.normal(0, 0.34, (count, 1))
    chroma = colours - grey
    across = (np.roll(chroma, 1, 1) - np.roll(chroma, -1, 1)) / math.sqrt(3)
    tints = np.array([[0.09, -0.03, 0.07], [-0.05, 0.02, 0.11], [0.10, 0.05, -0.06], [-0.05, 0.07, 0.0]])
    mixed = grey + 1.05 * (chroma * np.cos(turn) + across * np.sin(turn)) + tints[rng.integers(0, 4, count)]
    mixed += rng.normal(0, 0.035, (count, 1))
    return [tuple(colour) for colour in (np.clip(mixed, 0, 1) * 255).astype(int).tolist()]


def pointillism(picture: Picture, rng: np.random.Generator) -> Picture:
    """Dense round dots of pure, slightly varied colours on a pale ground."""
    size = len(picture)
    cells = int(rng.integers(46, 52))
    fine = 2 * size
    y, x = np.divmod(np.arange(cells * cells), cells)
    seeds = rng.uniform(-0.13, 0.13, (cells * cells, 2)) + np.stack([x + 0.25 + 0.5 * (y % 2), y + 0.5], 1)
    radius = rng.uniform(0.40, 0.53, (cells * cells, 1))
    dots = np.concatenate([seeds - radius, seeds + radius], 1) * (fine / cells)
    colours = _pure(picture, cells, rng)
    paper = 0.82 * np.array([0.97, 0.95, 0.89], dtype=np.float32) + 0.18 * blur(picture, size / 50)
    canvas = to_image(paper).resize((fine, fine))
    ink = ImageDraw.Draw(canvas)
    for dot in rng.permutation(cells * cells).tolist():
        ink.ellipse(dots[dot].tolist(), fill=colours[dot])
    return to_array(canvas.resize((size, size), Image.Resampling.BOX))


def _pure(picture: Picture, cells: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """The 8-bit colours of cells x cells dots, row by row: some lighter or darker, a few of the opposite hue."""
    means = to_array(to_image(saturate(picture, 1.3)).resize((cells, cells), Image.Resampling.BOX)).reshape(-1, 3)
    grey = (means @ GREY)[:, None]
    gain = np.where(rng.random((len(means), 1)) < 0.07, -0.6, 1.15)
    varied = grey + (means - grey) * gain + rng.normal(0, 0.055, (len(means), 1)) + rng.normal(0, 0.055, means.shape)
    return [tuple(colour) for colour in (np.clip(varied, 0, 1) * 255).astype(int).tolist()]


def ukiyo_e(picture: Picture, rng: np.random.Generator) -> Picture:
    """A woodblock print: flat muted pigments, fine dark contours, paper grain and a band that fades at the top."""
    size = len(picture)
    flat = _printed(picture)
    y, x = np.mgrid[0:size, 0:size] / size
    reach = float(rng.uniform(0.26, 0.36)) + 0.03 * np.sin(2 * math.pi * (x + rng.random()))
    sky = (0.92 * np.clip(1 - y / reach, 0, 1) ** 1.2)[..., None]
    band = INDIGO if rng.random() < 0.75 else VERMILION
    inked = flat * (1 - sky) + flat * band * 1.05 * sky
    contour = np.clip((_contours(picture) - 0.035) * 14, 0, 0.95)[..., None]
    inked = inked * (1 - contour) + SUMI * contour
    fibres = np.asarray(Image.fromarray(rng.random((size // 2, size // 8)).astype(np.float32)).resize((size, size)))
    inked = inked + (0.07 * (fibres - 0.5) + 0.05 * (smooth_noise(size, 7, rng) - 0.5))[..., None]
    margin = np.minimum(np.minimum(x, 1 - 1 / size - x), np.minimum(y, 1 - 1 / size - y))[..., None]
    framed: Picture = np.where(margin < 0.030, WASHI, np.where(margin < 0.042, SUMI, np.clip(inked, 0, 1)))
    return framed


def _contours(picture: Picture) -> Picture:
    """Fine lines, (H, W), along the darker side of every step between colours."""
    size = len(picture)
    step = blur(picture, size / 64) - blur(picture, size / 400)
    lines: Picture = np.abs(step).max(-1) * (step.sum(-1) > 0)
    return lines


def _printed(picture: Picture) -> Picture:
    """The picture in few flat colours, each near the pigment that is most like it."""
    calm = np.asarray(to_image(picture).filter(ImageFilter.MedianFilter(3))).astype(int) // 8
    codes, place = np.unique(calm @ np.array([1024, 32, 1]), return_inverse=True)
    table = ((np.stack([codes // 1024, codes // 32 % 32, codes % 32], 1) + 0.5) / 32).astype(np.float32)
    grey, greys = (table @ GREY)[:, None], (PIGMENTS @ GREY)[:, None]
    light = np.abs(grey - greys.T)
    hue = np.linalg.norm((table - grey)[:, None] * 0.8 - (PIGMENTS - greys)[None], axis=-1)
    nearest = PIGMENTS[np.argmin(light + 1.6 * hue, 1)]
    inks = 0.2 * (0.8 * table + 0.2 * WASHI) + 0.8 * nearest
    printed: Picture = inks[place.reshape(calm.shape[:2])]
    return printed


def oil(picture: Picture, rng: np.random.Generator) -> Picture:
    """Broad thick brush patches along the contours, dark and rich, with relief light on the paint and the canvas."""
    size = len(picture)
    rich = saturate(np.clip(picture, 0, 1) ** 1.15, 1.3) * VARNISH + np.array([0.035, 0.02, 0.0], dtype=np.float32)
    canvas, height = _brushed(rich, rng)
    thick = blur(height[..., None].repeat(3, -1), size / 256)[..., 0]
    step = max(1, round(size / 128))
    relief = np.clip(0.42 * (thick - np.roll(thick, (step, step), (0, 1))), -0.13, 0.17)
    y, x = np.mgrid[0:size, 0:size] / size
    weave = 1 + 0.05 * np.sin(2 * math.pi * 42 * x) * np.sin(2 * math.pi * 42 * y)
    shade = 1 - 0.8 * np.clip(np.hypot(x - 0.5, y - 0.5) - 0.30, 0, 1)
    lit: Picture = np.clip((canvas * weave[..., None] + relief[..., None]) * shade[..., None], 0, 1)
    return lit


def _brushed(picture: Picture, rng: np.random.Generator) -> tuple[Picture, Picture]:
    """The picture in broad, then finer brush strokes, and how thick the paint lies, (H, W)."""
    size = len(picture)
    soft = blur(picture, size / 60)
    gy, gx = np.gradient(blur(picture, size / 40) @ GREY)
    lazy = float(rng.uniform(-0.9, 0.9)) + 1.2 * (smooth_noise(size, 2, rng) - 0.5)
    angle = np.where(np.hypot(gx, gy) > 0.25 / size, np.arctan2(gy, gx) + math.pi / 2, lazy)
    busy = edges(soft) * size / 128
    canvas, paint = to_image(soft), Image.new("L", (size, size), 128)
    brush, knife = ImageDraw.Draw(canvas), ImageDraw.Draw(paint)
    for count, length, width, calm in ((200, 0.060, 0.062, 0.5), (380, 0.036, 0.034, 0.05), (520, 0.022, 0.017, 0.004)):
        weight = np.cumsum(busy + calm)
        spots = np.minimum(np.searchsorted(weight, rng.random(count) * weight[-1]), size * size - 1)
        turn = angle.ravel()[spots]
        course = np.stack([np.cos(turn), np.sin(turn)], 1) * (size * length * rng.uniform(0.7, 1.2, (count, 1)))
        tint = picture.reshape(-1, 3)[spots] * rng.uniform(0.86, 1.14, (count, 1))
        middle = np.stack([spots % size, spots // size], 1)
        for lane, hue, lump, wide in _bristles(middle, course, tint, size * width, rng):
            brush.line(lane, fill=hue, width=wide)
            knife.line(lane, fill=lump, width=wide)
    return to_array(canvas), to_array(paint)


def _bristles(
    middle: Picture, course: Picture, tint: Picture, width: float, rng: np.random.Generator
) -> Iterator[tuple[list[float], tuple[int, ...], int, int]]:
    """The lines that strokes leave, side by side: their ends, 8-bit colour, thickness of paint and width."""
    lanes = 4 if width > 3 else 2
    across = np.stack([-course[:, 1], course[:, 0]], 1) / np.linalg.norm(course, axis=1, keepdims=True)
    centre = middle[:, None] + across[:, None] * (np.linspace(-0.4, 0.4, lanes) * width)[:, None]
    ends = np.concatenate([centre - course[:, None], centre + course[:, None]], -1).reshape(-1, 4).tolist()
    gloss = rng.uniform(-1, 1, (len(middle), lanes, 1))
    hues = (np.clip(tint[:, None] * (1 + 0.09 * gloss), 0, 1) * 255).astype(int).reshape(-1, 3).tolist()
    lumps = (128 + 90 * gloss).astype(int).ravel().tolist()
    wide = max(1, round(width / lanes + 0.5))
    for end, hue, lump in zip(ends, hues, lumps, strict=True):
        yield end, tuple(hue), lump, wide


def blueprint(picture: Picture, rng: np.random.Generator) -> Picture:
    """Thin white contours on deep blue with a faint grid."""
    size = len(picture)
    step = _contours(picture)
    line = np.clip((step - 0.016) * 14, 0, 1)[..., None]
    y, x = np.mgrid[0:size, 0:size] / size
    grid = np.zeros((size, size))
    for cells, strength in ((16, 0.09), (4, 0.16)):
        for axis in (x, y):
            grid = np.maximum(grid, strength * ((axis * cells) % 1 < cells / 128 - 1e-6))
    stain = 0.08 * (smooth_noise(size, 4, rng) - 0.5)
    sheet = BLUEPRINT * (1 + 2 * stain)[..., None] + grid[..., None] * CHALK
    pale = BLUEPRINT + (CHALK - BLUEPRINT) * np.clip(0.55 + 3 * step, 0, 1)[..., None]
    drawn: Picture = np.clip(sheet * (1 - line) + pale * line, 0, 1)
    return drawn
