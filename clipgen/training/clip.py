"""Training a CLIP on captioned pictures: pairs with the same caption all count as true."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.training.architectures import clip_config
from clipgen.training.augment import distort
from clipgen.training.contrastive import attacked, contrast, softmax_contrast
from clipgen.training.crops import as_batch
from clipgen.training.loop import Losses, Plan
from clipgen.training.pictures import CaptionedSet
from clipgen.training.task import MAX_CHECKED, Bench, Task

RADIUS = 1 / 64
"""Default of the adversarial radius for each pixel of a side: 1.0 at 64 pixels."""
SHOWN = 8
"""Held-out pictures whose nearest captions go to the log."""
CANDIDATES = 1000
"""Distinct captions, those of held-out pictures first, of which the nearest is to be true."""
PART = 128
"""Pictures or texts that are encoded at once."""


def same(caption: str) -> str:
    """Return what equal captions have in common: neither case nor spaces tell them apart."""
    return " ".join(caption.casefold().split())


def true_pairs(captions: Sequence[Sequence[str]], texts: Sequence[str]) -> Tensor:
    """Return which of M texts is a caption of which of N pictures: (N, M) boolean."""
    plain = [same(text) for text in texts]
    own = [{same(caption) for caption in several} for several in captions]
    return torch.tensor([[text in each for text in plain] for each in own]).view(len(own), len(plain))


def distinct(captions: Sequence[Sequence[str]]) -> list[str]:
    """Return each caption once, in the order in which they appear."""
    return list({same(caption): caption for several in captions for caption in several}.values())


class ClipTask(Task):
    """A CLIP, and its contrastive loss: the sigmoid one, or softmax for a CLIP that was trained with that."""

    def __init__(self, bench: Bench, plan: Plan):
        torch.manual_seed(plan.seed)
        start, settings = bench.start, bench.settings
        config = start.config if start else clip_config(settings.size, bench.side)
        self.perceptor = CLIPPerceptor(config)
        if start:
            self.perceptor.clip.load_state_dict(start.tensors)
        self.module = self.perceptor.to(bench.device).to(memory_format=torch.channels_last)
        self.bench, self.plan, self.config = bench, plan, config
        self.radius = bench.side * RADIUS if settings.radius is None else settings.radius
        cut = sum(self.perceptor.tokens_over_limit(text) > 0 for text in distinct(bench.training.captions)[:1000])
        if cut:
            length = self.perceptor.tokenizer.context_length
            bench.report(f"{cut} of the first 1,000 captions are longer than {length} tokens: their ends are not read")

    def batch(self, step: int) -> tuple[Tensor, list[str], Tensor]:
        """Return the pictures (B, 3, S, S) of a step, one caption of each without doubles, and which are true."""
        rng = np.random.default_rng([self.plan.seed, step])
        data = self.bench.training
        picked = rng.integers(0, len(data), self.plan.batch)
        captions = [data.captions[k] for k in picked]
        texts = distinct([[each[rng.integers(len(each))]] for each in captions])
        images = as_batch(data.pictures[picked]).to(self.bench.device)
        return images, texts, true_pairs(captions, texts).to(self.bench.device)

    def losses_at(self, step: int) -> Losses:
        """Return the contrastive loss of a step's views, which an adversary has moved."""
        images, texts, match = self.batch(step)
        views = distort(images, self.perceptor.size, flips=self.bench.settings.flip)
        words = self.perceptor.encode_texts(texts)
        radius = self.radius * min(1.0, 0.5 + step / self.plan.steps)  # half at first, all of it from the middle on
        if radius > 0:
            fixed = words.detach()
            views = attacked(views, lambda moved: self._loss(self.perceptor, moved, fixed, match), radius)
        return {"loss": self._loss(self.perceptor, views, words, match)}

    def _loss(self, perceptor: CLIPPerceptor, views: Tensor, words: Tensor, match: Tensor) -> Tensor:
        clip = perceptor.clip
        logits = (perceptor.encode_images(views) @ words.T).float() * clip.logit_scale.exp()
        if clip.logit_bias is None:
            return softmax_contrast(logits, match)
        return contrast(logits + clip.logit_bias, match, torch.ones_like(match))

    @torch.no_grad()
    def held_out_loss(self, module: nn.Module) -> float:
        """Return the mean loss of batches of held-out pictures with their first captions."""
        perceptor, data = cast(CLIPPerceptor, module), self.bench.held_out
        losses = []
        for begin in range(0, min(len(data), MAX_CHECKED), PART):
            captions = data.captions[begin : begin + PART]
            texts = distinct([each[:1] for each in captions])
            images = as_batch(data.pictures[begin : begin + PART]).to(self.bench.device)
            match = true_pairs(captions, texts).to(self.bench.device)
            losses.append(float(self._loss(perceptor, images, perceptor.encode_texts(texts), match)))
        return float(np.mean(losses))

    @cached_property
    def _questions(self) -> tuple[list[str], Tensor]:
        texts = distinct([*self.bench.held_out.captions, *self.bench.training.captions])[:CANDIDATES]
        return texts, true_pairs(self.bench.held_out.captions, texts)

    def measured(self, module: nn.Module) -> dict[str, Any]:
        """Return how often the nearest of the distinct captions is true of a held-out picture, R@1, beside chance."""
        texts, match = self._questions
        nearest = nearest_texts(cast(CLIPPerceptor, module), self.bench.held_out, texts)
        right = match[torch.arange(len(match)), nearest].float().mean()
        chance = match.float().mean()
        return {"R@1": round(float(right), 4), "chance": round(float(chance), 4), "captions": len(texts)}

    def show(self, module: nn.Module, _path: Path) -> dict[str, Any]:
        """Return the nearest captions of a few held-out pictures."""
        data = self.bench.held_out
        few = CaptionedSet(data.pictures[:SHOWN], data.captions[:SHOWN], data.names[:SHOWN])
        if not len(few):
            return {}
        texts = self._questions[0]
        nearest = nearest_texts(cast(CLIPPerceptor, module), few, texts)
        return {"nearest": {name: texts[k] for name, k in zip(few.names, nearest.tolist(), strict=True)}}

    def network(self, module: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return the config and the tensors of the weight file."""
        return self.config, cast(CLIPPerceptor, module).clip.state_dict()


@torch.no_grad()
def nearest_texts(perceptor: CLIPPerceptor, pictures: CaptionedSet, texts: Sequence[str]) -> Tensor:
    """Return, for N pictures, which of the texts is the nearest to each: (N,) indices."""
    device = perceptor.mean.device
    words = torch.cat([perceptor.encode_texts(texts[k : k + PART]) for k in range(0, len(texts), PART)])
    found = []
    for begin in range(0, len(pictures), PART):
        images = as_batch(pictures.pictures[begin : begin + PART]).to(device)
        found.append((perceptor.encode_images(images) @ words.T).argmax(1).cpu())
    return torch.cat(found)
