"""The losses that a run can minimise: what each does and needs, and how it is typed. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from clipgen.errors import UsageError, unknown_value
from clipgen.util.text import quoted
from clipgen.weights.heads import AESTHETIC, AESTHETIC_CLIP

SYMMETRIES = ("left-right", "top-bottom", "both")
MAX_COLOURS = 32
GROUP = "clipgen.losses"
"""The entry points by which an installed package adds losses."""
MAX_DETAIL = 1000
MAX_EPOCHS = 100
OF_PICTURE = ":@"
"""Stands before the name of a picture whose colours are meant."""


def _no_detail(text: str) -> str:
    if text:
        raise UsageError(f"takes nothing after its weight, got {quoted(text)}")
    return ""


def _any_detail(text: str) -> str:
    if len(text) > MAX_DETAIL:
        raise UsageError(f"takes at most {MAX_DETAIL} characters, got {len(text)}")
    return text


def _epochs(text: str) -> str:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_EPOCHS):
        raise UsageError(f"takes a number of epochs from 1 to {MAX_EPOCHS}, got {quoted(text)}")
    return str(int(text))


def _one_symmetry(text: str) -> str:
    if text not in SYMMETRIES:
        raise unknown_value("the axis", text, SYMMETRIES)
    return text


def read_colours(text: str) -> str:
    """Return colours, by name or as #rrggbb, with commas between them, as "#rrggbb,..."; raises UsageError."""
    from PIL import ImageColor

    names = [name.strip() for name in text.split(",")]
    if len(names) > MAX_COLOURS:
        raise UsageError(f"takes at most {MAX_COLOURS} colours, got {len(names)}")
    found = []
    for name in names:
        try:
            red, green, blue, *_ = ImageColor.getrgb(name)
        except ValueError as error:
            raise UsageError(
                f"{quoted(name)} is no colour; write a name that CSS knows, such as navy, or #rrggbb"
            ) from error
        found.append(f"#{red:02x}{green:02x}{blue:02x}")
    return ",".join(found)


def _one_colour(text: str) -> str:
    if "," in text:
        raise UsageError(f"takes one colour, got {quoted(text)}")
    return read_colours(text)


@dataclass(frozen=True)
class LossKind:
    """A loss, as users see it."""

    summary: str
    weight: float
    """The weight if none is typed; about as strong as the prompt."""
    detail: str = ""
    """What can be typed after the weight; empty for nothing."""
    usual: str = ""
    """The detail if none is typed."""
    read: Callable[[str], str] = _no_detail
    """Returns a detail as a plan has it. Raises UsageError."""
    needs_init: bool = False
    guide: str = ""
    """Name of the CLIP that must be among the guides; empty for none."""
    network: str = ""
    """Name of a network that it needs beside those; empty for none."""
    backend: str = ""
    """The only backend whose latents it can measure; empty if it measures pictures."""
    signed: bool = False
    """Whether a negative weight makes sense, which does the opposite."""


LOSS_KINDS: dict[str, LossKind] = {
    "prompt": LossKind("the distance from the prompt", 1.0),
    "init": LossKind("the latent stays near that of the init image", 1.0, needs_init=True),
    "anchor": LossKind(
        "the latent stays near where it was at the start of each of so many epochs", 1.0, "EPOCHS", "5", _epochs
    ),
    "layout": LossKind("the blurred picture stays near the blurred init image", 1.0, needs_init=True),
    "init-embedding": LossKind("CLIP sees in the picture what it sees in the init image", 1.0, needs_init=True),
    "init-pixels": LossKind("every pixel stays near that of the init image", 30.0, needs_init=True),
    "total-variation": LossKind("fewer small details; below 0 more", 2.0, signed=True),
    "smoothness": LossKind("softer edges; below 0 harder ones", 10.0, signed=True),
    "contrast": LossKind("less contrast; below 0 more", 2.0, signed=True),
    "saturation": LossKind("paler colours; below 0 stronger ones", 5.0, signed=True),
    "range": LossKind("nothing quite black, quite white or quite saturated", 20.0),
    "palette": LossKind(
        "every pixel has one of these colours", 10.0, "COLOUR,... or @FILE", "black,white", read=read_colours
    ),
    "symmetry": LossKind("one half mirrors the other", 30.0, "|".join(SYMMETRIES), "left-right", _one_symmetry),
    "edges": LossKind("a margin of a tenth has this colour", 3.0, "COLOUR", "white", read=_one_colour),
    "aesthetic": LossKind(
        "people would rate the picture highly, by LAION's predictor; needs --clip ViT-L-14",
        1.0,
        guide=AESTHETIC_CLIP,
        network=AESTHETIC,
    ),
    "norm": LossKind(
        "the latent is no longer than those of pictures; for --backend kl, which has it anyway", 1.0, backend="kl"
    ),
    "seam": LossKind("opposite edges of the picture fit together; --tile adds it", 30.0),
}
"""By name."""

TYPED_LOSSES = tuple(name for name in LOSS_KINDS if name != "prompt")
"""Those that can be asked for; texts have weights of their own."""


@cache
def own_losses() -> Mapping[str, LossKind]:
    """Return the losses that installed packages add, by name; none of their code is imported for that."""
    found = [each for each in entry_points(group=GROUP) if each.name not in LOSS_KINDS]
    sources = {each.name: each.dist.name if each.dist else each.value for each in found}
    return {
        name: LossKind(f"from the package {source}", 1.0, "TEXT", read=_any_detail, signed=True)
        for name, source in sorted(sources.items())
    }


def kind_of_loss(flag: str, name: str) -> LossKind:
    """Return the loss of a name. Raises UsageError, which names the flag."""
    kind = LOSS_KINDS.get(name) or own_losses().get(name)
    if kind is None or (name == "prompt" and flag == "--loss"):
        raise unknown_value(flag, name, (*(TYPED_LOSSES if flag == "--loss" else LOSS_KINDS), *own_losses()))
    return kind
