"""Truths and claims as integers, so that all of a batch are compared at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from clipgen.starter import grammar, words
from clipgen.starter.english import Claim
from clipgen.starter.grammar import ATTRIBUTES, PAIRED, Truth

UNSTATED, ABSENT = -1, -2
DOMAINS: dict[str, Mapping[str, object]] = {
    "noun": words.NOUNS,
    "colour": words.COLOURS,
    "backdrop": words.COLOURS,
    "place": words.PLACES,
    "time": words.TIMES,
    "weather": words.WEATHERS,
    "style": words.STYLES,
    "count": words.COUNTS,
    "size": words.SIZES,
    "relation": words.RELATIONS,
    "other": words.NOUNS,
    "other_colour": words.COLOURS,
}
CODE = {(name, value): k for name, domain in DOMAINS.items() for k, value in enumerate(domain)}
NOUN = ATTRIBUTES.index("noun")
THINGS = [CODE["noun", noun] for noun in words.SUBJECTS]


def codes(rows: Sequence[Claim]) -> np.ndarray:
    """Return claims as integers (N, attributes), UNSTATED for attributes that they do not name."""
    return np.array([[CODE.get((name, row.get(name, "")), UNSTATED) for name in ATTRIBUTES] for row in rows])


def codes_shown(rows: Sequence[Truth]) -> np.ndarray:
    """Return truths as integers (N, 2, attributes), from the side of either thing; ABSENT where there is only one."""
    both = [grammar.readings(asdict(row)) for row in rows]
    shown = np.stack([codes([sides[0] for sides in both]), codes([sides[-1] for sides in both])], 1)
    shown[[len(sides) == 1 for sides in both], 1] = ABSENT
    return shown


def matches(shown: np.ndarray, claimed: np.ndarray) -> Tensor:
    """Return (N, M) boolean: which claims (M, A) hold of which pictures (N, 2, A)."""
    stated = claimed != UNSTATED
    holds = np.zeros((len(shown), len(claimed)), dtype=bool)
    for side in range(shown.shape[1]):
        holds |= (~stated[None] | (claimed[None] == shown[:, side, None])).all(-1)
    return torch.from_numpy(holds)


def untried(shown: np.ndarray, claimed: np.ndarray) -> Tensor:
    """Return (N, M) boolean: where a claim (M, A) and what a picture (N, 2, A) shows would be a held-out pair.

    Never to show a cat in the style of Monet would teach that what is in that style is no cat. So of pictures in it,
    nothing is said about cats, nor of cats about the style.
    """
    found = np.zeros((len(shown), len(claimed)), dtype=bool)
    for pair in PAIRED:
        first, second = (ATTRIBUTES.index(name) for name in pair)
        for side in range(shown.shape[1]):
            found |= _held(pair, claimed[None, :, first], shown[:, side, None, second])
            found |= _held(pair, shown[:, side, None, first], claimed[None, :, second])
    return torch.from_numpy(found)


def _held(pair: tuple[str, str], first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Whether values of two attributes are held out as a pair, elementwise; not where either is none."""
    held: np.ndarray = HELD[pair][first, second] & (first >= 0) & (second >= 0)
    return held


HELD = {
    (a, b): np.array([[grammar.held_out({a: one, b: two}) for two in DOMAINS[b]] for one in DOMAINS[a]])
    for a, b in PAIRED
}


def groups() -> list[list[int]]:
    """Return the indices of the texts of `grammar.bank` that are about the same attribute, for each attribute."""
    names = [next(iter(claim)) for _, claim in grammar.bank()]
    return [[k for k, name in enumerate(names) if name == group] for group in dict.fromkeys(names)]
