"""TiTok's network computes what its paper and its published files mean, and reads these files."""

from pathlib import Path
from typing import Any

import pytest
import titoks
import torch
from titoks import CONFIG

from clipgen.errors import ClipgenError, UsageError
from clipgen.generators.maskgit_layers import MaskGITDecoder, MaskGITEncoder
from clipgen.generators.networks import build_network
from clipgen.generators.titok_network import TiTokNetwork
from clipgen.generators.tokens import Tokenizer
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.conversion import convert
from clipgen.weights.guessing import guess_titok

PUBLISHED = {name: record for name, record in RECORDS.items() if record.kind == "titok"}


@pytest.fixture(scope="module")
def state() -> titoks.State:
    return titoks.state(CONFIG)


@pytest.fixture(scope="module")
def network(state: titoks.State) -> TiTokNetwork:
    made = TiTokNetwork(CONFIG).eval().requires_grad_(False)
    made.load_state_dict(state)
    return made


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(3, 3, titoks.SIDE, titoks.SIDE, generator=torch.Generator().manual_seed(1))


def test_the_network_has_the_tensors_of_the_files() -> None:
    assert {name: tuple(value.shape) for name, value in TiTokNetwork(CONFIG).state_dict().items()} == titoks.shapes(
        CONFIG
    )


def test_encoder_quantiser_and_decoder_are_those_of_the_formulas(
    network: TiTokNetwork, state: titoks.State, images: torch.Tensor
) -> None:
    latents = titoks.encode(state, images, CONFIG)
    torch.testing.assert_close(network.encode(images), latents, rtol=1e-5, atol=1e-5)
    assert latents.std() > 0.1
    latents = torch.cat([latents, torch.randn(latents.shape, generator=torch.Generator().manual_seed(3))])
    codes, indices = titoks.quantise(state, latents)
    torch.testing.assert_close(network.straight_through(latents), codes)
    assert torch.equal(network.nearest(latents), indices)
    assert indices.unique().numel() > 3
    drawn = titoks.decode(state, codes, CONFIG)
    torch.testing.assert_close(network.decode(codes), drawn, rtol=1e-4, atol=1e-4)
    assert drawn.std(0).mean() > 0.01  # pictures of other codes differ


@pytest.mark.parametrize(("multipliers", "count"), [([1, 1, 2, 2], 1), ([1, 2], 2)])
def test_the_parts_of_maskgits_vqgan_are_those_of_the_formulas(multipliers: list[int], count: int) -> None:
    config = {"ch": 32, "ch_mult": multipliers, "num_res_blocks": count, "z_channels": 8}
    numbers = torch.Generator().manual_seed(4)
    parts: list[tuple[torch.nn.Module, Any, torch.Tensor]] = [
        (MaskGITEncoder(config), titoks.see, torch.rand(2, 3, 16, 24, generator=numbers)),
        (MaskGITDecoder(config), titoks.draw, torch.randn(2, 8, 2, 3, generator=numbers)),
    ]
    for module, formula, given in parts:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=numbers))
            weights = {f"x.{name}": value for name, value in module.state_dict().items()}
            torch.testing.assert_close(module(given), formula(weights, given, config, "x"), rtol=1e-4, atol=1e-4)


def test_the_gradient_of_the_latents_is_that_of_the_formulas(network: TiTokNetwork, state: titoks.State) -> None:
    numbers = torch.Generator().manual_seed(2)
    start = torch.randn(2, 12, 1, titoks.TOKENS, generator=numbers)
    weights = torch.randn(2, 3, titoks.SIDE, titoks.SIDE, generator=numbers)
    gradients = []
    for compute in (
        lambda z: network.decode(network.straight_through(z)),
        lambda z: titoks.decode(state, titoks.quantise(state, z)[0], CONFIG),
    ):
        latent = start.clone().requires_grad_()
        (compute(latent) * weights).sum().backward()
        assert latent.grad is not None
        gradients.append(latent.grad)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)
    assert gradients[0].abs().max() > 0.01


def test_only_the_direction_of_a_latent_matters(network: TiTokNetwork, images: torch.Tensor) -> None:
    latents = network.encode(images)
    torch.testing.assert_close(network.straight_through(7 * latents), network.straight_through(latents))


def test_codes_go_round(network: TiTokNetwork, images: torch.Tensor) -> None:
    assert isinstance(network, Tokenizer)
    codes = network.codes_of(images)
    assert codes.shape == (3, 1, titoks.TOKENS)
    assert len(codes.unique(dim=0)) > 1
    assert torch.equal(network.nearest(network.lookup(codes)), codes)
    drawn = network.images_of(codes)
    assert drawn.shape == images.shape
    assert 0 <= drawn.min() <= drawn.max() <= 1


@pytest.mark.parametrize("record", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_a_published_network_is_as_large_as_its_file(record: Any) -> None:
    with torch.device("meta"):
        network = TiTokNetwork(record.config)
    state = network.state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == titoks.shapes(record.config)
    assert guess_titok(state, "x") == record.config
    size = sum(4 * value.numel() for value in state.values())
    assert size / 10**6 == pytest.approx(record.megabytes, rel=0.002)
    assert network.encoder.latent_token_positional_embedding.shape[0] == int(record.name.split("-")[-1])


@pytest.mark.parametrize("name", ["x.bin", "x.safetensors"])
def test_a_file_of_the_authors_is_read_to_the_last_bit(name: str, tmp_path: Path, state: titoks.State) -> None:
    path = titoks.save(state, tmp_path / name)
    made = build_network(convert(path, "titok", CONFIG)).state_dict()
    assert all(torch.equal(made[key], value) for key, value in state.items())
    assert guess_titok(state, name) == CONFIG


def test_a_network_that_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ClipgenError, match="must be a multiple of 8 and 8, got 36"):
        TiTokNetwork({**CONFIG, "side": 36})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("pixel_quantize.embedding.weight"), "no TiTok in it that ends in pixels"),
        (lambda state: state.pop("encoder.patch_embed.weight"), "encoder.patch_embed.weight is not among its tensors"),
        (lambda state: state.update({"quantize.embedding.weight": torch.zeros(3)}), "its tensors have other shapes"),
        (lambda state: state.update({"encoder.patch_embed.weight": torch.zeros(3)}), "its tensors have other shapes"),
    ],
)
def test_what_is_no_titok_is_refused_by_name(change: Any, said: str, state: titoks.State) -> None:
    other = dict(state)
    change(other)
    with pytest.raises(UsageError, match=said) as caught:
        guess_titok(other, "mine.bin")
    assert "mine.bin" in str(caught.value)
