"""What is to be written of a run, and who is told. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipgen.config.checks import check_whole
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.config.plan import Plan
    from clipgen.core.contracts import Sink
    from clipgen.engine.models import Models

SAVE_SECONDS = 30.0
MAX_SECONDS = 86_400.0
MAX_TOGETHER = 8
"""Pictures that are made in lockstep at most."""
MAX_CANDIDATES = 64


@dataclass(frozen=True)
class OutputOptions:
    """What is to be written of a run, beside the picture."""

    films: tuple[str, ...] = ()
    """Suffixes, ".mp4" and ".gif"."""
    metadata: bool = True
    """Whether the picture carries its recipe."""
    save_every: float = SAVE_SECONDS
    """Seconds between two saves of the state from which a killed run goes on."""
    keep_state: bool = False
    """Whether that state stays when the run has finished, for more steps."""

    def __post_init__(self) -> None:
        if not 0 <= self.save_every <= MAX_SECONDS:
            raise UsageError(f"--save-every must be from 0 to {MAX_SECONDS:g} seconds, got {self.save_every:g}")


@dataclass(frozen=True)
class Listener:
    """Who is told what a session does; by default nobody."""

    note: Callable[[str], None] = lambda _line: None
    """Takes a line that a user should know."""
    error: Callable[[str], None] = lambda _line: None
    """Takes a line about what failed while something else is raised."""
    saved: Callable[[Path, Sequence[Path], Mapping[str, Any]], None] = lambda _picture, _films, _record: None
    """Takes a picture, its films, and its record, when its run has ended; empty files were not written."""
    progress: Callable[[str], Sequence[Sink]] = lambda _label: ()
    """Makes the sinks that show how far the pictures of a label are."""
    stage: Callable[[str], None] = lambda _stage: None
    """Takes, in a few words, what is done before the first step and half-way: "decoding 32 candidates"."""
    warnings: Callable[[Plan, Models], Iterable[str]] = lambda _plan, _models: ()
    """Says what a user should know of a plan, now that its models are loaded."""
    says_duration: bool = False
    """Whether long runs are announced, which takes a moment to measure."""


def check_candidates(candidates: int, keep: int) -> None:
    """Raise a UsageError unless so many candidates can be tried, and so many of them kept."""
    check_whole("--candidates", candidates, 1, MAX_CANDIDATES)
    check_whole("--keep", keep, 1, candidates)
