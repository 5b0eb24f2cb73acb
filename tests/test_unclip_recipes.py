"""The recipes of the unCLIP, from drawing to weights, with few pictures and steps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from clipgen.starter.train.recipe import Bench
from clipgen.starter.train.recipes import RECIPES, train
from clipgen.starter.unclip.coarse_decoder import build_coarse_decoder
from clipgen.starter.unclip.decoder import build_decoder
from clipgen.starter.unclip.prior import build_prior
from clipgen.weights import Checkpoint, read
from clipgen.weights.loader import load

SHIPPED = {
    "clip": "starter/clip",
    "clip-fine": "starter/clip-fine",
    "clip-texts": "starter/clip",
    "clip-fine-texts": "starter/clip-fine",
    "feature-prior": "starter/feature-prior",
    "sketcher": "starter/sketcher",
    "vqgan-restoring": "starter/vqgan",
}
BUILD = {
    "feature-prior": build_prior,
    "sketcher": build_coarse_decoder,
    "painter": build_decoder,
    "upsampler": build_decoder,
}


def trained(name: str, pictures: int, folder: Path, **changed: Any) -> Checkpoint:
    """What a recipe leaves that learns from the models that ship."""
    recipe = replace(RECIPES[name], plan=replace(RECIPES[name].plan, steps=2, batch=4), pictures=pictures, **changed)
    recipe = replace(recipe, needs=tuple(SHIPPED[need] for need in recipe.needs))
    return read(train(name, recipe, Bench(folder, torch.device("cpu"), lambda _: None)))


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILD)
def test_a_recipe_leaves_weights_of_the_kind_that_ships(name: str, tmp_path: Path) -> None:
    made, shipped = trained(name, 8, tmp_path), load(f"starter/{name}")
    assert {key: t.shape for key, t in made.tensors.items()} == {key: t.shape for key, t in shipped.tensors.items()}
    assert all(tensor.isfinite().all() for tensor in made.tensors.values())
    assert made.recipe["pictures"] == 8
    BUILD[name](made)


@pytest.mark.slow
def test_an_untrained_prior_has_the_same_shape_and_the_statistics_of_its_texts(tmp_path: Path) -> None:
    made = trained("feature-prior", 40, tmp_path, start=None)
    assert made.config == load("starter/feature-prior").config
    assert (made.tensors["text_std"] > 0).all()
    assert not torch.equal(made.tensors["text_std"], torch.ones(256))
    assert not torch.equal(made.tensors["text_mean"], torch.zeros(256))
