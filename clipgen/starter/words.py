"""The words of the drawn world: every value that a picture's attributes can take, with how English says it."""

from __future__ import annotations

import re
from functools import cache

COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("red", "crimson", "scarlet"),
    "orange": ("orange",),
    "yellow": ("yellow", "golden"),
    "green": ("green",),
    "turquoise": ("turquoise", "teal", "cyan"),
    "blue": ("blue",),
    "purple": ("purple", "violet"),
    "pink": ("pink",),
    "brown": ("brown",),
    "black": ("black",),
    "white": ("white",),
    "grey": ("grey", "gray"),
}
LOOKALIKES = (
    {"white", "grey"}, {"grey", "black"}, {"red", "pink"}, {"red", "orange"}, {"orange", "yellow"},
    {"orange", "brown"}, {"red", "brown"}, {"pink", "purple"}, {"blue", "purple"}, {"black", "brown"},
    {"turquoise", "blue"}, {"turquoise", "green"},
)  # fmt: skip
NEON_COLOURS = ("red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "white")
SUBJECTS: dict[str, tuple[str, ...]] = {
    "cat": ("cat", "kitten", "kitty"),
    "dog": ("dog", "puppy", "hound"),
    "bird": ("bird", "songbird"),
    "fish": ("fish", "goldfish"),
    "butterfly": ("butterfly", "moth"),
    "rabbit": ("rabbit", "bunny", "hare"),
    "giraffe": ("giraffe",),
    "snail": ("snail",),
    "hedgehog": ("hedgehog",),
    "elephant": ("elephant",),
    "owl": ("owl",),
    "penguin": ("penguin",),
    "turtle": ("turtle", "tortoise"),
    "face": ("face", "human face", "portrait", "person", "woman", "man"),
    "robot": ("robot", "android"),
    "snowman": ("snowman",),
    "tree": ("tree",),
    "flower": ("flower", "blossom", "daisy"),
    "cactus": ("cactus",),
    "mushroom": ("mushroom", "toadstool"),
    "apple": ("apple",),
    "avocado": ("avocado",),
    "strawberry": ("strawberry",),
    "banana": ("banana",),
    "pear": ("pear",),
    "cake": ("cake", "birthday cake"),
    "house": ("house", "cottage", "home"),
    "castle": ("castle", "fortress"),
    "lighthouse": ("lighthouse",),
    "windmill": ("windmill",),
    "storefront": ("storefront", "shop", "store"),
    "road sign": ("road sign", "traffic sign", "street sign"),
    "car": ("car", "automobile"),
    "boat": ("boat", "sailboat", "ship"),
    "bicycle": ("bicycle", "bike"),
    "train": ("train", "locomotive", "steam train"),
    "plane": ("plane", "airplane", "aeroplane"),
    "rocket": ("rocket", "spaceship"),
    "balloon": ("hot air balloon", "balloon"),
    "armchair": ("armchair", "chair"),
    "lamp": ("lamp", "table lamp"),
    "clock": ("clock", "alarm clock"),
    "phone": ("phone", "telephone"),
    "teapot": ("teapot", "kettle"),
    "cup": ("cup", "mug", "teacup"),
    "guitar": ("guitar",),
    "harp": ("harp",),
    "key": ("key",),
    "umbrella": ("umbrella", "parasol"),
    "hat": ("hat", "top hat"),
    "scarf": ("scarf",),
    "crown": ("crown",),
    "cube": ("cube", "block"),
    "ball": ("ball", "beach ball"),
    "star": ("star",),
    "heart": ("heart", "love heart"),
}
SCENES: dict[str, tuple[str, ...]] = {
    "city": ("city", "skyline", "town", "cityscape"),
    "mountains": ("mountains", "mountain range", "mountain", "alps"),
    "sea": ("sea", "ocean", "waves"),
    "forest": ("forest", "woods", "woodland"),
    "desert": ("desert", "dunes"),
    "volcano": ("volcano", "eruption"),
    "waterfall": ("waterfall", "cascade"),
    "island": ("island", "tropical island"),
    "road": ("road", "highway"),
    "garden": ("garden", "flower garden"),
    "bridge": ("bridge", "stone bridge"),
    "room": ("room", "living room", "interior"),
}
NOUNS = SUBJECTS | SCENES
NATURAL: dict[str, tuple[str, ...]] = {
    "cat": ("orange", "grey", "black", "white", "brown"),
    "dog": ("brown", "black", "white", "orange", "grey"),
    "fish": ("orange", "blue", "yellow", "red"),
    "rabbit": ("white", "brown", "grey"),
    "giraffe": ("yellow",),
    "snail": ("brown", "orange", "yellow"),
    "hedgehog": ("brown",),
    "elephant": ("grey",),
    "owl": ("brown", "white", "grey"),
    "penguin": ("black", "grey"),
    "turtle": ("green", "brown"),
    "robot": ("grey", "blue", "turquoise"),
    "snowman": ("white",),
    "tree": ("green",),
    "cactus": ("green",),
    "mushroom": ("red", "brown"),
    "apple": ("red", "green"),
    "avocado": ("green",),
    "strawberry": ("red",),
    "banana": ("yellow",),
    "pear": ("green", "yellow"),
    "castle": ("grey", "brown"),
    "lighthouse": ("red",),
    "armchair": ("brown", "red", "green"),
    "guitar": ("brown", "orange"),
    "harp": ("yellow", "brown"),
    "key": ("yellow", "grey"),
    "hat": ("black", "brown"),
    "crown": ("yellow",),
    "heart": ("red", "pink"),
    "star": ("yellow",),
}
"""Colours that a thing has where nobody says another."""
TIMES: dict[str, tuple[str, ...]] = {
    "day": ("in daylight", "by day", "in the daytime", "on a sunny day"),
    "sunset": ("at sunset", "at dusk", "in the evening", "at sundown"),
    "night": ("at night", "by night", "in the night", "under the moon"),
}
WEATHERS: dict[str, tuple[str, ...]] = {
    "snow": ("in the snow", "in winter", "on a snowy day", "covered in snow"),
    "fog": ("in the fog", "in thick fog", "in mist", "on a foggy day"),
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
    "monet": (
        "{} in the style of monet",
        "{} by monet",
        "a monet painting of {}",
        "{} painted by claude monet",
        "{}, impressionist painting",
    ),
    "pointillism": ("{}, pointillism", "{} in pointillism", "a pointillist painting of {}", "{} made of dots"),
    "ukiyo-e": ("{}, ukiyo-e", "a ukiyo-e print of {}", "a japanese woodblock print of {}", "{} by hokusai"),
    "oil": ("an oil painting of {}", "{}, oil painting", "{} in oil", "{}, oil on canvas"),
    "watercolour": ("a watercolour of {}", "{}, watercolour", "a watercolor painting of {}", "{} in watercolour"),
    "pencil sketch": ("a pencil sketch of {}", "{}, pencil sketch", "a sketch of {}", "a pencil drawing of {}"),
    "pixel art": ("pixel art of {}", "{}, pixel art", "{} as pixel art", "{} in pixel art style"),
    "mosaic": ("a mosaic of {}", "{}, mosaic", "{} as a mosaic", "{} made of mosaic tiles"),
    "comic": ("a comic of {}", "{}, comic style", "{} in a comic book", "a comic book drawing of {}"),
    "neon": ("a neon sign of {}", "{} in neon", "{}, neon lights", "{} made of neon lights"),
    "blueprint": ("a blueprint of {}", "{}, blueprint", "{} as a blueprint", "a technical drawing of {}"),
}
PLAIN_FORMS = ("{}", "{}", "{}", "a picture of {}", "an image of {}", "a photo of {}", "a painting of {}")
COUNTS: dict[str, tuple[str, ...]] = {"1": ("one", "a single"), "2": ("two", "a pair of"), "3": ("three",)}
SIZES: dict[str, tuple[str, ...]] = {"small": ("small", "tiny", "little"), "big": ("big", "large", "huge")}
RELATIONS: dict[str, tuple[str, ...]] = {
    "next to": ("next to", "beside", "and"),
    "on": ("on", "on top of", "sitting on"),
    "under": ("under", "below", "underneath"),
    "wearing": ("wearing", "with", "in"),
    "worn by": ("worn by",),
    "in the shape of": ("in the shape of", "shaped like", "that looks like"),
}
INVERSE = {"next to": "next to", "on": "under", "under": "on", "wearing": "worn by", "worn by": "wearing"}
"""What the other of two things is to the first."""
BEARERS = ("cube", "armchair", "car", "house", "elephant", "turtle", "cake", "mushroom", "ball", "train")
"""On which something can stand."""
RIDERS = (
    "cube", "ball", "cat", "bird", "owl", "snail", "penguin", "rabbit", "hedgehog", "apple", "pear", "strawberry",
    "teapot", "cup", "clock", "phone", "crown", "hat", "heart", "star", "robot", "lamp", "cake", "house",
)  # fmt: skip
WEARERS = (
    "cat", "dog", "rabbit", "bird", "giraffe", "elephant", "owl", "penguin", "face", "robot", "snowman",
)  # fmt: skip
CLOTHES = ("scarf", "hat")
MADE = ("armchair", "teapot", "clock", "lamp")
SHAPES = ("avocado", "strawberry", "pear", "apple", "mushroom", "heart", "star")
"""Of which what is made can have the shape."""
UNCOUNTED = ("mountains", "alps", "dunes", "waves", "woods")
PLURALS = {
    "fish": "fish",
    "goldfish": "goldfish",
    "cactus": "cacti",
    "man": "men",
    "woman": "women",
    "person": "people",
}
TABLES: dict[str, dict[str, tuple[str, ...]]] = {
    "things": SUBJECTS,
    "scenes": SCENES,
    "colours": COLOURS,
    "styles": STYLES,
    "times": TIMES,
    "weather": WEATHERS,
    "places": PLACES,
    "sizes": SIZES,
    "counts": COUNTS,
    "relations": RELATIONS,
}
"""All that can be said of a picture, by topic."""
OTHER_WORDS = (
    frozenset(("a", "an", "the", "of", "and", "with", "is", "are", "that", "it", "this", "these", "very", "in", "on"))
    | frozenset(("at", "by", "its", "something", "scene", "thing", "things", "photograph", "shiny", "color", "colour"))
)  # fmt: skip


def plural(words: str) -> str:
    """More than one of a noun, which may be of several words."""
    *before, last = words.split()
    if last in PLURALS:
        last = PLURALS[last]
    elif last.endswith("man"):
        last = f"{last[:-3]}men"
    elif last[-1] == "y" and last[-2] not in "aeiou":
        last = f"{last[:-1]}ies"
    elif last.endswith("f"):
        last = f"{last[:-1]}ves"
    else:
        last += "es" if last.endswith(("s", "x", "sh", "ch")) else "s"
    return " ".join([*before, last])


@cache
def vocabulary() -> frozenset[str]:
    """Every word that a caption can hold."""
    tables = [COLOURS, NOUNS, TIMES, WEATHERS, PLACES, STYLES, COUNTS, SIZES, RELATIONS]
    phrases = [phrase for table in tables for row in table.values() for phrase in row]
    phrases += [plural(noun) for row in SUBJECTS.values() for noun in row]
    return frozenset(_words(" ".join([*phrases, *PLAIN_FORMS, *BACKDROP_FORMS]))) | OTHER_WORDS


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


def knows(word: str) -> bool:
    """Whether the world has a word, in lower case, or the singular of one that ends in s."""
    return word in vocabulary() or word.rstrip("s") in vocabulary()


def unknown_words(text: str) -> list[str]:
    """The words of a text that the world has never seen, in lower case, each once."""
    return list(dict.fromkeys(word for word in _words(text) if not knows(word)))
