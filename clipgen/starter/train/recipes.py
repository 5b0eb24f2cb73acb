"""The recipes of the starter models. `clipgen train NAME` runs one; flags change its numbers."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from clipgen.generators.networks import NETWORKS, VQGANNetwork, build_network
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.starter.train import dvae, unclip, vqgan
from clipgen.starter.train.claims import NOUN, codes_shown
from clipgen.starter.train.clip import CONFIGS, ClipTrainer, Source
from clipgen.starter.train.data import truths
from clipgen.starter.train.dvae import DVAETrainer
from clipgen.starter.train.negatives import Latents, Parametrization, Pixels
from clipgen.starter.train.picture_prior import CONFIG as PICTURE_PRIOR
from clipgen.starter.train.picture_prior import PicturePriorTrainer, build_picture_prior
from clipgen.starter.train.recipe import CLIP_SEED, LARGE_SEED, Bench, Recipe, guides_of
from clipgen.starter.train.reconstruction import quality
from clipgen.starter.train.reencoding import ReencodingTrainer
from clipgen.starter.train.text_tower import TextTowerTrainer, image_vectors
from clipgen.starter.train.token_prior import token_prior
from clipgen.starter.train.vqgan import VQGANTrainer
from clipgen.starter.train.zero_shot import zero_shot
from clipgen.training.loop import Plan, train_module
from clipgen.training.reconstruction import Network, reconstruct
from clipgen.util.files import replacing
from clipgen.weights.checkpoint import Checkpoint, write

AUTOENCODERS: dict[str, tuple[dict[str, Any], type[VQGANTrainer] | type[DVAETrainer]]] = {
    "vqgan": (vqgan.CONFIG, VQGANTrainer),
    "dvae": (dvae.CONFIG, DVAETrainer),
}


RECIPES: dict[str, Recipe] = {
    "vqgan": Recipe(
        "the VQGAN", Plan(6000, 4, 0.0012, seed=71, brief=True), 6000, None, ("starter/clip-fine",)
    ),
    "vqgan-restoring": Recipe(
        "the VQGAN's encoder, for re-encoding what is blurred",
        Plan(2500, 8, 0.0008, seed=91, average=0.99, brief=True), 6000, "vqgan",
    ),
    "dvae": Recipe("the dVAE", Plan(4000, 6, 0.0008, seed=72), 6000, None, ("starter/clip-fine",)),
    "prior": Recipe(
        "the picture prior, which keeps negatives from being mere smears", Plan(3600, 32, 0.001, seed=13), 48_000
    ),
    "clip-wide": Recipe(
        "both guides, before they learn from negatives", Plan(4000, 64, 0.0015, seed=67, brief=True), 48_000,
        "starter/clip-fine", ("starter/vqgan",), (0.5, 1.0),
    ),
    "clip": Recipe(
        "the guide that knows what is no picture: adversarial views, negatives in latents",
        Plan(400, 32, 0.0004, seed=63, average=0.99, brief=True), 48_000,
        "clip-wide", ("vqgan",), (1.0, 2.5), ("latents", 6),
    ),
    "clip-fine": Recipe(
        "the guide that sees strokes and windows: hardly any adversarial views",
        Plan(300, 32, 0.0004, seed=64, average=0.99, brief=True), 48_000,
        "clip-wide", ("vqgan",), (1.0, 1.0), ("latents", 8),
    ),
    "clip-texts": Recipe(
        "the text tower of both guides", Plan(1200, 256, 0.001, seed=82, average=0.99, brief=True), 48_000,
        "clip", ("clip", "clip-fine"),
    ),
    "clip-fine-texts": Recipe(
        "the text tower of the other guide", Plan(1200, 256, 0.001, seed=83, average=0.99, brief=True), 48_000,
        "clip-fine", ("clip-fine",),
    ),
    "feature-prior": Recipe(
        "the unCLIP's prior: from texts to features, what the guides see in the cells of pictures",
        Plan(30_000, 128, 0.001, seed=13, average=0.999, brief=True), 72_000,
        "starter/feature-prior", ("clip-texts", "clip-fine-texts"),
    ),
    "sketcher": Recipe(
        "the unCLIP's coarse decoder: from features to small pictures",
        Plan(3200, 64, 0.001, seed=1, average=0.995, brief=True), 96_000,
        None, ("feature-prior", "clip", "clip-fine"), bits=8,
    ),
    "painter": Recipe(
        "the unCLIP's decoder, which adds the detail", Plan(28_000, 64, 0.0015, seed=7, decay=0.01), 44_000,
        None, ("feature-prior", "clip-texts", "clip-fine-texts", "sketcher", "vqgan-restoring"),
    ),
    "upsampler": Recipe(
        "the unCLIP's upsampler: the finest detail, at twice the size",
        Plan(8500, 32, 0.0015, seed=8, decay=0.01), 16_000,
        None, ("feature-prior", "clip-texts", "clip-fine-texts", "sketcher", "vqgan-restoring"),
    ),
    "judge": Recipe(
        "the judge: reconstructions, no adversarial views", Plan(2800, 64, 0.001, seed=69, brief=True), 96_000,
        "starter/judge", ("starter/vqgan",),
    ),
    "judge-texts": Recipe(
        "the text tower of the judge",
        Plan(1200, 256, 0.001, seed=81, average=0.99, brief=True), 96_000, "judge", ("judge",)
    ),
    "token-prior": Recipe(
        "DALL-E's second stage, over the codes of the VQGAN", Plan(2800, 32, 0.001, seed=21), 28_000,
        None, ("starter/vqgan",), bits=8,
    ),
}  # fmt: skip


def train(name: str, recipe: Recipe, bench: Bench) -> Path:
    """Run a recipe, or resume it, and return the path of its weights, `<name>.safetensors` in the folder of runs."""
    makers = {
        **dict.fromkeys(AUTOENCODERS, _autoencoder),
        **dict.fromkeys(("judge-texts", "clip-texts", "clip-fine-texts"), _text_tower),
        "vqgan-restoring": _reencoding,
        "prior": _picture_prior,
        "feature-prior": unclip.prior,
        "sketcher": unclip.coarse_decoder,
        "painter": unclip.decoder,
        "upsampler": unclip.upsampler,
        "token-prior": token_prior,
    }
    checkpoint = makers.get(name, _clip)(name, recipe, bench)
    origin = {"recipe": name, "pictures": recipe.pictures, "radius": list(recipe.radius)}
    origin |= {"negatives": list(recipe.negatives), **asdict(recipe.plan)}
    checkpoint = replace(checkpoint, recipe={**origin, "device": bench.device.type, **checkpoint.recipe})
    path = bench.runs / f"{name}.safetensors"
    write(path, checkpoint, recipe.bits)
    return path


def _clip(name: str, recipe: Recipe, bench: Bench) -> Checkpoint:
    config = CONFIGS[name.partition("-")[0]]
    torch.manual_seed(recipe.plan.seed)
    perceptor = CLIPPerceptor(config).to(bench.device)
    world = bench.drawn(recipe.pictures, 128, CLIP_SEED)
    sources = [Source(world, truths(CLIP_SEED, recipe.pictures))]
    if recipe.start:
        perceptor.clip.load_state_dict(bench.trained(recipe.start).tensors)
    if recipe.needs:
        others = [_reconstructions(kind, bench, 0.2 / len(recipe.needs)) for kind in recipe.needs]
        sources = [replace(sources[0], share=0.8), *others]
    negatives = recipe.negatives[1]
    made_of = _parametrization(recipe, bench) if negatives else None
    trainer = ClipTrainer(perceptor, recipe.plan, sources, recipe.radius, made_of, negatives, texts=not negatives)
    learner = train_module(bench.runs / name, trainer.learner, recipe.plan, trainer.losses_at, bench.report)
    return _measured(learner.perceptor, config, bench)


def _text_tower(name: str, recipe: Recipe, bench: Bench) -> Checkpoint:
    start = bench.trained(str(recipe.start))
    pictures = bench.drawn(recipe.pictures, 128, CLIP_SEED)
    guides = guides_of(recipe.needs, bench)
    bench.report(f"encoding {recipe.pictures} pictures with {' and '.join(recipe.needs)}")
    vectors = [image_vectors(guide, pictures) for guide in guides]
    perceptor = build_perceptor(start).to(bench.device)
    trainer = TextTowerTrainer(perceptor, recipe.plan, vectors, truths(CLIP_SEED, recipe.pictures))
    trained = train_module(bench.runs / name, perceptor, recipe.plan, trainer.losses_at, bench.report)
    return _measured(trained, start.config, bench)


def _measured(perceptor: CLIPPerceptor, config: dict[str, Any], bench: Bench) -> Checkpoint:
    shares = [zero_shot(perceptor, bench.data, held=held, report=bench.report) for held in (False, True)]
    metrics = dict(zip(("zero_shot", "held_out"), shares, strict=True))
    bench.report(str(metrics))
    return Checkpoint("clip", config, perceptor.clip.state_dict(), metrics)


def _parametrization(recipe: Recipe, bench: Bench) -> Parametrization:
    if recipe.negatives[0] == "pixels":
        return Pixels(CONFIGS["clip"]["vision_cfg"]["image_size"])
    network = cast(VQGANNetwork, build_network(bench.trained(recipe.needs[0])))
    network.to(bench.device).to(memory_format=torch.channels_last)
    world = bench.drawn(recipe.pictures, 128, CLIP_SEED)
    nouns = codes_shown(truths(CLIP_SEED, recipe.pictures))[..., NOUN]
    return Latents(network, 24, build_picture_prior(bench.trained("prior")).to(bench.device), world, nouns)


def _reconstructions(kind: str, bench: Bench, share: float, count: int = 3000) -> Source:
    """Return what a trained autoencoder makes of drawn pictures, shrunk to 128 px and kept in a file."""
    path = bench.data / f"{kind.replace('/', '-')}-{count}.npy"
    if not path.exists():
        network = cast(Network, build_network(bench.trained(kind))).eval().to(bench.device)
        large = bench.drawn(RECIPES["vqgan"].pictures, 256, LARGE_SEED)[:count]
        bench.report(f"reconstructing {count} pictures with {kind}")
        with replacing(path) as partial:
            np.save(partial, reconstruct(network, large, 128))
    return Source(np.load(path), truths(LARGE_SEED, count), share)


def _autoencoder(name: str, recipe: Recipe, bench: Bench) -> Checkpoint:
    guide = bench.trained(recipe.needs[0])
    perceptor = build_perceptor(guide)
    large = bench.drawn(recipe.pictures, 256, LARGE_SEED)
    config, trainer_class = AUTOENCODERS[name]
    trainer = trainer_class(recipe.plan, large, perceptor.to(bench.device))
    if recipe.start:
        trainer.start_from(bench.trained(recipe.start).tensors)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    kept = NETWORKS[name](config).state_dict().keys()  # leaves out what only the training needs
    tensors = {key: network.state_dict()[key] for key in kept}
    return Checkpoint(name, config, tensors, {"reconstruction": quality(network, bench.data, report=bench.report)})


def _reencoding(name: str, recipe: Recipe, bench: Bench) -> Checkpoint:
    start = bench.trained(str(recipe.start))
    network = cast(VQGANNetwork, build_network(start)).to(bench.device).to(memory_format=torch.channels_last)
    trainer = ReencodingTrainer(network, recipe.plan, bench.drawn(recipe.pictures, 256, LARGE_SEED))
    trained = train_module(bench.runs / name, network, recipe.plan, trainer.losses_at, bench.report)
    metrics = {"reconstruction": quality(trained, bench.data, report=bench.report)}
    return Checkpoint("vqgan", start.config, trained.state_dict(), metrics)


def _picture_prior(name: str, recipe: Recipe, bench: Bench) -> Checkpoint:
    trainer = PicturePriorTrainer(recipe.plan, bench.drawn(recipe.pictures, 128, CLIP_SEED), bench.device)
    network = train_module(bench.runs / name, trainer.network, recipe.plan, trainer.losses_at, bench.report)
    return Checkpoint("prior", PICTURE_PRIOR, network.state_dict())
