"""Whether pictures show the things asked for, according to classifiers of photographs that need not have guided them.

Top-1 and top-5 are those of ImageNet classification (Russakovsky et al., 2015, arXiv 1409.0575, section 4).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from clipgen.config.classes import things_in
from clipgen.core.contracts import Perceptor
from clipgen.errors import UsageError
from clipgen.util.images import to_tensor
from clipgen.util.text import quoted
from clipgen.weights.timm_models import CLASSES

THINGS: tuple[str, ...] = (
    "goldfinch", "goldfish", "great white shark", "tree frog", "peacock", "flamingo",
    "king penguin", "golden retriever", "dalmatian", "red fox", "tabby cat", "lion",
    "tiger", "brown bear", "ladybug", "monarch butterfly", "zebra", "hippopotamus",
    "African elephant", "giant panda", "teapot", "acoustic guitar", "grand piano", "umbrella",
    "typewriter keyboard", "dial telephone", "analog clock", "violin", "hourglass", "balloon",
    "sports car", "school bus", "steam locomotive", "airliner", "mountain bike", "sewing machine",
    "table lamp", "rocking chair", "soccer ball", "sunglasses", "volcano", "castle",
    "seashore", "lakeside", "coral reef", "geyser", "cliff", "alp",
    "suspension bridge", "lighthouse", "barn", "church", "greenhouse", "library",
    "pizza", "cheeseburger", "ice cream", "strawberry", "pineapple", "broccoli",
)  # fmt: skip
"""Animals, objects, places and food that ImageNet classifiers know, by names that `things_in` understands."""
HELD_OUT: tuple[str, ...] = (
    "tree frog", "flamingo", "golden retriever", "brown bear", "hippopotamus", "giant panda", "teapot", "grand piano",
    "umbrella", "hourglass", "airliner", "sewing machine", "sunglasses", "lakeside", "coral reef", "lighthouse", "barn",
    "greenhouse", "library", "pineapple",
)  # fmt: skip
"""Those of THINGS for which no setting is ever tuned."""
PLACES = (1, 5)
"""The values of k for which top-k is reported."""
HELD = "held out "
"""Begins the names of scores on HELD_OUT."""
CHANCE: Mapping[str, float] = {f"{part}top-{k}": k / CLASSES for part in ("", HELD) for k in PLACES}
"""The scores of pictures that show nothing; those of a thing of several classes, as sunglasses are, count as one."""


@dataclass(frozen=True)
class Verdict:
    """What one judge says of one picture."""

    rank: int
    """Place of the thing among all classes, from 1."""
    probability: float
    """Of the thing: the sum over its classes."""


def classes_of(thing: str) -> tuple[int, ...]:
    """Return the classes of a thing, given by its name. Raises UsageError unless the name is that of one thing."""
    found = things_in(thing)
    if len(found) != 1:
        raise UsageError(f"{quoted(thing)} must name one thing that classifiers know, and names {len(found)}")
    return found[0].classes


def rank_of(logits: Tensor, classes: Sequence[int]) -> Tensor:
    """Return the rank (N,), from 1, of the best of these classes among all, by logits (N, C)."""
    best = logits[:, list(classes)].amax(1, keepdim=True)
    return 1 + (logits > best).sum(1)


def probability_of(logits: Tensor, classes: Sequence[int]) -> Tensor:
    """Return the probability (N,) that a picture shows any of these classes, by logits (N, C)."""
    return logits.softmax(1)[:, list(classes)].sum(1)


@torch.no_grad()
def verdicts(
    pictures: Sequence[Image.Image], things: Sequence[str], judge: Perceptor, device: str | torch.device = "cpu"
) -> list[Verdict]:
    """Return what a classifier says of whole pictures, each of which should show the thing of the same place.

    The pictures can have any sizes. device: that of the judge.
    """
    found = []
    for picture, thing in zip(pictures, things, strict=True):
        logits = judge.encode_images(judge.whole(to_tensor(picture, picture.size).to(device)))
        classes = classes_of(thing)
        found.append(Verdict(int(rank_of(logits, classes)), float(probability_of(logits, classes))))
    return found


def summary(things: Sequence[str], given: Sequence[Verdict]) -> dict[str, float]:
    """Return the scores of one judge by name; those on HELD_OUT only where things of it are among these."""
    ranks = [verdict.rank for verdict in given]
    held = [verdict.rank for thing, verdict in zip(things, given, strict=True) if thing in HELD_OUT]
    scores = _top(ranks)
    scores["mean probability"] = statistics.fmean(verdict.probability for verdict in given)
    scores["median rank"] = float(statistics.median(ranks))
    if held:
        scores |= {f"{HELD}{name}": value for name, value in {**_top(held), "n": float(len(held))}.items()}
    return scores


def _top(ranks: Sequence[int]) -> dict[str, float]:
    """Return the share of ranks within each of PLACES."""
    return {f"top-{place}": sum(rank <= place for rank in ranks) / len(ranks) for place in PLACES}
