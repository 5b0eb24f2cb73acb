"""The weights in the package do what the project says of them. Pictures are fresh: no recipe trains on their seeds."""

from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from clipgen import generate, weights
from clipgen.config.presets import PRESETS, CutoutSettings
from clipgen.core.cutouts import draw_views
from clipgen.core.guidance import see_in_parts
from clipgen.core.losses import roughness
from clipgen.generators.networks import VQGANNetwork, build_network
from clipgen.perceptors.clip import Perceptor, build_perceptor
from clipgen.starter.evaluation import JUDGE, embed
from clipgen.starter.train.data import drawn_set, truths
from clipgen.starter.train.features import features
from clipgen.starter.train.painting import latents, painted
from clipgen.starter.train.reconstruction import quality
from clipgen.starter.train.zero_shot import zero_shot
from clipgen.starter.unclip.coarse import Sketcher, build_sketcher
from clipgen.starter.unclip.decoder import build_painter
from clipgen.starter.unclip.imagination import Imaginer
from clipgen.starter.unclip.prior import FeaturePrior, build_feature_prior
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
def judge() -> Perceptor:
    return frozen(build_perceptor(load(JUDGE)))


def test_files_are_small_and_say_how_they_were_made() -> None:
    paths = [weights.find(name) for name in NAMES]
    assert all(path.stat().st_size <= 16 * MEBIBYTE for path in paths)
    assert sum(path.stat().st_size for path in paths) <= 40 * MEBIBYTE
    for path in paths:
        assert {"recipe", "steps", "seed"} <= set(weights.read(path).recipe)


@pytest.mark.parametrize("name", GUIDES)
def test_guides_and_judge_are_of_different_architecture_and_seed(name: str) -> None:
    guide, judge = (weights.read(weights.find(path)) for path in (name, JUDGE))
    assert guide.config["vision_cfg"] != judge.config["vision_cfg"]
    assert guide.recipe["seed"] != judge.recipe["seed"]


def test_the_judge_names_what_fresh_pictures_show(judge: Perceptor, data: Path) -> None:
    """Of combinations that it was never trained on."""
    scores = zero_shot(judge, data, count=400, seed=77, held=True)
    assert scores["noun_plain"] >= 0.95
    assert scores["noun_styled"] >= 0.9
    assert scores["colour"] >= 0.95
    assert scores["style"] >= 0.98
    assert scores["relation"] >= 0.7


@pytest.fixture(scope="session")
def guides() -> list[Perceptor]:
    return [frozen(build_perceptor(load(name))) for name in GUIDES]


@pytest.fixture(scope="session")
def sketcher() -> Sketcher:
    return frozen(build_sketcher(load("starter/sketcher")))


@pytest.fixture(scope="session")
def network() -> VQGANNetwork:
    network = frozen(build_network(load("starter/vqgan")))
    assert isinstance(network, VQGANNetwork)
    return network


@pytest.fixture(scope="session")
def prior() -> FeaturePrior:
    return frozen(build_feature_prior(load("starter/feature-prior")))


@pytest.fixture(scope="session")
def seen(guides: list[Perceptor], prior: FeaturePrior, data: Path) -> Tensor:
    """Features (32, E) of drawn pictures that no model learned from."""
    return features(guides, prior, drawn_set(data, 32, 128, seed=96))[:32].float()


def test_the_prior_knows_what_fresh_pictures_show(guides: list[Perceptor], prior: FeaturePrior, seen: Tensor) -> None:
    """It takes noise off them better when told the noun that they show than when told that of another picture."""
    nouns = [truth.noun for truth in truths(96, 32)]
    texts = torch.cat([guide.read_texts([f"a {noun}" for noun in nouns]) for guide in guides], 2)
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


@pytest.mark.parametrize("wearer", ["giraffe", "snowman", "elephant", "robot"])
def test_the_colour_of_what_is_worn_is_not_its_wearers(
    guides: list[Perceptor], prior: FeaturePrior, sketcher: Sketcher, wearer: str
) -> None:
    noise = torch.randn(16, prior.length, generator=torch.Generator().manual_seed(0))

    def sketched(text: str) -> Tensor:
        read = torch.cat([guide.read_texts([text]) for guide in guides], 2)
        sketches: Tensor = sketcher(prior.imagine(read, torch.ones(1), noise, 4.0))
        return sketches

    texts = (f"a {wearer}", f"a {wearer} wearing a red scarf", f"a red {wearer}")
    nothing, scarf, everything = (reds(sketched(text)) for text in texts)
    assert 2 * nothing < scarf < 0.6 * everything


def test_a_sketch_is_nearer_to_its_picture_than_to_others(sketcher: Sketcher, seen: Tensor, data: Path) -> None:
    sketches = sketcher(seen)
    pictures = torch.from_numpy(np.array(drawn_set(data, 32, 128, seed=96))).permute(0, 3, 1, 2) / 255
    pictures = interpolate(pictures, sketches.shape[2:], mode="area")
    errors = (sketches[:, None] - pictures).abs().mean((2, 3, 4))
    assert (errors.argmin(1) == torch.arange(32)).float().mean() >= 0.9
    assert errors.diagonal().mean() < 0.1


def test_a_painting_shows_the_judge_what_a_sketch_leaves_open(
    guides: list[Perceptor],
    prior: FeaturePrior,
    sketcher: Sketcher,
    network: VQGANNetwork,
    seen: Tensor,
    judge: Perceptor,
) -> None:
    sketches = sketcher(seen).clamp(0, 1)
    painter = frozen(build_painter(load("starter/painter")))
    imaginer = Imaginer(prior, sketcher, painter, painter, network)
    noise = torch.randn(len(seen), *painter.shape, generator=torch.Generator().manual_seed(0))
    titles = [f"a {truth.noun}" for truth in truths(96, 32)]
    texts = torch.cat([guide.encode_texts(titles) for guide in guides], 1)
    each = zip(*(tensor.split(1) for tensor in (seen, sketches, texts, noise)), strict=True)
    paintings = torch.cat([imaginer.paint(*told, torch.ones(1), some, 1.0) for *told, some in each])
    cosines = [
        (judge.encode_images(judge.whole(images)) * judge.encode_texts(titles)).sum(1)
        for images in (sketches, paintings)
    ]
    assert (cosines[1] - cosines[0]).mean() > 0.04


def test_upsampling_adds_the_detail_of_pictures_of_twice_the_size_and_changes_little_else(
    guides: list[Perceptor],
    prior: FeaturePrior,
    sketcher: Sketcher,
    network: VQGANNetwork,
    seen: Tensor,
    data: Path,
) -> None:
    upsampler = frozen(build_painter(load("starter/upsampler")))
    imaginer = Imaginer(prior, sketcher, upsampler, upsampler, network)
    cpu, count = torch.device("cpu"), 8
    small, wanted = (
        torch.from_numpy(painted(network, latents(network, drawn_set(data, count, size, seed=96), cpu)[:count], cpu))
        / 255
        for size in (128, 256)
    )
    titles = [f"a {truth.noun}" for truth in truths(96, count)]
    texts = torch.cat([guide.encode_texts(titles) for guide in guides], 1)
    noise = torch.randn(count, *upsampler.shape, generator=torch.Generator().manual_seed(0))
    each = zip(*(tensor.split(1) for tensor in (seen[:count], small, texts, noise)), strict=True)
    large = torch.cat([imaginer.upsample(*told, torch.ones(1), some, 1.0) for *told, some in each])
    rough, wanted_rough, smooth = (roughness(images).mean() for images in (large, wanted, resized(small, (256, 256))))
    assert smooth < 0.7 * wanted_rough
    assert 0.8 * wanted_rough < rough < 1.25 * wanted_rough
    assert (resized(large, (128, 128)) - small).abs().mean() < 0.05


@pytest.mark.parametrize(("name", "decibels"), [("vqgan", 21.5), ("dvae", 19.5)])
def test_autoencoders_give_fresh_pictures_back(name: str, decibels: float, data: Path) -> None:
    scores = quality(frozen(build_network(load(f"starter/{name}"))), data, count=16)
    assert scores["psnr"] >= decibels
    assert scores["perplexity"] >= 100


@pytest.mark.usefixtures("quick_imagination")
@pytest.mark.parametrize("backend", ["vqgan", "dvae"])
def test_a_short_run_shows_the_judge_what_was_asked_for(backend: str, judge: Perceptor) -> None:
    prompts = ["a red heart", "the sea at night", "a green tree"]
    pictures = [generate(prompt, backend=backend, steps=12, size=(128, 128)).image for prompt in prompts]
    cosines = embed(pictures, judge) @ judge.encode_texts(prompts).T
    own = cosines.diagonal()
    others = (cosines.sum(1) - own) / 2
    assert (own - others).mean() > 0.15


@pytest.mark.parametrize("name", [*GUIDES, JUDGE])
def test_views_seen_in_parts_give_the_gradient_of_all_at_once(name: str) -> None:
    perceptor, settings = frozen(build_perceptor(load(name))), CutoutSettings()
    slopes = []
    for count in (5, 2):
        images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0), requires_grad=True)
        parts = see_in_parts(images, draw_views([1], 3, 5, (96, 96), settings), [perceptor], count)
        aim = torch.linspace(-1, 1, parts[0].shape[-1])
        slopes.append(torch.autograd.grad((parts[0] * aim).sum(), images)[0])
    assert (slopes[1] - slopes[0]).norm() <= 1e-6 * slopes[0].norm()


@pytest.mark.usefixtures("quick_imagination")
@pytest.mark.parametrize("backend", ["vqgan", "dvae"])
def test_the_same_job_gives_the_same_pixels(backend: str) -> None:
    torch.manual_seed(1)
    first = generate("a cat", backend=backend, steps=3, cutouts=4, size=(96, 64), seed=5)
    torch.manual_seed(2)
    again = generate(first.job)
    assert first.image.size == (96, 64)
    assert first.image.tobytes() == again.image.tobytes()
