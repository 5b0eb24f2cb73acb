"""Scores of pictures that can be worked out by hand."""

from typing import Any

import pytest
import torch
from fakes import FakePerceptor
from PIL import Image

from clipgen.config.prompts import parse_prompts
from clipgen.judge.score import embed, mean_similarities, r_precision

GREEN, BLUE = (Image.new("RGB", (24, 32), colour) for colour in ("lime", "blue"))
CPU = torch.device("cpu")


class Judge(FakePerceptor):
    """Has a parameter, as real ones do, by which its device is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))


class Contrary(Judge):
    """Sees the opposite."""

    def encode_images(self, views: torch.Tensor) -> torch.Tensor:
        return -super().encode_images(views)


def cosines(prompt: str, *judges: Any) -> list[float]:
    return mean_similarities([GREEN, BLUE], parse_prompts(prompt), judges, CPU)


def test_whole_pictures_of_any_size_are_embedded_in_order() -> None:
    judge: Any = Judge()
    large = Image.new("RGB", (64, 16), "blue")
    vectors = embed([GREEN, large], judge)
    torch.testing.assert_close(
        vectors @ judge.encode_texts(["green", "blue"]).T, torch.tensor([[1, -1 / 3], [-1 / 3, 1]]), atol=0.01, rtol=0
    )
    assert not vectors.requires_grad


def test_cosines_are_weighted_and_what_pushes_takes_away() -> None:
    assert cosines("green", Judge()) == pytest.approx([1, -1 / 3], abs=0.01)
    assert cosines("green:3|blue:1", Judge()) == pytest.approx([(3 - 1 / 3) / 4, (1 - 1) / 4], abs=0.01)
    assert cosines("green|blue:-1", Judge()) == pytest.approx([2 / 3, -2 / 3], abs=0.01)
    assert cosines("green:5", Judge()) == pytest.approx(cosines("green", Judge()))


def test_judges_are_averaged() -> None:
    assert cosines("green", Judge(), Contrary()) == pytest.approx([0, 0], abs=1e-6)


def test_a_judge_is_asked_only_about_what_it_takes() -> None:
    def scores(*readings: list[str]) -> list[float]:
        judges = [Judge(), Contrary()]
        return mean_similarities([GREEN, BLUE], parse_prompts("green:3|blue:1"), judges, CPU, readings)

    assert scores(["green", ""], ["", ""]) == pytest.approx([1, -1 / 3], abs=0.01)
    assert scores(["green", ""], ["", "blue"]) == pytest.approx([2 / 3, -2 / 3], abs=0.01)
    assert scores(["green", "blue"], ["green", "blue"]) == pytest.approx([0, 0], abs=1e-6)


def test_r_precision_counts_only_rivals() -> None:
    similar = torch.tensor([[0.5, 0.9, 0.1], [0.9, 0.5, 0.1], [0.9, 0.1, 0.5]])
    rivals = torch.tensor([[False, False, True], [False, False, True], [True, True, False]])
    scores = r_precision(similar, rivals)
    assert scores["R@1"] == pytest.approx(2 / 3)
    assert scores["R@1 chance"] == pytest.approx((1 / 2 + 1 / 2 + 1 / 3) / 3)
    assert scores["R@5"] == scores["R@5 chance"] == 1
