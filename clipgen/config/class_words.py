"""The words that the search for things in a prompt knows: names of ImageNet classes, and small words. Torch-free.

`imagenet.txt` holds one line of names for each class, in their order; `imagenet_groups.txt` the words for several
classes and the words that need care.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARTICLES = _words(
    "a an the one two three four five six seven eight nine ten eleven twelve several some many few both my your his her"
    " its our their this that these those each every another single"
)
CONNECTORS = _words(
    "of and or with in on at by from near under over beside behind above below between through against into onto to for"
    " next inside around across along without as like beneath before after during amid among upon"
)
VERBS = _words(
    "is are was were be has have had made painted drawn seen full covered surrounded floats that which who while where"
    " when but lit held filled sits stands lies hangs looks not it there"
)
NOT_VERBS = _words("evening morning lighting painting building clothing ceiling engraving drawing etching")
MAKERS = _words("painted drawn made created designed photographed directed written inspired illustrated")
NEGATIONS = _words("no not without")
COLOURS = _words(
    "red orange yellow green turquoise teal cyan blue purple violet pink brown black white grey gray gold golden silver"
    " salmon coral lemon magenta crimson scarlet navy beige cream colour color"
)
SHADES = _words("in bright dark light deep pale neon burnt vivid glowing colour color all mostly")

_IRREGULAR = {
    "mice": "mouse", "geese": "goose", "oxen": "ox", "calves": "calf", "wolves": "wolf", "loaves": "loaf",
    "scarves": "scarf", "shelves": "shelf", "bookshelves": "bookshelf", "fungi": "fungus", "teeth": "tooth",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """What a name means: no classes for a name that only hides the names inside it."""

    name: str
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Lexicon:
    """All names in lower case with single spaces, those with a qualifier apart, and the words that need care."""

    entries: dict[str, Entry]
    qualified: dict[str, dict[str, Entry]]
    last: frozenset[str]
    article: frozenset[str]
    longest: int


def plain(word: str) -> str:
    """Return a word in lower case with a straight apostrophe."""
    return word.lower().replace("\u2019", "'")


def key(name: str) -> str:
    """Return the form under which a name is looked up: lower case, single spaces for hyphens."""
    return " ".join(plain(word) for word in WORD.findall(name))


def singulars(word: str) -> Iterator[str]:
    """Yield the word and what it may be the plural of."""
    yield word
    if word in _IRREGULAR:
        yield _IRREGULAR[word]
    for ending, stem in (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            yield word[: -len(ending)] + stem


def _lines(name: str) -> list[str]:
    return (files("clipgen.config") / name).read_text(encoding="utf-8").splitlines()


@cache
def class_rows() -> tuple[tuple[str, ...], ...]:
    """Return the names of each class, in the order of the classes."""
    return tuple(tuple(line.split(", ")) for line in _lines("imagenet.txt"))


@cache
def lexicon() -> Lexicon:
    """Read all names; a group has precedence over a class of the same name."""
    care: dict[str, list[str]] = {"@last": [], "@article": [], "@not": []}
    groups: dict[str, Entry] = {}
    for line in _lines("imagenet_groups.txt"):
        names, colon, value = line.rpartition(": ")
        if names in care:
            care[names] += map(key, value.split(", "))
        elif colon and not line.startswith("#"):
            first = names.split(", ")[0]
            groups |= {key(name): Entry(first, _indices(value)) for name in names.split(", ")}
    entries: dict[str, Entry] = {}
    qualified: dict[str, dict[str, Entry]] = {}
    for index, row in enumerate(class_rows()):
        for name in row:
            base, parenthesis, qualifier = name.rstrip(")").partition(" (")
            if parenthesis:
                qualified.setdefault(key(base), {})[key(qualifier)] = Entry(row[0], (index,))
            else:
                entries[key(name)] = Entry(row[0], (index,))
    entries |= groups
    for name in [*qualified, *care["@not"]]:
        entries.setdefault(name, Entry(name, ()))
    longest = max(len(name.split()) for name in entries)
    return Lexicon(entries, qualified, frozenset(care["@last"]), frozenset(care["@article"]), longest)


def groups() -> tuple[Entry, ...]:
    """Return the words for several classes and the everyday words for one, by their first names."""
    own = {Entry(row[0], (index,)) for index, row in enumerate(class_rows())}
    return tuple(entry for entry in dict.fromkeys(lexicon().entries.values()) if entry.classes and entry not in own)


def _indices(text: str) -> tuple[int, ...]:
    """Parse "7-9 12": ranges that include both ends."""
    spans = [span.partition("-") for span in text.split()]
    return tuple(index for first, _, last in spans for index in range(int(first), int(last or first) + 1))
