"""Several seeds a short way, and the best of them the whole way.

DALL-E drew many pictures and let CLIP choose (Ramesh et al., 2021, section 2.6); FuseDream started from the best of
many (Liu et al., 2021, arXiv 2112.01573). A judge that does not guide chooses, where the preset has one: the guides are
the last to see that they were fooled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from PIL import Image

from clipgen.config.job import MAX_SEED, Job
from clipgen.config.resolving import models_of
from clipgen.core.contracts import Sink
from clipgen.engine.cost import Models
from clipgen.engine.runner import run_together
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.util.images import to_tensor
from clipgen.weights.loader import load

SHARE = 0.2
"""Of the steps of a job, in which a candidate is made from the first to the last."""
TOGETHER = 4
"""Candidates that are made in lockstep."""


@dataclass(frozen=True)
class Candidate:
    """A job with its own seed, and how well the judge finds that a quick run of it shows the prompt."""

    job: Job
    score: float
    """Mean cosine between picture and texts, by their weights."""


def best_seeds(
    job: Job,
    count: int,
    models: Models,
    progress: Callable[[str], Iterable[Sink]] = lambda _label: (),
    *,
    init: Image.Image | None = None,
) -> list[Candidate]:
    """Try `count` seeds of a resolved job, from its own on, and return them with the best first.

    A quick run has the whole schedule in fewer steps, so that what is judged is a picture. `progress` makes the sinks
    of one that is called so.
    """
    judges = _judges(job, models)
    jobs = [replace(job, seed=(job.seed + k) % (MAX_SEED + 1)) for k in range(count)]
    steps = max(round(cast(int, job.steps) * SHARE), 1)
    found: list[Candidate] = []
    for start in range(0, count, TOGETHER):
        group = jobs[start : start + TOGETHER]
        quick = [replace(each, steps=steps) for each in group]
        sinks = list(progress(f"candidates {start + 1} to {start + len(group)} of {count}"))
        results = run_together(quick, models, sinks, inits=[init] * len(group) if init else [])
        scores = judged([result.image for result in results], job, judges, models.device)
        found += [Candidate(each, score) for each, score in zip(group, scores, strict=True)]
    return sorted(found, key=lambda candidate: -candidate.score)


@torch.no_grad()
def judged(
    pictures: Sequence[Image.Image], job: Job, judges: Sequence[CLIPPerceptor], device: torch.device
) -> list[float]:
    """Return for each picture the mean cosine with the texts of a job, by their weights, as the judges see them.

    The pictures are of one size.
    """
    images = torch.cat([to_tensor(picture, picture.size) for picture in pictures]).to(device)
    weights = torch.tensor([prompt.weight for prompt in job.prompts], device=device)
    weights = weights / weights.abs().sum().clamp(min=1e-6)
    texts = [prompt.text for prompt in job.prompts]
    cosines = [judge.encode_images(judge.whole(images)) @ judge.encode_texts(texts).T @ weights for judge in judges]
    scores: list[float] = torch.stack(cosines).mean(0).tolist()
    return scores


def _judges(job: Job, models: Models) -> list[CLIPPerceptor]:
    name = models_of(job).judge
    if name is None:
        return [each.perceptor for each in models.perceptors]
    return [build_perceptor(load(name)).eval().requires_grad_(False).to(models.device)]
