"""What a run writes, and who is notified. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipgen.config.checks import check_whole
from clipgen.config.films import USUAL, Timing
from clipgen.config.job import MAX_STEPS
from clipgen.config.saving import PNG, Saving
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.config.plan import Plan
    from clipgen.core.contracts import Sink
    from clipgen.engine.forecast import Phase
    from clipgen.engine.models import Models
    from clipgen.outputs.signing import Signing
    from clipgen.session.candidates import Candidate

CONTINUE = "continue with: "
"""Begins the line that names the command which continues a stopped run."""
SAVE_SECONDS = 30.0
MAX_SECONDS = 86_400.0
MAX_TOGETHER = 8
"""Maximum number of pictures made in lockstep."""
MAX_CANDIDATES = 64


@dataclass(frozen=True)
class OutputOptions:
    """What a run writes beside the picture."""

    films: tuple[str, ...] = ()
    """Suffixes, such as ".mp4" and ".gif"."""
    metadata: bool = True
    """Whether the recipe is stored in the picture."""
    mark: bool = True
    """Whether it is stored in the picture and the films that a computer made them."""
    suffix: str = PNG
    """That of pictures in a folder, whose names are not asked for."""
    quality: int | None = None
    """Of a picture in a lossy format, from 1 to 100; None for the usual one."""
    signing: Signing | None = None
    """Whose signature pictures get."""
    save_every: float = SAVE_SECONDS
    """Seconds between two saves of the state from which a killed run continues."""
    keep_state: bool = False
    """Whether that state is kept after the run has finished, to add steps later."""
    timing: Timing = USUAL
    """What the films are asked to have."""
    every_step: int | None = None
    """Steps between two pictures that are written into a folder beside the picture; None for no such folder."""

    def __post_init__(self) -> None:
        for flag in self.timing.flags if not self.films else ():
            raise UsageError(f"{flag} needs a film; add --mp4")
        if self.every_step is not None:
            check_whole("--save-every-step", self.every_step, 1, MAX_STEPS)
        self.saving(self.suffix)
        if not 0 <= self.save_every <= MAX_SECONDS:
            raise UsageError(f"--save-every must be from 0 to {MAX_SECONDS:g} seconds, got {self.save_every:g}")

    def saving(self, suffix: str) -> Saving:
        """Return how a picture of this format is stored. Raises UsageError."""
        return Saving(suffix, self.quality, self.metadata, self.mark)


_NOTHING: dict[str, Any] = {
    **dict.fromkeys(("note", "error", "saved", "ranked", "stage", "expect", "idle")),
    "progress": (),
    "warnings": (),
}
"""What the callbacks of a listener return if they fail."""


@dataclass(frozen=True)
class Listener:
    """Callbacks that report what a session does; by default they do nothing."""

    note: Callable[[str], None] = lambda _line: None
    """Receives a line for the user."""
    error: Callable[[str], None] = lambda _line: None
    """Receives a line about a failure while another error is raised."""
    saved: Callable[[Path, Sequence[Path], Mapping[str, Any]], None] = lambda _picture, _films, _record: None
    """Receives a picture, its films, and its record, when its run has ended; empty files were not written.

    The record names the folder of step pictures, if there is one, as `step_pictures`."""
    ranked: Callable[[Sequence[Candidate]], None] = lambda _candidates: None
    """Receives the candidates, best first, once all are judged."""
    progress: Callable[[str], Sequence[Sink]] = lambda _label: ()
    """Returns the sinks that show the progress of the pictures with a label."""
    stage: Callable[[str], None] = lambda _stage: None
    """Receives, in a few words, what is done before and after the steps, and half-way: "decoding 32 candidates"."""
    expect: Callable[[Sequence[Phase]], None] = lambda _phases: None
    """Receives the phases to come, with the seconds that each is expected to take, if `says_duration`."""
    idle: Callable[[], None] = lambda: None
    """Called when nothing is being done any more, before lines about the pictures."""
    warnings: Callable[[Plan, Models], Iterable[str]] = lambda _plan, _models: ()
    """Returns warnings about a plan, once its models are loaded."""
    says_duration: bool = False
    """Whether to tell how long a run takes, which takes a moment to measure."""

    def __post_init__(self) -> None:
        """Have a callback that fails cost only what it was to report, and be named once."""
        failed: set[str] = set()
        for name, nothing in _NOTHING.items():
            object.__setattr__(self, name, partial(_attempt, getattr(self, name), nothing, name, failed, self.note))


def _attempt(
    act: Callable[..., Any], nothing: Any, name: str, failed: set[str], note: Callable[[str], None], *told: Any
) -> Any:
    """Call a callback; if it fails, return `nothing`, and the first time say so."""
    try:
        result = act(*told)
        return result if nothing is None else list(result)  # which runs a generator here
    except Exception as error:
        if name not in failed:
            failed.add(name)
            with suppress(Exception):
                note(f"warning: the listener's {name} failed with {type(error).__name__}: {error}")
        return nothing


def check_candidates(candidates: int, keep: int) -> None:
    """Raise a UsageError unless this many candidates can be tried, and this many of them kept."""
    check_whole("--candidates", candidates, 1, MAX_CANDIDATES)
    check_whole("--keep", keep, 1, candidates)
