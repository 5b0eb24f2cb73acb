"""VQGANs trained as image tokenizers: their files become networks that do what their authors' do, and guide runs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pretrained
import pytest
import references
import tokenizer_files as published
import torch
from fakes import Cli
from PIL import Image
from torch import Tensor

from clipgen.config.settings import GeneratorSettings
from clipgen.errors import UsageError
from clipgen.generators.networks import VQGANNetwork, build_network
from clipgen.generators.vqgan import VQGANGenerator
from clipgen.weights.autoencoder_layouts import as_taming
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.conversion import convert
from clipgen.weights.guessing import guess_vqgan
from clipgen.weights.imports import import_autoencoder
from clipgen.weights.loader import load
from clipgen.weights.tokenizers import TOKENIZERS

cli, files, server = pretrained.cli, pretrained.files, pretrained.server  # fixtures

Choice = Callable[[Any, Tensor], tuple[Tensor, Tensor]]
SORTS: dict[str, tuple[dict[str, Any], Choice]] = {
    "llamagen": (published.LLAMAGEN, published.by_cosine),
    "ibq": (published.IBQ, published.by_dot_product),
}
RECORD = {"llamagen": "vqgan/llamagen-f16-16384", "ibq": "vqgan/ibq-f16-1024"}


def saved(sort: str, path: Path) -> Any:
    """Write a file of this sort; returns the model whose weights are meant."""
    torch.manual_seed(0)
    model = published.vqgan(SORTS[sort][0])
    if sort == "llamagen":
        published.save_llamagen(model, path)
        return model
    averages = published.vqgan(SORTS[sort][0])
    published.save_ibq(model, averages, path)
    return averages


def network_of(sort: str, path: Path) -> VQGANNetwork:
    network = build_network(convert(path, "vqgan", SORTS[sort][0], averaged=sort == "ibq")).eval()
    assert isinstance(network, VQGANNetwork)
    return network.requires_grad_(False)


@pytest.mark.parametrize("sort", SORTS)
def test_codes_and_pictures_are_those_of_the_authors(sort: str, tmp_path: Path) -> None:
    model = saved(sort, tmp_path / "a.pt")
    network, pictures = network_of(sort, tmp_path / "a.pt"), torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        chosen, vectors = SORTS[sort][1](model, published.features(model, pictures))
        assert torch.equal(network.codes_of(pictures), chosen)
        assert torch.allclose(network.lookup(chosen), vectors, atol=1e-6)
        drawn = (model.decode(vectors) + 1) / 2
        assert torch.allclose(network.decode(vectors), drawn, atol=1e-6)
        assert torch.allclose(network.images_of(chosen), drawn.clamp(0, 1), atol=1e-5)


@pytest.mark.parametrize("sort", SORTS)
def test_another_rule_would_choose_other_codes(sort: str, tmp_path: Path) -> None:
    model = saved(sort, tmp_path / "a.pt")
    usual = build_network(replace(convert(tmp_path / "a.pt", "vqgan", SORTS[sort][0]), config=plain(sort))).eval()
    assert isinstance(usual, VQGANNetwork)
    pictures = torch.rand(4, 3, 64, 64)
    chosen, _ = SORTS[sort][1](model, 3 * published.features(model, pictures))
    assert not torch.equal(usual.nearest(3 * published.features(model, pictures)), chosen)


def plain(sort: str) -> dict[str, Any]:
    return {name: value for name, value in SORTS[sort][0].items() if name != "quantizer"}


@pytest.mark.parametrize("sort", SORTS)
def test_a_users_own_file_tells_what_it_is(sort: str, own_folder: None) -> None:
    saved(sort, Path("mine.pt"))
    config = load(import_autoencoder("vqgan", Path("mine.pt"))).config
    assert config["quantizer"] == SORTS[sort][0]["quantizer"]
    assert config["ddconfig"] == SORTS[sort][0]["ddconfig"]


def test_diffusers_names_are_tamings(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = references.vqgan(published.IBQ).state_dict()
    linear = {"encoder.mid.attn_1.q.weight", "decoder.up.4.attn.0.proj_out.weight"}
    theirs = {
        "encoder.down_blocks.2.resnets.1.conv1.weight": "encoder.down.2.block.1.conv1.weight",
        "encoder.down_blocks.0.downsamplers.0.conv.bias": "encoder.down.0.downsample.conv.bias",
        "encoder.mid_block.attentions.0.query.weight": "encoder.mid.attn_1.q.weight",
        "encoder.mid_block.resnets.1.norm2.bias": "encoder.mid.block_2.norm2.bias",
        "decoder.up_blocks.0.attentions.0.to_out.0.weight": "decoder.up.4.attn.0.proj_out.weight",
        "decoder.up_blocks.4.resnets.0.norm1.weight": "decoder.up.0.block.0.norm1.weight",
        "decoder.conv_norm_out.weight": "decoder.norm_out.weight",
        "quantize.embedding.weight": "quantize.embedding.weight",
    }
    given = {name: state[mine].flatten(1) if mine in linear else state[mine] for name, mine in theirs.items()}
    found = as_taming(given)
    assert found.keys() == set(theirs.values())
    assert all(torch.equal(value, state[name]) for name, value in found.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder.norm_out.bias": None}, r"1 missing \(encoder\.norm_out\.bias\); choose the config or architecture"),
        ({"encoder.extra": torch.ones(1)}, r"1 unknown \(encoder\.extra\)"),
        ({"quantize.embedding.weight": None}, r"quantize\.embedding\.weight is not among its tensors"),
    ],
)
def test_a_file_that_almost_matches_is_one_line(change: dict[str, Any], message: str, own_folder: None) -> None:
    saved("llamagen", Path("mine.pt"))
    content = torch.load("mine.pt", weights_only=True)
    state = {name: value for name, value in {**content["model"], **change}.items() if value is not None}
    torch.save({"model": state}, "mine.pt")
    with pytest.raises(UsageError, match=message) as caught:
        import_autoencoder("vqgan", Path("mine.pt"))
    assert str(caught.value).startswith("--vqgan: ")
    assert "mine.pt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_latents_of_llamagen_stay_on_the_sphere() -> None:
    torch.manual_seed(0)
    network = VQGANNetwork(published.LLAMAGEN).eval().requires_grad_(False)
    generator = VQGANGenerator(network, 2, (64, 32), GeneratorSettings("", network.stride, levels=2))

    def lengths() -> Tensor:
        return sum(torch.nn.functional.interpolate(level.detach(), (2, 4)) for level in generator.parameters()).norm(
            dim=1
        )

    for start in (
        lambda: generator.start_from_noise_([1, 2]),
        lambda: generator.start_from_images_(torch.rand(2, 3, 32, 64)),
    ):
        start()
        assert torch.allclose(lengths(), torch.ones(()), atol=1e-5)
        generator.decode().mean().backward()
    with torch.no_grad():
        generator.parameters()[0].mul_(5)
    generator.project_()
    assert torch.allclose(lengths(), torch.ones(()), atol=1e-5)


@pytest.mark.parametrize("sort", SORTS)
def test_a_run_downloads_the_published_file_and_makes_a_picture(
    sort: str, cli: Cli, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = RECORD[sort]
    path = tmp_path / RECORDS[name].file
    saved(sort, path)
    small = {name: SORTS[sort][0], pretrained.CLIP: {"model": "tiny-vit"}}
    with pretrained.served({name: path, pretrained.CLIP: files[pretrained.CLIP]}, small, monkeypatch):
        run = (*pretrained.DRAFT, "--vqgan", name.removeprefix("vqgan/"))
        made = cli(*run)
        assert made.exit_code == 0, made.stderr
        with Image.open(made.stdout.strip()) as picture:
            assert picture.size == (32, 32)
        again = cli("replay", made.stdout.strip(), "-o", "again.png", "--offline")
        assert again.exit_code == 0, again.stderr
        assert Image.open("again.png").tobytes() == Image.open(made.stdout.strip()).tobytes()
        rebuilt = cli("reconstruct", made.stdout.strip(), "--vqgan", name, "--json")
        assert json.loads(rebuilt.stdout)["pictures"][0]["model"] == name


PARAMETERS = {"vqgan/llamagen-f16-16384": 71_883_403, "vqgan/llamagen-f8-16384": 70_109_835}
USED = 65_536
"""LlamaGen's buffer of the codes used last."""


@pytest.mark.parametrize("record", TOKENIZERS, ids=lambda record: record.name)
def test_the_networks_are_as_large_as_the_published_files(record: Any) -> None:
    with torch.device("meta"):
        tensors = VQGANNetwork(record.config).state_dict().values()
    count = sum(tensor.numel() for tensor in tensors)
    assert count == PARAMETERS.get(record.name, count)
    size = 4 * (2 * count if record.averaged else count + USED)
    published_size = record.size or record.megabytes * 10**6
    assert abs(published_size - size) < (200_000 if record.size else 700_000)


def test_other_files_are_guessed_as_before() -> None:
    state = {
        name: value
        for name, value in references.vqgan(pretrained.VQGAN_CONFIG).state_dict().items()
        if not name.startswith("loss.")
    }
    assert "quantizer" not in guess_vqgan(state, "a.ckpt")


MASKGIT: dict[str, Any] = {**pretrained.VQGAN_CONFIG, "architecture": "maskgit", "quantizer": "nearest"}


def test_maskgits_pixels_are_in_0_to_1_and_its_codes_are_the_nearest(own_folder: None) -> None:
    torch.manual_seed(0)
    network = VQGANNetwork(MASKGIT).eval()
    torch.nn.init.normal_(network.codebook)
    torch.save(network.state_dict(), "maskgit.bin")
    found = load(import_autoencoder("vqgan", Path("maskgit.bin")))
    assert found.config["architecture"] == "maskgit"
    own, pictures = build_network(found).eval(), torch.rand(2, 3, 32, 48)
    assert isinstance(own, VQGANNetwork)
    with torch.no_grad():
        features = network.encoder(pictures)
        assert torch.equal(own.encode(pictures), features)
        nearest = torch.cdist(features.movedim(1, -1).flatten(0, 2), network.codebook).argmin(1)
        assert torch.equal(own.codes_of(pictures).flatten(), nearest)
        codes = own.lookup(own.codes_of(pictures))
        assert torch.equal(own.decode(codes), network.decoder(codes))
    assert not any(name.startswith(("quant_conv", "post_quant_conv")) for name in found.tensors)


def test_a_maskgit_vqgan_guides_from_its_file(
    cli: Cli, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "maskgit.bin"
    torch.save(VQGANNetwork(MASKGIT).state_dict(), path)
    with pretrained.served({pretrained.CLIP: files[pretrained.CLIP]}, pretrained.CONFIGS, monkeypatch):
        assert cli("models", "pull", pretrained.CLIP).exit_code == 0
        made = cli(*pretrained.DRAFT, "--vqgan", str(path))
    assert made.exit_code == 0, made.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("record", TOKENIZERS, ids=lambda record: record.name)
def test_full_size_files_become_networks(record: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = VQGANNetwork(record.config).eval().requires_grad_(False)
    state = dict(network.state_dict())
    if record.config["quantizer"] == "cosine":
        state = published.llamagen_names(state, len(record.config["ddconfig"]["ch_mult"]))
        state = {"model": state | {"quantize.codebook_used": torch.zeros(USED)}}  # type: ignore[dict-item]
    if record.averaged:
        flat = {f"model_ema.{name.replace('.', '')}": value for name, value in state.items()}
        state = {"state_dict": {name: value + 1 for name, value in state.items()} | flat}  # type: ignore[dict-item]
    torch.save(state, tmp_path / record.file)
    size = (tmp_path / record.file).stat().st_size
    assert abs(size - (record.size or record.megabytes * 10**6)) < (200_000 if record.size else 700_000)
    found = build_network(convert(tmp_path / record.file, "vqgan", record.config, averaged=record.averaged)).eval()
    assert isinstance(found, VQGANNetwork)
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        codes = network.codes_of(picture)
        assert torch.equal(found.codes_of(picture), codes)
        assert torch.equal(found.images_of(codes), network.images_of(codes))
