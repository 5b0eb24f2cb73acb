"""How perceptors share a prompt by what they know of it."""

import pytest

from clipgen.config.class_words import groups
from clipgen.config.classes import class_names, things_in
from clipgen.config.prompts import parse_prompts
from clipgen.config.readings import FUNCTION_WORDS, known_to_starter, read, share, words
from clipgen.config.spelling import classes_spelled
from clipgen.errors import UsageError

CLASSIFIER = "classifier/efficientnet-lite0"
PHOTO = (CLASSIFIER, "starter/clip", "starter/clip-fine")
PUBLISHED = "clip/openai-vit-b-32"

TABLE = [
    # text, what the classifier takes, what the starter's CLIPs take, the words that nobody takes
    ("a goldfish", "goldfish", "", ()),
    ("Goldfish", "goldfish", "", ()),
    ("a red fox in a forest", "red fox", "in a forest", ()),
    ("a green cat and a dog", "cat, dog", "green", ()),
    ("two zebras at sunset", "zebra", "at sunset", ()),
    ("a tabby cat at sunset", "tabby", "at sunset", ()),
    ("a goldfish in watercolour, blue", "goldfish", "in watercolour, blue", ()),
    ("a volcano in the style of van gogh", "volcano", "in the style of van gogh", ()),
    ("a zebra in the style of nobodyknows", "zebra", "", ("nobodyknows",)),
    ("a crane (bird) in pencil", "crane (bird)", "in pencil", ()),
    ("a quixotic goldfish", "goldfish", "", ("quixotic",)),
    ("a quixotic, zany goldfish; quixotic", "goldfish", "", ("quixotic", "zany")),
    ("a lion fountain", "fountain", "", ("lion",)),
    ("a blue gryphon", "", "a blue", ("gryphon",)),
    ("in pencil", "", "in pencil", ()),
    ("a gryphon", "", "", ("gryphon",)),
    ("with the of", "", "", ()),
]


@pytest.mark.parametrize(("text", "named", "rest", "left"), TABLE)
def test_a_classifier_takes_the_things_and_the_starter_s_clips_the_words_that_they_know(
    text: str, named: str, rest: str, left: tuple[str, ...]
) -> None:
    reading = read(text, PHOTO)
    assert reading.taken == (named, rest, rest)
    assert reading.left == left


@pytest.mark.parametrize("text", [row[0] for row in TABLE])
def test_what_was_taken_is_taken_again_from_what_was_taken(text: str) -> None:
    named, rest, _ = read(text, PHOTO).taken
    assert read(named, (CLASSIFIER,)).taken == (named,)
    assert known_to_starter(rest) == rest


@pytest.mark.parametrize("text", [row[0] for row in TABLE])
def test_without_a_classifier_all_take_whole_texts(text: str) -> None:
    for perceptors in (PHOTO[1:], (PUBLISHED,), ("starter/clip", PUBLISHED)):
        reading = read(text, perceptors)
        assert reading.taken == (text,) * len(perceptors)
        assert reading.left == ()


@pytest.mark.parametrize(("text", "named", "rest", "_left"), TABLE)
def test_a_published_clip_takes_whole_texts_beside_a_classifier_so_that_nothing_is_left(
    text: str, named: str, rest: str, _left: tuple[str, ...]
) -> None:
    reading = read(text, (PUBLISHED, CLASSIFIER, "starter/clip"))
    assert reading.taken == (text, named, rest)
    assert reading.left == ()


def test_a_classifier_alone_leaves_what_it_does_not_know() -> None:
    reading = read("a red fox in a blue forest of ice", (CLASSIFIER,))
    assert reading.taken == ("red fox",)
    assert reading.left == ("blue", "forest", "ice")


def test_a_name_that_stands_for_different_things_is_refused_where_a_classifier_listens() -> None:
    with pytest.raises(UsageError, match=r'"crane" can be .*; write "crane \(bird\)" or "crane \(machine\)"'):
        read("a blue crane", PHOTO)
    assert read("a blue crane", PHOTO[1:]).taken == ("a blue crane",) * 2


def test_each_text_of_a_prompt_is_shared_on_its_own() -> None:
    prompts = parse_prompts("a goldfish:2|blue, in pencil:0.5|a gryphon:-1")
    readings = share(prompts, PHOTO)
    assert [reading.taken for reading in readings] == [
        ("goldfish", "", ""),
        ("", "blue, in pencil", "blue, in pencil"),
        ("", "", ""),
    ]
    assert [reading.left for reading in readings] == [(), (), ("gryphon",)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a blue castle", "a blue castle"),
        ("a blue gryphon", "a blue"),
        ("a gryphon in the of", ""),
        ("gryphon-blue castle", "castle"),
        ("blue, quixotic", "blue,"),
        ("", ""),
        ("of the", ""),
    ],
)
def test_the_starter_s_clips_hear_no_word_that_they_do_not_know(text: str, kept: str) -> None:
    assert known_to_starter(text) == kept


def test_words_are_lower_case_and_keep_their_hyphens() -> None:
    assert words("A well-known Café, 12 o'clock") == ["a", "well-known", "café", "o", "clock"]
    assert all(word == word.lower() for word in FUNCTION_WORDS)


def test_what_a_classifier_takes_is_read_as_the_things_that_were_named() -> None:
    names = [*class_names(), *(group.name for group in groups())]
    for name in names:
        for text in (name, f"a {name}", f"two zebras and a {name}"):
            try:
                things = things_in(text)
            except UsageError:  # it can mean two things
                continue
            if things:
                taken = read(text, ["classifier/efficientnet-lite0"]).taken[0]
                assert classes_spelled(taken) == [thing.classes for thing in things], text
