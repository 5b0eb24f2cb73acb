"""Autoencoders that are trained on pictures of one's own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from own_pictures import SIDE, shrink, train, write_pictures
from PIL import Image
from torch.nn.functional import avg_pool2d

from clipgen.generators.networks import build_network
from clipgen.perceptors.style import load_style_features
from clipgen.training import autoencoders
from clipgen.training.crops import StyleDistance, shifted
from clipgen.training.vqgan import LearningVQGAN

KINDS = ["vqgan", "dvae"]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shrink(monkeypatch, tmp_path / "cache")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize("kind", KINDS)
def test_training_makes_reconstructions_better(kind: str, data: Path, tmp_path: Path) -> None:
    short = train(kind, data, tmp_path / "short", steps=2).recipe["metrics"]
    long = train(kind, data, tmp_path / "long", steps=60, rate=0.005).recipe["metrics"]
    assert long["psnr"] > short["psnr"] + 1
    assert 1 <= long["perplexity"] <= long["codes_used"] <= 16
    assert -1 <= long["ssim"] <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_weights(kind: str, data: Path, tmp_path: Path) -> None:
    first, second = (train(kind, data, tmp_path / name).tensors for name in ("a", "b"))
    other = train(kind, data, tmp_path / "c", seed=1).tensors
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not all(torch.equal(value, other[name]) for name, value in first.items())


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_holds_the_network_alone_and_draws(kind: str, data: Path, tmp_path: Path) -> None:
    network = build_network(train(kind, data, tmp_path)).eval()
    codes = torch.zeros(1, SIDE // network.stride, SIDE // network.stride, dtype=torch.long)
    assert network.images_of(codes).shape == (1, 3, SIDE, SIDE)


def test_a_sheet_has_pictures_above_their_reconstructions(data: Path, tmp_path: Path) -> None:
    train("vqgan", data, tmp_path)
    sheets = list((tmp_path / "training" / "vqgan").glob("sheet-*.png"))
    with Image.open(sheets[0]) as sheet:
        assert sheet.height == 2 * SIDE
        assert sheet.width % SIDE == 0
    assert [path.name for path in sheets] == ["sheet-000006.png"]


def test_only_a_long_training_has_a_critic_which_no_file_holds(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[LearningVQGAN] = []
    plain = LearningVQGAN.__init__

    def noted(network: LearningVQGAN, *args: object, **kwargs: object) -> None:
        plain(network, *args, **kwargs)  # type: ignore[arg-type]
        made.append(network)

    monkeypatch.setattr(LearningVQGAN, "__init__", noted)
    train("vqgan", data, tmp_path / "short")
    monkeypatch.setattr(autoencoders, "LONG", 6)
    checkpoint = train("vqgan", data, tmp_path / "long")
    assert [hasattr(network, "critic") for network in made] == [False, True]
    assert not any("critic" in name for name in checkpoint.tensors)


def test_a_vqgan_of_ones_own_can_be_trained_further(data: Path, tmp_path: Path) -> None:
    first = train("vqgan", data, tmp_path / "a", steps=30, rate=0.003)
    start = str(tmp_path / "a" / "vqgan.safetensors")
    second = train("vqgan", data, tmp_path / "b", start=start, steps=2, rate=1e-6)
    assert second.config == first.config
    weight = "decoder.conv_out.weight"
    assert torch.allclose(second.tensors[weight], first.tensors[weight], atol=1e-3)
    assert second.recipe["metrics"]["psnr"] == pytest.approx(first.recipe["metrics"]["psnr"], abs=0.5)


def test_pictures_are_shifted_within_their_mirrored_edges_and_flipped_only_if_asked() -> None:
    ramp = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, :, None] * 8, (32, 32, 3))
    pictures = np.stack([ramp, ramp])
    upright = shifted(pictures, False, 24, seed=0, step=0)
    assert upright.shape == (24, 3, 32, 32)
    assert torch.equal(upright, shifted(pictures, False, 24, seed=0, step=0))
    assert not torch.equal(upright, shifted(pictures, False, 24, seed=0, step=1))
    assert (upright[..., -1] > upright[..., 0]).all()
    whole = [torch.equal(each, upright.new_tensor(ramp.copy()).permute(2, 0, 1) / 255) for each in upright]
    assert 4 < sum(whole) < 24
    both = shifted(pictures, True, 24, seed=0, step=0)
    assert 4 < (both[:, 0, 0, -1] < both[:, 0, 0, 0]).sum() < 20


@pytest.mark.slow
def test_larger_networks_also_compare_features_which_know_a_blurred_picture_from_a_sharp_one(
    data: Path, tmp_path: Path
) -> None:
    train("vqgan", data, tmp_path, size="medium", steps=4)
    log = (tmp_path / "training" / "vqgan" / "log.jsonl").read_text()
    assert '"features"' in log
    distance = StyleDistance(load_style_features())
    torch.manual_seed(0)
    sharp = torch.rand(2, 3, 32, 32)
    blurred = avg_pool2d(sharp, 3, stride=1, padding=1).requires_grad_()
    far = distance(blurred, sharp)
    assert float(distance(sharp, sharp)) == 0 < float(far.detach())
    (slope,) = torch.autograd.grad(far, blurred)
    assert slope.isfinite().all()
    assert slope.abs().sum() > 0
