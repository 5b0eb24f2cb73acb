"""Zero-shot classification of fresh pictures of the drawn world by a CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter import grammar
from clipgen.starter.english import say
from clipgen.starter.grammar import Truth
from clipgen.starter.train.data import drawn_set, truths
from clipgen.training.progress import Report, silent

NAMED = ("noun", "colour", "time", "weather", "place", "style", "count", "size")
BY_STYLE = ("noun", "colour")


@torch.no_grad()
def zero_shot(
    perceptor: CLIPPerceptor,
    data: Path,
    count: int = 1000,
    seed: int = 99,
    held: bool = False,
    report: Report = silent,
) -> dict[str, float]:
    """Return in what share of fresh pictures the perceptor names the noun, colour and so on, among all of the world.

    `relation`: the share of pictures of two things that it takes for what they show, not for that with the things or
    their colours swapped, where chance is 0.5. `held`: of combinations that no training picture shows.
    """
    pictures = drawn_set(data, count, 128, seed, held=held, report=report)
    shown = truths(seed, count, held=held)
    report(f"naming what {count} fresh pictures show")
    parts = [_shrunk(pictures[k : k + 100], perceptor.size).to(perceptor.mean.device) for k in range(0, count, 100)]
    vectors = torch.cat([perceptor.encode_images(part) for part in parts])
    scores: dict[str, float] = {}
    for name in NAMED:
        hits = _named(name, perceptor, vectors, shown)
        scores[name] = _share(list(hits.values()))
        if name in BY_STYLE:
            scores[f"{name}_plain"] = _share([hit for k, hit in hits.items() if shown[k].style is None])
            scores[f"{name}_styled"] = _share([hit for k, hit in hits.items() if shown[k].style is not None])
    return scores | {"relation": _share(_in_order(perceptor, vectors, shown))}


def _named(name: str, perceptor: CLIPPerceptor, vectors: Tensor, shown: Sequence[Truth]) -> dict[int, bool]:
    """Return, for each picture that has the attribute, whether its value, or that of its other thing, is named."""
    texts = [(text, claim[name]) for text, claim in grammar.bank() if name in claim]
    best = (vectors @ perceptor.encode_texts([text for text, _ in texts]).T).argmax(1).tolist()
    values = [{side.get(name) for side in grammar.readings(asdict(truth))} - {None} for truth in shown]
    return {k: texts[best[k]][1] in right for k, right in enumerate(values) if right}


def _in_order(perceptor: CLIPPerceptor, vectors: Tensor, shown: Sequence[Truth]) -> list[bool]:
    rng = np.random.default_rng(0)
    hits = []
    for vector, truth in zip(vectors, shown, strict=True):
        claim = {name: value for name, value in asdict(truth).items() if value and name not in ("backdrop", "count")}
        if wrong := grammar.swapped(claim, known=False):
            right, other = (vector @ perceptor.encode_texts([say(each, rng)])[0] for each in (claim, wrong))
            hits.append(bool(right > other))
    return hits


def _share(hits: list[bool]) -> float:
    return round(sum(hits) / max(1, len(hits)), 4)


def _shrunk(pictures: np.ndarray, size: int) -> Tensor:
    pixels = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 255
    return interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
