"""How a picture is stored in its file. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from clipgen.config.checks import check_choice, check_whole
from clipgen.errors import UsageError

PNG = ".png"
SUFFIXES = (PNG, ".jpg", ".jpeg", ".webp")
"""Those of the formats that a picture is written in."""
FORMATS = ("png", "jpg", "webp")
"""As `--format` has them."""
LOSSY = SUFFIXES[1:]
QUALITY = 95
"""Of JPEG and WebP, unless it is asked for."""
MAX_QUALITY = 100
MAX_SIDES = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
"""Pixels of the longer side that a format can have."""


@dataclass(frozen=True)
class Saving:
    """The format of a picture's file, and what the file says of the picture."""

    suffix: str = PNG
    quality: int | None = None
    """Of a lossy format, from 1 to 100; None for QUALITY."""
    metadata: bool = True
    """Whether the recipe is stored."""
    mark: bool = True
    """Whether it is stored that a computer made the picture."""

    def __post_init__(self) -> None:
        check_choice("-o", self.suffix, SUFFIXES)
        if self.quality is not None:
            check_whole("--quality", self.quality, 1, MAX_QUALITY)

    def check(self, size: tuple[int, int]) -> None:
        """Raise a UsageError unless a picture of `size` can have this format, and the format the quality."""
        if self.quality is not None and self.suffix not in LOSSY:
            raise UsageError(
                f"--quality {self.quality} goes with JPEG and WebP, as in --format jpg; a PNG loses nothing"
            )
        limit = MAX_SIDES.get(self.suffix, max(size))
        if max(size) > limit:
            raise UsageError(
                f"-o FILE{self.suffix} can have {limit:,} pixels on a side, not {max(size):,}; use -o FILE.png"
            )


AS_PNG = Saving()
