"""What a judge says of pictures of many prompts, each of which should be nearer to its own than to the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image
from torch import Tensor

from clipgen.judge.diversity import diversity
from clipgen.judge.intervals import Interval, mean_interval
from clipgen.judge.judges import Judge
from clipgen.judge.retrieval import mean_by_group, ranks, recall
from clipgen.judge.score import PLACES


@dataclass(frozen=True)
class Opinion:
    """What one judge, and the guide of its kind, say of N pictures."""

    own: tuple[int, ...]
    """The index of the prompt of each picture."""
    scores: tuple[float | None, ...]
    """Of each picture for its prompt; None where the judge knows nothing of that."""
    ranks: tuple[int, ...]
    """Of its prompt among all; empty for a classifier, and for a single prompt."""
    apart: tuple[float, ...]
    """The diversity of each prompt with several pictures, by a CLIP."""
    guide: tuple[float | None, ...] = ()
    """As `scores`; empty without a guide."""


def opinion(
    judge: Judge, guide: Judge | None, pictures: Sequence[Image.Image], own: Sequence[int], texts: Sequence[str]
) -> Opinion:
    """Ask a judge about N pictures of P prompts. guide: of the same kind as the judge."""
    vectors = judge.vectors(pictures)
    ranked = not judge.is_classifier and len(texts) > 1
    captions = [texts[place] for place in own]
    return Opinion(
        own=tuple(own),
        scores=_scores(judge, vectors, captions),
        ranks=tuple(ranks(judge.matrix(vectors, texts), own)) if ranked else (),
        apart=() if judge.is_classifier else tuple(diversity(vectors, list(own))),
        guide=_scores(guide, guide.vectors(pictures), captions) if guide else (),
    )


def _scores(judge: Judge, vectors: Tensor, captions: Sequence[str]) -> tuple[float | None, ...]:
    known = [place for place, text in enumerate(captions) if judge.taken(text)]
    if not known:
        return (None,) * len(captions)
    values = judge.scores(vectors[known], [captions[place] for place in known]).tolist()
    found = dict(zip(known, values, strict=True))
    return tuple(found.get(place) for place in range(len(captions)))


def summary(found: Opinion, unit: str) -> dict[str, Interval]:
    """Return the means of an opinion, by name, with their intervals; several pictures of a prompt are one try.

    unit: what the scores are, such as "cosine". The gap is that between guide and judge, on the same pictures.
    """
    rows: dict[str, Interval] = {f"R@{place}": recall(found.ranks, place, found.own) for place in PLACES if found.ranks}
    pairs = _pairs(found.scores, found.guide, found.own)
    for name, values in ((f"judge {unit}", found.scores), (f"guide {unit}", found.guide)):
        kept = [(value, own) for value, own in zip(values, found.own, strict=False) if value is not None]
        if kept:
            rows[name] = mean_by_group(*zip(*kept, strict=True))
    if pairs:
        rows["gap"] = mean_by_group(*zip(*pairs, strict=True))
    if found.apart:
        rows["diversity"] = mean_interval(found.apart)
    return rows


def _pairs(
    scores: Sequence[float | None], guide: Sequence[float | None], own: Sequence[int]
) -> list[tuple[float, int]]:
    """Return how much more the guide says than the judge, where both say something."""
    rows = zip(scores, guide, own, strict=False)
    return [(high - low, place) for low, high, place in rows if low is not None and high is not None]


def part(found: Opinion, places: Sequence[int]) -> Opinion:
    """Return what was said of some of the pictures, without the diversity."""

    def cut(values: tuple[float | None, ...]) -> tuple[float | None, ...]:
        return tuple(values[place] for place in places) if values else ()

    return Opinion(
        own=tuple(found.own[place] for place in places),
        scores=cut(found.scores),
        ranks=tuple(found.ranks[place] for place in places) if found.ranks else (),
        apart=(),
        guide=cut(found.guide),
    )
