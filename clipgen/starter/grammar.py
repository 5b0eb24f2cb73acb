"""The drawn world in words: what a picture can show, what a caption claims, and when the claim is true."""

from __future__ import annotations

import difflib
import re
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("red", "crimson", "scarlet"),
    "orange": ("orange",),
    "yellow": ("yellow", "golden"),
    "green": ("green",),
    "blue": ("blue",),
    "purple": ("purple", "violet"),
    "pink": ("pink",),
    "brown": ("brown",),
    "black": ("black",),
    "white": ("white",),
    "grey": ("grey", "gray"),
}
NOUNS: dict[str, tuple[str, ...]] = {
    "cat": ("cat", "kitten", "kitty"),
    "dog": ("dog", "puppy", "hound"),
    "bird": ("bird", "songbird"),
    "fish": ("fish", "goldfish"),
    "butterfly": ("butterfly", "moth"),
    "rabbit": ("rabbit", "bunny", "hare"),
    "face": ("face", "human face", "portrait", "person", "woman", "man"),
    "tree": ("tree",),
    "flower": ("flower", "blossom", "daisy"),
    "house": ("house", "cottage", "home"),
    "car": ("car", "automobile"),
    "boat": ("boat", "sailboat", "ship"),
    "apple": ("apple",),
    "teapot": ("teapot", "kettle"),
    "star": ("star",),
    "heart": ("heart", "love heart"),
    "mushroom": ("mushroom", "toadstool"),
    "umbrella": ("umbrella", "parasol"),
    "balloon": ("hot air balloon", "balloon"),
    "city": ("city", "skyline", "town", "cityscape"),
    "mountains": ("mountains", "mountain range", "mountain", "alps"),
    "sea": ("sea", "ocean", "waves"),
    "forest": ("forest", "woods", "woodland"),
    "desert": ("desert", "dunes"),
    "volcano": ("volcano", "eruption"),
}
SCENES = ("city", "mountains", "sea", "forest", "desert", "volcano")
SUBJECTS = tuple(noun for noun in NOUNS if noun not in SCENES)
TIMES: dict[str, tuple[str, ...]] = {
    "day": ("in daylight", "by day", "in the daytime", "on a sunny day"),
    "sunset": ("at sunset", "at dusk", "in the evening", "at sundown"),
    "night": ("at night", "by night", "in the night", "under the moon"),
}
PLACES: dict[str, tuple[str, ...]] = {
    "meadow": ("in a meadow", "on the grass", "in a field", "in the countryside"),
    "beach": ("on the beach", "on the sand", "by the sea"),
    "water": ("on the water", "on the sea", "in the water"),
}
BACKDROPS = ("white", "grey", "black", "blue", "green", "yellow", "purple", "pink")
BACKDROP_FORMS = ("on a {} background", "against a {} background", "with a {} background")
STYLES: dict[str, tuple[str, ...]] = {
    "van gogh": (
        "{} in the style of van gogh",
        "{} by van gogh",
        "a van gogh painting of {}",
        "{} painted by vincent van gogh",
        "{}, van gogh style",
    ),
    "pencil sketch": ("a pencil sketch of {}", "{}, pencil sketch", "a sketch of {}", "a pencil drawing of {}"),
    "watercolour": ("a watercolour of {}", "{}, watercolour", "a watercolor painting of {}", "{} in watercolour"),
    "pixel art": ("pixel art of {}", "{}, pixel art", "{} as pixel art", "{} in pixel art style"),
    "mosaic": ("a mosaic of {}", "{}, mosaic", "{} as a mosaic", "{} made of mosaic tiles"),
    "neon": ("a neon sign of {}", "{} in neon", "{}, neon lights", "{} made of neon lights"),
    "comic": ("a comic of {}", "{}, comic style", "{} in a comic book", "a comic book drawing of {}"),
}
PLAIN_FORMS = ("{}", "{}", "{}", "a picture of {}", "an image of {}", "a photo of {}", "a painting of {}")
LOOKALIKES = (
    {"white", "grey"}, {"grey", "black"}, {"red", "pink"}, {"red", "orange"}, {"orange", "yellow"},
    {"orange", "brown"}, {"red", "brown"}, {"pink", "purple"}, {"blue", "purple"}, {"black", "brown"},
)  # fmt: skip
PLURALS = ("mountains", "alps", "dunes", "waves", "woods")
NEON_COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
OTHER_WORDS = frozenset(
    (
        "a",
        "an",
        "the",
        "of",
        "and",
        "with",
        "is",
        "that",
        "it",
        "this",
        "very",
        "in",
        "on",
        "at",
        "by",
        "its",
        "one",
        "single",
        "something",
        "scene",
        "thing",
        "photograph",
    )
)


@dataclass(frozen=True)
class Truth:
    """What a picture shows; None where nothing definite can be said of it (a grey sketch has no colour)."""

    noun: str
    colour: str | None = None
    backdrop: str | None = None
    place: str | None = None
    time: str | None = None
    style: str | None = None


ATTRIBUTES = tuple(Truth.__dataclass_fields__)
Claim = dict[str, str]


def is_true(claim: Claim, truth: Truth) -> bool:
    """Whether everything the claim states holds of the picture."""
    shown = asdict(truth)
    return all(shown[name] == value for name, value in claim.items())


def contradict(claim: Claim, other: Claim) -> bool:
    """Whether two claims cannot both hold of a picture: both state something, and not the same."""
    return any(other.get(name, value) != value for name, value in claim.items())


def imagine(rng: np.random.Generator, style_share: float = 0.6) -> Truth:
    """A random picture to draw."""
    noun = _choose(SUBJECTS if rng.random() < 0.78 else SCENES, rng)
    style = _choose(tuple(STYLES), rng) if rng.random() < style_share else None
    if noun in SCENES:
        truth = Truth(noun, time=_choose(tuple(TIMES), rng), style=style)
    else:
        truth = _subject_truth(noun, style, rng)
    return _visible(truth)


def _subject_truth(noun: str, style: str | None, rng: np.random.Generator) -> Truth:
    colour: str | None = _choose(NEON_COLOURS if style == "neon" else tuple(COLOURS), rng)
    if noun == "face" and rng.random() < 0.6:
        colour = None
    if style != "neon" and rng.random() < (0.9 if noun == "boat" else 0.5):
        places = {"boat": ("water",), "fish": ("water",), "balloon": ("meadow", "beach", "water")}
        place = _choose(places.get(noun, ("meadow", "beach")), rng)
        return Truth(noun, colour, place=place, time=_choose(tuple(TIMES), rng), style=style)
    clear = tuple(name for name in BACKDROPS if name != colour and {name, colour} not in LOOKALIKES)
    return Truth(noun, colour, backdrop=_choose(clear, rng), style=style)


def _visible(truth: Truth) -> Truth:
    """The truth with what its style hides taken out."""
    if truth.style == "pencil sketch":
        return replace(truth, colour=None, backdrop=None, time=truth.time if truth.time == "night" else None)
    if truth.style == "neon":
        return replace(truth, backdrop=None, place=None, time=None)
    return truth


def _choose(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _article(words: str) -> str:
    last = words.split()[-1]
    if last in PLURALS:
        return words
    if last in ("sea", "ocean"):
        return f"the {words}"
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def say(claim: Claim, rng: np.random.Generator) -> str:
    """English for a claim, with random synonyms and word order."""
    noun = _choose(NOUNS[claim["noun"]], rng) if "noun" in claim else None
    colour = _choose(COLOURS[claim["colour"]], rng) if "colour" in claim else None
    parts = [_subject(noun, colour, rng)]
    if "backdrop" in claim:
        parts.append(_choose(BACKDROP_FORMS, rng).format(_choose(COLOURS[claim["backdrop"]], rng)))
    rest = [_choose(PLACES[claim["place"]], rng)] if "place" in claim else []
    rest += [_choose(TIMES[claim["time"]], rng)] if "time" in claim else []
    if len(rest) == 2 and rng.random() < 0.5:
        rest.reverse()
    scene = " ".join([*parts, *rest])
    forms = STYLES[claim["style"]] if "style" in claim else PLAIN_FORMS
    return _choose(forms, rng).format(scene)


def _subject(noun: str | None, colour: str | None, rng: np.random.Generator) -> str:
    if noun is None:
        return f"something {colour}" if colour else "something"
    if colour is None:
        return _article(noun)
    if rng.random() < 0.8:
        return _article(f"{colour} {noun}")
    return f"{_article(noun)} that is {colour}" if rng.random() < 0.5 else f"{_article(noun)}, {colour},"


def claim_of(truth: Truth, rng: np.random.Generator) -> Claim:
    """A random true claim about a picture: each thing that is so is stated or left out."""
    odds = {"noun": 0.9, "colour": 0.6, "backdrop": 0.3, "place": 0.3, "time": 0.45, "style": 0.6}
    stated = {name: value for name, value in asdict(truth).items() if value is not None and rng.random() < odds[name]}
    return stated or {"noun": truth.noun}


def bank() -> list[tuple[str, Claim]]:
    """One short caption for every value of every attribute."""
    plain = [(_article(words[0]), {"noun": noun}) for noun, words in NOUNS.items()]
    plain += [(f"something {words[0]}", {"colour": name}) for name, words in COLOURS.items()]
    plain += [(f"something on a {name} background", {"backdrop": name}) for name in BACKDROPS]
    plain += [(f"something {forms[0]}", {"place": name}) for name, forms in PLACES.items()]
    plain += [(f"something {forms[0]}", {"time": name}) for name, forms in TIMES.items()]
    plain += [(forms[0].format("something"), {"style": name}) for name, forms in STYLES.items()]
    return plain


def vocabulary() -> frozenset[str]:
    """Every word that a caption can hold."""
    tables = [COLOURS, NOUNS, TIMES, PLACES, STYLES]
    phrases = [phrase for table in tables for row in table.values() for phrase in row]
    return frozenset(_words(" ".join([*phrases, *PLAIN_FORMS, *BACKDROP_FORMS]))) | OTHER_WORDS


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


def unknown_words(text: str, limit: int | None = None) -> list[tuple[str, str | None]]:
    """The first `limit` words of the text that the world has never seen, each with the nearest that it has, if any."""
    known = vocabulary()
    strange = dict.fromkeys(word for word in _words(text) if word not in known and word.rstrip("s") not in known)
    return [
        (word, next(iter(difflib.get_close_matches(word, sorted(known), 1, 0.6)), None))
        for word in islice(strange, limit)
    ]
