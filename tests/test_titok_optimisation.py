"""A TiTok is optimised as TokenOpt has it (Lao Beyer et al., 2025, arXiv 2506.08257), which is written again here."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import open_clip
import peer_references as peers
import pytest
import references
import titoks
import torch
from fakes import FakePerceptor, guide, plan
from peer_runs import SMALL_CLIP
from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.schedules import ALWAYS, Schedule
from clipgen.config.sequences import SequenceSettings
from clipgen.config.settings import CutoutSettings, GeneratorSettings, PerceptorSettings
from clipgen.core.contracts import Encoder, Moment
from clipgen.core.cutouts import AugmentationParameters
from clipgen.core.loop import CutoutPlan, Guide, Loop
from clipgen.core.losses import LOSSES, Objective, encode_targets
from clipgen.core.optim import EPSILON, LatentOptimizer
from clipgen.engine import peer_cutouts
from clipgen.engine.models import Models
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.generators.titok import TiTokGenerator, fading
from clipgen.generators.titok_network import TiTokNetwork
from clipgen.perceptors.clip import build_perceptor
from clipgen.util.randomness import generator_for
from clipgen.weights import Checkpoint

SIDE, TOKENS, CONFIG = titoks.SIDE, titoks.TOKENS, titoks.CONFIG
SIZE = (SIDE, SIDE)
LR, REG, NOISE, EMA, STEPS, CROPS = 0.1, 0.02, 0.05, 0.8, 5, 4
SEEDS = (7, 8)
CLIP: dict[str, Any] = {**SMALL_CLIP, "vision_cfg": {**SMALL_CLIP["vision_cfg"], "image_size": 28, "patch_size": 7}}
CPU = torch.device("cpu")


class ExactPerceptor(FakePerceptor):
    """Knows texts in the precision of the test."""

    size = 28

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return super().encode_texts(texts).to(torch.get_default_dtype())


def crops(images: Tensor, seeds: Sequence[int], step: int) -> Tensor:
    """TokenOpt's augmentation: crops of 7/8 of the side (224 pixels of 256), half of them mirrored, picture-major."""
    found = []
    for image, seed in zip(images, seeds, strict=True):
        numbers = generator_for(seed, step, "crops of the test")
        for _ in range(CROPS):
            x, y, mirrored = (int(torch.randint(high, (), generator=numbers)) for high in (5, 5, 2))
            crop = image[:, y : y + ExactPerceptor.size, x : x + ExactPerceptor.size]
            found.append(crop.flip(2) if mirrored else crop)
    return torch.stack(found)


@pytest.fixture
def _in_double() -> Iterator[None]:
    """Adam divides by the gradient: rounding in single precision would move tokens of small gradients otherwise."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def soft_state() -> titoks.State:
    """Weights whose pictures keep within [0, 1], where TokenOpt does not clamp."""
    state = titoks.state(CONFIG)
    state["pixel_decoder.conv_out.weight"] *= 0.1
    state["pixel_decoder.conv_out.bias"] = torch.full((3,), 0.5)
    return state


@pytest.fixture(scope="module")
def network() -> TiTokNetwork:
    made = TiTokNetwork(CONFIG).eval().requires_grad_(False)
    made.load_state_dict(soft_state())
    return made


def generator(network: TiTokNetwork, batch: int = 2, **settings: Any) -> TiTokGenerator:
    sequence = (SequenceSettings(TOKENS, **settings),)
    return TiTokGenerator(network, batch, SIZE, GeneratorSettings("", SIDE, 1, sequence=sequence))


def reference(
    state: titoks.State,
    start: Tensor,
    noises: list[Tensor],
    objective: Callable[[Tensor, int], Tensor],
    epsilon: float = EPSILON,  # of which clipgen's own Adam has less than torch's
) -> tuple[list[dict[str, Tensor]], Tensor]:
    """TokenOpt's loop: what each step saw, and the final picture."""
    tokens = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([tokens], lr=LR, eps=epsilon)
    steps, average = [], start
    for i, noise in enumerate(noises):
        strength = 0.5 * (1 + math.cos(math.pi * min(1, 1.5 * i / (len(noises) - 1))))
        with torch.no_grad():
            tokens += NOISE * strength * noise
        optimizer.zero_grad()
        images = titoks.decode(state, titoks.quantise(state, tokens)[0], CONFIG)
        losses = objective(images, i) + REG * (tokens - start).square().mean((1, 2, 3))
        losses.sum().backward()
        assert tokens.grad is not None
        steps.append({"losses": losses.detach(), "gradient": tokens.grad.clone(), "images": images.detach()})
        optimizer.step()
        steps[-1]["tokens"] = tokens.detach().clone()
        average = EMA * average + (1 - EMA) * tokens.detach() if i else tokens.detach().clone()
    return steps, titoks.decode(state, titoks.quantise(state, average)[0], CONFIG).clamp(0, 1)


@pytest.mark.usefixtures("_in_double")
def test_five_steps_are_those_of_tokenopt() -> None:
    state, perceptor, network = soft_state(), ExactPerceptor(), TiTokNetwork(CONFIG).eval().requires_grad_(False)
    network.load_state_dict(state)
    made = generator(network, noise=NOISE, ema=EMA)
    photos = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
    made.start_from_images_(photos)
    start = titoks.encode(state, photos, CONFIG)
    wanted = perceptor.encode_texts(["red"])

    def similarity(images: Tensor, step: int) -> Tensor:
        seen = perceptor.encode_images(crops(images, SEEDS, step))
        return -(seen @ wanted.T).view(len(images), CROPS).mean(1)

    def cosine(moment: Moment) -> Tensor:
        return -(moment.vectors[0] @ wanted.T)[..., 0].mean(1)

    def embed(images: Tensor, drawn: AugmentationParameters, *_: object) -> tuple[Tensor, ...]:
        return (perceptor.encode_images(crops(images, drawn.seeds, drawn.step)).view(len(images), CROPS, -1),)

    targets = encode_targets([perceptor], [1.0], [parse_prompts("red")] * 2, [[["red"]]] * 2, CPU)
    held = LOSSES["init"](targets, None), Schedule.constant(REG)
    loop = Loop(
        generator=made,
        optimizer=LatentOptimizer(made.parameters(), [LR, LR]),
        objective=Objective({"prompt": (cosine, ALWAYS), "init": held}, targets, needs_maps=False),
        guides=[guide(perceptor)],
        cutouts=CutoutPlan(CROPS, SIZE, CutoutSettings()),
        lr_schedule=ALWAYS,
        seeds=SEEDS,
        total=STEPS,
        embed=embed,
    )
    shape = (12, 1, TOKENS)
    drawn = [[torch.randn(shape, generator=generator_for(seed, i, "tokens")) for seed in SEEDS] for i in range(STEPS)]
    steps, final = reference(state, start, [torch.stack(each) for each in drawn], similarity)
    assert min(float(each["images"].min()) for each in steps) > 0
    assert max(float(each["images"].max()) for each in steps) < 1
    for expected in steps:
        measured = loop.find_gradients()
        [latent] = made.parameters()
        assert latent.grad is not None
        torch.testing.assert_close(measured.losses.detach(), expected["losses"], rtol=1e-6, atol=0)
        scale = float(expected["gradient"].abs().max())
        torch.testing.assert_close(latent.grad, expected["gradient"], rtol=1e-6, atol=1e-8 * scale)
        loop.update()
        torch.testing.assert_close(latent.detach(), expected["tokens"], rtol=1e-6, atol=1e-8)
    made.set_step(STEPS, STEPS, SEEDS)
    torch.testing.assert_close(made.decode().detach(), final, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(made.tensors()["average"], latent, atol=1e-3)


@pytest.mark.usefixtures("_in_double")
def test_the_recipe_is_tokenopts_loop() -> None:
    """With CLIP, the crops that clipgen draws, and torch's own Adam."""
    state, network = soft_state(), TiTokNetwork(CONFIG).eval().requires_grad_(False)
    network.load_state_dict(state)
    clip = references.clip(CLIP).requires_grad_(False)
    row = PerceptorSettings("clip/random", distance="cosine")
    perceptor = build_perceptor(Checkpoint("clip", CLIP, clip.state_dict())).eval().requires_grad_(False)
    asked = plan("a red cup", backend="titok", recipe="tokenopt", steps=STEPS, cutouts=CROPS, seed=SEEDS[0])
    asked = replace(
        asked, size=SIZE, generator=replace(asked.generator, stride=SIDE, sequence=(SequenceSettings(TOKENS),))
    )
    asked = replace(asked, perceptors=(row,), judges=(), readings=()).with_loss("init", REG)
    run = Run([asked], Models(network, (Guide(perceptor.by("cosine"), row),), CPU))
    [latent] = run.loop.generator.parameters()
    wanted = clip.encode_text(open_clip.get_tokenizer("ViT-B-32")(["a red cup"]), normalize=True)

    def objective(images: Tensor, step: int) -> Tensor:
        views = own_crops(asked, images, step) - torch.tensor(peers.MEAN)[:, None, None]
        seen = clip.encode_image(views / torch.tensor(peers.STD)[:, None, None], normalize=True)
        return 1 - (seen @ wanted.T).mean()[None]

    steps, _ = reference(state, latent.detach(), [torch.zeros(1)] * STEPS, objective, 1e-8)
    for expected in steps:
        [step] = run.find_gradients()
        assert latent.grad is not None
        torch.testing.assert_close(step.loss[None], expected["losses"], rtol=1e-9, atol=0)
        scale = float(expected["gradient"].abs().max())
        torch.testing.assert_close(latent.grad, expected["gradient"], rtol=1e-7, atol=1e-9 * scale)
        run.update()
        torch.testing.assert_close(latent.detach(), expected["tokens"], rtol=1e-7, atol=1e-9)


def own_crops(asked: Plan, images: Tensor, step: int) -> Tensor:
    """The crops of 7/8 of the side that clipgen draws, mirrored where it mirrors them."""
    drawn = peer_cutouts.draw(asked.seed, step, CROPS, asked.size, ExactPerceptor.size, asked.augmentations, CPU)
    [group] = drawn.groups
    mirrored = group.chain[0]["batch_prob"].bool().tolist()
    cut = [images[0, :, top : top + size, left : left + size] for size, left, top in group.crops]
    return torch.stack([crop.flip(2) if flip else crop for crop, flip in zip(cut, mirrored, strict=True)])


@pytest.mark.parametrize("total", [1, 2, 7, 300])
def test_the_noise_falls_to_nothing_at_two_thirds_of_the_run(total: int) -> None:
    strengths = [fading(step, total) for step in range(total + 1)]
    assert strengths[0] == 1
    assert strengths == sorted(strengths, reverse=True)
    assert all(value == 0 for step, value in enumerate(strengths) if total > 1 and 1.5 * step >= total - 1)
    assert strengths[-1] == 0


def moved(made: TiTokGenerator, seeds: tuple[int, ...], steps: range, total: int = 6) -> None:
    """Make some steps towards red."""
    optimizer = torch.optim.Adam(made.parameters(), lr=0.1)
    for step in steps:
        made.set_step(step, total, seeds)
        optimizer.zero_grad()
        (-made.decode()[:, 0]).mean((1, 2)).sum().backward()
        optimizer.step()
        made.project_()


def test_a_step_that_is_computed_again_has_the_same_noise_once(network: TiTokNetwork) -> None:
    once, again = (generator(network, noise=0.3) for _ in range(2))
    for made in (once, again):
        made.start_from_noise_(SEEDS)
        made.set_step(0, 9, SEEDS)
    first = again.decode()
    again.set_step(0, 9, SEEDS)
    assert torch.equal(again.decode(), first)
    start = again.tensors()["start"]
    for made in (once, again):
        made.project_()
    tokens = again.tensors()["tokens"]
    assert torch.equal(tokens, once.tensors()["tokens"])
    assert float((tokens - start).detach().std()) == pytest.approx(0.3, rel=0.2)


def test_pictures_made_together_are_those_made_alone_with_noise_and_average(network: TiTokNetwork) -> None:
    together = generator(network, noise=0.2, ema=0.9)
    together.start_from_noise_(SEEDS)
    moved(together, SEEDS, range(6))
    together.set_step(6, 6, SEEDS)
    for row, seed in enumerate(SEEDS):
        alone = generator(network, 1, noise=0.2, ema=0.9)
        alone.start_from_noise_([seed])
        moved(alone, (seed,), range(6))
        alone.set_step(6, 6, (seed,))
        assert torch.equal(together.decode()[row : row + 1], alone.decode())
        for name, tensor in alone.tensors().items():
            assert torch.equal(together.tensors()[name][row : row + 1], tensor)


def test_the_final_picture_is_that_of_the_average_and_the_others_are_not(network: TiTokNetwork) -> None:
    made, plain = generator(network, ema=0.95), generator(network)
    for each in (made, plain):
        each.start_from_noise_(SEEDS)
        moved(each, SEEDS, range(6))
        each.set_step(5, 6, SEEDS)
    assert torch.equal(made.decode(), plain.decode())
    for each in (made, plain):
        each.set_step(6, 6, SEEDS)
    assert not torch.equal(made.decode(), plain.decode())
    assert torch.equal(plain.tensors()["average"], plain.tensors()["tokens"])


def test_before_the_first_step_the_average_is_the_start(network: TiTokNetwork) -> None:
    made = generator(network, ema=0.95)
    made.start_from_noise_(SEEDS)
    first = made.decode()
    made.set_step(6, 6, SEEDS)
    assert torch.equal(made.decode(), first)


def test_a_run_starts_at_random_codes_at_given_ones_or_at_those_of_a_picture(network: TiTokNetwork) -> None:
    made = generator(network)
    assert isinstance(made, Encoder)
    made.start_from_noise_((1, 1))
    tokens = made.tensors()["tokens"]
    assert torch.equal(tokens[0], tokens[1])
    torch.testing.assert_close(tokens.norm(dim=1), torch.ones(2, 1, TOKENS))
    codes = torch.arange(2 * TOKENS).view(2, 1, TOKENS)
    made.start_from_tokens_(codes)
    torch.testing.assert_close(made.decode().detach(), network.images_of(codes), rtol=1e-5, atol=1e-5)
    photos = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(6))
    made.start_from_images_(photos)
    torch.testing.assert_close(
        made.decode().detach(), network.images_of(network.codes_of(photos)), rtol=1e-5, atol=1e-5
    )
    before = made.reencode_(photos.flip(3), 0.5)
    torch.testing.assert_close(before, network.encode(photos) - network.encode(photos.flip(3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made.distance_to_start(), (before - 0.5).square().mean((1, 2, 3)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "tokens", "said"),
    [((64, 64), TOKENS, "makes pictures of 32x32 only, got 64x64"), (SIZE, 5, "makes pictures of 6 tokens only")],
)
def test_no_other_size_or_number_of_tokens_is_made(
    network: TiTokNetwork, size: tuple[int, int], tokens: int, said: str
) -> None:
    settings = GeneratorSettings("", SIDE, 1, sequence=(SequenceSettings(tokens),))
    with pytest.raises(UsageError, match=said):
        TiTokGenerator(network, 1, size, settings)
