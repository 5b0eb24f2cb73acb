"""The same random networks for clipgen's loop with a recipe and for the peer's loop written again, and both run."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import peer_references as peers
import pretrained
import references
import titoks
import torch
from torch import Tensor, nn

from clipgen.config.job import Job
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.sequences import SequenceSettings
from clipgen.config.settings import PerceptorSettings
from clipgen.core.loop import Guide
from clipgen.engine import peer_cutouts
from clipgen.engine.models import Models
from clipgen.engine.run import Run
from clipgen.generators.networks import build_network
from clipgen.generators.sampled import laplace
from clipgen.perceptors.clip import build_perceptor
from clipgen.util.randomness import generator_for
from clipgen.weights import Checkpoint

TEXT = "a cat|a grey fog:-0.5:-0.6|a house:2:0.4"
PROMPTS = (peers.Prompt("a cat"), peers.Prompt("a grey fog", -0.5, -0.6), peers.Prompt("a house", 2, 0.4))
SEED = 7
SMALL_CLIP: dict[str, Any] = {
    **pretrained.CLIP_CONFIGS["tiny-vit"],
    "text_cfg": pretrained.TEXT,
    "quick_gelu": True,
    "mean": list(peers.MEAN),
    "std": list(peers.STD),
}


@dataclass
class Networks:
    """The authors' networks, and clipgen's with the same weights."""

    generator: Any
    clip: Any
    models: Models
    side: int
    """Of the cutouts."""


@cache
def small_networks(backend: str, _dtype: torch.dtype) -> Networks:
    configs = {"dvae": pretrained.DVAE_CONFIG, "vqgan": pretrained.VQGAN_CONFIG, "titok": titoks.CONFIG}
    return networks(backend, configs.get(backend, {}))


def pair_of(backend: str, config: dict[str, Any], contrast: float) -> tuple[nn.Module, nn.Module]:
    """The authors' generator, if it is compared with here, and clipgen's."""
    if backend == "pixels":
        return nn.Identity(), nn.Identity()
    author: Any = nn.Identity()
    if backend == "titok":
        state = titoks.state(titoks.CONFIG)
    elif backend == "vqgan":
        author = references.vqgan(config)
        author.quantize.embedding.weight.data.normal_()  # as wide as those of trained networks, for their box to matter
        author.decoder.conv_out.weight.data.mul_(contrast)
        state = {name: value for name, value in author.state_dict().items() if not name.startswith("loss.")}
    else:
        encoder, author = references.dvae(config)
        pairs = {"encoder": encoder, "decoder": author}
        state = {f"{part}.{name}": value for part, one in pairs.items() for name, value in one.state_dict().items()}
    return author, build_network(Checkpoint(backend, config, state)).eval().requires_grad_(False)


def networks(
    backend: str, config: dict[str, Any], clip_config: dict[str, Any] = SMALL_CLIP, contrast: float = 1.0
) -> Networks:
    """Make random networks; contrast: a factor on what the decoder of a VQGAN draws."""
    torch.manual_seed(0)
    author, network = pair_of(backend, config, contrast)
    clip = references.clip(clip_config)
    perceptor = build_perceptor(Checkpoint("clip", clip_config, clip.state_dict())).eval().requires_grad_(False)
    guide = Guide(perceptor, PerceptorSettings("fake/clip"))
    for each in (author, clip):
        each.requires_grad_(False)
    return Networks(author, clip, Models(network, (guide,), torch.device("cpu")), perceptor.size)


def plan_of(recipe: str, size: tuple[int, int], cutouts: int, steps: int = 5, **generator: Any) -> Plan:
    fixed = "titok" in PEER_RECIPES[recipe].backends
    asked = None if fixed else size
    job = Job(parse_prompts(TEXT), preset="draft", recipe=recipe, size=asked, cutouts=cutouts, steps=steps, seed=SEED)
    plan = resolve(job)[0]
    if fixed:
        small = replace(plan.generator, stride=titoks.SIDE, sequence=(SequenceSettings(titoks.TOKENS),))
        plan = replace(plan, size=(titoks.SIDE, titoks.SIDE), generator=small)
    plan = replace(plan, generator=replace(plan.generator, **generator))
    return replace(plan, start="codes") if plan.start == "perlin" else plan  # as clouds have no reference here


def draws_of(plan: Plan, step: int, side: int, logits: Tensor | None) -> peers.Draws:
    """What clipgen draws at random in a step."""
    device = torch.device("cpu")
    drawn = peer_cutouts.draw(plan.seed, step, plan.cutouts, plan.size, side, plan.augmentations, device)
    crops = [crop for group in drawn.groups for crop in group.crops]
    chains = [[dict(each) for each in group.chain] for group in drawn.groups]
    draws = peers.Draws(chains, crops, drawn.noise * drawn.noise_field, drawn.groups[0].around.grey, step)
    if logits is not None:
        generator = generator_for(plan.seed, step, "codes")
        draws.codes = torch.multinomial(logits.detach().softmax(1), 1, generator=generator)[:, 0]
        draws.laplace = laplace(torch.empty(1, 3, plan.size[1], plan.size[0]), generator)
    return draws


def flat(logits: Tensor) -> Tensor:
    """Turn logits (1, K, h, w) into the notebooks' (h·w, K)."""
    return logits.detach()[0].flatten(1).T.clone(memory_format=torch.contiguous_format)


def reference_of(plan: Plan, both: Networks, latent: Tensor, **changed: Any) -> peers.Loop:
    """The peer's loop, from clipgen's start; changed: what is wrong in it, to see that it is found."""
    side, count, recipe = both.side, plan.cutouts, plan.recipe
    perceptor = peers.Perceptor(both.clip, side, PROMPTS, **changed)
    if recipe in ("codebook-sampling", "dvae-notebook"):
        banned = [int(code) for code in plan.generator.banned.split(",") if code]
        draw = (
            peers.sampled(both.generator) if plan.backend == "vqgan" else peers.sampled_pixels(both.generator, banned)
        )
        return peers.Loop(flat(latent), 0.05, draw, peers.crops(side), perceptor)
    codes = both.generator.quantize.embedding.weight
    low, high = (each[None, :, None, None] for each in (codes.min(0).values, codes.max(0).values))
    aspect = plan.size[0] / plan.size[1]
    lr, cut = {
        "nerdyrodent": (0.1, peers.nerdyrodent(side, count)),
        "eleuther": (0.05, peers.crops(side)),
        "pixray": (0.2, peers.pixray(side, count, aspect)),
    }[recipe]
    return peers.Loop(latent.detach().clone(), lr, peers.quantised(both.generator), cut, perceptor, low, high)


@dataclass
class Compared:
    """Relative differences of one step."""

    loss: float
    gradient: float
    latent: float


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def compared(plan: Plan, both: Networks, steps: int = 5, **changed: Any) -> Iterator[Compared]:
    """Run both loops; yields how far they are from each other after each step."""
    run = Run([plan], both.models)
    [latent] = run.loop.generator.parameters()
    samples = plan.generator.latent == "sampled"
    loop = reference_of(plan, both, latent, **changed)
    bias = torch.zeros(latent.shape[1])
    if plan.generator.banned:
        bias[[int(code) for code in plan.generator.banned.split(",")]] = -100
    for step in range(steps):
        if plan.recipe == "pixray" and step == int(0.75 * (plan.steps - 1)) + 1:
            loop.set_rate(0.02)
        draws = draws_of(plan, step, both.side, flat(latent) + bias if samples else None)
        [ours] = run.find_gradients()
        loss, gradient = loop.gradient(draws)
        assert latent.grad is not None
        own = flat(latent.grad) if samples else latent.grad.clone()
        run.update()
        loop.update()
        after = flat(latent) if samples else latent.detach()
        yield Compared(relative(ours.loss, loss), relative(own, gradient), relative(after, loop.latent.detach()))
