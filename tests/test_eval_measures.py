"""Measures of evaluations, compared with what is worked out by hand."""

import io
import math

import numpy as np
import pytest
import torch
from fakes import FakePerceptor
from PIL import Image, ImageFilter
from torch import Tensor

from clipgen.judge import judges
from clipgen.judge.captions import opinion, part, summary
from clipgen.judge.diversity import diversity, pairwise_distance
from clipgen.judge.judges import Judge
from clipgen.judge.retrieval import mean_by_group, ranks, recall
from clipgen.judge.robustness import (
    ALTERATIONS,
    CLEAN,
    VIEWS,
    altered_scores,
    blurred,
    jpeg,
    losses,
    random_views,
    shifted,
)
from clipgen.util.images import to_tensor


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Judge:
    """A CLIP that sees the mean colours of the quarters of a picture."""

    def embed(pictures: list[Image.Image], perceptor: FakePerceptor) -> Tensor:
        return torch.cat([perceptor.encode_images(perceptor.whole(to_tensor(each, each.size))) for each in pictures])

    monkeypatch.setattr(judges, "embed", embed)
    return Judge("fake/judge", FakePerceptor())


def noise(side: int = 64, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(256, size=(side, side, 3), dtype=np.uint8))


def plain(*colour: int) -> Image.Image:
    return Image.new("RGB", (32, 32), colour)


def test_jpeg_is_that_of_pillow_and_loses_more_at_a_lower_quality() -> None:
    picture, file = noise(), io.BytesIO()
    picture.save(file, "JPEG", quality=50)
    with Image.open(file) as image:
        assert list(jpeg(picture, 50).tobytes()) == list(image.convert("RGB").tobytes())
    lost = [np.abs(np.asarray(picture, float) - np.asarray(jpeg(picture, quality))).mean() for quality in (90, 50, 25)]
    assert lost == sorted(lost)


def test_the_blur_is_as_wide_in_every_size() -> None:
    assert blurred(noise(256)) == noise(256).filter(ImageFilter.GaussianBlur(2))
    assert np.asarray(blurred(noise(256))).std() < 0.5 * np.asarray(noise(256)).std()


def test_a_shift_repeats_the_border() -> None:
    before, after = np.asarray(noise(64)), np.asarray(shifted(noise(64)))
    assert after.shape == before.shape
    assert (after[2:, 2:] == before[:-2, :-2]).all()
    assert (after[0, 2:] == before[0, :-2]).all()
    assert (after[:2, :2] == before[0, 0]).all()
    assert (np.asarray(shifted(noise(8)))[1:, 1:] == np.asarray(noise(8))[:-1, :-1]).all()


def test_views_are_those_of_the_picture_and_the_seed() -> None:
    views = random_views(noise(), 5, 16, seed=3)
    assert views.shape == (5, 3, 16, 16)
    assert 0 <= views.min() < views.max() <= 1
    assert torch.equal(views, random_views(noise(), 5, 16, seed=3))
    assert not torch.equal(views, random_views(noise(), 5, 16, seed=4))
    white = [random_views(plain(*colour), 2, 16, seed=3) for colour in ((250, 250, 250), (249, 250, 250))]
    assert (white[0] - white[1]).abs().max() > 0.05  # other views, not those of nearly the same picture


def test_a_picture_of_one_colour_loses_nothing_and_one_that_needs_its_place_does(judge: Judge) -> None:
    half = Image.new("RGB", (64, 64), (255, 0, 0))
    half.paste((0, 255, 255), (0, 0, 64, 2))  # the shift pulls what stands at the border into the picture
    found = altered_scores([plain(255, 0, 0), half], ["red", "red"], judge, views=4)
    assert list(found) == [CLEAN, VIEWS, *ALTERATIONS]
    assert found[CLEAN][0] == pytest.approx(1, abs=1e-4)
    assert [found[name][0] for name in ALTERATIONS] == pytest.approx([1] * 4, abs=1e-3)
    assert found[VIEWS][0] > 0.9
    assert found["shift"][1] < found[CLEAN][1] - 1e-3


def test_losses_are_paired_differences_against_the_clean_score() -> None:
    found = losses({CLEAN: [0.5, 0.1], "blur": [0.25, 0.1]})
    score, loss = found["blur"]
    assert (score.value, loss.value) == pytest.approx((0.175, 0.125))
    assert (loss.low, loss.high) == pytest.approx((0.0, 0.25))
    assert found[CLEAN][1].value == found[CLEAN][1].high == 0


def test_diversity_is_the_mean_distance_of_the_pairs_of_a_prompt() -> None:
    turned = torch.tensor([[math.cos(angle), math.sin(angle)] for angle in (0, math.pi / 2, math.pi)])
    assert pairwise_distance(turned) == pytest.approx((1 + 2 + 1) / 3, abs=1e-6)
    assert pairwise_distance(turned[:1].repeat(4, 1)) == pytest.approx(0, abs=1e-6)
    vectors = torch.cat([turned, turned[:2]])
    assert diversity(vectors, ["a", "b", "a", "b", "c"]) == pytest.approx([2, 1], abs=1e-6)


def test_the_rank_counts_the_texts_that_are_strictly_nearer() -> None:
    scores = torch.tensor([[0.3, 0.2, 0.1], [0.3, 0.2, 0.1], [0.3, 0.2, 0.1], [0.2, 0.2, 0.2]])
    assert ranks(scores, [0, 1, 2, 1]) == [1, 2, 3, 1]


def test_recall_by_hand() -> None:
    assert recall([1, 2, 6, 1], 1, range(4)).value == 0.5
    assert recall([1, 2, 6, 1], 5, range(4)).value == 0.75
    alone = recall([1, 1, 2, 2], 1, range(4))
    paired = recall([1, 1, 2, 2], 1, [0, 0, 1, 1])
    assert paired.value == alone.value == 0.5
    assert paired.high - paired.low > alone.high - alone.low  # two pictures of a prompt say less than two prompts


def test_the_mean_by_group_weighs_every_group_alike() -> None:
    assert mean_by_group([1, 1, 1, 0], ["a", "a", "a", "b"]).value == 0.5


def test_an_opinion_by_hand(judge: Judge) -> None:
    texts = ["red", "blue", "black"]
    pictures = [plain(255, 0, 0), plain(255, 0, 0), plain(0, 0, 0), plain(0, 0, 255)]
    found = opinion(judge, None, pictures, [0, 1, 2, 1], texts)
    # red is (1, -1, -1): its cosine with blue, (-1, -1, 1), is -1/3, and with black, (-1, -1, -1), it is 1/3
    assert found.scores == pytest.approx([1, -1 / 3, 1, 1], abs=1e-2)
    assert found.ranks == (1, 3, 1, 1)
    assert found.apart == pytest.approx([4 / 3], abs=1e-2)  # the two pictures for "blue"
    said = summary(found, "cosine")
    assert said["R@1"].value == pytest.approx((1 + 0.5 + 1) / 3)
    assert said["judge cosine"].value == pytest.approx((1 + 1 / 3 + 1) / 3, abs=1e-2)
    assert "gap" not in said
    assert summary(part(found, [0, 2]), "cosine")["judge cosine"].value == pytest.approx(1, abs=1e-2)


def test_the_gap_is_how_much_more_the_guide_says(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pleased(FakePerceptor):
        def similarities(self, seen: Tensor, targets: Tensor) -> Tensor:
            return super().similarities(seen, targets) + 0.25

    found = opinion(
        judge, Judge("fake/guide", Pleased()), [plain(255, 0, 0), plain(0, 0, 255)], [0, 1], ["red", "blue"]
    )
    said = summary(found, "cosine")
    assert said["gap"].value == pytest.approx(0.25, abs=1e-5)
    assert said["guide cosine"].value == pytest.approx(said["judge cosine"].value + 0.25, abs=1e-5)


def test_a_single_prompt_has_no_rank(judge: Judge) -> None:
    assert opinion(judge, None, [plain(255, 0, 0)], [0], ["red"]).ranks == ()


def test_a_classifier_says_nothing_of_what_it_does_not_know() -> None:
    class Sure(FakePerceptor):
        def encode_images(self, views: Tensor) -> Tensor:
            return torch.zeros(len(views), 4)

        def encode_texts(self, texts: list[str]) -> Tensor:
            assert texts == ["goldfish"] * len(texts)
            return torch.ones(len(texts), 4)

        def similarities(self, seen: Tensor, targets: Tensor) -> Tensor:
            return torch.full((1, seen.shape[1], targets.shape[1]), 0.75)

    classifier = Judge("classifier/efficientnet-lite0", Sure())
    pictures = [plain(0, 0, 0), plain(9, 9, 9)]
    found = opinion(classifier, None, pictures, [0, 1], ["a goldfish at night", "the idea of justice"])
    assert found.scores == (0.75, None)
    assert (found.ranks, found.apart) == ((), ())
    assert list(summary(found, classifier.unit)) == ["judge probability"]
