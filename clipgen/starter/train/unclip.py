"""The recipes of the unCLIP: the prior, the coarse decoder, the decoder and the upsampler."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from clipgen.generators.networks import VQGANNetwork, build_network
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.starter.train.coarse_decoder import CoarseDecoderTrainer
from clipgen.starter.train.data import truths
from clipgen.starter.train.decoder import DecoderData, DecoderTrainer, decoded, latents
from clipgen.starter.train.prior import PriorData, PriorTrainer, features, untrained_prior
from clipgen.starter.train.recipe import CLIP_SEED, Bench, Recipe, guides_of
from clipgen.starter.train.text_tower import captions, text_vectors
from clipgen.starter.train.wear_pairs import WORN, changed_cells, join_mirrored, probabilities, wear_pairs
from clipgen.starter.unclip.coarse_decoder import build_coarse_decoder
from clipgen.starter.unclip.prior import Prior, build_prior
from clipgen.training.loop import train_module
from clipgen.weights.checkpoint import Checkpoint

PRIOR_MIX, DECODER_MIX, UPSAMPLER_MIX = (0.73, 0.16, 0.11), (0.79, 0.11, 0.1), (0.8, 0.2)
"""How often each learns from pictures of anything, from those of someone who wears something, and, but for the
upsampler, from the pairs of these once more: the prior from the bare ones, the decoder from the dressed ones
conditioned as if bare."""
WORN_WEIGHT = 8.0  # added to that of the decoder's errors, 1, where something is worn


def prior(name: str, recipe: Recipe, bench: Bench) -> Checkpoint:
    """Train the prior on what the guides see in the cells of pictures."""
    guides = guides_of(recipe.needs, bench)

    def text_states(tokens: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([guide.token_states(tokens) for guide in guides], 2)

    pictures = bench.drawn(recipe.pictures, 128, CLIP_SEED)
    pairs = wear_pairs(bench.data, recipe.pictures // WORN, 128, CLIP_SEED, bench.report)
    bench.report(f"encoding pictures and texts with {' and '.join(recipe.needs)}")
    texts = [
        captions(truths(CLIP_SEED, recipe.pictures), recipe.plan.seed),
        captions(pairs.shown, recipe.plan.seed, worn=True),
        captions(pairs.undressed, recipe.plan.seed),
    ]
    tokens = [torch.stack([guides[0].tokens(row) for row in each]) for each in texts]  # the same for all guides
    torch.manual_seed(recipe.plan.seed)
    if recipe.start:
        network = build_prior(bench.trained(recipe.start))
    else:
        network = untrained_prior(guides, pictures, text_states(tokens[0][0, :1]).shape[2])
    seen = join_mirrored(*(features(guides, network, each) for each in (pictures, pairs.dressed, pairs.bare)))
    data = PriorData(seen, torch.cat(tokens, 1), probabilities(PRIOR_MIX, tokens), len(pairs.shown))
    trainer = PriorTrainer(recipe.plan, network, data, text_states, bench.device)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    return Checkpoint("feature-prior", network.config, network.state_dict())


def coarse_decoder(name: str, recipe: Recipe, bench: Bench) -> Checkpoint:
    """Train the coarse decoder on pictures and their features."""
    network = build_prior(bench.trained(recipe.needs[0]))
    guides = guides_of(recipe.needs[1:], bench)
    pictures = bench.drawn(recipe.pictures, 128, CLIP_SEED)
    bench.report(f"encoding {recipe.pictures} pictures with {' and '.join(recipe.needs)}")
    seen = features(guides, network, pictures)
    trainer = CoarseDecoderTrainer(recipe.plan, pictures, seen, math.isqrt(network.cells), bench.device)
    trained = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    return Checkpoint("sketcher", trained.config, trained.state_dict())


def decoder(name: str, recipe: Recipe, bench: Bench) -> Checkpoint:
    """Train the decoder on latents of pictures, their features and their texts.

    What is worn shows so little in the features that a prior draws that the decoder is to take it from the text: it
    also learns from pictures of someone who wears something with all of the conditioning but the text as if bare.
    """
    pictures = bench.drawn(recipe.pictures, 128, CLIP_SEED)
    pairs = wear_pairs(bench.data, recipe.pictures // WORN, 128, CLIP_SEED, bench.report)
    network, guides, autoencoder = _networks(recipe, bench)
    bench.report(f"encoding pictures and texts with {' and '.join(recipe.needs)}")
    worn = _vectors(guides, captions(pairs.shown, recipe.plan.seed, worn=True))
    texts = [_vectors(guides, captions(truths(CLIP_SEED, recipe.pictures), recipe.plan.seed)), worn, worn]
    plain, dressed = (latents(autoencoder, each, bench.device) for each in (pictures, pairs.dressed))
    added = WORN_WEIGHT * changed_cells(pairs.dressed, pairs.bare, plain.shape[2])
    data = DecoderData(
        join_mirrored(plain, dressed, dressed),
        join_mirrored(*(features(guides, network, each) for each in (pictures, pairs.dressed, pairs.bare))),
        torch.cat(texts, 1),
        probabilities=probabilities(DECODER_MIX, texts),
        added_weights=join_mirrored(torch.zeros(len(plain), *added.shape[1:]), added, added),
    )
    return _trained(name, recipe, bench, data)


def upsampler(name: str, recipe: Recipe, bench: Bench) -> Checkpoint:
    """Train the upsampler on latents of large pictures, and on what the autoencoder makes of the same at half the size.

    In use it takes decoded pictures in place of the latter.
    """
    network, guides, autoencoder = _networks(recipe, bench)
    parts: list[tuple[int, str | None]] = [(recipe.pictures, None), (recipe.pictures // WORN, "wearing")]
    small, large = (
        [bench.drawn(count, size, CLIP_SEED, relation=relation) for count, relation in parts] for size in (128, 256)
    )
    bench.report(f"encoding pictures and texts with {' and '.join(recipe.needs)}")
    texts = [
        _vectors(guides, captions(truths(CLIP_SEED, count, relation=relation), recipe.plan.seed, worn=bool(relation)))
        for count, relation in parts
    ]
    data = DecoderData(
        join_mirrored(*(latents(autoencoder, each, bench.device) for each in large)),
        join_mirrored(*(features(guides, network, each) for each in small)),
        torch.cat(texts, 1),
        decoded(
            autoencoder, join_mirrored(*(latents(autoencoder, each, bench.device) for each in small)), bench.device
        ),
        probabilities(UPSAMPLER_MIX, texts),
    )
    return _trained(name, recipe, bench, data)


def _networks(recipe: Recipe, bench: Bench) -> tuple[Prior, list[CLIPPerceptor], VQGANNetwork]:
    """Return the prior, which reduces feature maps to features, the guides, and the VQGAN of the latents."""
    first, *guides, _, last = recipe.needs
    autoencoder = cast(VQGANNetwork, build_network(bench.trained(last))).eval().to(bench.device)
    return build_prior(bench.trained(first)), guides_of(guides, bench), autoencoder


def _trained(name: str, recipe: Recipe, bench: Bench, data: DecoderData) -> Checkpoint:
    coarse = build_coarse_decoder(bench.trained(recipe.needs[-2]))
    trainer = DecoderTrainer(recipe.plan, data, coarse, bench.device)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    return Checkpoint("painter", network.config, network.state_dict())


def _vectors(guides: Sequence[CLIPPerceptor], texts: Sequence[Sequence[str]]) -> Tensor:
    """Return the vectors (V, N, D) of V lists of N texts, those of all guides side by side."""
    return torch.cat([text_vectors(guide, texts) for guide in guides], 2)
