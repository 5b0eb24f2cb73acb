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
from clipgen.training.loop import train_module
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
HELD_OUT, HELD_OUT_SEED = 256, 97


def token_prior(name: str, recipe: Recipe, bench: Bench) -> Checkpoint:
    """Train the prior of the autoencoder that the recipe needs."""
    autoencoder = cast(VQGANNetwork, build_network(bench.trained(recipe.needs[0])).eval().to(bench.device))
    learned = _coded(autoencoder, recipe.pictures, CLIP_SEED, bench)
    held_out = _coded(autoencoder, HELD_OUT, HELD_OUT_SEED, bench)
    torch.manual_seed(recipe.plan.seed)
    trainer = PriorTrainer(recipe.plan, TokenTransformer(CONFIG).to(bench.device), learned, held_out)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    metrics = {"held_out": round(float(trainer.held_out_loss(network, HELD_OUT)), 4), "autoencoder": recipe.needs[0]}
    return Checkpoint(KIND, CONFIG, network.state_dict(), metrics)


def _coded(autoencoder: VQGANNetwork, count: int, seed: int, bench: Bench) -> Coded:
    shown = truths(seed, count)

    def caption(index: int, rng: np.random.Generator) -> str:
        return say(claim_of(shown[index], rng), rng)

    return Coded(codes_of(autoencoder, bench.drawn(count, SIDE, seed), bench.report), caption)
