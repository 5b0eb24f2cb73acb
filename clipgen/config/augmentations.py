"""The cutouts of other programs, and the augmentations of Kornia that these put them through, as data. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from clipgen.config.checks import check_choice, checked_number
from clipgen.errors import UsageError

POOLED, SHAPED, CROPS, WINDOWS = CUTTERS = ("pooled", "shaped", "crops", "windows")
"""Where the cutouts of a group come from; the keys of `clipgen.engine.peer_cutouts.CUTTERS`."""
ZEROS, BORDER, REFLECTION, GREY, ALTERNATING = BORDERS = ("zeros", "border", "reflection", "grey", "alternating")
"""What is seen beyond the edge of a cutout: black, its edge, its mirror image, a grey drawn anew in each step, or the
mirror image in even steps and the edge in odd ones."""

_SHARE, _COLOUR = (0.0, 1.0), (0.0, 1.0)
_RATIO = (0.01, 100.0)
AUGMENTATIONS: dict[str, dict[str, tuple[float, float]]] = {
    "affine": {"degrees": (0.0, 180.0), "shift x": _SHARE, "shift y": _SHARE, "shear": (0.0, 89.0)},
    "perspective": {"distortion": _SHARE},
    "jitter": {"brightness": _COLOUR, "contrast": _COLOUR, "saturation": _COLOUR, "hue": (0.0, 0.5)},
    "erasing": {"least": _SHARE, "most": _SHARE, "least ratio": _RATIO, "most ratio": _RATIO},
    "resized-crop": {"least": (0.01, 1.0), "most": (0.01, 1.0), "least ratio": _RATIO, "most ratio": _RATIO},
    "mirror": {},
    "shrunk": {"square": (0.01, 1.0), "least": (0.01, 1.0)},
}
"""By kind: what its amounts are called, and their range. `clipgen.engine.augmentations` has what they do."""


@dataclass(frozen=True)
class AugmentationSettings:
    """One of AUGMENTATIONS, which a cutout goes through with some probability."""

    kind: str
    probability: float
    amounts: tuple[float, ...]
    """In the order of its row."""
    border: str = ZEROS
    """One of BORDERS, where it moves pixels."""

    def __post_init__(self) -> None:
        check_choice("an augmentation", self.kind, tuple(AUGMENTATIONS))
        check_choice("the border of an augmentation", self.border, BORDERS)
        checked_number(f"the probability of {self.kind}", self.probability, 0.0, 1.0)
        row = AUGMENTATIONS[self.kind]
        if len(self.amounts) != len(row):
            raise UsageError(f"{self.kind} has {len(row)} amounts, {', '.join(row)}, got {len(self.amounts)}")
        named = dict(zip(row, self.amounts, strict=True))
        for name, value in named.items():
            checked_number(f"{name} of {self.kind}", value, *row[name])
        for name in ("", " ratio"):
            if named.get(f"most{name}", 100.0) < named.get(f"least{name}", 0.0):
                raise UsageError(f"{self.kind}: least{name} must be at most most{name}")


@dataclass(frozen=True)
class CutoutGroup:
    """Some of the cutouts of a picture: where they come from, and what they go through."""

    share: float
    """Fraction of the cutouts, rounded down; the last group has all that are left."""
    cutter: str
    """One of CUTTERS: the whole picture, averaged and maximised over a grid of the cutout's size and squashed to a
    square or in its own shape, square crops of random size and place, or crops of 7/8 of its shorter side."""
    chain: tuple[AugmentationSettings, ...] = ()
    """What they go through, in this order."""
    power: float = 1.0
    """Exponent on the uniform number that a crop's size comes from; above 1, more crops are small."""

    def __post_init__(self) -> None:
        check_choice("the cutter of a group", self.cutter, CUTTERS)
        checked_number("the share of a group", self.share, 0.0, 1.0)
        checked_number("the power of a group", self.power, 0.0, 100.0)
