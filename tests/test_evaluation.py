"""The judge judges: pictures that show what was asked score high, the same pictures in another order at chance."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from clipgen.evaluation import Answer, measure, questions
from clipgen.starter import grammar
from clipgen.starter.world.compose import draw

COUNT = 24


def imagined(claim: grammar.Claim, rng: np.random.Generator) -> grammar.Truth:
    """Something random of which the claim holds."""
    while not grammar.is_true(claim, truth := grammar.imagine(rng)):
        pass
    return truth


@pytest.fixture(scope="module")
def true_answers() -> list[Answer]:
    """Drawn pictures of which the questions' claims hold."""
    answers = []
    for index, question in enumerate(questions(COUNT, seed=5)):
        rng = np.random.default_rng([9, index])
        truth = imagined(question.claim, rng)
        answers.append(Answer(question, Image.fromarray(draw(truth, rng, 128)), seconds=2.0, guide_cosine=0.5))
    return answers


def test_questions_differ_and_come_from_the_seed() -> None:
    asked = questions(40, seed=0)
    assert asked == questions(40, seed=0) != questions(40, seed=1)
    assert len({tuple(question.claim.items()) for question in asked}) == 40
    assert all("noun" in question.claim for question in asked)
    assert 10 < sum("style" in question.claim for question in asked) < 40


def test_true_pictures_score_high(true_answers: list[Answer]) -> None:
    scores = measure(true_answers)
    assert scores["n"] == COUNT
    assert scores["R@1"] >= 0.7
    assert scores["R@5"] >= 0.9
    assert scores["noun accuracy"] >= 0.8
    assert scores["colour accuracy"] >= 0.7
    assert scores["seconds a picture"] == 2.0
    assert scores["gap"] == pytest.approx(0.5 - scores["judge cosine"])


def test_pictures_of_something_else_score_at_chance(true_answers: list[Answer]) -> None:
    pictures = [answer.picture for answer in true_answers]
    shifted = [replace(a, picture=p) for a, p in zip(true_answers, pictures[7:] + pictures[:7], strict=True)]
    scores = measure(shifted)
    assert scores["R@1"] <= 0.15
    assert scores["noun accuracy"] <= 0.3
    assert scores["R@1 chance"] == pytest.approx(1 / COUNT)
    assert scores["noun chance"] == pytest.approx(1 / len(grammar.NOUNS))
