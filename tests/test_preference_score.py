"""HPSv2.1 is a plain CLIP: files of its layout guide and judge. Small architectures stand in for its ViT-H-14."""

import json
from dataclasses import replace
from pathlib import Path

import pretrained
import pytest
import references
import torch
from own_files import SMALL, cli
from test_foreign_networks import MEAN, STD
from torch import Tensor

from clipgen.engine.models import perceptor_of
from clipgen.weights.cache import Cache
from clipgen.weights.catalogue import RECORDS
from clipgen.weights.imports import import_clip

pytestmark = pytest.mark.usefixtures("own_folder", "tiny_clips")

NAME = "clip/hps-v2.1"
FILE = Path("HPS_v2.1_compressed.pt")


@pytest.fixture
def published() -> references.open_clip.CLIP:
    """A random CLIP, saved as HPSv2.1 is: half precision in `state_dict`, beside what its training kept."""
    torch.manual_seed(0)
    model = references.clip({**pretrained.CLIP_CONFIGS["tiny-vit"], "text_cfg": pretrained.TEXT}).half().float()
    state = {name: value.half() for name, value in model.state_dict().items()}
    torch.save({"epoch": 1, "name": "hps", "state_dict": state}, FILE)
    return model


def as_the_model_sees(model: references.open_clip.CLIP, pixels: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    with torch.no_grad():
        vectors: Tensor = model.encode_image((pixels - mean) / std, normalize=True)
    return vectors


def test_a_file_of_its_layout_is_a_clip_of_the_users_own(published: references.open_clip.CLIP) -> None:
    perceptor = perceptor_of(import_clip("tiny-vit", FILE)).eval()
    pixels = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            perceptor.encode_images(pixels), as_the_model_sees(published, pixels), atol=1e-5, rtol=1e-4
        )
        words = published.encode_text(perceptor.tokens(["a cat"]), normalize=True)
        torch.testing.assert_close(perceptor.encode_texts(["a cat"]), words, atol=1e-5, rtol=1e-4)
    preset = ("--preset", "draft", "--backend", "pixels")
    result = cli(*SMALL, *preset, "--clip", "tiny-vit", "--clip-weights", str(FILE))
    assert result.exit_code == 0, result.stderr


def test_the_published_record_judges_what_another_guides(
    published: references.open_clip.CLIP, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = RECORDS[NAME]
    monkeypatch.setitem(RECORDS, NAME, replace(record, config={**record.config, "model": "tiny-vit"}))
    ask = (*SMALL, "--preset", "draft", "--backend", "pixels", "--clip", "tiny-resnet", "--clip-weights", "guide.pt")
    guide = references.clip({**pretrained.CLIP_CONFIGS["tiny-resnet"], "text_cfg": pretrained.TEXT})
    torch.save(guide.state_dict(), "guide.pt")
    ask = (*ask, "--candidates", "2", "--judge", "hps-v2.1", "--json")
    missing = cli(*ask, "--offline")
    assert missing.exit_code == 3
    assert f"clipgen models pull {NAME} --trust-on-first-use" in missing.stderr
    Cache().add(RECORDS[NAME], FILE, trust_on_first_use=True)
    result = cli(*ask, "--offline")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["judges"] == [NAME]
    config = perceptor_of(NAME).config
    assert (config["resize_mode"], config["interpolation"], config["fill_color"]) == ("longest", "bicubic", 0)
