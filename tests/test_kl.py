"""Continuous autoencoders: files in every layout become networks that compute what is published, and guide runs."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pretrained
import pytest
import torch
from fakes import Cli, FakeKL, colour, fake_models, plan
from PIL import Image
from safetensors.torch import save_file
from taming.modules.diffusionmodules.model import Decoder, Encoder
from torch import Tensor, nn

from clipgen import generators
from clipgen.config.choice import chosen_preset, requested_networks
from clipgen.config.job import Job
from clipgen.config.preset import DRAFT
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import parse_prompts
from clipgen.engine.optimise import optimise
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.generators.kl import LIMIT, KLGenerator
from clipgen.generators.kl_networks import KLNetwork, TinyNetwork
from clipgen.generators.networks import build_network
from clipgen.weights.continuous import CONTINUOUS
from clipgen.weights.conversion import convert
from clipgen.weights.imports import import_autoencoder, import_halves
from clipgen.weights.loader import load

cli, files, server = pretrained.cli, pretrained.files, pretrained.server  # fixtures

SHAPE: dict[str, Any] = {
    "double_z": True,
    "z_channels": 4,
    "resolution": 256,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 32,
    "ch_mult": [1, 2, 2, 2],
    "num_res_blocks": 1,
    "attn_resolutions": [],
    "dropout": 0.0,
}
SMALL: dict[str, Any] = {"ddconfig": SHAPE, "embed_dim": 4, "scale": 0.18215, "shift": 0.0}
TINY = {"channels": 4}
DIFFUSERS = (
    ("encoder.down.", "encoder.down_blocks."),
    (".mid.block_1.", ".mid_block.resnets.0."),
    (".mid.block_2.", ".mid_block.resnets.1."),
    (".mid.attn_1.norm.", ".mid_block.attentions.0.group_norm."),
    (".mid.attn_1.q.", ".mid_block.attentions.0.to_q."),
    (".mid.attn_1.k.", ".mid_block.attentions.0.to_k."),
    (".mid.attn_1.v.", ".mid_block.attentions.0.to_v."),
    (".mid.attn_1.proj_out.", ".mid_block.attentions.0.to_out.0."),
    (".block.", ".resnets."),
    (".downsample.", ".downsamplers.0."),
    (".upsample.", ".upsamplers.0."),
    (".nin_shortcut.", ".conv_shortcut."),
    (".norm_out.", ".conv_norm_out."),
)


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))


class Reference(nn.Module):
    """latent-diffusion's AutoencoderKL as its paper has it: moments of the latent, of which the mean is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(**SHAPE), Decoder(**SHAPE)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(8, 8, 1), nn.Conv2d(4, 4, 1)

    def encode(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.quant_conv(self.encoder(pixels))[:, :4]
        return found

    def decode(self, latent: Tensor) -> Tensor:
        drawn: Tensor = self.decoder(self.post_quant_conv(latent))
        return drawn


def reference() -> Reference:
    torch.manual_seed(0)
    return Reference().eval()


def diffusers_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, value in state.items():
        linear = ".attn_1." in name and value.ndim == 4
        for mine, theirs in DIFFUSERS:
            name = name.replace(mine, theirs)
        if name.startswith("decoder.up."):
            _, _, level, *rest = name.split(".")
            name = ".".join(["decoder", "up_blocks", str(3 - int(level)), *rest])
        found[name] = value.flatten(1) if linear else value
    return {name: value.contiguous() for name, value in found.items()}


def save(state: dict[str, Tensor], layout: str) -> Path:
    if layout == "diffusers":
        save_file(diffusers_names(state), "mine.safetensors")
        return Path("mine.safetensors")
    if layout == "original":
        save_file(state, "mine.safetensors")
        return Path("mine.safetensors")
    inside = {f"first_stage_model.{name}": value for name, value in state.items()}
    other = {"model.diffusion_model.out.weight": torch.ones(3), "model_ema.decay": torch.tensor(0.9)}
    torch.save({"state_dict": inside | other, "global_step": 3}, "mine.ckpt")
    return Path("mine.ckpt")


@pytest.mark.parametrize("layout", ["diffusers", "original", "stable diffusion"])
def test_stable_diffusions_autoencoder_is_read_from_every_layout(
    layout: str, pictures: Tensor, own_folder: None
) -> None:
    model = reference()
    found = load(import_autoencoder("kl", save(model.state_dict(), layout)))
    assert {key: found.config[key] for key in SMALL if key != "ddconfig"} == {
        key: value for key, value in SMALL.items() if key != "ddconfig"
    }
    network = build_network(found).eval()
    with torch.no_grad():
        latent = model.encode(2 * pictures - 1) * 0.18215
        assert torch.allclose(network.encode(pictures), latent, atol=1e-6)
        assert torch.allclose(network.decode(latent), (model.decode(latent / 0.18215) + 1) / 2, atol=1e-6)
    assert (network.stride, latent.shape[1:]) == (8, (4, 4, 6))


def test_a_latent_is_shifted_before_it_is_scaled_and_may_have_no_convolutions_around_it(
    pictures: Tensor, own_folder: None
) -> None:
    torch.manual_seed(0)
    wide = {**SHAPE, "z_channels": 16}
    encoder, decoder = Encoder(**wide).eval(), Decoder(**wide).eval()
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    save_file(state | {f"decoder.{name}": value for name, value in decoder.state_dict().items()}, "ae.safetensors")
    network = build_network(load(import_autoencoder("kl", Path("ae.safetensors")))).eval()
    with torch.no_grad():
        mean = encoder(2 * pictures - 1)[:, :16]
        assert torch.allclose(network.encode(pictures), (mean - 0.1159) * 0.3611, atol=1e-6)
        drawn = (decoder(mean) + 1) / 2
        assert torch.allclose(network.decode(network.encode(pictures)), drawn, atol=1e-5)


def tiny_block(x: Tensor, state: dict[str, Tensor], at: str) -> Tensor:
    inner = x
    for place in (0, 2, 4):
        inner = torch.conv2d(inner, state[f"{at}.conv.{place}.weight"], state[f"{at}.conv.{place}.bias"], padding=1)
        inner = inner.relu() if place < 4 else inner
    return (inner + x).relu()


def tiny_encode(pictures: Tensor, state: dict[str, Tensor]) -> Tensor:
    """TAESD's encoder, layer by layer; three times the picture is halved."""
    x = torch.conv2d(pictures, state["0.weight"], state["0.bias"], padding=1)
    for at in range(1, 14):
        halves = at in (2, 6, 10)
        x = torch.conv2d(x, state[f"{at}.weight"], padding=1, stride=2) if halves else tiny_block(x, state, str(at))
    return torch.conv2d(x, state["14.weight"], state["14.bias"], padding=1)


def tiny_decode(latent: Tensor, state: dict[str, Tensor]) -> Tensor:
    """TAESD's decoder, layer by layer; three times the picture is doubled."""
    x = torch.conv2d(3 * torch.tanh(latent / 3), state["1.weight"], state["1.bias"], padding=1).relu()
    for at in range(3, 19):
        if at in (6, 11, 16):
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        elif at in (7, 12, 17):
            x = torch.conv2d(x, state[f"{at}.weight"], padding=1)
        else:
            x = tiny_block(x, state, str(at))
    return torch.conv2d(x, state["19.weight"], state["19.bias"], padding=1)


def halves() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    torch.manual_seed(0)
    network = TinyNetwork(TINY)
    return dict(network.encoder.state_dict()), dict(network.decoder.state_dict())


def one_file(encoder: dict[str, Tensor], decoder: dict[str, Tensor]) -> dict[str, Tensor]:
    """As diffusers names them, which has no layer for the squashing of latents."""
    found = {f"encoder.layers.{name}": value for name, value in encoder.items()}
    for name, value in decoder.items():
        at, _, rest = name.partition(".")
        found[f"decoder.layers.{int(at) - 1}.{rest}"] = value
    return found


@pytest.mark.parametrize("layout", ["two files", "the other order", "diffusers"])
def test_a_taesd_is_read_from_every_layout(layout: str, pictures: Tensor, own_folder: None) -> None:
    encoder, decoder = halves()
    torch.save(encoder, "encoder.pth")
    save_file(decoder, "decoder.safetensors")
    save_file(one_file(encoder, decoder), "whole.safetensors")
    two = [Path("encoder.pth"), Path("decoder.safetensors")]
    named = {"two files": two, "the other order": two[::-1], "diffusers": [Path("whole.safetensors")]}
    found = load(
        import_halves("kl", named[layout]) if len(named[layout]) > 1 else import_autoencoder("kl", *named[layout])
    )
    assert found.config == TINY
    network = build_network(found).eval()
    with torch.no_grad():
        latent = tiny_encode(pictures, encoder)
        assert torch.allclose(network.encode(pictures), latent, atol=1e-6)
        assert torch.allclose(network.decode(4 * latent), tiny_decode(4 * latent, decoder), atol=1e-5)
    assert latent.shape == (2, 4, 4, 6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: halves()[1], "it is a TAESD's decoder alone; give --kl twice, with the file of its encoder, too"),
        (lambda: reference().state_dict() | {"quantize.embedding.weight": torch.ones(2, 4)}, "give it with --vqgan"),
        (lambda: {"w": torch.ones(2)}, r"encoder\.conv_in\.weight is not among its tensors, 1 \(w\)"),
        (
            lambda: {k: v for k, v in reference().state_dict().items() if k != "decoder.norm_out.bias"},
            r"tensors of mine\.pt: 1 missing \(decoder\.norm_out\.bias\); choose the config",
        ),
    ],
)
def test_what_is_no_continuous_autoencoder_is_one_line(make: Any, message: str, own_folder: None) -> None:
    torch.save(make(), "mine.pt")
    with pytest.raises(UsageError, match=message) as caught:
        import_autoencoder("kl", Path("mine.pt"))
    assert str(caught.value).startswith("--kl: ")


def test_a_vqgan_that_has_no_codebook_names_the_option_for_it(own_folder: None) -> None:
    torch.save(reference().state_dict(), "mine.pt")
    with pytest.raises(UsageError, match=r"\(KL\) is no VQGAN: give it with --backend kl --kl"):
        import_autoencoder("vqgan", Path("mine.pt"))


PARAMETERS = {"kl/sd-vae-ft-mse": 83_653_863, "kl/sdxl-vae": 83_653_863, "kl/taesd": 2_445_063}


@pytest.mark.parametrize("record", CONTINUOUS, ids=lambda record: record.name)
def test_the_networks_are_as_large_as_the_published_files(record: Any) -> None:
    with torch.device("meta"):
        network = KLNetwork(record.config) if "ddconfig" in record.config else TinyNetwork(record.config)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == PARAMETERS.get(record.name, count)
    assert network.stride == 8
    assert abs((record.size or record.megabytes * 10**6) - 4 * count) < (40_000 if record.size else 500_000)


def started(seeds: tuple[int, ...] = (1, 2)) -> KLGenerator:
    asked = plan(backend="kl", size=(256, 128)).generator
    generator = generators.create("kl", FakeKL(), torch.device("cpu"), len(seeds), (256, 128), asked)
    assert isinstance(generator, KLGenerator)
    generator.start_from_noise_(seeds)
    return generator


def test_a_run_begins_at_faint_patches_around_grey() -> None:
    generator = started()
    latent = generator.tensors()["start"]
    assert 0.1 < latent.std() < 0.5
    assert latent.diff(dim=2).abs().mean() < 0.5 * latent.std()
    assert (generator.norm_excess() == 0).all()
    assert abs(float(generator.decode().detach().mean()) - 0.5) < 0.05


def test_the_norm_counts_only_what_is_longer_than_usual() -> None:
    generator = started()
    with torch.no_grad():
        for level in generator.parameters():
            level.zero_()
        generator.parameters()[0][0].normal_(generator=torch.Generator().manual_seed(0)).mul_(2)
        generator.parameters()[0][1].fill_(0.5)
    excess = generator.norm_excess()
    long, short = excess.detach()
    squares = float(generator.parameters()[0][0].detach().square().mean())
    assert float(long) == pytest.approx((squares - math.log(squares) - 1) / 2, rel=1e-5)
    assert float(short) == 0
    excess[0].backward()
    assert (generator.parameters()[0].grad * generator.parameters()[0])[0].sum() > 0  # descent shortens it
    with torch.no_grad():
        generator.parameters()[0].fill_(9)
    generator.project_()
    assert float(generator.parameters()[0].detach().max()) == LIMIT


def test_the_loss_norm_is_in_every_plan_and_goes_with_no_other_backend() -> None:
    asked = plan(backend="kl", steps=3)
    assert asked.weight_of("norm") == 1.0
    assert plan(backend="kl", losses=("norm:0",)).weight_of("norm") == 0
    with pytest.raises(UsageError, match="--loss norm goes with --backend kl, not with pixels"):
        plan(backend="pixels", losses=("norm",))
    run = Run([asked], fake_models("kl"))
    [step] = run.find_gradients()
    assert set(step.terms) == {"prompt", "norm"}


def test_a_run_finds_the_colour_it_is_asked_for() -> None:
    red, green, blue = colour(optimise(plan("red", backend="kl", steps=30), fake_models("kl")))
    assert red > 1.5 * max(green, blue)


def test_the_backend_alone_chooses_a_preset_that_has_it() -> None:
    job = Job(parse_prompts("a cat"), backend="kl")
    assert chosen_preset(job, "cpu")[0] == DRAFT
    assert "it has the backend kl" in (chosen_preset(job, "cpu")[1] or "")
    assert requested_networks(job)[0] == PRESETS[DRAFT].generators["kl"].weights == "kl/taesd"


def test_the_published_files_guide_a_run_and_rebuild_pictures(
    cli: Cli, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stable, tiny = tmp_path / "stable.safetensors", tmp_path / "tiny.safetensors"
    save_file(diffusers_names(dict(reference().state_dict())), stable)
    save_file(one_file(*halves()), tiny)
    paths = {"kl/sd-vae-ft-mse": stable, "kl/taesd": tiny, pretrained.CLIP: files[pretrained.CLIP]}
    configs = {**pretrained.CONFIGS, "kl/sd-vae-ft-mse": SMALL}
    with pretrained.served(paths, configs, monkeypatch) as server:
        first = cli(*pretrained.DRAFT, "--backend", "kl")
        assert first.exit_code == 0, first.stderr
        assert [asked.path for asked in server.log] == ["/tiny.safetensors", "/clip-openai-vit-b-32"]
        other = cli(*pretrained.DRAFT, "--backend", "kl", "--kl", "sd-vae-ft-mse", "--init", first.stdout.strip())
        assert other.exit_code == 0, other.stderr
        again = cli("replay", first.stdout.strip(), "-o", "again.png", "--offline")
        assert again.exit_code == 0, again.stderr
        assert Image.open("again.png").tobytes() == Image.open(first.stdout.strip()).tobytes()
        rebuilt = cli("reconstruct", "again.png", "--all", "--json", "--alone")
        rows = {row["model"]: row for row in json.loads(rebuilt.stdout)["pictures"]}
    assert {"kl/taesd", "kl/sd-vae-ft-mse", "starter/vqgan", "starter/dvae"} <= rows.keys()
    assert (rows["kl/taesd"]["tokens"], rows["kl/taesd"]["codes"], rows["kl/taesd"]["perplexity"]) == (None, None, None)
    assert rows["kl/taesd"]["psnr"] > 0
    assert [Path(name).suffix for name in rows["kl/taesd"]["files"]] == [".png"]
    shown = cli("reconstruct", "again.png", first.stdout.strip(), "--backend", "kl")
    assert shown.exit_code == 0, shown.stderr
    assert "kl/taesd" in shown.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("decode", "t.npy", "--backend", "kl"), "decode: backend kl has no tokens; vqgan, dvae, titok have"),
        (("red", "--backend", "kl", "--init-tokens", "t.npy"), "--init-tokens: backend kl has no tokens"),
        (("red", "--kl", "taesd"), "--kl goes with --backend kl, not with"),
        (("red", "--backend", "kl", "--kl", "taesf"), "--kl, where it names no file,"),
        (("red", "--backend", "kl", "--kl", "taesd", "--kl", "a.pth"), "--kl names a whole network, kl/taesd"),
        (("red", "--backend", "kl", "--preset", "starter"), "--backend of preset starter must be one of"),
    ],
)
def test_what_does_not_go_with_it_is_one_line(cli: Cli, args: tuple[str, ...], said: str) -> None:
    np.save("t.npy", np.zeros((2, 2), int))
    result = cli(*args)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert said in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kl/sd-vae-ft-mse", "kl/taesd"])
def test_full_size_files_become_networks(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    [record] = [each for each in CONTINUOUS if each.name == name]
    network = KLNetwork(record.config) if name != "kl/taesd" else TinyNetwork(record.config)
    state = dict(network.state_dict())
    given = (
        diffusers_names(state)
        if name != "kl/taesd"
        else one_file(dict(network.encoder.state_dict()), dict(network.decoder.state_dict()))
    )
    save_file(given, tmp_path / record.file)
    assert abs((tmp_path / record.file).stat().st_size - (record.size or 0)) < 100
    found = build_network(convert(tmp_path / record.file, "kl", record.config)).eval()
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(found.decode(found.encode(picture)), network.eval().decode(network.encode(picture)))
