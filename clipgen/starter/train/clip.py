"""Training a small CLIP on the drawn world, against the exact matrix of which captions are true of which pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter import grammar
from clipgen.starter.english import say
from clipgen.starter.grammar import Truth
from clipgen.starter.train.claims import NOUN, THINGS, UNSTATED, codes, codes_shown, groups, matches, untried
from clipgen.starter.train.data import truths
from clipgen.starter.train.negatives import NOTHING, Negatives, Parametrization
from clipgen.training.augment import distort, scramble
from clipgen.training.contrastive import attacked, contrast
from clipgen.training.loop import Losses, Plan

TEXT = {"context_length": 32, "vocab_size": 4096 + 514, "width": 128, "heads": 4, "layers": 2}
COMMON = {
    "embed_dim": 128,
    "text_cfg": TEXT,
    "merges": 4096,
    "init_logit_bias": -4.0,
    "mean": [0.5] * 3,
    "std": [0.25] * 3,
}
TIMM = {"image_size": 64, "timm_pool": "avgmax", "timm_proj": "linear"}
CONFIGS: dict[str, dict[str, Any]] = {
    "clip": {**COMMON, "vision_cfg": {**TIMM, "timm_model_name": "clipgen_conv7"}},
    "judge": {**COMMON, "vision_cfg": {**TIMM, "timm_model_name": "clipgen_resnet9"}},
}
SCRAMBLED = 10  # views of a batch, at most, that join the negatives with their things out of shape
ASCENT_STEPS = 4  # of each negative in a training step
TARGETS = 500  # captions that negatives ascend to
BUFFERED = 8  # negatives in the buffer for each in a training step
EXCLUDED = -1e4  # logit of what is not to be chosen
BINDING = 3.0  # weight of `binding` in the loss


@dataclass(frozen=True)
class Labels:
    """Which of M texts are true of which of N pictures, and for which pairs that is known, both (N, M) boolean."""

    match: Tensor
    known: Tensor
    bound: Tensor
    """(K, 3): a picture of two things, a text that is true of it, and the text that has the two swapped."""


def choice(logits: Tensor, match: Tensor, known: Tensor, attributes: Sequence[Sequence[int]]) -> Tensor:
    """Return the softmax loss over the values of each attribute, where some are true; more values weigh more.

    All are (pictures, texts); pairs that are not known are left out.
    """
    total = logits.new_zeros(())
    for columns in attributes:
        named = match[:, columns].any(1)
        if named.any():
            right = match[named][:, columns].to(logits)
            right = right / right.sum(1, keepdim=True)
            possible = logits[named][:, columns].masked_fill(~known[named][:, columns], EXCLUDED)
            total = total + cross_entropy(possible, right) * len(columns) ** 0.5 / 3
    return total


def binding(logits: Tensor, bound: Tensor) -> Tensor:
    """Return the softmax loss of each text against the same with its two things swapped; bound as in `Labels`."""
    if not len(bound):
        return logits.new_zeros(())
    picture, right, wrong = bound.unbind(1)
    return softplus(logits[picture, wrong] - logits[picture, right]).mean()


@dataclass(frozen=True)
class Source:
    """Pictures (N, 128, 128, 3) uint8 with what they show, and their share of every batch."""

    pictures: np.ndarray
    truths: Sequence[Truth]
    share: float = 1.0

    @cached_property
    def shown(self) -> np.ndarray:
        """The truths as integers."""
        return codes_shown(self.truths)


class Learner(nn.Module):
    """A CLIP with a linear head that names every attribute from the image tower's features, for training only.

    The head teaches the tower while the texts still move: without it the same pictures teach half as many nouns.
    """

    def __init__(self, perceptor: CLIPPerceptor, words: int, negatives: Negatives | None):
        super().__init__()
        self.perceptor = perceptor
        self.negatives = negatives
        trunk = perceptor.clip.visual.trunk
        self.head = nn.Linear(trunk.num_features, words)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors (N, D) of views, and the head's logits (N, words)."""
        seen: list[Tensor] = []
        hook = self.perceptor.clip.visual.trunk.register_forward_hook(lambda _m, _i, output: seen.append(output))
        vectors = self.perceptor.encode_images(views)
        hook.remove()
        return vectors, self.head(seen[0])


class ClipTrainer:
    """One CLIP, what it learns from, and its loss at a step.

    radius: L2 norm of the perturbations of a view, at first and from half of the steps on; 0 is no adversary.
    parametrization: what adversarial negatives are made of; `negatives` of them join every batch.
    texts: whether the text tower learns, too.
    """

    def __init__(
        self,
        perceptor: CLIPPerceptor,
        plan: Plan,
        sources: Sequence[Source],
        radius: tuple[float, float] = (0.0, 0.0),
        parametrization: Parametrization | None = None,
        negatives: int = 0,
        texts: bool = True,
    ):
        for name, parameter in perceptor.clip.named_parameters():
            parameter.requires_grad_(texts or name.startswith("visual."))
        self.bank = grammar.bank()
        self.perceptor = perceptor
        self.plan, self.sources, self.radius, self.negatives = plan, sources, radius, negatives
        buffer = None
        if parametrization:
            buffer = Negatives(BUFFERED * negatives, parametrization, _targets(TARGETS, plan.seed))
        self.learner = Learner(perceptor, len(self.bank), buffer).to(memory_format=torch.channels_last)
        self.groups = groups()
        self.device = next(perceptor.parameters()).device
        self.learner.to(self.device)

    def batch(self, step: int) -> tuple[Tensor, list[str], np.ndarray, np.ndarray, Tensor]:
        """Return pictures (B, 3, 128, 128), texts, what the ones show and the others claim, and `Labels.bound`.

        The texts are captions of a quarter of the pictures; of each picture of two things, one that names both and the
        same with the two swapped; and one for every word of the world.
        """
        rng = np.random.default_rng([self.plan.seed, step])
        pixels, shown, claims, drawn = [], [], [], []
        for source in self.sources:
            picked = np.sort(rng.integers(0, len(source.truths), round(source.share * self.plan.batch)))
            pixels.append(torch.from_numpy(source.pictures[picked]))
            shown.append(source.shown[picked])
            drawn += [source.truths[k] for k in picked]
            claims += [grammar.claim_of(source.truths[k], rng) for k in picked[::4]]
        bound = []
        for row, truth in enumerate(drawn):
            right = grammar.claim_of_two(truth, rng)
            if right and (wrong := grammar.swapped(right)):
                bound.append((row, len(claims), len(claims) + 1))
                claims += [right, wrong]
        texts = [say(claim, rng) for claim in claims] + [text for text, _ in self.bank]
        claimed = codes([*claims, *(claim for _, claim in self.bank)])
        images = torch.cat(pixels).permute(0, 3, 1, 2).to(self.device).float() / 255
        return images, texts, np.concatenate(shown), claimed, torch.tensor(bound).view(-1, 3).to(self.device)

    def losses_at(self, step: int) -> Losses:
        """Return the contrastive loss of a step's batch."""
        pixels, texts, shown, claimed, bound = self.batch(step)
        match = matches(shown, claimed)
        known = (match | ~untried(shown, claimed)).to(self.device)
        labels = Labels(match.to(self.device), known, bound)
        views, words = distort(pixels, self.perceptor.size), self.perceptor.encode_texts(texts)
        negatives = self.nameless(views, shown, step) if self.learner.negatives is not None else None
        first, last = self.radius
        radius = first + (last - first) * min(1.0, 2 * step / self.plan.steps)
        if radius > 0:
            fixed = words.detach()
            views = attacked(views, lambda moved: self._loss(moved, fixed, labels), radius)
        if negatives is not None:
            nameless, may_show = negatives
            nouns = torch.from_numpy(claimed[:, NOUN]).to(self.device)
            views = torch.cat([views, nameless])
            false = torch.zeros_like(known[:1]).expand(len(nameless), -1)
            certain = (nouns != UNSTATED) & (nouns != may_show[..., None]).all(1)
            labels = Labels(torch.cat([labels.match, false]), torch.cat([known, certain]), bound)
        return {"loss": self._loss(views, words, labels)}

    def nameless(self, views: Tensor, shown: np.ndarray, step: int) -> tuple[Tensor, Tensor]:
        """Return views that show nothing nameable, negatives and things out of shape, and which nouns may still show.

        The nouns are (N, 2) codes, or NOTHING.
        """
        negatives, may_show = self._negatives(cast(Negatives, self.learner.negatives), step)
        things = np.flatnonzero(np.isin(shown[:, 0, NOUN], THINGS))[:: max(1, len(shown) // SCRAMBLED)]
        scrambled = scramble(views[torch.from_numpy(things).to(self.device)])
        nothing = may_show.new_full((len(scrambled), 2), NOTHING)
        return torch.cat([negatives, scrambled]), torch.cat([may_show, nothing])

    def _negatives(self, buffer: Negatives, step: int) -> tuple[Tensor, Tensor]:
        """Return views of this step's negatives, and the nouns that they may show."""
        self.learner.eval()
        images, nouns = buffer.advance(self.perceptor, step * self.negatives, self.negatives, ASCENT_STEPS)
        self.learner.train()
        return distort(images, self.perceptor.size), nouns

    def _loss(self, views: Tensor, words: Tensor, labels: Labels) -> Tensor:
        clip = self.perceptor.clip
        images, named = self.learner(views)
        cosines = (images @ words.T).float()
        logits = cosines * clip.logit_scale.exp() + clip.logit_bias
        bank = (labels.match[:, -len(self.bank) :], labels.known[:, -len(self.bank) :], self.groups)
        chosen = choice(logits[:, -len(self.bank) :], *bank) + choice(named.float(), *bank)
        return 0.5 * contrast(logits, labels.match, labels.known) + chosen + BINDING * binding(logits, labels.bound)


def _targets(count: int, seed: int) -> list[str]:
    """Return captions with a noun, of pictures that need not exist; a third of them name nothing else."""
    rng = np.random.default_rng([seed, count])
    made = (grammar.claim_of(truth, rng) for truth in truths(seed, 2 * count))
    claims = [claim for claim in made if "noun" in claim][:count]
    claims[::3] = [{"noun": claim["noun"]} for claim in claims[::3]]
    return [say(claim, rng) for claim in claims]
