"""The things that an ImageNet classifier knows, found by name in a prompt written in English. Torch-free.

The longest name wins, plurals are understood, and what only describes another thing or names a style is no thing.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from clipgen.config.class_words import (
    ARTICLES,
    COLOURS,
    CONNECTORS,
    MAKERS,
    NEGATIONS,
    NOT_VERBS,
    SHADES,
    VERBS,
    WORD,
    class_rows,
    key,
    lexicon,
    plain,
    singulars,
)
from clipgen.errors import UsageError
from clipgen.util.text import MAX_QUOTED

_JOINT = re.compile(r"\s+|['\u2019]?[-\u2010\u2011]['\u2019]?")  # a space or a hyphen, between the words of one name
_QUALIFIER = re.compile(r"\s?\(\s?([^\W_][^()]{0,30}?)\s?\)")
_PIECE = re.compile(r"[,;:](?=\s|$)|[.!?](?=\s|$)|(?:[^\s,;:.!?]|[,;:.!?](?!\s|$))+")  # a word or a mark after it
_QUOTES = "\"'\u201c\u201d\u2018()[]"
_HYPHENS = "-\u2010\u2011"

# After these words a painter or a style is named, up to the end of the clause.
_STYLE = re.compile(r"(?<![-\w])(?:style of|styles of|by)(?![-\w])", re.IGNORECASE)
_STYLE_END = re.compile(r"[,;!?|()\n]|\.(?=\s|$)|\s(?:at|in|on|with)\s", re.IGNORECASE)


@dataclass(frozen=True)
class Thing:
    """A thing that a text names.

    `words` are those of the text, which are `text[start:end]`; `name` is the first name of the class or of the group;
    `classes` are its indices, 0 to 999, in rising order.
    """

    words: str
    start: int
    end: int
    name: str
    classes: tuple[int, ...]


@dataclass(frozen=True)
class _Find:
    """An entry found at the words `first` to `last` (inclusive) of a text."""

    first: int
    last: int
    thing: Thing
    plain: str


def class_names() -> tuple[str, ...]:
    """Return the 1,000 display names, all different: "goldfish", "crane (bird)"."""
    return tuple(names[0] for names in class_rows())


def things_in(text: str) -> tuple[Thing, ...]:
    """Return the things that a text names, in order of appearance and without overlap.

    Raises UsageError where a name has several meanings of different kinds, as "crane" has.
    """
    words = [_Word(match.start(), match.end(), plain(match[0])) for match in WORD.finditer(text)]
    styles = list(_style_spans(text))
    finds = [find for find in _finds(text, words) if not any(a <= find.thing.start < b for a, b in styles)]
    kept = [find for find in finds if _is_noun(text, words, find, {other.last for other in finds})]
    things = []
    for find, following in zip_longest(kept, kept[1:]):
        if following and _describes(text, find, following):
            continue
        _refuse_ambiguous(find)
        if find.thing.classes:
            things.append(find.thing)
    return tuple(things)


def nearest_names(word: str, count: int = 3) -> list[str]:
    """Return up to `count` known names that are spelled nearly like a word, the closest first, for hints."""
    if len(word) > MAX_QUOTED:
        return []
    names = [name for name, entry in lexicon().entries.items() if entry.classes]
    return difflib.get_close_matches(key(word), names, n=count, cutoff=0.75)


def without_things(text: str, things: Sequence[Thing]) -> str:
    """Return the text without these things of it, nor the articles, numbers and connectors that led to them.

    Spaces and commas are tidied; "" if nothing is left but small words.
    """
    kept: list[str] = []
    at = 0
    for thing in things:
        _extend(kept, text[at : thing.start], after_thing=at > 0)
        _drop_lead(kept)
        at = thing.end
    _extend(kept, text[at:], after_thing=at > 0)
    while kept and kept[-1] in {",", ";", ":"}:
        kept.pop()
    if all(_is_small(word) or not any(map(str.isalnum, word)) for word in kept):
        return ""
    return re.sub(r" ([,;:.!?])(?= |$)", r"\1", " ".join(kept))


def _extend(kept: list[str], text: str, after_thing: bool) -> None:
    """Add the words and marks of a text, without those that would dangle where a thing was before it."""
    for index, word in enumerate(_PIECE.findall(text)):
        begins = not kept or kept[-1] in {",", ";"}
        dangles = word.lower() == "of" or not word.strip(_QUOTES)
        if (word in {",", ";"} and begins) or (after_thing and index == 0 and dangles):
            continue
        if after_thing and begins and word.lower() in {"and", "or", "of"}:
            continue
        kept.append(word)


def _drop_lead(kept: list[str]) -> None:
    """Drop what led to a thing: "of a", "with two", "a pair of"; before an adjective only the article."""
    if [word.lower() for word in kept[-2:]] in (["pair", "of"], ["couple", "of"], ["group", "of"]):
        del kept[-2:]
    if kept and not _is_small(kept[-1]):
        _drop_article(kept)
    while kept and _is_small(kept[-1]):
        kept.pop()


def _drop_article(kept: list[str]) -> None:
    """Drop the article before the one or two adjectives at the end."""
    for back in range(2, min(4, len(kept) + 1)):
        word = kept[-back].lower().strip(_QUOTES)
        if word in CONNECTORS or not any(map(str.isalnum, word)):
            return
        if word in ARTICLES:
            del kept[-back]
            return


def _is_small(word: str) -> bool:
    """Say whether a word is an article, a number or a connector, or only opens a quotation."""
    word = word.lower().strip(_QUOTES)
    return not word or word in ARTICLES or word in CONNECTORS or word.isdigit()


@dataclass(frozen=True)
class _Word:
    start: int
    end: int
    plain: str


def _finds(text: str, words: list[_Word]) -> Iterator[_Find]:
    """Yield the longest known name at each place, from left to right, without overlap."""
    index = 0
    while index < len(words):
        find = _longest(text, words, index)
        if find:
            yield find
        index = find.last + 1 if find else index + 1


def _longest(text: str, words: list[_Word], first: int) -> _Find | None:
    """Return the longest name that starts at a word and is not a part of a hyphenated one."""
    known = lexicon()
    if first and text[words[first].start - 1] in _HYPHENS:
        return None
    last = first
    while last + 1 < min(len(words), first + known.longest) and _joined(text, words[last].end, words[last + 1].start):
        last += 1
    for end in range(last, first - 1, -1):
        after = text[words[end].end : words[end].end + 2]
        if len(after) == 2 and after[0] in _HYPHENS and after[1].isalnum():
            continue
        lead = [word.plain for word in words[first:end]]
        for singular in singulars(words[end].plain):
            name = " ".join([*lead, singular])
            if name in known.entries:
                return _found(text, words, first, end, name)
    return None


def _found(text: str, words: list[_Word], first: int, last: int, name: str) -> _Find:
    """Make the find of a name, with the qualifier in parentheses that may follow it."""
    known = lexicon()
    entry, start, end = known.entries[name], words[first].start, words[last].end
    match = _QUALIFIER.match(text, end)
    qualified = known.qualified.get(name, {}).get(key(match[1])) if match else None
    if match and qualified:
        entry, end, name = qualified, match.end(), qualified.name
        while last + 1 < len(words) and words[last + 1].start < end:
            last += 1
    return _Find(first, last, Thing(text[start:end], start, end, entry.name, entry.classes), name)


def _joined(text: str, start: int, end: int) -> bool:
    """Say whether a gap between two words is that of one phrase: a space, a hyphen, or that of "St. Bernard"."""
    is_saint = text[start : start + 2] == ". " and text[max(start - 3, 0) : start].lower().strip() == "st"
    return is_saint or bool(_JOINT.fullmatch(text, start, end))


def _describes(text: str, find: _Find, following: _Find) -> bool:
    """Say whether a find only describes the next: "lion fountain" is a fountain, "jaguar (car)" a car."""
    if following.first != find.last + 1 or following.plain.split()[0] in CONNECTORS:
        return False
    gap = text[find.thing.end : following.thing.start]
    return gap.strip() == "(" or _joined(text, find.thing.end, following.thing.start)


def _style_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans that name a style or a maker, in which nothing is a thing."""
    at = 0
    while match := _STYLE.search(text, at):
        at = match.end()
        if not _is_place(text, match):
            end = _STYLE_END.search(text, at)
            at = end.start() if end else len(text)
            yield match.start(), at


def _is_place(text: str, match: re.Match[str]) -> bool:
    """Say whether a "by" is that of "by the sea" or "side by side", not that of a maker."""
    before = WORD.findall(text[max(match.start() - 20, 0) : match.start()].lower())
    after = WORD.findall(text[match.end() : match.end() + 20].lower())
    if match[0].lower() != "by" or not before or not after:
        return False
    return after[0] == before[-1] or (after[0] in ARTICLES and before[-1] not in MAKERS)


def _is_noun(text: str, words: list[_Word], find: _Find, ends: set[int]) -> bool:
    """Say whether a find is there and a noun, for the names that are often adjectives or verbs."""
    known = lexicon()
    before = [word.plain for word in words[max(find.first - 2, 0) : find.first]]
    if NEGATIONS & set(before[-1:]) or (NEGATIONS & set(before[:1]) and before[-1] in ARTICLES):
        return False  # "without a cat"
    if find.plain in known.article:
        return _ends_phrase(text, words, find.last) and _follows_article(words, find.first, ends)
    if find.plain not in known.last:
        return True
    return _ends_phrase(text, words, find.last) and not (find.plain in COLOURS and _is_colour(words, find, ends))


def _ends_phrase(text: str, words: list[_Word], last: int) -> bool:
    if last + 1 == len(words) or not text[words[last].end : words[last + 1].start].isspace():
        return True
    following = words[last + 1].plain
    if following in CONNECTORS | VERBS:
        return True
    return following.endswith("ing") and len(following) > 5 and following not in NOT_VERBS


def _follows_article(words: list[_Word], first: int, ends: set[int]) -> bool:
    """Say whether an article or a number is before a word, with at most two adjectives between."""
    for index in range(first - 1, max(first - 4, -1), -1):
        if words[index].plain in ARTICLES or words[index].plain.isdigit():
            return True
        if index in ends or words[index].plain in CONNECTORS | VERBS:
            return False
    return False


def _is_colour(words: list[_Word], find: _Find, ends: set[int]) -> bool:
    """Say whether a name is a colour here: "blue and orange", "in bright orange", but not "a yellow lemon"."""
    before = [word.plain for word in words[max(find.first - 2, 0) : find.first]]
    after = [word.plain for word in words[find.last + 1 : find.last + 3]]
    if words[find.last].plain != find.plain:  # a plural
        return False
    if before and before[-1] in SHADES | COLOURS and not _follows_article(words, find.first, ends):
        return True
    pairs = [before[::-1], after]
    return any(len(pair) == 2 and pair[0] in {"and", "or"} and pair[1] in COLOURS for pair in pairs)


def _refuse_ambiguous(find: _Find) -> None:
    """Raise a UsageError for a plain name that has no meaning of its own but several with a qualifier."""
    meanings = [f"{find.plain} ({qualifier})" for qualifier in lexicon().qualified.get(find.plain, ())]
    if not find.thing.classes and len(meanings) > 1:
        spelled = " or ".join(f'"{meaning}"' for meaning in meanings)
        raise UsageError(f'"{find.thing.words}" can be {" or ".join(meanings)}; write {spelled}')
