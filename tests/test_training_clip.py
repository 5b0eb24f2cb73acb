"""A CLIP that is trained on captioned pictures: which pairs count as true, and what it learns."""

import json
from pathlib import Path

import pytest
import torch
from own_pictures import shrink, train, write_pictures
from pretrained import CLIP_CONFIGS, TEXT
from torch import Tensor

from clipgen.errors import ClipgenError, UsageError
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.training.augment import warp
from clipgen.training.clip import distinct, true_pairs
from clipgen.training.contrastive import attacked, softmax_contrast
from clipgen.training.loop import STATE
from clipgen.weights.checkpoint import Checkpoint, write
from clipgen.weights.clips import CLIP_MEAN, CLIP_STD


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shrink(monkeypatch, tmp_path / "cache")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


def test_a_caption_is_true_of_every_picture_that_has_it_in_whatever_case() -> None:
    captions = [("A seven", "a handwritten seven"), ("a  SEVEN",), ("a two",)]
    texts = distinct(captions)
    assert [text.casefold().split()[-1] for text in texts] == ["seven", "seven", "two"]
    assert true_pairs(captions, texts).tolist() == [[True, True, False], [True, False, False], [False, False, True]]


def test_the_softmax_loss_is_least_where_all_matches_are_equally_likely() -> None:
    match = torch.tensor([[True, True, False], [False, False, True]])
    right = 20.0 * match.float()
    uneven = right + torch.tensor([[3.0, 0, 0], [0, 0, 0]])
    assert softmax_contrast(right, match) < softmax_contrast(uneven, match) < softmax_contrast(-right, match)


def test_an_adversary_raises_the_loss_and_goes_no_further_than_it_may() -> None:
    torch.manual_seed(0)
    views = torch.rand(3, 3, 8, 8)

    def loss_of(moved: Tensor) -> Tensor:
        return moved.square().sum()

    found = attacked(views, loss_of, radius=0.5)
    assert (found - views).flatten(1).norm(dim=1).max() <= 0.5 + 1e-5
    assert loss_of(found) > loss_of(views)


def test_without_flips_left_stays_left() -> None:
    torch.manual_seed(0)
    pictures = torch.zeros(32, 3, 32, 32)
    pictures[..., :16] = 1
    turned = warp(pictures, 32, flips=False)
    assert (turned[..., :8].mean((1, 2, 3)) > turned[..., -8:].mean((1, 2, 3))).all()
    mirrored = warp(pictures, 32)
    assert (mirrored[..., :8].mean((1, 2, 3)) < mirrored[..., -8:].mean((1, 2, 3))).any()


def test_it_learns_to_tell_captions_apart_on_pictures_that_it_has_not_seen(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    checkpoint = train("clip", data, tmp_path, said, steps=40, batch=12, radius=0.0, rate=0.003)
    metrics = checkpoint.recipe["metrics"]
    assert metrics["R@1"] == 1.0 > metrics["chance"]
    assert any("R@1 1" in line for line in said)
    perceptor = build_perceptor(checkpoint).eval()
    red = torch.tensor([0.8, 0.1, 0.1]).view(1, 3, 1, 1).expand(1, 3, perceptor.size, perceptor.size)
    scores = perceptor.encode_images(red) @ perceptor.encode_texts(["a red square", "a blue square"]).T
    assert scores[0, 0] > scores[0, 1]
    log = [json.loads(line) for line in (tmp_path / "training" / "clip" / "log.jsonl").read_text().splitlines()]
    assert {"loss", "held_out_loss", "nearest"} <= {key for entry in log for key in entry}


def test_the_same_seed_and_pictures_give_the_same_weights_and_another_seed_gives_others(
    data: Path, tmp_path: Path
) -> None:
    first, second = (train("clip", data, tmp_path / name).tensors for name in ("a", "b"))
    other = train("clip", data, tmp_path / "c", seed=1).tensors
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not all(torch.equal(value, other[name]) for name, value in first.items())


def test_the_header_says_how_it_was_trained(data: Path, tmp_path: Path) -> None:
    recipe = train("clip", data, tmp_path, seed=3).recipe
    assert recipe["command"] == "train clip"
    assert recipe["plan"]["steps"] == recipe["steps"] == 6
    assert recipe["plan"]["seed"] == recipe["settings"]["seed"] == 3
    assert recipe["pictures"]["training"] + recipe["pictures"]["held_out"] == 24
    assert recipe["pictures"]["held_out"] > 0
    assert str(data) not in json.dumps(recipe)


def test_other_settings_or_pictures_in_the_same_folder_are_refused_by_name(data: Path, tmp_path: Path) -> None:
    train("clip", data, tmp_path / "out")
    with pytest.raises(ClipgenError, match=r"another plan \(steps 6, now 9"):
        train("clip", data, tmp_path / "out", steps=9)
    more = write_pictures(tmp_path / "more", count=26)
    with pytest.raises(ClipgenError, match="training pictures"):
        train("clip", more, tmp_path / "out")


def test_a_damaged_state_is_said_to_be_one(data: Path, tmp_path: Path) -> None:
    train("clip", data, tmp_path)
    (tmp_path / "training" / "clip" / STATE).write_bytes(b"PK nonsense")
    with pytest.raises(ClipgenError, match="remove it to begin anew"):
        train("clip", data, tmp_path)


def test_a_network_of_ones_own_can_be_trained_further(data: Path, tmp_path: Path) -> None:
    first = train("clip", data, tmp_path / "a", radius=0.0)
    start = str(tmp_path / "a" / "clip.safetensors")
    second = train("clip", data, tmp_path / "b", start=start, steps=1, rate=1e-7, radius=0.0, resolution=None)
    assert second.config == first.config
    moved = [
        float((value - first.tensors[name]).abs().max())
        for name, value in second.tensors.items()
        if "running" not in name and value.is_floating_point()
    ]
    assert max(moved) < 1e-3
    with pytest.raises(UsageError, match="sees 16 pixels"):
        train("clip", data, tmp_path / "c", start=start, resolution=32)
    with pytest.raises(UsageError, match="holds a 'clip', not a vqgan"):
        train("vqgan", data, tmp_path / "c", start=start)
    with pytest.raises(UsageError, match="neither a file nor the name of a clip"):
        train("clip", data, tmp_path / "c", start="nonsense")


def test_a_clip_that_was_trained_with_softmax_goes_on_with_it(data: Path, tmp_path: Path) -> None:
    config = {**CLIP_CONFIGS["tiny-vit"], "text_cfg": TEXT, "mean": CLIP_MEAN, "std": CLIP_STD}
    torch.manual_seed(0)
    write(tmp_path / "vit.safetensors", Checkpoint("clip", config, CLIPPerceptor(config).clip.state_dict()))
    trained = train("clip", data, tmp_path / "out", start=str(tmp_path / "vit.safetensors"), resolution=None, steps=2)
    assert "logit_bias" not in trained.tensors
    assert build_perceptor(trained).size == config["vision_cfg"]["image_size"]
