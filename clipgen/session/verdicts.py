"""What judges say of pictures of the same prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from clipgen.config.perceptor_names import BEST_CLIPS
from clipgen.config.plan import Plan
from clipgen.config.prompts import Prompt
from clipgen.engine.models import perceptor_of
from clipgen.errors import UsageError
from clipgen.judge.score import embed
from clipgen.session.pairing import Pair
from clipgen.util.devices import in_single
from clipgen.util.images import load_image
from clipgen.weights.packaged import PACKAGED
from clipgen.weights.registry import STARTER, is_ready

OF_DRAWN = "starter/judge"
TOGETHER = 8
"""Pairs that are judged in one batch."""


def guides_of(plans: Sequence[Plan | None]) -> frozenset[str]:
    """Return the names of the networks by which pictures of these plans were guided."""
    return frozenset(name for plan in plans if plan for name in plan.networks)


def usual_judges(guides: frozenset[str]) -> list[str]:
    """Return the names of the judges where none is named; none of them is a guide.

    Of the drawn world it is OF_DRAWN; of photographs the classifiers that are installed; otherwise, also where nothing
    is known of the guides, the best CLIP that is installed, and OF_DRAWN only where there is none.
    """
    if any(name in PACKAGED for name in guides):
        return [name for name in sorted(PACKAGED) if name not in guides and is_ready(name)] or [OF_DRAWN]
    if guides and all(name.startswith(STARTER) for name in guides):
        return [OF_DRAWN]
    return [name for name in BEST_CLIPS if name not in guides and is_ready(name)][:1] or [OF_DRAWN]


def load_judges(names: Sequence[str]) -> dict[str, Any]:
    """Return perceptors by their names, on the CPU. Raises WeightsMissingError."""
    return {name: perceptor_of(name).eval().requires_grad_(False) for name in names}


def moved(judges: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Return the judges on a device."""
    target = torch.device(device)
    return {name: in_single(judge, target).to(target) for name, judge in judges.items()}


def judged(
    pairs: Sequence[Pair], judges: Mapping[str, Any], note: Callable[[str], None]
) -> Iterator[tuple[Pair, dict[str, list[float]]]]:
    """Yield the pairs that can be read, each with its scores by judge, side by side; `note` hears of the others.

    A judge that does not know a prompt, as classifiers may not, gives it no scores.
    """
    for start in range(0, len(pairs), TOGETHER):
        read = [(pair, images) for pair in pairs[start : start + TOGETHER] if (images := _images(pair, note))]
        scores = {name: _scores(read, judge) for name, judge in judges.items()} if read else {}
        for number, (pair, _) in enumerate(read):
            given = {name: rows[number] for name, rows in scores.items()}
            yield pair, {name: row for name, row in given.items() if row is not None}


def _images(pair: Pair, note: Callable[[str], None]) -> list[Image.Image]:
    """Return the pictures of a pair; none, with a note, if one of them cannot be read."""
    try:
        return [load_image(path, "the picture")[0] for path in pair.paths]
    except UsageError as error:
        note(f"left out: {error}")
        return []


@torch.no_grad()
def _scores(read: Sequence[tuple[Pair, Sequence[Image.Image]]], judge: Any) -> list[list[float] | None]:
    """Return the scores of the pictures of each pair; None where the judge does not know the prompt."""
    seen = embed([image for _, images in read for image in images], judge)
    seen = seen.reshape(len(read), -1, seen.shape[1])
    return [_similarities(pair.prompts, vectors, judge) for (pair, _), vectors in zip(read, seen, strict=True)]


def _similarities(prompts: Sequence[Prompt], seen: Tensor, judge: Any) -> list[float] | None:
    """Return the similarities of unit vectors or logits (S, D) and prompts, weighted as in `judge.score`."""
    weights = torch.tensor([prompt.peak for prompt in prompts], device=seen.device)
    try:
        targets = judge.encode_texts([prompt.text for prompt in prompts])
    except UsageError:
        return None
    weights = weights / weights.abs().sum().clamp(min=1e-6)
    found: list[float] = (judge.similarities(seen[None], targets[None])[0] @ weights).tolist()
    return found
