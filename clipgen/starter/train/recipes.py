"""How each starter model is trained: one row each. `clipgen train NAME` runs a row; flags change its numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from clipgen import weights
from clipgen.errors import WeightsMissingError
from clipgen.generators.networks import NETWORKS, VQGANNetwork, build_network
from clipgen.perceptor import Perceptor, build_perceptor
from clipgen.prior import build_prior
from clipgen.starter.train import dvae, vqgan
from clipgen.starter.train.clip import CONFIGS, NOUN, ClipTrainer, Source, codes_shown
from clipgen.starter.train.data import drawn_set, truths
from clipgen.starter.train.dreams import Canvas, Latents, Pixels
from clipgen.starter.train.dvae import DVAETrainer
from clipgen.starter.train.embedding import EmbeddingTrainer, looks
from clipgen.starter.train.loop import Plan, Report, train_module
from clipgen.starter.train.prior import LAYOUT, PriorTrainer, readings
from clipgen.starter.train.reconstruction import quality, reconstruct
from clipgen.starter.train.vqgan import VQGANTrainer
from clipgen.starter.train.zero_shot import zero_shot

CLIP_SEED, LARGE_SEED = 1, 2  # of the sets of drawn pictures, 128 px and 256 px


AUTOENCODERS: dict[str, tuple[dict[str, Any], type[VQGANTrainer] | type[DVAETrainer]]] = {
    "vqgan": (vqgan.CONFIG, VQGANTrainer),
    "dvae": (dvae.CONFIG, DVAETrainer),
}


@dataclass(frozen=True)
class Recipe:
    """A row: its plan, and what else it needs."""

    summary: str
    plan: Plan
    pictures: int
    needs: tuple[str, ...] = ()
    """Weights trained before, in the same folder of runs: what to start from or to learn by, then autoencoders."""
    radius: tuple[float, float] = (0.0, 0.0)
    """Of the adversary, at first and from half of the steps on."""
    dreams: tuple[str, int] = ("pixels", 0)
    """What the guide dreams on, and how many dreams join a batch."""


RECIPES: dict[str, Recipe] = {
    "clip-clean": Recipe("the guide, before it meets an adversary", Plan(1100, 64, 0.002, seed=7), 40_000),
    "judge-clean": Recipe("the judge, before it meets reconstructions", Plan(1000, 64, 0.002, seed=3), 40_000),
    "vqgan": Recipe("the VQGAN", Plan(11_000, 4, 0.001, seed=11), 6_000, ("clip-clean",)),
    "dvae": Recipe("the dVAE", Plan(6000, 6, 0.0005, seed=12), 6_000, ("clip-clean",)),
    "prior": Recipe("the prior", Plan(3600, 32, 0.001, seed=13), 40_000),
    "clip-pixels": Recipe(
        "the guide: reconstructions, an adversary, dreams in pixels", Plan(1500, 64, 0.001, seed=8, average=0.995),
        40_000, ("clip-clean", "vqgan"), (0.0, 4.0), ("pixels", 12),
    ),
    "clip-latents": Recipe(
        "the guide: dreams in latents", Plan(1000, 64, 0.0005, seed=9, average=0.99), 40_000,
        ("clip-pixels", "vqgan"), (4.0, 4.0), ("latents", 6),
    ),
    "clip-more": Recipe(
        "the guide: more of the same", Plan(1400, 32, 0.0004, seed=21, average=0.99), 40_000,
        ("clip-latents", "vqgan"), (4.0, 4.0), ("latents", 6),
    ),
    "clip": Recipe(
        "the guide: a milder adversary at last, for the styles", Plan(1000, 32, 0.0004, seed=22, average=0.99), 40_000,
        ("clip-more", "vqgan"), (4.0, 2.5), ("latents", 6),
    ),
    "clip-fine": Recipe(
        "the guide that joins late: hardly an adversary, so that it sees strokes and windows",
        Plan(600, 32, 0.0004, seed=32, average=0.99), 40_000, ("clip-clean", "vqgan"), (1.0, 1.0), ("latents", 8),
    ),
    "prior-text": Recipe(
        "the prior, told texts as the guide reads them", Plan(7000, 32, 0.001, seed=40), 40_000, ("prior", "clip"),
    ),
    "embedding-prior": Recipe(
        "the prior from texts to pictures as the guides see them", Plan(16_000, 512, 0.001, seed=50), 40_000,
        ("clip", "clip-fine"),
    ),
    "judge": Recipe(
        "the judge: reconstructions, no adversary", Plan(250, 64, 0.0006, seed=4, average=0.99), 40_000,
        ("judge-clean", "vqgan"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """Where a recipe runs: its folder of runs, device, and who hears of its progress."""

    runs: Path
    device: torch.device
    report: Report

    @property
    def data(self) -> Path:
        """The folder of drawn pictures."""
        return self.runs / "data"

    def trained(self, name: str) -> weights.Checkpoint:
        """Weights that an earlier recipe left here. Raises WeightsMissingError, naming the command that makes them."""
        path = self.runs / f"{name}.safetensors"
        if not path.exists():
            raise WeightsMissingError(f"{path} is missing: run `clipgen train {name} --runs {self.runs}` first")
        return weights.read(path)


def train(name: str, recipe: Recipe, bench: Bench) -> Path:
    """Run a recipe, or go on with it; leaves `<name>.safetensors` in the folder of runs and returns its path."""
    makers = {
        **dict.fromkeys(AUTOENCODERS, _autoencoder),
        "prior": _prior,
        "prior-text": _prior_text,
        "embedding-prior": _embedding_prior,
    }
    checkpoint = makers.get(name, _clip)(name, recipe, bench)
    origin = {"recipe": name, "pictures": recipe.pictures, "radius": list(recipe.radius), "dreams": list(recipe.dreams)}
    origin |= asdict(recipe.plan)
    checkpoint = replace(checkpoint, recipe={**origin, "device": bench.device.type, **checkpoint.recipe})
    path = bench.runs / f"{name}.safetensors"
    weights.write(path, checkpoint, half=True)
    return path


def _clip(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    config = CONFIGS[name.partition("-")[0]]
    torch.manual_seed(recipe.plan.seed)
    perceptor = Perceptor(config).to(bench.device)
    world = drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED)
    sources = [Source(world, truths(CLIP_SEED, recipe.pictures))]
    if recipe.needs:
        perceptor.clip.load_state_dict(bench.trained(recipe.needs[0]).tensors)
        kinds = recipe.needs[1:]
        sources = [replace(sources[0], share=0.6), *(_reconstructions(kind, bench, 0.4 / len(kinds)) for kind in kinds)]
    trainer = ClipTrainer(perceptor, recipe.plan, sources, recipe.radius, _canvas(recipe, bench), recipe.dreams[1])
    learner = train_module(bench.runs / name, trainer.learner, recipe.plan, trainer.losses_at, bench.report)
    averaged = learner.perceptor
    metrics = zero_shot(averaged, bench.data)
    bench.report(str(metrics))
    return weights.Checkpoint("clip", config, averaged.clip.state_dict(), {"zero_shot": metrics})


def _canvas(recipe: Recipe, bench: Bench) -> Canvas | None:
    kind, count = recipe.dreams
    if not count:
        return None
    if kind == "pixels":
        return Pixels(CONFIGS["clip"]["vision_cfg"]["image_size"])
    network = cast(VQGANNetwork, build_network(bench.trained("vqgan")))
    network.to(bench.device).to(memory_format=torch.channels_last)
    world = drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED)
    nouns = codes_shown(truths(CLIP_SEED, recipe.pictures))[..., NOUN]
    return Latents(network, 24, build_prior(bench.trained("prior")).to(bench.device), world, nouns)


def _reconstructions(kind: str, bench: Bench, share: float, count: int = 3000) -> Source:
    """What a trained autoencoder makes of drawn pictures, shrunk to 128 px, kept in a file."""
    path = bench.data / f"{kind}-{count}.npy"
    if not path.exists():
        network = build_network(bench.trained(kind)).eval().to(bench.device)
        large = drawn_set(bench.data, RECIPES[kind].pictures, 256, LARGE_SEED)[:count]
        np.save(path, reconstruct(network, large, 128))
    return Source(np.load(path), truths(LARGE_SEED, count), share)


def _autoencoder(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    guide = bench.trained(recipe.needs[0])
    perceptor = build_perceptor(guide)
    large = drawn_set(bench.data, recipe.pictures, 256, LARGE_SEED)
    config, trainer_class = AUTOENCODERS[name]
    trainer = trainer_class(recipe.plan, large, perceptor.to(bench.device))
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    kept = NETWORKS[name](config).state_dict().keys()  # leaves out what only the training needs
    tensors = {key: network.state_dict()[key] for key in kept}
    return weights.Checkpoint(name, config, tensors, {"reconstruction": quality(network, bench.data)})


def _prior(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    trainer = PriorTrainer(recipe.plan, drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED), bench.device)
    return _trained_prior(name, trainer, bench)


def _prior_text(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    start, guide = (bench.trained(needed) for needed in recipe.needs)
    pictures = drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED)
    reader = build_perceptor(guide).eval().to(bench.device)
    captions = readings(reader, truths(CLIP_SEED, recipe.pictures), recipe.plan.seed)
    trainer = PriorTrainer(recipe.plan, pictures, bench.device, LAYOUT, captions)
    trainer.network.load_state_dict({**trainer.network.state_dict(), **start.tensors})
    return _trained_prior(name, trainer, bench)


def _embedding_prior(name: str, recipe: Recipe, bench: Bench) -> weights.Checkpoint:
    needed = [bench.trained(each) for each in recipe.needs]
    guides = [build_perceptor(each).eval().to(bench.device) for each in needed]
    pictures = looks(guides, drawn_set(bench.data, recipe.pictures, 128, CLIP_SEED))
    captions = readings(guides[0], truths(CLIP_SEED, recipe.pictures), recipe.plan.seed, styled=True)
    mirrored = torch.cat([captions, captions], 1)  # what is true of a picture is true of its mirror image
    trainer = EmbeddingTrainer(
        recipe.plan, pictures, mirrored, [each.config["embed_dim"] for each in needed], bench.device
    )
    network = train_module(bench.runs / name, trainer.network, trainer.plan, trainer.losses_at, bench.report)
    return weights.Checkpoint("embedding-prior", trainer.config, network.state_dict())


def _trained_prior(name: str, trainer: PriorTrainer, bench: Bench) -> weights.Checkpoint:
    network = train_module(bench.runs / name, trainer.network, trainer.plan, trainer.losses_at, bench.report)
    return weights.Checkpoint("prior", trainer.config, network.state_dict())
