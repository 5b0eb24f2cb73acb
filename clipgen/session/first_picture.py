"""The picture of a folder that a run begins at: the one that the guides match best with the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from clipgen.config.plan import Plan
from clipgen.engine.models import memory_errors, perceptor_of
from clipgen.engine.modes import usual_modes
from clipgen.errors import UsageError
from clipgen.judge.pictures import Seen, seen
from clipgen.util.devices import in_single, pick_device
from clipgen.weights.loader import Note


@dataclass(frozen=True)
class Match:
    """A picture, and how well it fits a prompt."""

    path: Path
    score: float
    """Weighted similarity to the texts, in [-1, 1]."""
    unread: tuple[str, ...]
    """Why each of the others that could not be read was left out."""


def best_match(files: Sequence[Path], plan: Plan, device: str, note: Note) -> Match:
    """Return the picture that the guides of a plan match best with its texts, of equals the first.

    The weights of the texts, each the largest that it has, are scaled so that their magnitudes add up to 1. Raises
    UsageError if there is no text to go by, or no picture that can be read.
    """
    if not any(prompt.peak for prompt in plan.prompts):
        raise UsageError("--init-from goes by the texts of the prompt, and there is none; use --init FILE")
    where = torch.device(pick_device(device))
    with memory_errors(plan.backend), usual_modes():
        guides = [perceptor_of(row.weights, note).eval().requires_grad_(False) for row in plan.perceptors]
        guides = [in_single(guide, where).to(where) for guide in guides]
        found = list(seen(files, guides))
        whole = [one for one in found if not one.problem]
        unread = tuple(one.problem for one in found if one.problem)
        if not whole:
            raise UsageError(f"--init-from: {unread[0]}")
        scores = torch.stack([_scores(whole, guide, k, plan, where) for k, guide in enumerate(guides)])
        weights = torch.tensor([row.weight for row in plan.perceptors])
        fits = (weights / weights.sum()) @ scores
    best = int(fits.argmax())
    return Match(whole[best].path, float(fits[best]), unread)


@torch.no_grad()
def _scores(pictures: Sequence[Seen], guide: Any, index: int, plan: Plan, where: torch.device) -> torch.Tensor:
    """Return the weighted similarity (N,) of N pictures to the texts of a plan, by its guide of this index."""
    read = [(text, prompt.peak) for text, prompt in zip(plan.texts_of(index), plan.prompts, strict=True) if text]
    weights = torch.tensor([weight for _, weight in read])
    targets = guide.encode_texts([text for text, _ in read])
    vectors = torch.stack([one.vectors[index] for one in pictures]).to(where)
    similarities: torch.Tensor = guide.similarities(vectors[None], targets[None])[0].cpu()
    return similarities @ (weights / weights.abs().sum().clamp_min(1e-6))
