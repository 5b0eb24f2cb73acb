"""Training DALL-E's second stage on one's own pictures, over the codes of the autoencoder in the same folder."""

import json
import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_pictures import SIDE, shrink, train, write_pictures

from clipgen.config.own_presets import read_own_preset
from clipgen.errors import ClipgenError, UsageError
from clipgen.generators.networks import VQGANNetwork, build_network
from clipgen.priors.transformer import PADDING, build_token_transformer
from clipgen.session.own_preset import own_fields
from clipgen.training.dvae import COLDEST, COOLED, KL, DVAETrainer
from clipgen.training.loop import Losses, Plan
from clipgen.training.prior import WITHOUT_TEXT, Coded, PriorTask, PriorTrainer, codes_of
from clipgen.weights import read


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shrink(monkeypatch, tmp_path / "cache")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def folder(data: Path, tmp_path: Path) -> Path:
    """A preset with an autoencoder."""
    train("vqgan", data, tmp_path / "mine")
    return tmp_path / "mine"


def learn(data: Path, folder: Path, **values: Any) -> Any:
    return train("prior", data, folder, **{"resolution": None, **values})


def test_a_prior_of_the_autoencoder_is_added_to_the_folder(data: Path, folder: Path) -> None:
    learned = learn(data, folder)
    preset = read_own_preset(folder)
    assert set(preset.networks) == {"vqgan", "prior"}
    assert learned.kind == "token-prior"
    assert learned.config["autoencoder"] == {"kind": "vqgan", "sha256": preset.networks["vqgan"].sha256}
    network, autoencoder = build_token_transformer(learned), build_network(read(preset.path("vqgan")))
    assert isinstance(autoencoder, VQGANNetwork)
    assert (network.code_count, network.grid) == (autoencoder.code_count, (SIDE // autoencoder.stride,) * 2)
    metrics = learned.recipe["metrics"]
    assert metrics["of_chance"] == pytest.approx(math.log(16), abs=1e-4)
    assert 0 < metrics["nats_a_code"] < 2 * math.log(16)
    assert list((folder / "training" / "prior").glob("sheet-*.png"))


def test_the_same_seed_gives_the_same_weights_and_stops_change_nothing(
    data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = learn(data, folder, steps=8)
    (folder / "prior.safetensors").unlink()
    for file in (folder / "training" / "prior").iterdir():
        file.unlink()
    plain, stops = PriorTask.losses_at, {2, 5}

    def losses_at(self: PriorTask, step: int) -> Losses:
        if step in stops:
            stops.remove(step)
            signal.raise_signal(signal.SIGINT)
        return plain(self, step)

    monkeypatch.setattr(PriorTask, "losses_at", losses_at)
    document = json.loads((folder / "preset.json").read_text())
    del document["networks"]["prior"]
    (folder / "preset.json").write_text(json.dumps(document))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            learn(data, folder, steps=8)
    parts = learn(data, folder, steps=8)
    assert all(torch.equal(parts.tensors[name], value) for name, value in whole.tensors.items())


def test_without_an_autoencoder_it_says_what_to_train_first(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="first: clipgen train vqgan"):
        learn(data, tmp_path / "empty")


def test_other_pixels_than_those_of_the_autoencoder_are_refused(data: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"--resolution 32.*draws 16"):
        learn(data, folder, resolution=32)
    with pytest.raises(UsageError, match="--from starter/clip"):
        learn(data, folder, start="starter/clip")


def test_a_training_does_not_go_on_with_another_autoencoder(data: Path, folder: Path) -> None:
    learn(data, folder)
    for file in (folder / "training" / "vqgan").iterdir():
        file.unlink()
    train("vqgan", data, folder, seed=5)
    with pytest.raises(ClipgenError, match="autoencoder"):
        learn(data, folder)
    with pytest.raises(UsageError, match="run clipgen train prior"):
        own_fields(str(folder), {"start": "prior", "clips": ("clip/openai-rn50",)})


def test_codes_are_those_of_the_autoencoder_and_some_pictures_come_without_a_text(folder: Path) -> None:
    autoencoder = build_network(read(folder / "vqgan.safetensors")).eval()
    assert isinstance(autoencoder, VQGANNetwork)
    pictures = np.random.default_rng(0).integers(0, 255, (70, SIDE, SIDE, 3), np.uint8)
    codes = codes_of(autoencoder, pictures, lambda _line: None)
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    assert torch.equal(codes.long(), autoencoder.codes_of(images).flatten(1))
    seen: list[torch.Tensor] = []
    config = {"text_length": 8, "merges": 64, "codes": 16, "grid": [4, 4], "width": 8, "heads": 2, "patterns": ["full"]}
    network = build_network_of(config)
    coded = Coded(codes[:, :16] % 16, lambda index, _rng: f"a{index}")
    trainer = PriorTrainer(Plan(10, 400, 0.001), network, coded, coded)
    network.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    trainer.losses_at(1)
    empty = (seen[0] == PADDING).all(1).float().mean()
    assert 0.5 * WITHOUT_TEXT < float(empty) < 2 * WITHOUT_TEXT


def build_network_of(config: dict[str, Any]) -> Any:
    from clipgen.priors.transformer import TokenTransformer

    with torch.random.fork_rng():
        return TokenTransformer(config)


def test_the_dvae_has_the_schedules_of_the_paper() -> None:
    """Appendix A.2: the relaxation cools from 1 to 1/16, the weight of the KL rises from 0, both by a half cosine."""
    trainer = object.__new__(DVAETrainer)
    trainer.plan, trainer.warmest = Plan(400, 4, 0.001), 1.0
    cooled = int(400 * COOLED)
    assert trainer.temperature(0) == 1.0
    assert trainer.temperature(cooled) == trainer.temperature(400) == COLDEST == 1 / 16
    for step in (30, cooled // 2, 250):
        cosine = COLDEST + (1 - COLDEST) * 0.5 * (1 + math.cos(math.pi * step / cooled))
        assert trainer.temperature(step) == pytest.approx(cosine)
    assert (trainer.kl_weight(0), trainer.kl_weight(100), trainer.kl_weight(300)) == (0.0, KL, KL)
    assert trainer.kl_weight(25) == pytest.approx(KL * 0.5 * (1 - math.cos(math.pi / 4)))
