"""The recipes on networks of the published sizes, with random weights."""

import sys
from contextlib import nullcontext
from typing import Any

import open_clip
import peer_references as peers
import pytest
from peer_runs import compared, networks, plan_of
from test_peer_loops import in_double

from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.weights.catalogue import RECORDS

SIDE = 64
"""Of the picture: the networks have their full size, and this takes long enough."""
CLIP: dict[str, Any] = {
    **(open_clip.get_model_config("ViT-B-32") or {}),
    "quick_gelu": True,
    "mean": list(peers.MEAN),
    "std": list(peers.STD),
}


COMPARED = [name for name, row in PEER_RECIPES.items() if row.backends[0] in ("vqgan", "dvae")]


def config_of(backend: str) -> dict[str, Any]:
    if backend == "vqgan":
        return RECORDS["vqgan/imagenet-f16-16384"].config
    return RECORDS["dvae/dall-e-encoder"].config | RECORDS["dvae/dall-e-decoder"].config


@pytest.mark.slow
@pytest.mark.parametrize("recipe", COMPARED)
def test_loss_gradient_and_latent_are_those_of_the_peer_at_full_size(recipe: str) -> None:
    backend = PEER_RECIPES[recipe].backends[0]
    with in_double() if backend == "vqgan" else nullcontext():  # DALL-E's decoder takes single precision only
        # Of little contrast: rounding decides on which side of a kink of Kornia's jitter pixels clamped to 1 are.
        both = networks(backend, config_of(backend), CLIP, contrast=0.3)
        *_, last = compared(plan_of(recipe, (SIDE, SIDE), 3), both)
    sys.stdout.write(f"{recipe}, {SIDE}x{SIDE}: {last}\n")
    assert max(last.loss, last.gradient, last.latent) < 1e-5
