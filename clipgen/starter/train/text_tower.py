"""Training the text tower of a CLIP against images that were encoded once, as only the texts move.

Texts cost little where images need not be encoded again: they are compared by the million, each with many that are
nearly the same. After locked-image tuning (Zhai et al., 2022, arXiv 2111.07991).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter import grammar
from clipgen.starter.english import Claim, say
from clipgen.starter.grammar import Truth
from clipgen.starter.train.claims import codes, codes_shown, groups, matches, untried
from clipgen.starter.train.clip import EXCLUDED, binding, choice
from clipgen.training.loop import Losses, Plan

CHUNK = 250
CAPTIONS = 3  # of every picture


class TextTowerTrainer:
    """A perceptor whose text tower learns, what it learns from, and its loss at a step.

    pictures: vectors (2 N, D) of pictures and then of their mirror images, from each perceptor that is to share the
    text tower; truths: what the N show.
    """

    def __init__(self, perceptor: CLIPPerceptor, plan: Plan, pictures: Sequence[Tensor], truths: Sequence[Truth]):
        for name, parameter in perceptor.clip.named_parameters():
            parameter.requires_grad_(not name.startswith("visual."))
        self.perceptor, self.plan, self.pictures, self.truths = perceptor, plan, pictures, truths
        self.shown = codes_shown(truths)
        self.bank = grammar.bank()
        self.groups = groups()

    def losses_at(self, step: int) -> Losses:
        """Return the softmax losses of a step's pictures over all its texts, and of its texts over the pictures."""
        rng = np.random.default_rng([self.plan.seed, step])
        picked = rng.integers(0, len(self.truths), self.plan.batch)
        mirrored = picked + len(self.truths) * rng.integers(0, 2, self.plan.batch)
        claims, bound = claims_of([self.truths[k] for k in picked], rng)
        claimed = codes([*claims, *(claim for _, claim in self.bank)])
        words = self.perceptor.encode_texts([*(say(claim, rng) for claim in claims), *(text for text, _ in self.bank)])
        match, known = matches(self.shown[picked], claimed), ~untried(self.shown[picked], claimed)
        known |= match
        bank = slice(len(claims), None)
        loss = words.new_zeros(())
        for vectors in self.pictures:
            logits = (
                vectors[torch.from_numpy(mirrored)].to(words) @ words.T
            ).float() * self.perceptor.clip.logit_scale.exp()
            chosen = retrieval_loss(logits, match, known)
            chosen = chosen + choice(logits[:, bank], match[:, bank], known[:, bank], self.groups) / 4
            loss = loss + chosen + binding(logits, bound)
        return {"loss": loss / len(self.pictures)}


def claims_of(shown: Sequence[Truth], rng: np.random.Generator) -> tuple[list[Claim], Tensor]:
    """Return a true claim of each picture, then those of two things with the two swapped; and `Labels.bound`."""
    claims: list[Claim] = []
    for truth in shown:
        both = grammar.claim_of_two(truth, rng) if rng.random() < 0.5 else None
        claims.append(both or grammar.claim_of(truth, rng))
    bound = []
    for row in range(len(shown)):
        if wrong := grammar.swapped(claims[row]):
            bound.append((row, row, len(claims)))
            claims.append(wrong)
    return claims, torch.tensor(bound).view(-1, 3)


def retrieval_loss(logits: Tensor, match: Tensor, known: Tensor) -> Tensor:
    """Return the softmax loss of N pictures over M texts, and of the first N texts over the pictures.

    All are (N, M). The first N texts are the pictures' own, in order; rivals are only those known not to match.
    """
    own = torch.arange(len(logits))
    possible = known & ~match
    possible[own, own] = True
    among = logits.masked_fill(~possible, EXCLUDED)
    return cross_entropy(among, own) + cross_entropy(among[:, : len(own)].T, own)


@torch.no_grad()
def image_vectors(perceptor: CLIPPerceptor, pictures: np.ndarray) -> Tensor:
    """Return the vectors (2 N, D) of whole pictures (N, S, S, 3) uint8, then of their mirror images."""
    found = []
    for k in range(0, len(pictures), CHUNK):
        pixels = torch.from_numpy(np.array(pictures[k : k + CHUNK])).to(perceptor.mean.device)
        views = perceptor.whole(pixels.permute(0, 3, 1, 2).float() / 255)
        found.append(torch.stack([perceptor.encode_images(view).cpu() for view in (views, views.flip(3))]))
    return torch.cat(found, 1).flatten(0, 1)


def captions(shown: Sequence[Truth], seed: int, worn: bool = False) -> list[list[str]]:
    """Return CAPTIONS lists of one true caption of each picture; all styles are named.

    `worn`: the captions say who wears what, which all pictures have to show.
    """
    rng = np.random.default_rng(seed)

    def claim(truth: Truth) -> Claim:
        stated = (grammar.claim_of_worn if worn else grammar.claim_of)(truth, rng)
        return stated | {"style": truth.style} if truth.style else stated

    return [[say(claim(truth), rng) for truth in shown] for _ in range(CAPTIONS)]


@torch.no_grad()
def text_vectors(perceptor: CLIPPerceptor, texts: Sequence[Sequence[str]], chunk: int = 500) -> Tensor:
    """Return the vectors (V, N, D) of V lists of N texts."""
    starts = range(0, len(texts[0]), chunk)
    read = [torch.cat([perceptor.encode_texts(row[k : k + chunk]) for k in starts]) for row in texts]
    return torch.stack(read).cpu()
