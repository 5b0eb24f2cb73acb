"""How much of a picture's score is left when the picture is altered a little.

A picture that fools a network loses more under compression, blur and shifts than one that shows something. The mean
over random views is the AugCLIP score of FuseDream (Liu et al., 2021, arXiv 2112.01573, section 3.1).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from clipgen.config.settings import CutoutSettings
from clipgen.core.cutouts import draw_parameters, make_cutouts
from clipgen.judge.intervals import Interval, mean_interval
from clipgen.judge.judges import Judge
from clipgen.util.images import to_tensor

CLEAN, VIEWS = "clean", "random views"
VIEW = CutoutSettings(share_plain=0.0, share_whole=0.5, min_scale=0.6, noise=0.05)
"""Half of the random views show the whole picture, half a large part of it; all are turned, tilted and coloured."""
BLUR, SHIFT = 1 / 128, 1 / 32
"""Standard deviation of the blur, and the shift to the right and down, as fractions of the shorter side."""


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """Return an RGB picture as JPEG of a quality from 1 to 95 keeps it."""
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def blurred(picture: Image.Image, share: float = BLUR) -> Image.Image:
    """Return a picture under a Gaussian blur with a standard deviation of this fraction of its shorter side."""
    return picture.filter(ImageFilter.GaussianBlur(share * min(picture.size)))


def shifted(picture: Image.Image, share: float = SHIFT) -> Image.Image:
    """Return a picture shifted right and down by this fraction of its shorter side; its border is repeated."""
    by = max(round(share * min(picture.size)), 1)
    pixels = np.pad(np.asarray(picture), ((by, 0), (by, 0), (0, 0)), mode="edge")
    return Image.fromarray(pixels[: picture.height, : picture.width])


ALTERATIONS: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG 50": partial(jpeg, quality=50),
    "JPEG 25": partial(jpeg, quality=25),
    "blur": blurred,
    "shift": shifted,
}


def random_views(picture: Image.Image, count: int, size: int, seed: int) -> Tensor:
    """Return random views (count, 3, size, size) of a picture, RGB in [0, 1], which it and the seed decide."""
    content = hashlib.blake2b(picture.tobytes(), key=str(seed).encode(), digest_size=7).digest()
    parameters = draw_parameters([int.from_bytes(content)], 0, count, picture.size, VIEW)
    return make_cutouts(to_tensor(picture, picture.size), parameters, size).clamp(0, 1)


def altered_scores(
    pictures: Sequence[Image.Image], texts: Sequence[str], judge: Judge, views: int, seed: int = 0
) -> dict[str, list[float]]:
    """Return the scores of N pictures for N texts, by what was done to the pictures: CLEAN first, then VIEWS."""
    rows: dict[str, list[float]] = {CLEAN: judge.scores(judge.vectors(pictures), texts).tolist()}
    rows[VIEWS] = [
        _mean_over_views(picture, text, judge, views, seed) for picture, text in zip(pictures, texts, strict=True)
    ]
    for name, alter in ALTERATIONS.items():
        rows[name] = judge.scores(judge.vectors(list(map(alter, pictures))), texts).tolist()
    return rows


def _mean_over_views(picture: Image.Image, text: str, judge: Judge, count: int, seed: int) -> float:
    vectors = judge.vectors_of_views(random_views(picture, count, judge.perceptor.size, seed))
    return float(torch.mean(judge.scores(vectors, [text] * count)))


def losses(scores: Mapping[str, Sequence[float]]) -> dict[str, tuple[Interval, Interval]]:
    """Return the mean score, and what it loses against that of CLEAN, by what was done to the pictures."""
    clean = scores[CLEAN]
    return {
        name: (mean_interval(row), mean_interval([a - b for a, b in zip(clean, row, strict=True)]))
        for name, row in scores.items()
    }
