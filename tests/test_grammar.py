from dataclasses import asdict

import numpy as np
import pytest

from clipgen.starter import grammar, words
from clipgen.starter.english import say
from clipgen.starter.grammar import Truth

RED_CAT = Truth("cat", colour="red", place="meadow", time="night", style="mosaic")
RED_ON_BLUE = Truth("cube", "red", relation="on", other="ball", other_colour="blue")
AVOCADO_CHAIR = Truth("armchair", "green", relation="in the shape of", other="avocado")


def random_truths(count: int) -> list[Truth]:
    rng = np.random.default_rng(5)
    return [grammar.random_truth(rng) for _ in range(count)]


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


@pytest.mark.parametrize(
    ("claim", "truth", "true"),
    [
        (
            {"noun": "cube", "colour": "red", "relation": "on", "other": "ball", "other_colour": "blue"},
            RED_ON_BLUE,
            True,
        ),
        ({"noun": "ball", "colour": "blue", "relation": "under", "other": "cube"}, RED_ON_BLUE, True),
        ({"noun": "ball", "relation": "on", "other": "cube"}, RED_ON_BLUE, False),
        ({"noun": "cube", "colour": "blue", "relation": "on", "other": "ball"}, RED_ON_BLUE, False),
        ({"noun": "ball"}, RED_ON_BLUE, True),
        ({"noun": "ball", "colour": "red"}, RED_ON_BLUE, False),
        ({"colour": "blue"}, RED_ON_BLUE, True),
        ({"noun": "avocado", "colour": "green"}, AVOCADO_CHAIR, True),
        ({"noun": "avocado", "relation": "in the shape of", "other": "armchair"}, AVOCADO_CHAIR, False),
    ],
)
def test_of_two_things_each_has_its_own(claim: dict[str, str], truth: Truth, true: bool) -> None:
    assert grammar.is_true(claim, truth) is true


def test_claims_of_two_things_contradict_only_where_neither_side_fits() -> None:
    pair = {"noun": "cat", "relation": "next to", "other": "house"}
    turned = {"noun": "house", "relation": "next to", "other": "cat"}
    assert not grammar.contradict(pair, turned)
    assert not grammar.contradict(pair, {"noun": "house"})
    assert grammar.contradict(pair, {"noun": "dog"})


def test_what_is_swapped_is_another_claim_and_not_true() -> None:
    rng = np.random.default_rng(4)
    swaps = 0
    for truth in random_truths(4000):
        claim = grammar.claim_of(truth, rng)
        if other := grammar.swapped(claim):
            swaps += 1
            assert not grammar.is_true(other, truth)
            assert not grammar.held_out(other)
            assert sorted(map(str, other.values())) == sorted(map(str, claim.values()))
    assert swaps > 100


def test_what_is_held_out_is_drawn_only_when_asked_for() -> None:
    rng = np.random.default_rng(5)
    assert not any(grammar.held_out(asdict(truth)) for truth in random_truths(3000))
    assert all(grammar.held_out(asdict(grammar.random_truth(rng, held=True))) for _ in range(300))
    pairs = [(noun, style) for noun in words.NOUNS for style in words.STYLES]
    held = sum(grammar.held_out({"noun": noun, "style": style}) for noun, style in pairs)
    assert held / len(pairs) == pytest.approx(1 / grammar.HELD_OUT, rel=0.3)


def test_captions_of_what_is_not_held_out_name_no_pair_that_is() -> None:
    rng = np.random.default_rng(6)
    assert not any(grammar.held_out(grammar.claim_of(truth, rng)) for truth in random_truths(3000))


def test_claims_made_of_a_picture_are_true_of_it() -> None:
    rng = np.random.default_rng(0)
    for truth in random_truths(300):
        claim = grammar.claim_of(truth, rng)
        assert claim
        assert grammar.is_true(claim, truth)


def test_every_value_of_every_attribute_is_drawn_and_has_a_caption() -> None:
    truths = random_truths(6000)
    for text, claim in grammar.bank():
        assert any(grammar.is_true(claim, truth) for truth in truths), text


def test_the_world_is_as_large_as_promised() -> None:
    assert len(words.NOUNS) >= 60
    assert len(words.SCENES) == len(words.COLOURS) == len(words.STYLES) == 12
    asked_for = {"avocado", "armchair", "teapot", "giraffe", "scarf", "strawberry", "road sign", "storefront", "phone"}
    assert asked_for | {"snail", "harp", "hedgehog", "cat", "face", "city"} <= set(words.NOUNS)


def test_a_sketch_shows_no_colour() -> None:
    sketches = [truth for truth in random_truths(2000) if truth.style == "pencil sketch"]
    assert sketches
    assert all(truth.colour is None and truth.backdrop is None for truth in sketches)


SAID = {"noun": words.NOUNS, "other": words.NOUNS, "colour": words.COLOURS, "other_colour": words.COLOURS}
SAID |= {"count": words.COUNTS, "size": words.SIZES, "weather": words.WEATHERS, "relation": words.RELATIONS}


@pytest.mark.parametrize(
    ("one", "many"),
    [("cat", "cats"), ("butterfly", "butterflies"), ("scarf", "scarves"), ("cactus", "cacti"), ("fish", "fish"),
     ("snowman", "snowmen"), ("love heart", "love hearts"), ("bus", "buses"), ("key", "keys")],
)  # fmt: skip
def test_plurals(one: str, many: str) -> None:
    assert words.plural(one) == many


def test_captions_say_what_is_claimed_in_known_words() -> None:
    rng = np.random.default_rng(1)
    for truth in random_truths(300):
        claim = grammar.claim_of(truth, rng)
        text = say(claim, rng)
        assert words.unknown_words(text) == []
        for name, table in SAID.items():
            if name in claim:
                said = table[claim[name]]
                assert any(word in text for word in [*said, *map(words.plural, said)]), (text, claim)


def test_the_same_seed_says_the_same() -> None:
    said = [say({"noun": "cat", "style": "neon"}, np.random.default_rng(3)) for _ in range(2)]
    assert said[0] == said[1]


def test_captions_vary() -> None:
    rng = np.random.default_rng(0)
    claim = {name: value for name, value in asdict(RED_CAT).items() if value}
    assert len({say(claim, rng) for _ in range(50)}) > 30


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("a city in the style of Van Gogh", []),
        ("two cats", []),
        ("a flowr", ["flowr"]),
        ("a zyxxyz and a Flowr, a flowr", ["zyxxyz", "flowr"]),
        ("A CAT!", []),
    ],
)
def test_unknown_words_are_named_once(text: str, unknown: list[str]) -> None:
    assert words.unknown_words(text) == unknown


def test_who_wears_what_is_said_with_its_colour() -> None:
    rng = np.random.default_rng(0)
    shown = [truth for truth in random_truths(6000) if truth.relation == "wearing" and truth.other_colour]
    claims = [(truth, grammar.claim_of_worn(truth, rng)) for truth in shown for _ in range(8)]
    coloured = []
    for truth, claim in claims:
        assert grammar.is_true(claim, truth)
        worn, wearer = grammar.OF_WORN[claim["relation"]]
        coloured.append((worn in claim, wearer in claim, truth.colour in words.NATURAL.get(truth.noun, ())))
    assert 0.85 < np.mean([worn for worn, *_ in coloured]) < 0.97
    assert 0.1 < np.mean([own for _, own, natural in coloured if natural]) < 0.3
    assert 0.75 < np.mean([own for _, own, natural in coloured if not natural]) < 0.95
    assert 0.05 < np.mean([claim["relation"] == "worn by" for _, claim in claims]) < 0.25


def test_what_has_no_colour_is_worn_all_the_same() -> None:
    sketch = Truth("cat", relation="wearing", other="hat", style="pencil sketch")
    rng = np.random.default_rng(0)
    for _ in range(20):
        claim = grammar.claim_of_worn(sketch, rng)
        assert "relation" in claim
        assert not {"colour", "other_colour"} & claim.keys()


def test_what_is_worn_has_another_colour_and_that_may_be_alike() -> None:
    """An orange giraffe can wear a red scarf; that a red ball is on an orange cube would be hard to see."""
    pairs: dict[bool, set[tuple[str, str]]] = {True: set(), False: set()}
    for truth in random_truths(6000):
        if truth.relation in ("wearing", "on", "next to") and truth.colour and truth.other_colour:
            pairs[truth.relation == "wearing"].add((truth.colour, truth.other_colour))
    assert all(one != other for found in pairs.values() for one, other in found)
    assert any({one, other} in words.LOOKALIKES for one, other in pairs[True])
    assert not any({one, other} in words.LOOKALIKES for one, other in pairs[False])
