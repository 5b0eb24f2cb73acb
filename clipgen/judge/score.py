"""How well pictures match texts, scored by perceptors, which need not have guided them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from clipgen.config.prompts import Prompt
from clipgen.core.contracts import Perceptor
from clipgen.perceptors.classifier import ClassifierPerceptor
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.perceptors.similarity import weighted_similarity
from clipgen.util.images import to_tensor

BATCH = 32
"""How many pictures a network sees at once."""
PLACES = (1, 5)
"""The values of k for which R@k is reported."""


@torch.no_grad()
def embed(pictures: Sequence[Image.Image], perceptor: CLIPPerceptor | ClassifierPerceptor) -> Tensor:
    """Return the vectors (N, D) of N whole pictures of any sizes: unit vectors, or a classifier's logits.

    For a CLIP they are prepared as open_clip does.
    """
    groups = (pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH))
    device = perceptor.mean.device
    prepared = (torch.stack([perceptor.prepared(picture) for picture in group]) for group in groups)
    return torch.cat([perceptor.encode_images(cutouts.to(device)) for cutouts in prepared])


@torch.no_grad()
def mean_similarities(
    pictures: Sequence[Image.Image],
    prompts: Sequence[Prompt],
    judges: Sequence[Perceptor],
    device: torch.device,
    readings: Sequence[Sequence[str]] | None = None,
) -> list[float]:
    """Return, for each picture, its weighted similarity to the texts, averaged over the judges; in [-1, 1].

    The weights are scaled so that their magnitudes add up to 1; a text of negative weight counts against a picture. All
    pictures must have the same size. device: that of the judges. readings: by judge, what it takes of each text, ""
    for nothing; without it all take whole texts. A judge that takes nothing is not asked.
    """
    images = torch.cat([to_tensor(picture, picture.size) for picture in pictures]).to(device)
    taken = readings or [[prompt.text for prompt in prompts] for _ in judges]
    scores = [
        weighted_similarity(
            images, judge, [(text, prompt.peak) for text, prompt in zip(texts, prompts, strict=True) if text]
        )
        for judge, texts in zip(judges, taken, strict=True)
        if any(texts)
    ]
    found: list[float] = torch.stack(scores).mean(0).tolist()
    return found


def r_precision(cosines: Tensor, rivals: Tensor) -> dict[str, float]:
    """Return "R@1" and "R@5", and the chance level of each.

    cosines: (N, N), of each of N pictures (rows) with the prompts of all, its own on the diagonal. rivals: (N, N),
    boolean, True for a prompt that is false of the picture. R@k is the share of pictures whose own prompt is among the
    k nearest of it and its rivals (AttnGAN, Xu et al., 2018, section 4).
    """
    rank = ((cosines > cosines.diagonal()[:, None]) & rivals.to(cosines.device)).sum(1)
    chances = 1 / (1 + rivals.sum(1))
    scores = {}
    for place in PLACES:
        scores[f"R@{place}"] = float((rank < place).float().mean())
        scores[f"R@{place} chance"] = float((place * chances).clamp(max=1).mean())
    return scores
