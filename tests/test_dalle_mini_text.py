"""What DALL-E mini reads of a text: as its authors' package and the package transformers read it."""

import json
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from dalle_minis import MERGES, SPECIALS, tokenizer_said

from clipgen.errors import ClipgenError
from clipgen.priors import dalle_mini_text
from clipgen.priors.dalle_mini_text import TextTokenizer, byte_letters, normalised, read_tokenizer

LETTERS = sorted(byte_letters().values())
AUTHORS_TEXTS = [
    ("A Cat!", " a cat"),
    ('  Two dogs; one CAT: "hello" ', ' two dogs, one cat, " hello "'),
    ("the dog's 1,234.5 km/h run on 3/4", " the dog's 1234.5 km, h run on 3/4"),
    ("it\u2019s a well-known \u201cfact\u201d \u2014 isn't it?", " it's a well known \" fact \", isn't it"),
    ("café & crème brûlée 50%", " cafe & creme brulee 50 %"),
    ("hello,,, world ....", " hello, world"),
    ("AAAAAAH!!!!! VIIII", " ah, vi"),
    ("see https://example.org/x now", " see now"),
    ("<b>bold</b> &amp; &lt;i&gt;", " bold &"),
    ("#sunset over #new_york", " sunset over new york"),
    ("[1] an armchair in the shape of an avocado [23]", " an armchair in the shape of an avocado"),
    ("Straße, Øresund, Łódź, æther", " strasse, oresund, lodz, aether"),
    ("a (red) {ball} [blue] *star* \\ back", " a, red, ball, blue, * star * back"),
    ("painting, oil on canvas, by v. van gogh.", " painting, oil on canvas, by v, van gogh"),
    ("1.5 x 2.5 m, a.b.c", " 1.5 x 2.5 m, a.b, c"),
    ("", " "),
    (",", " "),
    ("x² ½ 20° 5€ 7\u00d78", " x2 1/2 20deg 5eur 7x8"),
    ("\"quoted\" 'single' `tick`", ' " quoted " single " tick "'),
    ("i'll they've we're he'd n'importe", " i'll they've we're he'd n \" importe"),
    ("tab\tand\nnewline", " tab and newline"),
]
"""Texts, and what the normaliser of dalle-mini 0.1.5 makes of them."""
AUTHORS_NUMBERS: list[tuple[str, list[int]]] = [
    (
        " the cat, a bird's 1234 things",
        [0, 270, 266, 16, 261, 225, 278, 275, 225, 272, 23, 24, 269, 271, 87, 2, 1, 1, 1, 1, 1, 1, 1, 1],
    ),
    ("", [0, 2]),
    (
        " can't, 12 caterings _ x  y ",
        [0, 265, 82, 274, 16, 225, 272, 266, 268, 271, 87, 225, 67, 225, 92, 225, 225, 93, 225, 2, 1, 1, 1, 1],
    ),
    (
        " a" * 100,
        [
            0,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            261,
            2,
        ],
    ),
    ("naïve 猫!", [0, 82, 69, 132, 112, 90, 73, 225, 168, 239, 109, 5, 2]),
]
"""Texts, and what a BartTokenizerFast of transformers 4.38 makes of them with that tokenizer, up to the padding."""


def written(folder: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
    said = tokenizer_said(LETTERS)
    change(said)
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(said), encoding="utf-8")
    return path


@pytest.fixture
def tokenizer(tmp_path: Path) -> TextTokenizer:
    return read_tokenizer(written(tmp_path))


@pytest.mark.parametrize(("text", "wanted"), AUTHORS_TEXTS)
def test_a_text_is_normalised_as_by_its_authors(text: str, wanted: str) -> None:
    assert normalised(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<PERSON> and <PERSON> with <PERSON>", " people with a person"),
        ("\U0001f600 a robot", " grinning face, a robot"),
        ("\u043c\u0438\u0440 peace", " peace"),
    ],
)
def test_where_it_differs_from_the_authors_it_is_the_same_each_time(text: str, wanted: str) -> None:
    assert normalised(text) == wanted


def test_what_is_normalised_stays_as_it_is() -> None:
    for _, text in AUTHORS_TEXTS:
        assert normalised(text) == text


@pytest.mark.parametrize("text", ["," * 10**6, ' " ' * 10**5, "<person>" * 10**5, "a" * 10**6, "\U0001f600" * 10**5])
def test_a_text_of_any_length_is_read_in_a_moment(tokenizer: TextTokenizer, text: str) -> None:
    begin = monotonic()
    assert len(tokenizer.encode(normalised(text), 64)) == 64
    assert monotonic() - begin < 5


@pytest.mark.parametrize(("text", "wanted"), AUTHORS_NUMBERS)
def test_texts_have_the_numbers_that_transformers_gives_them(
    tokenizer: TextTokenizer, text: str, wanted: list[int]
) -> None:
    assert tokenizer.encode(text, 24) == wanted + [1] * (24 - len(wanted))


def test_newer_files_write_merges_as_pairs(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    def as_pairs(said: dict[str, Any]) -> None:
        said["model"]["merges"] = [merge.split(" ") for merge in MERGES]

    newer = read_tokenizer(written(tmp_path, as_pairs))
    assert newer.ranks == tokenizer.ranks
    assert len(newer.ranks) == len(MERGES)


def test_every_byte_has_a_letter_of_its_own() -> None:
    letters = byte_letters()
    assert sorted(letters) == list(range(256))
    assert len(set(letters.values())) == 256
    assert (letters[ord(" ")], letters[ord("a")]) == ("\u0120", "a")
    assert not any(letter.isspace() for letter in letters.values())


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "no model": lambda said: said.pop("model"),
    "no merges": lambda said: said["model"].pop("merges"),
    "merges of three": lambda said: said["model"]["merges"].append("a b c"),
    "merges of numbers": lambda said: said["model"]["merges"].append([1, 2]),
    "a vocabulary of lists": lambda said: said["model"].update(vocab=[1, 2]),
    "a number that is none": lambda said: said["model"]["vocab"].update(a="b"),
    "a number below zero": lambda said: said["model"]["vocab"].update(a=-1),
    "a number beyond all": lambda said: said["model"]["vocab"].update(a=10**9),
    "added tokens that are none": lambda said: said.update(added_tokens=[5]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_tokenizer_is_refused_in_a_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClipgenError, match=r"^tokenizer.json is no tokenizer of byte pairs \(.*\); get it again$"):
        read_tokenizer(written(tmp_path, BROKEN[name]))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 10**5, b"[]", b"null", b"<html>"])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ClipgenError, match="is no tokenizer"):
        read_tokenizer(path)


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dalle_mini_text, "MAX_FILE", 1000)
    with pytest.raises(ClipgenError, match="larger than 1000 bytes"):
        read_tokenizer(written(tmp_path))
    with pytest.raises(ClipgenError, match="get it again"):
        read_tokenizer(tmp_path / "none.json")


def test_a_tokenizer_without_a_special_token_is_refused() -> None:
    for lacking in SPECIALS[:4]:
        with pytest.raises(ClipgenError, match=f"without the token {lacking}"):
            TextTokenizer({token: k for k, token in enumerate(SPECIALS) if token != lacking}, [])
