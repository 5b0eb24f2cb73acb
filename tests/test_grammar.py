from dataclasses import asdict

import numpy as np
import pytest

from clipgen.starter import grammar
from clipgen.starter.grammar import Truth

RED_CAT = Truth("cat", colour="red", place="meadow", time="night", style="mosaic")


def random_truths(count: int) -> list[Truth]:
    rng = np.random.default_rng(5)
    return [grammar.imagine(rng) for _ in range(count)]


@pytest.mark.parametrize(
    ("claim", "true"),
    [
        ({"noun": "cat"}, True),
        ({"noun": "cat", "colour": "red", "time": "night", "style": "mosaic"}, True),
        ({"colour": "red"}, True),
        ({"noun": "cat", "colour": "blue"}, False),
        ({"noun": "dog", "colour": "red"}, False),
        ({"backdrop": "white"}, False),
    ],
)
def test_a_claim_is_true_when_everything_it_states_is_shown(claim: dict[str, str], true: bool) -> None:
    assert grammar.is_true(claim, RED_CAT) is true


@pytest.mark.parametrize(
    ("other", "so"),
    [
        ({"noun": "dog"}, True),
        ({"noun": "cat"}, False),
        ({"noun": "cat", "style": "neon"}, False),
        ({"noun": "cat", "colour": "blue"}, True),
        ({"time": "day"}, False),
    ],
)
def test_claims_contradict_where_both_cannot_hold(other: dict[str, str], so: bool) -> None:
    claim = {"noun": "cat", "colour": "red"}
    assert grammar.contradict(claim, other) is grammar.contradict(other, claim) is so


def test_claims_made_of_a_picture_are_true_of_it() -> None:
    rng = np.random.default_rng(0)
    for truth in random_truths(300):
        claim = grammar.claim_of(truth, rng)
        assert claim
        assert grammar.is_true(claim, truth)


def test_every_value_of_every_attribute_is_imagined_and_has_a_caption() -> None:
    truths = random_truths(4000)
    for text, claim in grammar.bank():
        assert any(grammar.is_true(claim, truth) for truth in truths), text


def test_the_world_is_as_large_as_promised() -> None:
    assert len(grammar.NOUNS) >= 20
    assert len(grammar.SCENES) >= 5
    assert len(grammar.COLOURS) == 11
    assert len(grammar.STYLES) >= 7
    assert {"cat", "dog", "bird", "face", "house", "tree", "flower", "city"} <= set(grammar.NOUNS)


def test_a_sketch_shows_no_colour() -> None:
    sketches = [truth for truth in random_truths(2000) if truth.style == "pencil sketch"]
    assert sketches
    assert all(truth.colour is None and truth.backdrop is None for truth in sketches)


def test_captions_say_what_is_claimed_in_known_words() -> None:
    rng = np.random.default_rng(1)
    for truth in random_truths(300):
        claim = grammar.claim_of(truth, rng)
        text = grammar.say(claim, rng)
        assert grammar.unknown_words(text) == []
        if "noun" in claim:
            assert any(word in text for word in grammar.NOUNS[claim["noun"]])
        if "colour" in claim:
            assert any(word in text for word in grammar.COLOURS[claim["colour"]])


def test_the_same_seed_says_the_same() -> None:
    said = [grammar.say({"noun": "cat", "style": "neon"}, np.random.default_rng(3)) for _ in range(2)]
    assert said[0] == said[1]


def test_captions_vary() -> None:
    rng = np.random.default_rng(0)
    claim = {name: value for name, value in asdict(RED_CAT).items() if value}
    assert len({grammar.say(claim, rng) for _ in range(50)}) > 30


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("a city in the style of Van Gogh", []),
        ("two cats", [("two", None)]),
        ("a flowr", [("flowr", "flower")]),
        ("a zyxxyz", [("zyxxyz", None)]),
        ("A CAT!", []),
    ],
)
def test_unknown_words_are_named_with_the_nearest(text: str, unknown: list[tuple[str, str | None]]) -> None:
    assert grammar.unknown_words(text) == unknown
