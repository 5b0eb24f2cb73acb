"""A page for a blind vote on pairs of pictures: one file that needs no network and does not say which side is which."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations

import numpy as np
from PIL import Image

from clipgen.util import html

MAX_SIDE = 512
"""Pixels of the longer side of a picture on the page."""
QUALITY = 90
MAX_QUESTIONS = 240
"""More make the page large and the voters tired."""
LEFT, RIGHT, EQUAL = "left", "right", "equal"
VOTES = (LEFT, RIGHT, EQUAL)
VOTES_FORMAT = "clipgen votes 1"
"""What the page writes as the format of votes."""

_TEMPLATE = "vote_page.html"


@dataclass(frozen=True)
class Question:
    """Which of two pictures of one prompt fits it better."""

    prompt: int
    """Index among the prompts of the comparison."""
    left: int
    """Index of the side that is shown on the left."""
    right: int


def questions(prompts: int, sides: int, seed: int, most: int = MAX_QUESTIONS) -> list[Question]:
    """Return what a voter is asked, shuffled: every pair of sides for each prompt, or `most` of these.

    Each of two sides is on the left as often as the other, or once more.
    """
    rng = np.random.default_rng([seed, 2026])
    shown: list[Question] = []
    for first, second in combinations(range(sides), 2):
        turned = rng.permutation(np.arange(prompts) % 2)
        shown += [
            Question(number, second, first) if turn else Question(number, first, second)
            for number, turn in enumerate(turned)
        ]
    return [shown[number] for number in rng.permutation(len(shown))[:most]]


def page(comparison: str, pairs: Iterable[tuple[str, Image.Image, Image.Image]], side: int = MAX_SIDE) -> str:
    """Return the page as HTML.

    comparison: its id, which comes back with the votes. pairs: the prompt, and the pictures on the left and on the
    right. side: the longer side of every picture, so that its size tells nothing.
    """
    shown = [{"prompt": text, LEFT: _address(left, side), RIGHT: _address(right, side)} for text, left, right in pairs]
    template = files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8")
    data = json.dumps({"comparison": comparison, "pairs": shown}).replace("<", "\\u003c")
    return template.replace("{{POLICY}}", _policy(template)).replace("{{PAIRS}}", data)


def common_side(sizes: Sequence[tuple[int, int]]) -> int:
    """Return the longer side that all pictures of a page get: that of the largest, at most MAX_SIDE."""
    return min(max(max(size) for size in sizes), MAX_SIDE)


def _policy(template: str) -> str:
    """Return the content security policy of the page: its own style and script, pictures inside it, nothing else."""
    [style] = re.findall(r"<style>(.*?)</style>", template, re.DOTALL)
    [script] = re.findall(r"<script>(.*?)</script>", template, re.DOTALL)
    rules = ("default-src 'none'", "base-uri 'none'", "form-action 'none'", "img-src data:")
    return "; ".join([*rules, f"style-src '{_digest(style)}'", f"script-src '{_digest(script)}'"])


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _address(image: Image.Image, side: int) -> str:
    """Return an image as a data URI, pixels alone, scaled so that its longer side is `side`."""
    factor = side / max(image.size)
    size = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
    file = io.BytesIO()
    pixels = Image.fromarray(np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS)))
    pixels.save(file, format="JPEG", quality=QUALITY, subsampling=0)
    return html.address(file.getvalue(), "image/jpeg")
