"""The recipes of what imagines a picture: its features, a sketch, a painting, and that at twice the size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from clipgen import weights
from clipgen.feature_prior import build_feature_prior
from clipgen.generators.networks import VQGANNetwork, build_network
from clipgen.perceptor import Perceptor
from clipgen.sketch import build_sketcher
from clipgen.starter.train.data import drawn_set, truths
from clipgen.starter.train.features import FeatureTrainer, features, fresh_prior
from clipgen.starter.train.loop import train_module
from clipgen.starter.train.painting import PaintTrainer, Seen, latents, painted
from clipgen.starter.train.reading import readings
from clipgen.starter.train.recipe import CLIP_SEED, Bench, Recipe, guides_of
from clipgen.starter.train.sketching import SketchTrainer


def feature_prior(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    """What draws what the guides see in the cells of pictures."""
    guides = guides_of(recipe.needs, bench)
    pictures = drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED)
    captions = _captions(guides, recipe)
    torch.manual_seed(recipe.plan.seed)
    if recipe.start:
        prior = build_feature_prior(bench.trained(recipe.start))
    else:
        prior = fresh_prior(guides, pictures, captions.shape[2])
    trainer = FeatureTrainer(recipe.plan, prior, features(guides, prior, pictures), captions, bench.device)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    return weights.Checkpoint("feature-prior", network.config, network.state_dict())


def sketcher(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    """What draws about how a picture of such features looks."""
    prior = build_feature_prior(bench.trained(recipe.needs[0]))
    guides = guides_of(recipe.needs[1:], bench)
    pictures = drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED)
    seen = features(guides, prior, pictures)
    trainer = SketchTrainer(recipe.plan, pictures, seen, math.isqrt(prior.cells), bench.device)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    return weights.Checkpoint("sketcher", network.config, network.state_dict())


def painter(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    """What paints over sketches."""
    network = _autoencoder(recipe, bench)
    pictures = drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED)
    return _trained(name, recipe, bench, latents(network, pictures, bench.device))


def upsampler(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    """What paints at twice the size over paintings: in training over what is left of pictures as latents."""
    network = _autoencoder(recipe, bench)
    small, large = (drawn_set(bench.data, recipe.pictures, size, CLIP_SEED) for size in (128, 256))
    paintings = painted(network, latents(network, small, bench.device), bench.device)
    return _trained(name, recipe, bench, latents(network, large, bench.device), paintings)


def _autoencoder(recipe: Recipe, bench: Bench) -> VQGANNetwork:
    return cast(VQGANNetwork, build_network(bench.trained(recipe.needs[-1]))).eval().to(bench.device)


def _trained(
    name: str, recipe: Recipe, bench: Bench, painted: torch.Tensor, paintings: np.ndarray | None = None
) -> weights.Checkpoint:
    prior, *guides_named, sketching, _ = recipe.needs
    guides = guides_of(guides_named, bench)
    pictures = drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED)
    seen = features(guides, build_feature_prior(bench.trained(prior)), pictures)
    known = Seen(painted, seen, _captions(guides, recipe), paintings)
    trainer = PaintTrainer(recipe.plan, known, build_sketcher(bench.trained(sketching)), bench.device)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    return weights.Checkpoint("painter", network.config, network.state_dict())


def _captions(guides: Sequence[Perceptor], recipe: Recipe) -> torch.Tensor:
    """Vectors (V, N, D) of true captions of the pictures, those of all guides side by side."""
    shown = truths(CLIP_SEED, recipe.pictures)
    return torch.cat([readings(guide, shown, recipe.plan.seed, styled=True) for guide in guides], 2)
