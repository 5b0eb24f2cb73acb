"""Checkpoints in their authors' formats become networks that do exactly what the authors' own classes do."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import references
import torch
from dall_e import map_pixels, unmap_pixels
from open_clip import get_tokenizer
from safetensors.torch import save_file
from torch import Tensor, nn

from clipgen import weights
from clipgen.config.settings import GeneratorSettings
from clipgen.errors import ClipgenError, WeightsMissingError
from clipgen.generators.dvae import DVAEGenerator
from clipgen.generators.networks import DVAENetwork, VQGANNetwork, build_network
from clipgen.generators.vqgan import VQGANGenerator
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.weights.conversion import convert

SHAPE = {"double_z": False, "resolution": 32, "in_channels": 3, "out_ch": 3, "ch": 32, "dropout": 0.0,
         "ch_mult": [1, 1, 2], "num_res_blocks": 1}  # fmt: skip


def vqgan(width: int, codes: int, **changes: Any) -> dict[str, Any]:
    extra = {"quantizer": changes.pop("quantizer")} if "quantizer" in changes else {}
    ddconfig = {**SHAPE, "z_channels": width, "attn_resolutions": [8], **changes}
    return {"embed_dim": width, "n_embed": codes, "ddconfig": ddconfig} | extra


VQGANS = {
    "taming": vqgan(16, 24),
    "gumbel": vqgan(16, 24, quantizer="gumbel"),
    "latent diffusion": vqgan(3, 24, attn_resolutions=[]),
    "latent diffusion without attention": vqgan(3, 24, attn_resolutions=[], attn_type="none"),
}
DVAE = {"vocab_size": 40, "n_hid": 8, "n_blk_per_group": 2, "n_init": 16}
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
CLIPS: dict[str, dict[str, Any]] = {
    "vit": {"embed_dim": 32, "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8}},
    "resnet": {"embed_dim": 32, "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16}},
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def clip(name: str, quick_gelu: bool) -> dict[str, Any]:
    return {**CLIPS[name], "text_cfg": TEXT, "quick_gelu": quick_gelu, "mean": MEAN, "std": STD}


def stored(checkpoint: weights.Checkpoint, folder: Path) -> weights.Checkpoint:
    """The checkpoint as it comes out of a cache."""
    weights.write(folder / "stripped.safetensors", checkpoint)
    return weights.read(folder / "stripped.safetensors")


@torch.no_grad()
def check_vqgan(network: VQGANNetwork, model: Any, pictures: Tensor) -> None:
    features = model.quant_conv(model.encoder(pictures * 2 - 1))
    if hasattr(model.quantize, "proj"):
        indices = model.quantize.proj(features).argmax(1)
        codes = model.quantize.embed(indices).permute(0, 3, 1, 2)
        assert torch.equal(features, model.encode_to_prequant(pictures * 2 - 1))
        assert torch.equal(network.encode(pictures), codes)
    else:
        codes, _, (_, _, indices) = model.encode(pictures * 2 - 1)
        assert torch.equal(network.encode(pictures), features)
        codes = network.lookup(network.nearest(features))
    assert torch.equal(network.nearest(codes).flatten(), indices.flatten())
    assert torch.equal(network.decode(codes), (model.decode(codes) + 1) / 2)


@torch.no_grad()
def check_dvae(network: DVAENetwork, encoder: nn.Module, decoder: nn.Module, pictures: Tensor) -> None:
    logits = encoder(map_pixels(pictures))
    assert torch.equal(network.encode(pictures), logits)
    codes = torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1]).movedim(-1, 1).float()
    for latent in (codes, logits.softmax(1)):
        drawn = decoder(latent)
        assert torch.equal(torch.cat(network.statistics(latent), 1), drawn)
        mean = drawn[:, :3].contiguous()  # torch rounds the sigmoid of a view otherwise
        assert torch.equal(network.decode(latent).clamp(0, 1), unmap_pixels(torch.sigmoid(mean)))


@torch.no_grad()
def check_clip(perceptor: CLIPPerceptor, model: Any, texts: Sequence[str]) -> None:
    views = torch.rand(2, 3, perceptor.size, perceptor.size)
    normalised = (views - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    wanted = model.encode_image(normalised, normalize=True)
    torch.testing.assert_close(perceptor.encode_images(views), wanted, rtol=1e-4, atol=1e-5)
    tokens = get_tokenizer("ViT-B-32")(list(texts))
    assert torch.equal(perceptor.encode_texts(texts), model.encode_text(tokens, normalize=True))


@pytest.mark.parametrize("layout", ["plain", "legacy", "transformer", "averages", "bare"])
@pytest.mark.parametrize("name", VQGANS)
def test_vqgans_are_the_authors_own(tmp_path: Path, name: str, layout: str) -> None:
    model, config = references.vqgan(VQGANS[name]), VQGANS[name]
    references.save_vqgan(model, tmp_path / "last.ckpt", layout)
    checkpoint = stored(convert(tmp_path / "last.ckpt", "vqgan", config), tmp_path)
    network = build_network(checkpoint)
    assert isinstance(network, VQGANNetwork)
    assert network.stride == 4
    assert not any(key.startswith("loss") for key in checkpoint.tensors)
    check_vqgan(network.eval(), model, torch.rand(2, 3, 32, 48))


@pytest.mark.parametrize("zipped", [True, False])
def test_the_dvae_is_dall_es_own(tmp_path: Path, zipped: bool) -> None:
    encoder, decoder = references.dvae(DVAE)
    files = [references.save_module(encoder, tmp_path / "encoder.pkl", zipped),
             references.save_module(decoder, tmp_path / "decoder.pkl", zipped)]  # fmt: skip
    network = build_network(stored(convert(files, "dvae", DVAE), tmp_path))
    assert isinstance(network, DVAENetwork)
    check_dvae(network, encoder, decoder, torch.rand(2, 3, 32, 48))
    swapped = convert(files[::-1], "dvae", DVAE).tensors
    assert all(torch.equal(value, swapped[name]) for name, value in network.state_dict().items())
    with pytest.raises(ClipgenError, match=r"encoder\.pkl has no dVAE in it: there is no decoder"):
        convert(files[0], "dvae", DVAE)


@pytest.mark.parametrize("quick_gelu", [True, False])
@pytest.mark.parametrize("name", CLIPS)
def test_clips_are_open_clips_own(tmp_path: Path, name: str, quick_gelu: bool) -> None:
    config = clip(name, quick_gelu)
    model = references.clip(config)
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    wrapped = {f"module.{key}": value for key, value in model.state_dict().items()}
    torch.save({"epoch": 3, "name": "run", "state_dict": wrapped}, tmp_path / "epoch_3.pt")
    texts = ["a cat", "", "a lighthouse at the end of the world ☕ " * 20]
    for file in ("open_clip_model.safetensors", "epoch_3.pt", "openai.pt"):
        if file == "openai.pt":
            references.save_openai(model, config, tmp_path / file)  # rounds the model's own weights, too
        perceptor = build_perceptor(stored(convert(tmp_path / file, "clip", config), tmp_path)).eval()
        check_clip(perceptor, model, texts)
    other = build_perceptor(convert(tmp_path / "openai.pt", "clip", {**config, "quick_gelu": not quick_gelu})).eval()
    assert not torch.equal(other.encode_texts(texts), perceptor.encode_texts(texts))
    assert perceptor.tokens_over_limit("cat " * 100) == 102 - 77


def test_recipes_name_the_files_by_their_hash(tmp_path: Path) -> None:
    references.save_vqgan(references.vqgan(VQGANS["taming"]), tmp_path / "last.ckpt", "plain")
    content = (tmp_path / "last.ckpt").read_bytes()
    checkpoint = stored(convert(tmp_path / "last.ckpt", "vqgan", VQGANS["taming"]), tmp_path)
    named = {"file": "last.ckpt", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert checkpoint.recipe == {"converted_from": [named]}
    assert (tmp_path / "stripped.safetensors").stat().st_size < 0.5 * len(content)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"decoder.norm_out.bias": None}, "1 missing (decoder.norm_out.bias)"),
        ({"encoder.surprise": torch.ones(2)}, "1 unknown (encoder.surprise)"),
        ({"quantize.embedding.bias": torch.ones(2)}, "1 unknown (quantize.embedding.bias)"),
        (
            {"quantize.embedding.weight": torch.ones(25, 16)},
            "1 of another shape (quantize.embedding.weight: 25x16 float32)",
        ),
        ({"decoder.norm_out.bias": torch.ones(32).int()}, "(decoder.norm_out.bias: 32 int32)"),
        (
            {"decoder.norm_out.bias": torch.full((32,), torch.nan)},
            "decoder.norm_out.bias has values that are not finite",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    state = references.vqgan(VQGANS["taming"]).state_dict() | change
    torch.save({name: value for name, value in state.items() if value is not None}, tmp_path / "a.ckpt")
    with pytest.raises(ClipgenError) as caught:
        convert(tmp_path / "a.ckpt", "vqgan", VQGANS["taming"])
    assert reason in str(caught.value)
    assert "a.ckpt" in str(caught.value)


def test_what_lies_beside_a_wrapped_network_is_never_mixed_with_it(tmp_path: Path) -> None:
    state = references.vqgan(VQGANS["taming"]).state_dict()
    beside = {"quant_conv.bias": torch.ones(16), "transformer.head": torch.ones(2)}
    torch.save({f"first_stage_model.{name}": value for name, value in state.items()} | beside, tmp_path / "a.ckpt")
    found = convert(tmp_path / "a.ckpt", "vqgan", VQGANS["taming"]).tensors
    assert all(torch.equal(value, state[name]) for name, value in found.items())


def test_a_gumbel_vqgan_is_not_taken_for_another(tmp_path: Path) -> None:
    references.save_vqgan(references.vqgan(VQGANS["gumbel"]), tmp_path / "a.ckpt", "plain")
    with pytest.raises(ClipgenError, match=r"1 missing .*3 unknown \(quantize"):
        convert(tmp_path / "a.ckpt", "vqgan", VQGANS["taming"])


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("vqgan", {}),
        ("vqgan", {**VQGANS["taming"], "quantizer": "magic"}),
        ("vqgan", {**VQGANS["taming"], "ddconfig": {"attn_type": "linear"}}),
        ("clip", {**clip("vit", True), "vision_cfg": {"width": "wide"}}),
    ],
)
def test_configs_of_no_network_are_one_error(tmp_path: Path, kind: str, config: dict[str, Any]) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "a.ckpt")
    with pytest.raises(ClipgenError):
        convert(tmp_path / "a.ckpt", kind, config)


@pytest.mark.parametrize(
    "change",
    [
        {"text_cfg": {**TEXT, "hf_model_name": "some/model"}},
        {"text_cfg": {**TEXT, "tokenizer_mode": "clips"}},
        {"vision_cfg": {"timm_model_name": "hf-hub:some/model", "image_size": 32}},
        {"vision_cfg": {"timm_model_name": "resnet18", "timm_model_pretrained": True, "image_size": 32}},
        {"multimodal_cfg": {"layers": 1}},
    ],
)
def test_no_config_makes_clip_download_anything(change: dict[str, Any]) -> None:
    with pytest.raises(ClipgenError, match="is not supported"):
        CLIPPerceptor({**clip("vit", True), **change})


def test_a_tokenizer_that_is_not_here_is_not_downloaded() -> None:
    with pytest.raises(WeightsMissingError, match="hf download some/model"):
        CLIPPerceptor({**clip("vit", True), "text_cfg": {**TEXT, "hf_tokenizer_name": "some/model"}})


@pytest.mark.parametrize("name", VQGANS)
def test_the_generator_moves_the_latent_of_every_vqgan(name: str) -> None:
    network = VQGANNetwork(VQGANS[name]).eval().requires_grad_(False)
    generator = VQGANGenerator(network, 2, (32, 48), GeneratorSettings("", network.stride, levels=6))
    generator.start_from_noise_([1, 2])
    generator.decode().mean().backward()
    assert all(level.grad is not None for level in generator.parameters())
    generator.start_from_images_(torch.rand(2, 3, 48, 32))
    generator.project_()
    assert generator.decode().shape == (2, 3, 48, 32)


def test_the_generator_moves_the_logits_of_dall_es_dvae() -> None:
    generator = DVAEGenerator(
        DVAENetwork(DVAE).eval().requires_grad_(False), 1, (32, 48), GeneratorSettings("", 8, levels=4)
    )
    generator.start_from_images_(torch.rand(1, 3, 48, 32))
    generator.set_step(0, 10, [1])
    assert generator.decode().shape == (1, 3, 48, 32)
