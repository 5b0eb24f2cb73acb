"""The weights in the package do what the project says of them. Pictures are fresh: no recipe trains on their seeds."""

from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from clipgen import generate, weights
from clipgen.config.presets import PRESETS
from clipgen.config.settings import CutoutSettings
from clipgen.core.cutouts import draw_parameters
from clipgen.engine.memory import MicroBatches
from clipgen.engine.microbatch import embedding
from clipgen.generators.networks import VQGANNetwork, build_network
from clipgen.judge.score import embed
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.starter.evaluation import JUDGE
from clipgen.starter.train.data import drawn_set, truths
from clipgen.starter.train.decoder import decoded, latents
from clipgen.starter.train.prior import features
from clipgen.starter.train.reconstruction import quality
from clipgen.starter.train.zero_shot import zero_shot
from clipgen.starter.unclip.coarse_decoder import build_coarse_decoder
from clipgen.starter.unclip.decoder import build_decoder
from clipgen.starter.unclip.prior import Prior, build_prior
from clipgen.starter.unclip.sampler import Method
from clipgen.starter.unclip.unclip import Unclip
from clipgen.steering.losses import total_variation
from clipgen.util.images import resized
from clipgen.weights.loader import load

GUIDES = tuple(row.weights for row in PRESETS["starter"].perceptors)
NAMES = (
    *GUIDES,
    JUDGE,
    "starter/vqgan",
    "starter/dvae",
    "starter/feature-prior",
    "starter/sketcher",
    "starter/painter",
    "starter/upsampler",
    "starter/token-prior",
)
MEBIBYTE = 2**20
Module = TypeVar("Module", bound=nn.Module)


def frozen(module: Module) -> Module:
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for drawn pictures."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def judge() -> CLIPPerceptor:
    return frozen(build_perceptor(load(JUDGE)))


def test_files_are_small_and_say_how_they_were_made() -> None:
    paths = [weights.find(name) for name in NAMES]
    assert all(path.stat().st_size <= 16 * MEBIBYTE for path in paths)
    assert sum(path.stat().st_size for path in paths) <= 52 * MEBIBYTE
    for path in paths:
        assert {"recipe", "steps", "seed"} <= set(weights.read(path).recipe)


@pytest.mark.parametrize("name", GUIDES)
def test_guides_and_judge_are_of_different_architecture_and_seed(name: str) -> None:
    guide, judge = (weights.read(weights.find(path)) for path in (name, JUDGE))
    assert guide.config["vision_cfg"] != judge.config["vision_cfg"]
    assert guide.recipe["seed"] != judge.recipe["seed"]


@pytest.mark.slow
def test_the_judge_names_what_fresh_pictures_show(judge: CLIPPerceptor, data: Path) -> None:
    """Of combinations that it was never trained on."""
    scores = zero_shot(judge, data, count=400, seed=77, held=True)
    assert scores["noun_plain"] >= 0.95
    assert scores["noun_styled"] >= 0.9
    assert scores["colour"] >= 0.95
    assert scores["style"] >= 0.98
    assert scores["relation"] >= 0.7


@pytest.fixture(scope="session")
def prior() -> Prior:
    return frozen(build_prior(load("starter/feature-prior")))


@pytest.fixture(scope="session")
def seen(prior: Prior, data: Path) -> Tensor:
    """Features (32, E) of drawn pictures that no model learned from."""
    guides = [frozen(build_perceptor(load(name))) for name in GUIDES]
    return features(guides, prior, drawn_set(data, 32, 128, seed=96))[:32].float()


@pytest.mark.slow
def test_the_prior_knows_what_fresh_pictures_show(prior: Prior, seen: Tensor) -> None:
    """It denoises them better with the noun that they show than with that of another picture."""
    nouns = [truth.noun for truth in truths(96, 32)]
    guides = [frozen(build_perceptor(load(name))) for name in GUIDES]
    texts = torch.cat([guide.text_states([f"a {noun}" for noun in nouns]) for guide in guides], 2)
    clean, random = (seen - prior.mean) / prior.std, torch.Generator().manual_seed(0)
    errors = torch.zeros(32, 32)
    for noise in torch.randn(4, prior.length, generator=random):
        for k, text in enumerate(texts):
            denoised = prior.denoise(clean + noise, torch.ones(32), text.expand(32, -1, -1))
            errors[:, k] += (denoised - clean).square().mean(1)
    others = torch.tensor([[one != other for other in nouns] for one in nouns])
    assert ((errors.diagonal()[:, None] < errors) | ~others).float().mean() >= 0.9


def reds(images: Tensor) -> float:
    """Which share of the pixels of images (B, 3, H, W) is red."""
    return float(((images[:, 0] > 0.5) & (images[:, 1:].amax(1) < 0.7 * images[:, 0])).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize("wearer", ["giraffe", "snowman", "elephant", "robot"])
def test_the_colour_of_what_is_worn_is_not_its_wearers(prior: Prior, wearer: str) -> None:
    guides = [frozen(build_perceptor(load(name))) for name in GUIDES]
    coarse_decoder = frozen(build_coarse_decoder(load("starter/sketcher")))
    noise = torch.randn(16, prior.length, generator=torch.Generator().manual_seed(0))

    def drawn(text: str) -> Tensor:
        states = torch.cat([guide.text_states([text]) for guide in guides], 2)
        pictures: Tensor = coarse_decoder(prior.sample(states, torch.ones(1), noise, Method(4.0)))
        return pictures

    texts = (f"a {wearer}", f"a {wearer} wearing a red scarf", f"a red {wearer}")
    nothing, scarf, everything = (reds(drawn(text)) for text in texts)
    assert 2 * nothing < scarf < 0.6 * everything


def test_a_coarse_picture_is_nearer_to_its_picture_than_to_others(seen: Tensor, data: Path) -> None:
    coarse = frozen(build_coarse_decoder(load("starter/sketcher")))(seen)
    pictures = torch.from_numpy(np.array(drawn_set(data, 32, 128, seed=96))).permute(0, 3, 1, 2) / 255
    pictures = interpolate(pictures, coarse.shape[2:], mode="area")
    errors = (coarse[:, None] - pictures).abs().mean((2, 3, 4))
    assert (errors.argmin(1) == torch.arange(32)).float().mean() >= 0.9
    assert errors.diagonal().mean() < 0.1


@pytest.mark.slow
def test_a_decoded_picture_shows_the_judge_what_a_coarse_one_leaves_open(
    prior: Prior, seen: Tensor, judge: CLIPPerceptor
) -> None:
    guides = [frozen(build_perceptor(load(name))) for name in GUIDES]
    coarse_decoder = frozen(build_coarse_decoder(load("starter/sketcher")))
    coarse = coarse_decoder(seen).clamp(0, 1)
    decoder, network = frozen(build_decoder(load("starter/painter"))), frozen(build_network(load("starter/vqgan")))
    assert isinstance(network, VQGANNetwork)
    unclip = Unclip(prior, coarse_decoder, decoder, decoder, network)
    noise = torch.randn(len(seen), *decoder.shape, generator=torch.Generator().manual_seed(0))
    titles = [f"a {truth.noun}" for truth in truths(96, 32)]
    texts = torch.cat([guide.encode_texts(titles) for guide in guides], 1)
    each = zip(*(tensor.split(1) for tensor in (seen, coarse, texts, noise)), strict=True)
    pictures = torch.cat([unclip.decode(*given, torch.ones(1), some, Method()) for *given, some in each])
    cosines = [
        (judge.encode_images(judge.whole(images)) * judge.encode_texts(titles)).sum(1) for images in (coarse, pictures)
    ]
    assert (cosines[1] - cosines[0]).mean() > 0.04


@pytest.mark.slow
def test_upsampling_adds_the_detail_of_pictures_of_twice_the_size_and_changes_little_else(
    prior: Prior, seen: Tensor, data: Path
) -> None:
    network, upsampler = frozen(build_network(load("starter/vqgan"))), frozen(build_decoder(load("starter/upsampler")))
    assert isinstance(network, VQGANNetwork)
    unclip = Unclip(prior, frozen(build_coarse_decoder(load("starter/sketcher"))), upsampler, upsampler, network)
    cpu, count = torch.device("cpu"), 8
    small, wanted = (
        torch.from_numpy(decoded(network, latents(network, drawn_set(data, count, size, seed=96), cpu)[:count], cpu))
        / 255
        for size in (128, 256)
    )
    guides = [frozen(build_perceptor(load(name))) for name in GUIDES]
    titles = [f"a {truth.noun}" for truth in truths(96, count)]
    texts = torch.cat([guide.encode_texts(titles) for guide in guides], 1)
    noise = torch.randn(count, *upsampler.shape, generator=torch.Generator().manual_seed(0))
    each = zip(*(tensor.split(1) for tensor in (seen[:count], small, texts, noise)), strict=True)
    large = torch.cat([unclip.upsample(*given, torch.ones(1), some, Method()) for *given, some in each])
    rough, wanted_rough, smooth = (
        total_variation(images).mean() for images in (large, wanted, resized(small, (256, 256)))
    )
    assert smooth < 0.7 * wanted_rough
    assert 0.8 * wanted_rough < rough < 1.25 * wanted_rough
    assert (resized(large, (128, 128)) - small).abs().mean() < 0.05


@pytest.mark.parametrize(("name", "decibels"), [("vqgan", 21.5), ("dvae", 19.5)])
def test_autoencoders_give_fresh_pictures_back(name: str, decibels: float, data: Path) -> None:
    scores = quality(frozen(build_network(load(f"starter/{name}"))), data, count=16)
    assert scores["psnr"] >= decibels
    assert scores["perplexity"] >= 100


@pytest.mark.usefixtures("quick_proposals")
@pytest.mark.parametrize("backend", ["vqgan", pytest.param("dvae", marks=pytest.mark.slow)])
def test_a_short_run_shows_the_judge_what_was_asked_for(backend: str, judge: CLIPPerceptor) -> None:
    prompts = ["a red heart", "the sea at night", "a green tree"]
    pictures = [generate(prompt, backend=backend, steps=12, size=(128, 128)).image for prompt in prompts]
    cosines = embed(pictures, judge) @ judge.encode_texts(prompts).T
    own = cosines.diagonal()
    others = (cosines.sum(1) - own) / 2
    assert (own - others).mean() > 0.15


@pytest.mark.parametrize("name", [*GUIDES, JUDGE])
def test_cutouts_seen_in_parts_give_the_gradient_of_all_at_once(name: str) -> None:
    perceptor, settings = frozen(build_perceptor(load(name))), CutoutSettings()
    slopes = []
    for count in (5, 2):
        images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0), requires_grad=True)
        parameters = draw_parameters([1], 3, 5, (96, 96), settings)
        parts = embedding(MicroBatches(count))(images, parameters, [perceptor], False)
        aim = torch.linspace(-1, 1, parts[0].shape[-1])
        slopes.append(torch.autograd.grad((parts[0] * aim).sum(), images)[0])
    assert (slopes[1] - slopes[0]).norm() <= 1e-6 * slopes[0].norm()


@pytest.mark.slow
@pytest.mark.usefixtures("quick_proposals")
@pytest.mark.parametrize("backend", ["vqgan", pytest.param("dvae", marks=pytest.mark.slow)])
def test_the_same_job_gives_the_same_pixels(backend: str) -> None:
    torch.manual_seed(1)
    first = generate("a cat", backend=backend, steps=3, cutouts=4, size=(96, 64), seed=5)
    torch.manual_seed(2)
    again = generate(first.plan)
    assert first.image.size == (96, 64)
    assert first.image.tobytes() == again.image.tobytes()
