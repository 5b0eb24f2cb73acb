"""DALL-E mini's view of a text: normalised as its training captions were, then byte-pair encoded.

The authors' processor turns all text into plain lower-case words and commas. This one does the same with what Python
and ftfy know; it differs in three places: other alphabets than the Latin are left out instead of spelled in Latin
letters, a hashtag is not split into words, and emojis have their names of Unicode.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import ftfy

from clipgen.errors import ClipgenError
from clipgen.util.text import one_line

MAX_FILE, MAX_TOKENS, MAX_REASON = 20_000_000, 500_000, 120
"""Bytes of a tokenizer's file, its tokens, and characters of an error that are shown."""
MAX_TEXT = 2000
"""Characters of a text that are read; 64 tokens are far fewer."""
LATIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ł": "l", "Ł": "L"}
    | {"ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "«": "<<", "»": ">>", "·": "*", "€": "EUR", "©": "(c)", "®": "(r)"}
    | {"\u00d7": "x", "°": "deg", "\u2013": "-", "\u2014": "--", "\u2044": "/", "\u2018": "'", "\u2019": "'"}
)
"""What has no decomposition in Unicode, in the letters that the authors' library takes for it."""
SPLIT = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
"""GPT-2's words, each with the space before it; merges never cross them."""
DOT, QUOTE, SLASH = "\u01c0", "\u01c1", "\u01c2"
"""Letters outside ASCII that stand for a dot, a quote and a slash which are kept, while others are replaced."""
_STEPS: tuple[tuple[str, str], ...] = (
    (r"<person>([,\s]*(and)*[,\s]*<person>)+", " people "),
    (r"<person>", " a person "),
    (r"\A\s*\[\d+\]", ""),  # references of Wikipedia
    (r"\[\d+\]\s*\Z", ""),
    (r"<[^<]+?>", " "),
    (r"http\S+", ""),
    (r"(\d),(\d{3})", r"\1\2"),
    (r"(\d),(\d{3})", r"\1\2"),
    (r"(\w)\.(\w)", rf"\1{DOT}\2"),
    (r"'(?=([stdm]|(ll)|(re)|(ve))\b)", QUOTE),
    (r"(\d)/(\d)", rf"\1{SLASH}\2"),
    (r"(\w)-(\w)", r"\1 \2"),
    (r"([%&\/$*])", r" \1 "),
    (r"[_#\\]", " "),
    (r"['\"`]", ' " '),
    (r"[()[\].,|:;?!=+~\-\/{}]", ","),
    (DOT, "."),
    (QUOTE, "'"),
    (SLASH, "/"),
    (r"(\D)(\1{3,})", r"\1"),  # three are kept, as in VIII
    (r'(\s*"+\s*)+', ' " '),
    (r"(\s*,+\s*)+", ", "),
    (r"\s+", " "),
)
"""Patterns in lower-case ASCII, and what takes their place, one after the other."""


def normalised(text: str) -> str:
    """Return a text as the captions were that DALL-E mini was trained on; it begins with a space."""
    text = html.unescape(html.unescape(ftfy.fix_text(text[:MAX_TEXT])))
    text = "".join(map(_named, text))[:MAX_TEXT]
    text = unicodedata.normalize("NFKD", text).translate(LATIN).encode("ascii", "ignore").decode().lower()
    for pattern, replacement in _STEPS:
        text = re.sub(pattern, replacement, text)
    return f" {_without_outer_commas(text.strip())}"


def _named(character: str) -> str:
    """Return an emoji as its name between colons, any other character as it is."""
    if unicodedata.category(character) != "So" or character in "©®°":
        return character
    name = unicodedata.name(character, "").lower().replace(" ", "_")
    return f":{name}:" if name else ""


def _without_outer_commas(text: str) -> str:
    return text.removesuffix(",").removeprefix(",").strip()


@cache
def byte_letters() -> dict[int, str]:
    """Return the letter by which GPT-2's vocabulary writes each byte: itself if it can be seen, else one after 255."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + at) for at, byte in enumerate(hidden)}


class TextTokenizer:
    """A byte-level byte-pair encoding of texts (Sennrich et al., 2016, arXiv 1508.07909; Radford et al., 2019).

    vocabulary: token -> number, with "<s>", "</s>", "<pad>" and "<unk>". merges: the pairs that become one token, the
    first before all others. Raises ClipgenError if a special token is missing.
    """

    def __init__(self, vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]):
        if lacking := [token for token in ("<s>", "</s>", "<pad>", "<unk>") if token not in vocabulary]:
            raise ClipgenError(f"a tokenizer without the token {lacking[0]} is not DALL-E mini's; get its own")
        self.vocabulary = vocabulary
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.begin, self.end, self.padding, self.unknown = (vocabulary[t] for t in ("<s>", "</s>", "<pad>", "<unk>"))

    def encode(self, text: str, length: int) -> list[int]:
        """Return exactly `length` numbers: the text's tokens between those of begin and end, cut or padded."""
        letters = byte_letters()
        numbers = [
            self.vocabulary.get(token, self.unknown)
            for word in SPLIT.findall(text[:MAX_TEXT])
            for token in self._merged([letters[byte] for byte in word.encode()])
        ]
        numbers = [self.begin, *numbers[: length - 2], self.end]
        return numbers + [self.padding] * (length - len(numbers))

    def _merged(self, parts: list[str]) -> list[str]:
        """Merge the parts of a word, in the order of the ranks, as long as a pair has one."""
        while len(parts) > 1:
            pairs = pairwise(parts)
            rank, first = min((self.ranks.get(pair, len(self.ranks)), pair) for pair in pairs)
            if rank == len(self.ranks):
                break
            joined: list[str] = []
            for part in parts:
                if joined and (joined[-1], part) == first:
                    joined[-1] += part
                else:
                    joined.append(part)
            parts = joined
        return parts


def read_tokenizer(path: Path) -> TextTokenizer:
    """Read a tokenizer.json of the package tokenizers as data. Raises ClipgenError for any other file."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise ValueError(f"it is larger than {MAX_FILE} bytes")
        said = json.loads(path.read_text(encoding="utf-8"))
        vocabulary = said["model"]["vocab"] | {one["content"]: one["id"] for one in said.get("added_tokens", [])}
        return TextTokenizer(_checked(vocabulary), [_pair(merge) for merge in said["model"]["merges"]])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = one_line(repr(error), MAX_REASON)
        raise ClipgenError(f"{path.name} is no tokenizer of byte pairs ({reason}); get it again") from error


def _checked(vocabulary: dict[str, Any]) -> dict[str, int]:
    if not all(type(number) is int and 0 <= number < MAX_TOKENS for number in vocabulary.values()):
        raise ValueError("a number in its vocab is none")
    return vocabulary


def _pair(merge: Any) -> tuple[str, str]:
    """Return a pair that is written as "a b", or in newer files as two texts."""
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    if not (isinstance(first, str) and isinstance(second, str)):
        raise TypeError("a merge in it is no pair of texts")
    return first, second
