"""Settings of generators whose tokens are a sequence without places, so that their pictures have one size. Torch-free.

They are those of TokenOpt (Lao Beyer et al., 2025, arXiv 2506.08257).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clipgen.config.checks import check_whole, checked_number
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.config.job import Job
    from clipgen.config.preset import Size
    from clipgen.config.settings import GeneratorSettings

SEQUENCES = ("titok",)
"""The backends that have such settings."""
TYPED = {name: f"token_{name}" for name in ("noise", "ema", "reset")}
"""The settings that can be typed -> the fields of a job."""
MAX_TOKENS = 4096
MAX_TOKEN_NOISE = 10.0
MAX_RESET = 100_000


@dataclass(frozen=True)
class SequenceSettings:
    """A sequence of tokens, and how it is optimised."""

    tokens: int
    """How many there are; the picture is one cell."""
    noise: float = 0.0
    """Standard deviation of the noise that is added to the tokens in the first step; it falls to 0 at two thirds of the
    run."""
    ema: float = 0.0
    """Decay of the moving average of the tokens, from which the final picture is decoded; 0 for the last tokens."""
    reset: int = 10
    """Steps between two encodings of the picture with what is outside the mask as it was; 0 for never."""

    def __post_init__(self) -> None:
        check_whole("the number of tokens", self.tokens, 1, MAX_TOKENS)
        object.__setattr__(self, "noise", checked_number("--token-noise", self.noise, 0.0, MAX_TOKEN_NOISE))
        object.__setattr__(self, "ema", checked_number("--token-ema", self.ema, 0.0, 0.9999))
        check_whole("--token-reset", self.reset, 0, MAX_RESET)


def check_sequence(settings: GeneratorSettings, backend: str, size: Size) -> None:
    """Raise a UsageError unless a generator has a sequence exactly if it needs one, and makes pictures of the size."""
    if len(settings.sequence) != (backend in SEQUENCES):
        raise UsageError(f"plan: backend {backend} has {len(settings.sequence)} sequences of tokens")
    check_only_size(size, settings, backend)


def check_only_size(size: Size, settings: GeneratorSettings, backend: str) -> None:
    """Raise a UsageError if a generator makes pictures of one size only, and this is another."""
    if settings.sequence and size != (settings.stride, settings.stride):
        raise other_size(size, settings.stride, f"backend {backend}")


def other_size(size: Size, side: int, what: str) -> UsageError:
    """Make the error for a size that is not the only one of a generator or network."""
    return UsageError(
        f"--size {size[0]}x{size[1]}: {what} makes pictures of {side}x{side} only, as its tokens have no places in a "
        "grid; leave --size out, or use a generator with cells, such as --backend vqgan"
    )


def only_size(asked: Size | None, usual: Size, settings: GeneratorSettings, backend: str) -> tuple[Size, list[str]]:
    """Return the only size of a generator's pictures, and a note unless it is asked for or usual; raises UsageError.

    usual: what another generator would make, of the preset's size or of the init image's shape.
    """
    size = settings.stride, settings.stride
    if asked is not None:
        check_only_size(asked, settings, backend)
    said = f"size {size[0]}x{size[1]}, the only one of {backend}; an init image is cut and scaled to it"
    return size, [] if size in (asked, usual) else [said]


def typed_over(settings: GeneratorSettings, job: Job, backend: str) -> GeneratorSettings:
    """Return settings with those of the sequence that a job names; raises UsageError if there is no sequence."""
    given = {name: value for name, field in TYPED.items() if (value := getattr(job, field)) is not None}
    if given and not settings.sequence:
        raise UsageError(
            f"--token-{next(iter(given))} is about a sequence of tokens, which backend {backend} does not have; use "
            f"--backend {SEQUENCES[0]}"
        )
    return replace(settings, sequence=tuple(replace(row, **given) for row in settings.sequence))


def typed_of(settings: GeneratorSettings) -> dict[str, Any]:
    """Return the fields of a job that ask for the settings of a sequence; empty if there is none."""
    return {field: getattr(row, name) for row in settings.sequence for name, field in TYPED.items()}
