"""Which part of an init image may change, and by how much it is extended. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from clipgen.config.checks import check_choice, check_whole, checked_number
from clipgen.config.targets import PLACES
from clipgen.errors import UsageError
from clipgen.util.text import quoted

FEATHER = 0.03
"""The usual width of the soft edge, as a fraction of the shorter side."""
MAX_FEATHER = 0.5
OVERLAY_EVERY = 10
MAX_EVERY = 100_000
_FILE = re.compile(r"[^\0]+")
MAX_EXTENSION = 4096
AROUND, KEPT = INSIDE = ("around", "init")
"""What is inside a mask at first: the colours around it, or the init image."""
NOWHERE = (0, 0, 0, 0)

Sides = tuple[int, int, int, int]
"""Left, top, right and bottom."""


@dataclass(frozen=True)
class EditSettings:
    """An edit of the init image: everything outside the mask stays as it is, to the last bit."""

    mask: str = ""
    """A file or one of PLACES; empty for what `extend` adds alone."""
    sha256: str = ""
    """Of the file, once it was read."""
    extend: Sides = NOWHERE
    """Pixels of the init image's own size that are added on each side."""
    feather: float = FEATHER
    """Width of the soft edge inside the mask, as a fraction of the shorter side."""
    inside: str = AROUND
    """What the run begins with inside the mask, one of INSIDE."""

    def __post_init__(self) -> None:
        if not isinstance(self.mask, str) or "\0" in self.mask or not re.fullmatch("[0-9a-f]{64}|", self.sha256):
            raise UsageError(f"--mask must be the path of an image file or a place, got {quoted(self.mask)}")
        if len(self.extend) != len(NOWHERE) or not all(0 <= side <= MAX_EXTENSION for side in self.extend):
            raise UsageError(f"--extend takes numbers from 0 to {MAX_EXTENSION}, got {','.join(map(str, self.extend))}")
        check_choice("--inside", self.inside, INSIDE)
        if not self.mask and not any(self.extend):
            raise UsageError("--extend must add pixels on some side; 128,0,128,0 adds 128 on the left and the right")
        object.__setattr__(self, "feather", checked_number("--feather", self.feather, 0.0, MAX_FEATHER))

    @property
    def is_file(self) -> bool:
        """Whether the mask is a file."""
        return bool(self.mask) and self.mask not in PLACES

    @property
    def published(self) -> Self:
        """The edit without the folder of its mask."""
        return replace(self, mask=Path(self.mask).name) if self.is_file else self


@dataclass(frozen=True)
class OverlaySettings:
    """A picture that is laid over the one that is being made, every few steps."""

    file: str
    """What is transparent in it leaves the picture as it is."""
    every: int = OVERLAY_EVERY
    """Steps between two times."""
    sha256: str = ""
    """Of the file, once it was read."""

    def __post_init__(self) -> None:
        if not isinstance(self.file, str) or not self.file or not _FILE.fullmatch(self.file + self.sha256):
            raise UsageError(f"--overlay must be the path of an image file, got {quoted(self.file)}")
        check_whole("--overlay-every", self.every, 1, MAX_EVERY)

    @property
    def published(self) -> Self:
        """The overlay without the folder of its file."""
        return replace(self, file=Path(self.file).name)


def edit_fields(edits: Sequence[EditSettings], overlays: Sequence[OverlaySettings]) -> dict[str, Any]:
    """Return the fields of a job that ask for the edits and the overlays of a plan."""
    fields: dict[str, Any] = {}
    for row in edits:
        extend = ",".join(map(str, row.extend)) if any(row.extend) else None
        fields |= {"mask": row.mask or None, "extend": extend, "feather": row.feather, "inside": row.inside}
    for overlay in overlays:
        fields |= {"overlay": overlay.file, "overlay_every": overlay.every}
    return fields


def parse_extension(text: str) -> Sides:
    """Parse "128,0,128,0": pixels on the left, top, right and bottom. Raises UsageError."""
    found = re.fullmatch(r"\s*([0-9]{1,6})\s*,\s*([0-9]{1,6})\s*,\s*([0-9]{1,6})\s*,\s*([0-9]{1,6})\s*", text, re.ASCII)
    if found is None:
        raise UsageError(f"--extend must be LEFT,TOP,RIGHT,BOTTOM in pixels, as in 128,0,128,0, got {quoted(text)}")
    left, top, right, bottom = map(int, found.groups())
    return left, top, right, bottom
