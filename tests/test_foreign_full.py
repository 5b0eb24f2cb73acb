"""Checkpoints in their authors' formats at full size, and what reading them costs."""

import resource
import sys
import time
from pathlib import Path

import pytest
import references
import torch
from safetensors.torch import save_file
from test_foreign_networks import MEAN, STD, check_clip, check_dvae, check_vqgan, vqgan

from clipgen.generators.networks import DVAENetwork, VQGANNetwork, build_network
from clipgen.perceptors.clip import build_perceptor
from clipgen.weights.conversion import convert

FULL = {"ch": 128, "num_res_blocks": 2, "resolution": 256}
FULL_VQGANS = {
    "imagenet f16 1024": vqgan(256, 1024, attn_resolutions=[16], ch_mult=[1, 1, 2, 2, 4], **FULL),
    "imagenet f16 16384": vqgan(256, 16384, attn_resolutions=[16], ch_mult=[1, 1, 2, 2, 4], **FULL),
    "gumbel f8 8192": vqgan(256, 8192, attn_resolutions=[32], ch_mult=[1, 1, 2, 4], quantizer="gumbel", **FULL),
    "ldm vq-f4-noattn": vqgan(3, 8192, attn_resolutions=[], ch_mult=[1, 2, 4], attn_type="none", **FULL),
}
FULL_DVAE = {"vocab_size": 8192, "n_hid": 256, "n_blk_per_group": 2, "n_init": 128}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def report(name: str, start: float, file: Path) -> None:
    """Say what reading cost, where pytest is told to show it (-rA)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sys.stdout.write(f"{name}: {time.monotonic() - start:.1f} s, {file.stat().st_size / 1e6:.0f} MB, {peak:.1f} GiB\n")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "layout"), [*((name, "plain") for name in FULL_VQGANS), ("imagenet f16 1024", "transformer")]
)
def test_vqgans_at_full_size(tmp_path: Path, name: str, layout: str) -> None:
    model, config = references.vqgan(FULL_VQGANS[name]), FULL_VQGANS[name]
    references.save_vqgan(model, tmp_path / "last.ckpt", layout)
    start = time.monotonic()
    checkpoint = convert(tmp_path / "last.ckpt", "vqgan", config)
    report(name, start, tmp_path / "last.ckpt")
    network = build_network(checkpoint).eval()
    assert isinstance(network, VQGANNetwork)
    check_vqgan(network, model, torch.rand(1, 3, 64, 96))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_dvae_at_full_size(tmp_path: Path) -> None:
    encoder, decoder = references.dvae(FULL_DVAE)
    files = [references.save_module(encoder, tmp_path / "encoder.pkl", False),
             references.save_module(decoder, tmp_path / "decoder.pkl", True)]  # fmt: skip
    start = time.monotonic()
    network = build_network(convert(files, "dvae", FULL_DVAE))
    report("dall_e", start, files[0])
    assert isinstance(network, DVAENetwork)
    check_dvae(network, encoder, decoder, torch.rand(1, 3, 64, 96))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_clip_at_full_size(tmp_path: Path) -> None:
    vision = {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32}
    text = {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12}
    config = {"embed_dim": 512, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text, "mean": MEAN, "std": STD}
    model = references.clip(config)
    references.save_openai(model, config, tmp_path / "ViT-B-32.pt")
    start = time.monotonic()
    perceptor = build_perceptor(convert(tmp_path / "ViT-B-32.pt", "clip", config)).eval()
    report("ViT-B/32", start, tmp_path / "ViT-B-32.pt")
    check_clip(perceptor, model, ["a cat", "a city in the style of Van Gogh"])
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    again = convert(tmp_path / "open_clip_model.safetensors", "clip", config)
    assert all(torch.equal(value, again.tensors[name]) for name, value in perceptor.clip.state_dict().items())
