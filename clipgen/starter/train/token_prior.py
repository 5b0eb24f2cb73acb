"""The starter set's prior over the codes of its VQGAN: what DALL-E's second stage makes of the drawn world."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch

from clipgen.config.priors import KIND
from clipgen.generators.networks import VQGANNetwork, build_network
from clipgen.priors.transformer import TokenTransformer
from clipgen.starter.english import say
from clipgen.starter.grammar import claim_of
from clipgen.starter.train.data import truths
from clipgen.starter.train.recipe import CLIP_SEED, Bench, Recipe
from clipgen.training.loop import Losses, train_module
from clipgen.training.prior import Coded, PriorTrainer, codes_of
from clipgen.weights.checkpoint import Checkpoint

SIDE = 96
"""Of the pictures whose codes are learned: 12 x 12 of them, as 16 x 16 take twice the time."""
CONFIG: dict[str, Any] = {
    "text_length": 24,
    "merges": 4096,
    "codes": 2048,
    "grid": [12, 12],
    "width": 192,
    "heads": 6,
    "patterns": ["full"] * 6,
}
HELD_OUT, HELD_OUT_SEED, CHECKED = 256, 97, 100


def token_prior(name: str, recipe: Recipe, bench: Bench) -> Checkpoint:
    """Train the prior of the autoencoder that the recipe needs."""
    autoencoder = cast(VQGANNetwork, build_network(bench.trained(recipe.needs[0])).eval().to(bench.device))
    learned = _coded(autoencoder, recipe.pictures, CLIP_SEED, bench)
    held_out = _coded(autoencoder, HELD_OUT, HELD_OUT_SEED, bench)
    torch.manual_seed(recipe.plan.seed)
    trainer = PriorTrainer(recipe.plan, TokenTransformer(CONFIG).to(bench.device), learned, held_out)
    watched = Watched(trainer)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, watched.losses_at, bench.report)
    metrics = {"held_out": round(float(trainer.held_out_loss(network, HELD_OUT)), 4), "autoencoder": recipe.needs[0]}
    return Checkpoint(KIND, CONFIG, network.state_dict(), metrics)


class Watched:
    """The losses of a trainer with that of a held-out code, in nats, as it was when it was last measured."""

    def __init__(self, trainer: PriorTrainer):
        self.trainer = trainer
        self._held_out = torch.zeros(())

    def losses_at(self, step: int) -> Losses:
        """Return the losses of a step; every CHECKED steps held-out codes are measured."""
        if step % CHECKED == 0:
            self._held_out = self.trainer.held_out_loss(self.trainer.network, HELD_OUT)
        return {**self.trainer.losses_at(step), "held_out": self._held_out}


def _coded(autoencoder: VQGANNetwork, count: int, seed: int, bench: Bench) -> Coded:
    shown = truths(seed, count)

    def caption(index: int, rng: np.random.Generator) -> str:
        return say(claim_of(shown[index], rng), rng)

    return Coded(codes_of(autoencoder, bench.drawn(count, SIDE, seed), bench.report), caption)
