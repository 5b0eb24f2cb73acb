"""The drawn world: what a picture can show, what is claimed of it, and when the claim is true."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from clipgen.starter import words
from clipgen.starter.english import Claim, article

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Truth:
    """What a picture shows; None where nothing definite can be said of it (a grey sketch has no colour).

    Of two things the second is `other`, and `relation` is what the first is to it.
    """

    noun: str
    colour: str | None = None
    backdrop: str | None = None
    place: str | None = None
    time: str | None = None
    weather: str | None = None
    style: str | None = None
    count: str | None = None
    size: str | None = None
    relation: str | None = None
    other: str | None = None
    other_colour: str | None = None


ATTRIBUTES = tuple(Truth.__dataclass_fields__)
OUTDOORS = tuple(name for name in words.SCENES if name != "room")
OF_TWO = ("relation", "other", "other_colour")
COLOURLESS = ("pencil sketch", "blueprint")
COARSE = ("pixel art", "mosaic", "pointillism")
"""Styles too coarse for anything small."""
CLEAR = ("van gogh", "monet", "watercolour", *COARSE)
"""Styles in which fog would leave nothing to see."""
ODDS = {"noun": 0.9, "colour": 0.6, "backdrop": 0.3, "place": 0.3, "time": 0.45, "weather": 0.5, "style": 0.6}
ODDS |= {"count": 0.9, "size": 0.5, "other_colour": 0.6}
"""How often a caption states what is so; of one thing that it is one, seldom."""
OF_WORN = {"wearing": ("other_colour", "colour"), "worn by": ("colour", "other_colour")}
"""By the side from which it is said: under what name the colour of what is worn is stated, and that of who wears it."""
HELD_OUT = 12
"""One in so many of the pairs of noun and colour, of noun and style, and of two nouns is held out."""
PAIRED = (("noun", "colour"), ("noun", "style"), ("noun", "other"))


def turned(fields: Mapping[str, str | None]) -> dict[str, str | None] | None:
    """What is said of two things, said from the other one's side; None if there is no other.

    What is in the shape of a pear is, from its other side, a pear.
    """
    if fields.get("relation") is None:
        return None
    shared = {name: value for name, value in fields.items() if name not in (*OF_TWO, "noun", "size")}
    inverse = words.INVERSE.get(str(fields["relation"]))
    if inverse is None:
        return {**shared, "noun": fields.get("other")}
    of_one = {"noun": fields.get("other"), "colour": fields.get("other_colour"), "relation": inverse}
    return {**shared, **of_one, "other": fields.get("noun"), "other_colour": fields.get("colour")}


def readings(fields: Mapping[str, str | None]) -> list[dict[str, str]]:
    """All that is so, from the side of each thing that a picture shows."""
    return [
        {name: value for name, value in each.items() if value is not None}
        for each in (fields, turned(fields))
        if each is not None
    ]


def is_true(claim: Claim, truth: Truth) -> bool:
    """Whether everything the claim states holds of the picture."""
    return any(all(shown.get(name) == value for name, value in claim.items()) for shown in readings(asdict(truth)))


def contradict(claim: Claim, other: Claim) -> bool:
    """Whether two claims cannot both hold of a picture: both state something, and not the same."""
    return all(
        any(second.get(name, value) != value for name, value in first.items())
        for first in readings(claim)
        for second in readings(other)
    )


def held_out(fields: Mapping[str, str | None]) -> bool:
    """Whether a truth or a claim has a pair of attributes that nothing is trained on, so that it can be tried."""
    pairs = [(said.get(a), said.get(b)) for said in readings(fields) for a, b in PAIRED]
    return any(zlib.crc32(f"{a}~{b}".encode()) % HELD_OUT == 0 for a, b in pairs if a and b)


def random_truth(
    rng: np.random.Generator, style_share: float = 0.6, held: bool = False, relation: str | None = None
) -> Truth:
    """Return what a random picture is to show.

    `held`: a combination that is held out, in place of one that is not. `relation`: only two things in this relation.
    """
    while True:
        truth = _visible(_anything(rng, style_share))
        if held_out(asdict(truth)) is held and relation in (None, truth.relation):
            return truth


def _anything(rng: np.random.Generator, style_share: float) -> Truth:
    style = _choose(tuple(words.STYLES), rng) if rng.random() < style_share else None
    kind = rng.random()
    if kind < 0.18:
        return _scene(style, rng)
    if kind < 0.38 and style not in COARSE:
        return _pair(style, rng)
    truth = _around(_thing(_choose(tuple(words.SUBJECTS), rng), style, rng), rng)
    if kind < 0.52:
        return replace(truth, count="2" if style in COARSE or rng.random() < 0.5 else "3")
    size = "big" if rng.random() < 0.15 else "small" if rng.random() < 0.15 and style not in COARSE else None
    return replace(truth, count="1", size=size)


def _scene(style: str | None, rng: np.random.Generator) -> Truth:
    noun = _choose(tuple(words.SCENES), rng)
    weather = _choose(tuple(words.WEATHERS), rng) if noun in OUTDOORS and rng.random() < 0.3 else None
    return Truth(noun, time=_choose(tuple(words.TIMES), rng), weather=weather, style=style)


def _thing(
    noun: str, style: str | None, rng: np.random.Generator, but: str | None = None, alike: bool = False
) -> Truth:
    """One thing in its natural colour or in another, not `but` and, unless `alike`, not easily taken for it.

    What is worn has an outline, so that a red scarf shows on an orange giraffe.
    """
    if noun == "face" and style != "neon" and rng.random() < 0.6:
        return Truth(noun, style=style)
    options = words.NATURAL.get(noun, ()) if rng.random() < 0.45 else ()
    allowed = words.NEON_COLOURS if style == "neon" else tuple(words.COLOURS)

    def clear(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in allowed and name != but and (alike or not _alike(name, but)))

    return Truth(noun, _choose(clear(options or allowed) or clear(allowed), rng), style=style)


def _alike(name: str, other: str | None) -> bool:
    return other is not None and (name == other or {name, other} in words.LOOKALIKES)


def _pair(style: str | None, rng: np.random.Generator) -> Truth:
    """Two things and how they are to each other."""
    kind = rng.random()
    if kind < 0.2:
        shaped = _thing(_choose(words.MADE, rng), style, rng)
        other = _choose(words.SHAPES, rng)
        return _around(replace(shaped, relation="in the shape of", other=other), rng)
    if kind < 0.4:
        first, relation, second = _choose(words.WEARERS, rng), "wearing", _choose(words.CLOTHES, rng)
    elif kind < 0.65:
        first, relation, second = _choose(words.RIDERS, rng), "on", _choose(words.BEARERS, rng)
    else:
        first, relation, second = (_choose(tuple(words.SUBJECTS), rng), "next to", _choose(tuple(words.SUBJECTS), rng))
    one = _thing(first, style, rng)
    two = _thing(second, style, rng, but=one.colour, alike=relation == "wearing")
    return _around(replace(one, relation=relation, other=second, other_colour=two.colour), rng)


def _around(truth: Truth, rng: np.random.Generator) -> Truth:
    """The thing or things in a place, at a time, in a weather; or before a backdrop that shows them."""
    if rng.random() < (0.9 if truth.noun == "boat" else 0.5):
        places = {"boat": ("water",), "fish": ("water",), "balloon": ("meadow", "beach", "water")}
        weather = _choose(tuple(words.WEATHERS), rng) if rng.random() < 0.3 else None
        place = _choose(places.get(truth.noun, ("meadow", "beach")), rng)
        return replace(truth, place=place, time=_choose(tuple(words.TIMES), rng), weather=weather)
    colours = (truth.colour, truth.other_colour)
    clear = tuple(name for name in words.BACKDROPS if not any(_alike(name, each) for each in colours))
    return replace(truth, backdrop=_choose(clear, rng))


def _visible(truth: Truth) -> Truth:
    """The truth with what its style hides, or what would hide everything in its style, taken out."""
    if truth.style in CLEAR and truth.weather == "fog":
        truth = replace(truth, weather=None)
    if truth.style in COLOURLESS:
        night = "night" if truth.time == "night" and truth.style == "pencil sketch" else None
        return replace(truth, colour=None, other_colour=None, backdrop=None, weather=None, time=night)
    if truth.style == "neon":
        return replace(truth, backdrop=None, place=None, time=None, weather=None)
    return truth


def _choose(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def claim_of(truth: Truth, rng: np.random.Generator) -> dict[str, str]:
    """A random true claim about a picture: each thing that is so is stated or left out."""
    shown = _choose_reading(truth, rng)
    odds = ODDS if shown.get("count") != "1" else ODDS | {"count": 0.06}
    stated = {name: value for name, value in shown.items() if name in odds and rng.random() < odds[name]}
    if "relation" in shown and rng.random() < 0.8:
        stated |= {name: shown[name] for name in ("noun", "relation", "other")}
        stated.pop("count", None)
    else:
        stated.pop("other_colour", None)
    return stated or {"noun": shown["noun"]}


def claim_of_worn(truth: Truth, rng: np.random.Generator) -> dict[str, str]:
    """A random true claim of who wears what: mostly it states the colour of what is worn.

    That of who wears it is mostly stated if it is not natural, and mostly not if it is, as people speak: a giraffe in a
    red scarf is no red giraffe.
    """
    while "relation" not in (stated := claim_of(truth, rng)):
        pass
    worn, wearer = OF_WORN[stated["relation"]]
    if truth.other_colour is None or rng.random() < 0.15:
        return stated
    stated = {name: value for name, value in stated.items() if name != wearer} | {worn: truth.other_colour}
    natural = truth.colour in words.NATURAL.get(truth.noun, ())
    return stated | {wearer: truth.colour} if truth.colour and rng.random() < (0.15 if natural else 0.9) else stated


def claim_of_two(truth: Truth, rng: np.random.Generator) -> dict[str, str] | None:
    """A random true claim about both things of a picture, with their colours; None if there is but one."""
    if truth.relation is None:
        return None
    shown = _choose_reading(replace(truth, count=None, size=None), rng)
    sides = readings(asdict(truth))
    shown = shown if "relation" in shown else sides[0]
    kept = {"noun", "relation", "other", "colour", "other_colour"}
    around = {name for name in ("style", "place") if rng.random() < 0.3}
    return {name: value for name, value in shown.items() if name in kept | around}


def _choose_reading(truth: Truth, rng: np.random.Generator) -> dict[str, str]:
    """Of two things that stand by each other either comes first; else the first does, most of the time."""
    both = readings(asdict(truth))
    swap = 0.5 if truth.relation == "next to" else 0.15
    return both[-1] if rng.random() < swap else both[0]


def swapped(claim: Claim, known: bool = True) -> dict[str, str] | None:
    """A claim about two things with what is said of one said of the other; None if that is the same.

    `known`: also if it is held out.
    """
    if "relation" not in claim:
        return None
    other = dict(claim)
    if claim["relation"] not in words.INVERSE:
        other |= {"noun": claim["other"], "other": claim["noun"]}
    elif claim.get("colour") != claim.get("other_colour"):
        colours = {"colour": claim.get("other_colour"), "other_colour": claim.get("colour")}
        other = {**{k: v for k, v in claim.items() if k not in colours}, **{k: v for k, v in colours.items() if v}}
    else:
        other |= {"noun": claim["other"], "other": claim["noun"]}
    return None if (known and held_out(other)) or not contradict(other, claim) else other


def bank() -> list[tuple[str, Claim]]:
    """One short caption for every value of every attribute."""
    plain: list[tuple[str, Claim]] = [(article(said[0]), {"noun": noun}) for noun, said in words.NOUNS.items()]
    plain += [(f"something {said[0]}", {"colour": name}) for name, said in words.COLOURS.items()]
    plain += [(f"something on a {name} background", {"backdrop": name}) for name in words.BACKDROPS]
    for name, table in (("place", words.PLACES), ("time", words.TIMES), ("weather", words.WEATHERS)):
        plain += [(f"something {said[0]}", {name: value}) for value, said in table.items()]
    plain += [(said[0].format("something"), {"style": name}) for name, said in words.STYLES.items()]
    plain += [(f"something {said[0]}", {"size": name}) for name, said in words.SIZES.items()]
    return [*plain, *((f"{said[0]} thing{'s' * (n != '1')}", {"count": n}) for n, said in words.COUNTS.items())]
