"""Zero-shot classification: which of some labels pictures show, by CLIPs (Radford et al., 2021, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES
from torch import Tensor

from clipgen.config.prompts import Prompt
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.steering.vectors import Templated

TEXTS = 256
"""How many texts a network reads at once."""


@dataclass(frozen=True)
class Member:
    """A CLIP, and how much it counts beside others."""

    name: str
    perceptor: CLIPPerceptor
    weight: float = 1.0


@dataclass(frozen=True)
class Scores:
    """What is said of one picture: in row 0 on average over the CLIPs, below by each of them, (1 + M, L) for L labels.

    On CPU, in float64. A probability that does not exist is NaN.
    """

    cosines: Tensor
    probabilities: Tensor

    def order(self, row: int = 0) -> list[int]:
        """Return the labels, best first."""
        probabilities = self.probabilities[row]
        # Of one CLIP both have the same order, but many small probabilities can be equal.
        averaged = row == 0 and len(self.cosines) > 2 and bool(probabilities.isfinite().all())
        values = probabilities if averaged else self.cosines[row]
        order: list[int] = values.sort(descending=True, stable=True).indices.tolist()
        return order


class Classifier:
    """Classifies by labels, which it encodes at once, as they are or as the mean of templates.

    on_label: is called with the number of labels that one more CLIP has encoded.
    """

    def __init__(
        self,
        members: Sequence[Member],
        labels: Sequence[str],
        *,
        templates: bool = False,
        on_label: Callable[[int], object] = lambda _count: None,
    ) -> None:
        self.members, self.labels = members, labels
        self._classes = [class_vectors(each.perceptor, labels, templates, on_label) for each in members]
        weights = torch.tensor([each.weight for each in members], dtype=torch.float64)
        self._shares = weights / weights.sum()

    def scores(self, vectors: Sequence[Tensor]) -> Scores:
        """Return the scores of a picture, which each CLIP sees as a unit vector (D,)."""
        each = [(classes @ vector).double() for classes, vector in zip(self._classes, vectors, strict=True)]
        chances = [probabilities(member.perceptor, cosines) for member, cosines in zip(self.members, each, strict=True)]
        mean = self._mean(chances) if len({is_sigmoid(member.perceptor) for member in self.members}) == 1 else None
        none = torch.full_like(each[0], torch.nan)
        found = torch.stack([none if one is None else one for one in (mean, *chances)])
        return Scores(torch.stack([self._mean(each), *each]), found)

    def _mean(self, rows: Sequence[Tensor | None]) -> Tensor:
        given = [torch.full((len(self.labels),), torch.nan).double() if row is None else row for row in rows]
        return self._shares @ torch.stack(given)


@torch.inference_mode()
def class_vectors(
    perceptor: CLIPPerceptor,
    labels: Sequence[str],
    templates: bool,
    on_label: Callable[[int], object] = lambda _count: None,
) -> Tensor:
    """Return the unit vectors (L, D) of labels, on the CPU; with templates, the mean of OpenAI's 80 for ImageNet."""
    encoder = Templated(perceptor, OPENAI_IMAGENET_TEMPLATES) if templates else perceptor
    step = 1 if templates else TEXTS
    found = []
    for start in range(0, len(labels), step):
        part = labels[start : start + step]
        found.append(encoder.encode_texts(part).float().cpu())
        on_label(len(part))
    return torch.cat(found)


def is_sigmoid(perceptor: CLIPPerceptor) -> bool:
    """Whether a CLIP was trained to judge each text by itself, as SigLIP (Zhai et al., 2023, arXiv 2303.15343)."""
    return perceptor.clip.logit_bias is not None


def probabilities(perceptor: CLIPPerceptor, cosines: Tensor) -> Tensor | None:
    """Return the probabilities (L,) of labels at the temperature at which the CLIP was trained.

    They add up to 1 but for one with a bias, which judges each label by itself. None if there is nothing to choose
    from: of one label, a softmax says 1 whatever is seen.
    """
    logits = cosines * perceptor.clip.logit_scale.detach().exp().to(cosines)
    if is_sigmoid(perceptor):
        return torch.sigmoid(logits + perceptor.clip.logit_bias.detach().to(cosines))
    return logits.softmax(0) if len(cosines) > 1 else None


@torch.inference_mode()
def weighted_target(perceptor: CLIPPerceptor, prompts: Sequence[Prompt]) -> Tensor:
    """Return (D,), on the CPU, of which the product with a unit vector is the weighted mean of cosines with the texts.

    The weights are scaled so that their magnitudes add up to 1; a text of negative weight counts against a picture.
    """
    weights = torch.tensor([prompt.peak for prompt in prompts])
    weights = weights / weights.abs().sum().clamp(min=1e-6)
    return weights @ perceptor.encode_texts([prompt.text for prompt in prompts]).float().cpu()


def too_long(perceptor: CLIPPerceptor, texts: Sequence[str], templates: bool = False) -> list[str]:
    """Return the texts of which the perceptor does not read the end; with templates, as the longest has them."""
    longest = max(OPENAI_IMAGENET_TEMPLATES, key=lambda template: len(template(""))) if templates else str
    return [text for text in texts if perceptor.tokens_over_limit(longest(text))]
