"""Tokens that a latent begins at: the codes of a grid, which a file holds. Torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from clipgen.config.checks import check_choice
from clipgen.config.preset import DRAFT, INIT, STARTS, TOKENS, Size
from clipgen.config.presets import PRESETS
from clipgen.config.priors import PROPOSING
from clipgen.config.settings import GeneratorSettings
from clipgen.errors import UsageError
from clipgen.util.text import quoted
from clipgen.weights import registry

if TYPE_CHECKING:
    from clipgen.config.job import Job
    from clipgen.util.tokens import TokenGrid

FLAG = "--init-tokens"
_FILE = re.compile(r"[^\0]+")
_FROM_FILES = {INIT: ("--init", "an init image"), TOKENS: (FLAG, "tokens")}
"""By start: the flag that names the file it needs, and what that holds."""


@dataclass(frozen=True)
class TokenSettings:
    """The tokens that a latent begins at."""

    file: str
    """A grid of codes, as numpy saves it."""
    sha256: str = ""
    """Of the file, once it was read."""

    def __post_init__(self) -> None:
        if not isinstance(self.file, str) or not _FILE.fullmatch(self.file):
            raise UsageError(f"{FLAG} must be the path of a .npy file, got {quoted(self.file)}")
        if not isinstance(self.sha256, str) or not re.fullmatch("[0-9a-f]{64}|", self.sha256):
            raise UsageError(f"{FLAG}: the sha256 must be 64 hexadecimal digits, got {quoted(self.sha256)}")

    @property
    def published(self) -> Self:
        """The tokens without the folder of their file."""
        return replace(self, file=Path(self.file).name)


def check_start(start: str | None, init: str | None, tokens: str | None) -> None:
    """Raise a UsageError unless a start, which may be open, goes with an init image or tokens, of which one may be."""
    given = {name: file for name, file in ((INIT, init), (TOKENS, tokens)) if file is not None}
    if init is not None and tokens is not None:
        raise UsageError(f"--init {quoted(init)} and {FLAG} {quoted(tokens)} exclude each other; leave one out")
    if start is None:
        return
    check_choice("--start", start, STARTS)
    if start in _FROM_FILES and start not in given:
        flag, what = _FROM_FILES[start]
        raise UsageError(f"--start {start} needs {what}; add {flag} FILE")
    for other, file in given.items():
        if other != start and not (start in PROPOSING and other == INIT):
            raise UsageError(
                f"--start {start} and {_FROM_FILES[other][0]} {quoted(file)} exclude each other; leave one out"
            )


def backends_with_tokens() -> list[str]:
    """Return the backends whose usual networks have tokens."""
    rows = PRESETS[DRAFT].generators.items()
    return [name for name, row in rows if registry.code_count(row.weights) is not None]


def no_tokens(flag: str, backend: str) -> UsageError:
    """Make the error for a backend that has no tokens."""
    return UsageError(f"{flag}: backend {backend} has no tokens; {', '.join(backends_with_tokens())} have")


def picture_of(grid: Size, network: str, what: str) -> Size:
    """Return the size of the picture of columns and rows of codes of a network.

    Raises UsageError, which begins with `what`, if the network has a sequence of codes and this is none.
    """
    stride, length = registry.stride(network), registry.sequence_length(network)
    if length is None:
        return grid[0] * stride, grid[1] * stride
    if grid != (length, 1):
        raise UsageError(
            f"{what}: {grid[0]}x{grid[1]} tokens, and {network} has one row of {length}; name the model that made these"
        )
    return stride, stride


def size_of_tokens(
    job: Job, tokens: TokenGrid | None, generator: GeneratorSettings, backend: str, size: Size
) -> tuple[Size, list[str]]:
    """Return the size of the picture of the tokens of a job, of which each is a cell, and a note about it.

    tokens: as they were read; None if they are yet to be, for `size`, which is the job's on the grid. Raises UsageError
    if the job names another size, or if the network of the generator has not these codes.
    """
    count = registry.code_count(generator.weights)
    if count is None:
        raise no_tokens(FLAG, backend)
    if tokens is None:
        return size, []
    tokens.check(count, generator.weights, FLAG)
    columns, rows = tokens.size
    found = picture_of(tokens.size, generator.weights, FLAG)
    if job.size is not None and size != found:
        raise UsageError(
            f"--size {size[0]}x{size[1]} is not the size of the {columns}x{rows} tokens of {FLAG}, which is "
            f"{found[0]}x{found[1]} with {generator.weights}; leave --size out"
        )
    return found, [
        f"size {found[0]}x{found[1]}, from the {columns}x{rows} tokens, taken as codes of {generator.weights}"
    ]
