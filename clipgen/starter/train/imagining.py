"""The recipes of what imagines a picture: its features, a sketch, a painting, and that at twice the size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from clipgen import weights
from clipgen.generators.networks import VQGANNetwork, build_network
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter.train.data import drawn_set, truths
from clipgen.starter.train.features import FeatureTrainer, SeenInCells, features, fresh_prior
from clipgen.starter.train.loop import train_module
from clipgen.starter.train.painting import PaintTrainer, Seen, latents, painted
from clipgen.starter.train.reading import captions, readings
from clipgen.starter.train.recipe import CLIP_SEED, Bench, Recipe, guides_of
from clipgen.starter.train.sketching import SketchTrainer
from clipgen.starter.train.wearers import WORN, changed, joined, shares, wearers
from clipgen.starter.unclip.coarse import build_sketcher
from clipgen.starter.unclip.prior import FeaturePrior, build_feature_prior

IMAGINED, PAINTED, UPSAMPLED = (0.73, 0.16, 0.11), (0.79, 0.11, 0.1), (0.8, 0.2)
"""Shares of what each learns from: any pictures, those of wearers, and, but for the upsampler, these once more: bare
ones for the prior, and dressed ones told as if bare for the painter."""
HEED = 8.0  # how much more a painter's errors count where something is worn


def feature_prior(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    """What draws what the guides see in the cells of pictures."""
    guides = guides_of(recipe.needs, bench)

    def read(tokens: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([guide.token_states(tokens) for guide in guides], 2)

    pictures = drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED)
    worn = wearers(bench.data, recipe.pictures // WORN, 128, CLIP_SEED)
    said = [
        captions(truths(CLIP_SEED, recipe.pictures), recipe.plan.seed),
        captions(worn.shown, recipe.plan.seed, worn=True),
        captions(worn.undressed, recipe.plan.seed),
    ]
    tokens = [torch.stack([guides[0].tokens(row) for row in each]) for each in said]  # the same for all guides
    torch.manual_seed(recipe.plan.seed)
    if recipe.start:
        prior = build_feature_prior(bench.trained(recipe.start))
    else:
        prior = fresh_prior(guides, pictures, read(tokens[0][0, :1]).shape[2])
    seen = joined(*(features(guides, prior, each) for each in (pictures, worn.dressed, worn.bare)))
    known = SeenInCells(seen, torch.cat(tokens, 1), shares(IMAGINED, tokens), len(worn.shown))
    trainer = FeatureTrainer(recipe.plan, prior, known, read, bench.device)
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
    """What paints over sketches.

    What is worn shows so little in what is imagined that a painter learns to go by the text for it: also from pictures
    of wearers of which all but the text is told as if they were bare.
    """
    pictures = drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED)
    worn = wearers(bench.data, recipe.pictures // WORN, 128, CLIP_SEED)
    prior, guides, network = _seers(recipe, bench)
    dressed_up = _vectors(guides, captions(worn.shown, recipe.plan.seed, worn=True))
    told = [_vectors(guides, captions(truths(CLIP_SEED, recipe.pictures), recipe.plan.seed)), dressed_up, dressed_up]
    plain, dressed = (latents(network, each, bench.device) for each in (pictures, worn.dressed))
    differ = HEED * changed(worn.dressed, worn.bare, plain.shape[2])
    known = Seen(
        joined(plain, dressed, dressed),
        joined(*(features(guides, prior, each) for each in (pictures, worn.dressed, worn.bare))),
        torch.cat(told, 1),
        shares=shares(PAINTED, told),
        heed=joined(torch.zeros(len(plain), *differ.shape[1:]), differ, differ),
    )
    return _trained(name, recipe, bench, known)


def upsampler(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    """What paints at twice the size over paintings: in training over what is left of pictures as latents."""
    prior, guides, network = _seers(recipe, bench)
    parts: list[tuple[int, str | None]] = [(recipe.pictures, None), (recipe.pictures // WORN, "wearing")]
    small, large = (
        [drawn_set(bench.data, count, size, CLIP_SEED, relation=relation) for count, relation in parts]
        for size in (128, 256)
    )
    told = [
        _vectors(guides, captions(truths(CLIP_SEED, count, relation=relation), recipe.plan.seed, worn=bool(relation)))
        for count, relation in parts
    ]
    known = Seen(
        joined(*(latents(network, each, bench.device) for each in large)),
        joined(*(features(guides, prior, each) for each in small)),
        torch.cat(told, 1),
        painted(network, joined(*(latents(network, each, bench.device) for each in small)), bench.device),
        shares(UPSAMPLED, told),
    )
    return _trained(name, recipe, bench, known)


def _seers(recipe: Recipe, bench: Bench) -> tuple[FeaturePrior, list[CLIPPerceptor], VQGANNetwork]:
    """The prior, which shortens what guides see in cells, the guides, and the VQGAN whose latents are painted."""
    prior, *guides, _, autoencoder = recipe.needs
    network = cast(VQGANNetwork, build_network(bench.trained(autoencoder))).eval().to(bench.device)
    return build_feature_prior(bench.trained(prior)), guides_of(guides, bench), network


def _trained(name: str, recipe: Recipe, bench: Bench, known: Seen) -> weights.Checkpoint:
    sketcher = build_sketcher(bench.trained(recipe.needs[-2]))
    trainer = PaintTrainer(recipe.plan, known, sketcher, bench.device)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    return weights.Checkpoint("painter", network.config, network.state_dict())


def _vectors(guides: Sequence[CLIPPerceptor], texts: Sequence[Sequence[str]]) -> Tensor:
    """Vectors (V, N, D) of V lists of N texts, those of all guides side by side."""
    return torch.cat([readings(guide, texts) for guide in guides], 2)
