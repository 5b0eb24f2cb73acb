"""Slips of the keyboard: how far two words are apart, and whether one is likely the other mistyped. Torch-free."""

from collections.abc import Iterable

MAX_WORD = 40
"""Letters of the longest word that is compared."""
SURE = 5
"""Letters from which a word is long enough to be recognised."""


def edits(one: str, other: str) -> int:
    """Return how many letters were left out, added, exchanged or swapped with their neighbour (Damerau-Levenshtein)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        last, before, row = before, row, [i]
        for j, wanted in enumerate(other, start=1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]


def mistyped(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a word is likely a slip of: "girafe" of "giraffe", "ligthouse" of "lighthouse".

    Strict, as many words differ in one letter and are no slips: "horse" and "house", "bear" and "pear", "planet" and
    "plane". Both begin and end alike; a letter is swapped, doubled, added or left out, and exchanged for another only
    in a long word; two slips are seen only in words of eight letters.
    """
    if not SURE - 1 <= len(word) <= MAX_WORD:
        return None
    likely = [(_slips(word, one), one) for one in known if one[:1] == word[0] and one[-1:] == word[-1]]
    return min(((slips, one) for slips, one in likely if slips), default=(0, None))[1]


def _slips(word: str, known: str) -> int:
    """Return the number of slips, 0 if the words are too far apart or the same."""
    longer = max(len(word), len(known))
    if abs(len(word) - len(known)) > 2 or (longer < SURE and len(set(word)) == len(word)):
        return 0
    count = edits(word, known)
    exchanged = count and len(word) == len(known) and sorted(word) != sorted(known)
    if count > (2 if longer >= 8 else 1) or (exchanged and longer < 7):
        return 0
    return count
