"""Teaching a CLIP to read, against pictures that it has looked at once: only its texts move.

Texts cost little where pictures need not be looked at again, so they are compared by the million, each with many that
are nearly the same. After locked-image tuning (Zhai et al., 2022, arXiv 2111.07991).
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
from clipgen.starter.train.clip import LEAST, binding, choice
from clipgen.starter.train.loop import Losses, Plan

CHUNK = 250
CAPTIONS = 3  # of every picture


class ReadingTrainer:
    """A perceptor whose texts learn, the vectors (2 N, D) of pictures and then of their mirror images, the loss.

    pictures: one such tensor for each perceptor that shall understand the same texts.
    """

    def __init__(self, perceptor: CLIPPerceptor, plan: Plan, pictures: Sequence[Tensor], truths: Sequence[Truth]):
        for name, parameter in perceptor.clip.named_parameters():
            parameter.requires_grad_(not name.startswith("visual."))
        self.perceptor, self.plan, self.pictures, self.truths = perceptor, plan, pictures, truths
        self.shown = codes_shown(truths)
        self.bank = grammar.bank()
        self.groups = groups()

    def losses_at(self, step: int) -> Losses:
        """A step's pictures choose among all its texts, and its texts among the pictures, by softmax."""
        rng = np.random.default_rng([self.plan.seed, step])
        picked = rng.integers(0, len(self.truths), self.plan.batch)
        mirrored = picked + len(self.truths) * rng.integers(0, 2, self.plan.batch)
        claims, bound = self._claims([self.truths[k] for k in picked], rng)
        claimed = codes([*claims, *(claim for _, claim in self.bank)])
        words = self.perceptor.encode_texts([*(say(claim, rng) for claim in claims), *(text for text, _ in self.bank)])
        match, known = matches(self.shown[picked], claimed), ~untried(self.shown[picked], claimed)
        known |= match
        chosen = words.new_zeros(())
        for vectors in self.pictures:
            logits = (
                vectors[torch.from_numpy(mirrored)].to(words) @ words.T
            ).float() * self.perceptor.clip.logit_scale.exp()
            chosen = chosen + self._chosen(logits, match, known) + binding(logits, bound)
        return {"loss": chosen / len(self.pictures)}

    def _claims(self, shown: Sequence[Truth], rng: np.random.Generator) -> tuple[list[Claim], Tensor]:
        """A true claim of each picture, then those of two things with the two swapped; and `Labels.bound` of these."""
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

    def _chosen(self, logits: Tensor, match: Tensor, known: Tensor) -> Tensor:
        own = torch.arange(len(logits))
        possible = known & ~match
        possible[own, own] = True
        among = logits.masked_fill(~possible, LEAST)
        of_pictures, of_texts = cross_entropy(among, own), cross_entropy(among[:, : len(own)].T, own)
        bank = slice(len(match[0]) - len(self.bank), None)
        return of_pictures + of_texts + choice(logits[:, bank], match[:, bank], known[:, bank], self.groups) / 4


@torch.no_grad()
def looks(perceptor: CLIPPerceptor, pictures: np.ndarray) -> Tensor:
    """Vectors (2 N, D) of whole pictures (N, S, S, 3) uint8, then of their mirror images."""
    seen = []
    for k in range(0, len(pictures), CHUNK):
        pixels = torch.from_numpy(np.array(pictures[k : k + CHUNK])).to(perceptor.mean.device)
        views = perceptor.whole(pixels.permute(0, 3, 1, 2).float() / 255)
        seen.append(torch.stack([perceptor.encode_images(view).cpu() for view in (views, views.flip(3))]))
    return torch.cat(seen, 1).flatten(0, 1)


def captions(shown: Sequence[Truth], seed: int, worn: bool = False) -> list[list[str]]:
    """True captions, that name every style, of pictures that show this: CAPTIONS lists of one of each.

    `worn`: they say who wears what, which all have to show.
    """
    rng = np.random.default_rng(seed)

    def claim(truth: Truth) -> Claim:
        stated = (grammar.claim_of_worn if worn else grammar.claim_of)(truth, rng)
        return stated | {"style": truth.style} if truth.style else stated

    return [[say(claim(truth), rng) for truth in shown] for _ in range(CAPTIONS)]


@torch.no_grad()
def readings(perceptor: CLIPPerceptor, texts: Sequence[Sequence[str]], chunk: int = 500) -> Tensor:
    """Vectors (V, N, D) of V lists of N texts."""
    starts = range(0, len(texts[0]), chunk)
    read = [torch.cat([perceptor.encode_texts(row[k : k + chunk]) for k in starts]) for row in texts]
    return torch.stack(read).cpu()
