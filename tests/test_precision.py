"""Lower precision: the gradients that it finds, what stays in float32, and who decides."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import titoks
import torch
from fakes import Cli
from open_clip.transformer import QuickGELU
from test_plan import made as planned
from torch import Tensor, nn

from clipgen.config import resolve as resolving
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.settings import BF16, FP32
from clipgen.engine.precision import lower_
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.generators.networks import DVAENetwork, VQGANNetwork
from clipgen.generators.titok_network import TiTokNetwork
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.session.planning import change_plan

CPU = torch.device("cpu")
VQGAN = {
    "embed_dim": 32,
    "n_embed": 64,
    "ddconfig": {
        "double_z": False,
        "z_channels": 32,
        "resolution": 64,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 32,
        "ch_mult": [1, 2, 2],
        "num_res_blocks": 1,
        "attn_resolutions": [16],
        "dropout": 0.0,
    },
}
DVAE = {"vocab_size": 64, "n_hid": 32, "n_blk_per_group": 1, "n_init": 32}
CLIP = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 4, "width": 128, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
}


def frozen(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build().eval().requires_grad_(False)


def lower_all(network: Any) -> None:
    for part in network.bulk if isinstance(network.bulk, tuple) else (network.bulk,):
        lower_(part, CPU)


def gradient(compute: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    point = at.clone().requires_grad_()
    result = compute(point)
    assert result.dtype is torch.float32
    direction = torch.randn(result.shape, generator=torch.Generator().manual_seed(1))
    (found,) = torch.autograd.grad((result * direction).sum(), point)
    assert found.dtype is torch.float32
    return found


@pytest.mark.parametrize(
    ("build", "shape", "use"),
    [
        pytest.param(lambda: VQGANNetwork(VQGAN), (2, 32, 8, 8), "decode", id="vqgan"),
        pytest.param(lambda: DVAENetwork(DVAE), (2, 64, 8, 8), "decode", id="dvae"),
        pytest.param(lambda: TiTokNetwork(titoks.CONFIG), (2, 12, 1, titoks.TOKENS), "decode", id="titok"),
        pytest.param(lambda: CLIPPerceptor(CLIP), (4, 3, 64, 64), "encode_images", id="clip"),
    ],
)
def test_gradients_point_the_same_way_and_are_not_the_same(
    build: Callable[[], nn.Module], shape: tuple[int, ...], use: str
) -> None:
    network = frozen(build)
    at = torch.rand(shape, generator=torch.Generator().manual_seed(2))
    usual = gradient(getattr(network, use), at)
    lower_all(network)
    lower = gradient(getattr(network, use), at)
    assert not torch.equal(lower, usual)
    assert torch.cosine_similarity(lower.flatten(), usual.flatten(), dim=0) > 0.995


def test_codes_are_found_as_ever() -> None:
    network = frozen(lambda: VQGANNetwork(VQGAN))
    latent = torch.randn(2, 32, 8, 8, generator=torch.Generator().manual_seed(3))
    usual = network.nearest(latent)
    lower_(network.bulk, CPU)
    assert torch.equal(network.nearest(latent), usual)
    assert network.codebook.dtype is torch.float32


def test_the_latent_and_the_losses_of_a_run_stay_in_float32() -> None:
    from clipgen.engine.models import load_models

    small, _ = resolve(
        Job(parse_prompts("a cat"), preset="starter", start="noise", size=(32, 32), cutouts=2, steps=2), device="cpu"
    )
    lower = replace(small, precision=BF16)
    found = {}
    for each in (small, lower):
        run = Run([each], load_models(each, "cpu"))
        [step] = run.find_gradients()
        run.update()
        assert {value.dtype for value in run.loop.generator.parameters()} == {torch.float32}
        assert step.loss.dtype is step.image.dtype is torch.float32
        found[each.precision] = step.image
    assert 0 < (found[BF16] - found[FP32]).abs().max() < 0.05


def say_what_the_device_has(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    monkeypatch.setattr(resolving, "computes_bf16", lambda _device: has)


@pytest.mark.parametrize("asked", [None, FP32, BF16])
@pytest.mark.parametrize("preset", ["draft", "starter", "photo"])
@pytest.mark.parametrize("has", [True, False])
def test_the_plan_says_what_is_computed_in(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, preset: str, has: bool
) -> None:
    say_what_the_device_has(monkeypatch, has)
    made, notes = resolve(Job(parse_prompts("a cat"), preset=preset, precision=asked), device="cpu")
    wanted = asked or (BF16 if preset == "draft" else FP32)
    assert made.precision == (wanted if has else FP32)
    said = [note for note in notes if "bfloat16" in note]
    assert len(said) == (wanted == BF16 and not has)
    assert type(made).from_json(made.to_json()) == made


def test_a_recipe_of_lower_precision_is_replayed_in_it_where_that_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(planned(), precision=BF16)
    say_what_the_device_has(monkeypatch, True)
    assert change_plan(recipe, {}, "cpu")[0].precision == BF16
    assert change_plan(recipe, {"precision": FP32}, "cpu")[0].precision == FP32
    say_what_the_device_has(monkeypatch, False)
    changed, _, notes = change_plan(recipe, {}, "cpu")
    assert changed.precision == FP32
    assert any("bfloat16" in note for note in notes)


def test_recipes_made_before_there_was_a_choice_mean_float32() -> None:
    record = planned().to_dict()
    del record["precision"]
    assert Plan.from_dict(record).precision == FP32


@pytest.mark.parametrize("wrong", ["fp16", "", "BF16", "32"])
def test_another_precision_is_refused(cli: Cli, wrong: str) -> None:
    with pytest.raises(UsageError, match="--precision"):
        Job(parse_prompts("red"), precision=wrong)
    refused = cli("red", "--precision", wrong)
    assert refused.exit_code == 2


def test_the_flag_reaches_the_recipe(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    made = cli("red", "--size", "32x32", "--steps", "1", "--seed", "1", "--precision", "fp32", "-o", "red.png")
    assert made.exit_code == 0, made.stderr
    said = json.loads(cli("info", "red.png", "--json").stdout)
    assert Path("red.png").is_file()
    assert FP32 in json.dumps(said)


def test_a_folded_tower_is_the_same_function_and_can_be_unfolded() -> None:
    perceptor = frozen(lambda: CLIPPerceptor(CLIP))
    assert isinstance(perceptor, CLIPPerceptor)
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    usual = perceptor.encode_images(images)
    found = gradient(perceptor.encode_images, images)
    perceptor.fold_()
    assert not any(isinstance(each, QuickGELU) for each in perceptor.clip.visual.modules())
    for other in (perceptor, perceptor.unfolded()):
        torch.testing.assert_close(other.encode_images(images), usual, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(gradient(other.encode_images, images), found, rtol=1e-3, atol=1e-5)
