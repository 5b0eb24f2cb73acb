"""What a prompt asks for that the models do not know is said in one line, with what would help."""

import pytest
from fakes import Cli

from clipgen.cli import asking
from clipgen.config import unknown
from clipgen.config.job import Job
from clipgen.config.languages import foreign_language
from clipgen.config.preset import STARTER
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.unknown import Unknown, unknown_in
from clipgen.starter.nearby import NEARBY
from clipgen.starter.words import NOUNS
from clipgen.util.typos import edits, mistyped

SMALL = ("--size", "32x32", "--steps", "1", "--cutouts", "1", "--seed", "1", "--start", "noise")


def found(prompt: str, preset: str = STARTER, **settings: object) -> Unknown:
    return unknown_in(resolve(Job(parse_prompts(prompt), preset=preset, **settings))[0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prompt", "things", "nothing_known"),
    [
        ("a city in the style of Van Gogh", (), False),
        ("flying over the sea for the cat, playing happily, highly detailed, 4k", (), False),
        ("cities at night", (), False),
        ("a woman's face", (), False),
        ("red", (), False),
        ("a flower in a meadow:2|unicorn:-0.3", (), False),
        ("a dragon", ("dragon",), True),
        ("a Mona Lisa at night", ("Mona Lisa",), True),
        ("a cat playing for the king", ("king",), False),
        ("a city in the style of Picasso", ("Picasso",), False),
        ("a dragon on the beach|a sphinx", ("dragon", "sphinx"), False),
    ],
)
def test_things_that_will_not_show_are_found(prompt: str, things: tuple[str, ...], nothing_known: bool) -> None:
    assert found(prompt) == Unknown(things, nothing_known, None)


def test_what_a_classifier_takes_is_known_with_preset_photo_and_leads_there_from_another() -> None:
    assert found("an astronaut on a horse", "photo") == Unknown(("astronaut",), False, None)
    assert found("an astronaut on a horse").things == ("astronaut", "horse")
    (line,) = found("a zebra").notes()
    assert line == ('warning: clipgen\'s own models know none of these things: "zebra"; --preset photo knows "zebra"')


def test_a_published_clip_knows_more_than_can_be_said() -> None:
    assert found("a dragon", "draft") == Unknown((), False, None)


@pytest.mark.parametrize(
    ("prompt", "hint"),
    [
        ("a girafe", '"girafe" (did you mean "giraffe"?)'),
        ("a ligthouse", '"ligthouse" (did you mean "lighthouse"?)'),
        ("the mona lisa", '"mona lisa" (but "face")'),
        ("a dragon", '"dragon"; --preset quick'),
        ("a game of chess", '"game", "chess"; --preset quick'),
        ("a planet", '"planet"; --preset quick'),
        ("a sailor on a boat", '"sailor" (but "face") will not show'),
    ],
)
def test_hints_are_by_meaning_or_by_close_spelling(prompt: str, hint: str) -> None:
    (line,) = found(prompt).notes()
    assert hint in line


def test_the_preset_that_helps_is_named_with_its_download_and_its_time_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown, "_cores", lambda: 1)
    assert (
        found("a dragon")
        .notes()[0]
        .endswith("--preset quick knows far more (605 MB to download, about 6 min a picture on the CPU here)")
    )


def test_few_are_named_of_many() -> None:
    (line,) = found(", ".join("abcdefghij"[k] * 4 for k in range(10))).notes()
    assert line.count('"') == 2 * unknown.MAX_NAMED
    assert " and 4 more; " in line


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("eine rote Blume", "in German"),
        ("ein Haus in der Nacht", "in German"),
        ("un chat noir", "in French"),
        ("una casa roja en la noche", "in Spanish"),
        ("un gatto nero", "in Italian"),
        ("uma casa vermelha", "in Portuguese"),
        ("een rode bloem", "in Dutch"),
        ("красный дом", "in Cyrillic letters"),
        ("赤い花", "in Japanese"),
        ("一只猫", "in Chinese characters"),
        *(
            (english, None)
            for english in (
                "a café", "la la land", "das boot", "a house by mies van der rohe", "ukiyo-e", "las vegas at night",
                "the cat and the die", "a un building", "film noir", "le grand prix", "a robot at mit", "",
            )
        ),
    ],
)  # fmt: skip
def test_another_language_is_recognised_and_names_are_none(text: str, written: str | None) -> None:
    assert foreign_language(text) == written


def test_another_language_is_said_instead_of_its_words() -> None:
    assert found("eine rote Blume").notes() == [
        "warning: the prompt seems to be in German; clipgen's own models read English only"
    ]


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [("flowr", "flower", True), ("catt", "cat", True), ("elefant", "elephant", True), ("horse", "house", False),
     ("bear", "pear", False), ("crow", "crown", False), ("lisa", "is", False), ("dragon", "drawing", False)],
)  # fmt: skip
def test_slips_of_the_keyboard_are_told_from_other_words(word: str, known: str, meant: bool) -> None:
    assert mistyped(word, [known]) == (known if meant else None)


def test_a_swap_of_neighbours_is_one_edit() -> None:
    assert [edits("hepl", "help"), edits("", "abc"), edits("abc", "abc"), edits("kitten", "sitting")] == [1, 3, 0, 3]


def test_what_comes_near_can_be_drawn_and_is_asked_for_once() -> None:
    assert NEARBY.keys() <= NOUNS.keys()
    words = [word for row in NEARBY.values() for word in row.split()]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(("prompt", "asked"), [("white", False), ("a dragon", True)])
@pytest.mark.parametrize("answer", [True, False])
def test_in_a_terminal_a_run_of_unknown_things_is_asked_about(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, prompt: str, asked: bool, answer: bool
) -> None:
    questions: list[str] = []
    monkeypatch.setattr(asking, "can_ask", lambda: True)
    monkeypatch.setattr(asking, "agreed", lambda question: bool(questions.append(question)) or answer)
    monkeypatch.setitem(__import__("fakes").COLOURS, "a dragon", (1, 1, 1))
    result = cli(prompt, "--preset", "starter", *SMALL)
    assert questions == (["Draw it all the same?"] if asked else [])
    assert result.exit_code == (0 if answer or not asked else 1)
    assert bool(result.stdout) == (answer or not asked)
    if asked and not answer:
        assert result.stderr.splitlines()[-1] == "error: nothing was drawn"
    assert cli(prompt, "--preset", "starter", "--quiet", *SMALL).exit_code == 0
    assert len(questions) == asked


def test_the_world_is_listed_in_words(cli: Cli) -> None:
    import json

    lines = cli("world", "--words").stdout.splitlines()
    assert [line for line in lines if line.endswith(":")] == [
        "things:", "scenes:", "colours:", "styles:", "times:", "weather:", "places:", "sizes:", "counts:", "relations:"
    ]  # fmt: skip
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
    assert "lighthouse" in " ".join(lines)
    document = json.loads(cli("world", "--words", "--json").stdout)
    assert document["things"]["cat"] == ["cat", "kitten", "kitty"]
    for args in (("--json",), ("--words", "--sheet", "x.png")):
        assert cli("world", *args).exit_code == 2
