"""What a judge sees of a whole picture is what open_clip, called by hand, shows to the same CLIP."""

import json
from pathlib import Path
from typing import Any

import by_hand
import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from own_files import cli
from PIL import Image
from published import tag_of

from clipgen.cli.judge_options import STARTER_CLIPS
from clipgen.config.perceptor_names import BEST_CLIPS
from clipgen.engine.models import perceptor_of
from clipgen.errors import UsageError
from clipgen.judge.score import BATCH, embed
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.weights.catalogue import CLIPS
from clipgen.weights.clips import PREPROCESSING
from clipgen.weights.imports import import_clip
from clipgen.weights.loader import load

pytestmark = pytest.mark.usefixtures("own_folder")
TEXTS = ["a cat", "a red house at night", "fog"]
CASES: dict[str, dict[str, Any]] = {"openai": by_hand.OPENAI, "siglip": by_hand.SIGLIP, "longest": by_hand.LETTERBOX}
FILE = Path("mine/open_clip_model.safetensors")


def scored(*args: str, texts: list[str] = TEXTS) -> dict[str, Any]:
    """What `clipgen score --json` prints; every text is among the best."""
    result = cli("score", *args, *(part for text in texts for part in ("--text", text)), "--json")
    assert result.exit_code == 0, result.stderr
    record: dict[str, Any] = json.loads(result.stdout)
    return record


def table(record: dict[str, Any], name: str, texts: list[str] = TEXTS) -> torch.Tensor:
    """The (N, L) numbers of a name in a record."""
    rows = [{place["label"]: place[name] for place in picture["top"]} for picture in record["pictures"]]
    return torch.tensor([[row[text] for text in texts] for row in rows])


def check(hand: by_hand.ByHand, paths: list[Path], *args: str) -> None:
    """Cosines and probabilities of a command are those by hand."""
    record = scored(*map(str, paths), *args)
    cosines = hand.cosines(by_hand.opened(paths), TEXTS)
    torch.testing.assert_close(table(record, "cosine"), cosines, rtol=0, atol=1e-5)
    torch.testing.assert_close(table(record, "probability"), hand.probabilities(cosines), rtol=0, atol=1e-4)
    assert float(cosines.std(0).max()) > 1e-3  # else these pictures would look alike


@pytest.mark.parametrize("name", STARTER_CLIPS)
def test_starter_clips_agree_with_open_clip(name: str) -> None:
    check(by_hand.starter(name), by_hand.pictures(Path("some")), "--clip", name)


@pytest.mark.parametrize("case", CASES)
def test_clips_of_the_hub_agree_with_open_clip(case: str) -> None:
    hand = by_hand.random_clip(by_hand.TINY, CASES[case], FILE, sigmoid=case == "siglip")
    check(hand, by_hand.pictures(Path("some")), "--clip-weights", str(FILE))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", ["openai", "siglip"])
def test_clips_of_full_size_agree_with_open_clip(case: str) -> None:
    config = open_clip.get_model_config("ViT-B-32")
    hand = by_hand.random_clip(config, CASES[case], FILE, sigmoid=case == "siglip")
    sizes = (*by_hand.SIZES, (1600, 900), (224, 224), (300, 1200))
    check(hand, by_hand.pictures(Path("some"), sizes), "--clip-weights", str(FILE))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
@pytest.mark.parametrize("case", CASES)
def test_pictures_of_any_mode_and_shape_are_prepared_to_the_last_bit(case: str, mode: str) -> None:
    said = {name: value for name, value in CASES[case].items() if name not in ("mean", "std")}
    perceptor = CLIPPerceptor({**by_hand.TINY, "mean": [0.0] * 3, "std": [1.0] * 3, **said})
    prepare = image_transform_v2(PreprocessCfg(size=32, mean=(0,) * 3, std=(1,) * 3, **said), is_train=False)
    for picture in by_hand.opened(by_hand.pictures(Path("some"))):
        prepared = perceptor.prepared(picture.convert(mode))
        assert torch.equal(prepared, prepare(picture.convert(mode)))
        assert prepared.shape == (3, 32, 32)
        assert 0 <= float(prepared.min()) <= float(prepared.max()) <= 1


def test_a_config_without_preprocessing_means_that_of_openai() -> None:
    plain = CLIPPerceptor({**by_hand.TINY, "mean": [0.0] * 3, "std": [1.0] * 3})
    wide = Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 200, 3), dtype=np.uint8))
    middle = wide.resize((128, 32), Image.Resampling.BICUBIC).crop((48, 0, 80, 32))
    expected = torch.from_numpy(np.array(middle)).permute(2, 0, 1) / 255
    torch.testing.assert_close(plain.prepared(wide), expected, rtol=0, atol=0)


def test_published_clips_are_prepared_as_open_clip_says() -> None:
    assert sorted(BEST_CLIPS) == sorted(record.name for record in CLIPS if not record.instead_of)
    for record in CLIPS:
        model = record.config["model"]
        short = record.name.removeprefix("clip/")
        if short == "hps-v2.1":  # which open_clip does not list; its authors show whole pictures on black
            assert record.config["resize_mode"] == "longest"
            continue
        said = open_clip.get_pretrained_cfg(model, tag_of(record))
        assert said, record.name
        for name in ("interpolation", "resize_mode"):
            assert record.config.get(name, PREPROCESSING[name]) == said[name], record.name
        for name in ("mean", "std"):
            assert record.config[name] == pytest.approx(said[name])


def test_preprocessing_is_no_part_of_the_name_of_a_network() -> None:
    by_hand.random_clip(by_hand.TINY, {"mean": [0.5] * 3, "std": [0.5] * 3}, FILE)
    plain = import_clip(None, FILE)
    assert not {"interpolation", "resize_mode", "fill_color"} & load(plain).config.keys()
    by_hand.random_clip(by_hand.TINY, by_hand.SIGLIP, FILE)  # the same weights
    assert import_clip(None, FILE) == plain
    assert load(plain).config["resize_mode"] == "squash"
    assert "interpolation" not in load(plain).config  # as it is the usual one
    by_hand.random_clip(by_hand.TINY, {"mean": [0.5] * 3, "std": [0.5] * 3}, FILE)
    import_clip(None, FILE)  # a config that says nothing takes nothing back
    assert load(plain).config["resize_mode"] == "squash"


@pytest.mark.parametrize(
    "said", [{"resize_mode": "zoom"}, {"interpolation": 3}, {"fill_color": 256}, {"fill_color": True}]
)
def test_a_preprocessing_that_open_clip_does_not_know_is_refused(said: dict[str, Any]) -> None:
    by_hand.random_clip(by_hand.TINY, {}, FILE)
    config = {"model_cfg": by_hand.TINY, "preprocess_cfg": said}
    FILE.with_name("open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=rf"a CLIP's {next(iter(said))} cannot be"):
        import_clip(None, FILE)


def test_many_pictures_are_seen_in_batches_and_as_each_alone() -> None:
    perceptor = perceptor_of("starter/judge").eval()
    given = [Image.new("RGB", (40 + number, 60), (number * 5, 90, 200)) for number in range(BATCH + 3)]
    batches: list[int] = []
    encode = perceptor.encode_images
    perceptor.encode_images = lambda cutouts: (batches.append(len(cutouts)), encode(cutouts))[1]
    together = embed(given, perceptor)
    assert batches == [BATCH, 3]
    alone = torch.cat([embed([picture], perceptor) for picture in given])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert together.norm(dim=1) == pytest.approx(1.0, abs=1e-5)
