"""The films of a run: which kinds there are, how many frames they have, and how long they last. Torch-free."""

from dataclasses import dataclass

from clipgen.config.checks import check_whole, checked_number

FPS = {".mp4": 30, ".webm": 30, ".gif": 15, ".apng": 10}
"""The frame rate of each kind, by its suffix, unless one is asked for; runs of few steps have a lower one.

GIF and APNG files get large."""
MAX_FPS = 60
GIF_FPS = 50
"""A GIF counts hundredths of a second, and browsers show a frame of less than two of them for ten."""
SECONDS = 8.0
BY_STROKE = "--film-by-stroke"
MIN_SECONDS, MAX_SECONDS = 0.5, 600.0


@dataclass(frozen=True)
class Timing:
    """The frame rate and the length that films are asked to have. Raises UsageError if they are out of range."""

    fps: int | None = None
    """None: as in FPS."""
    seconds: float | None = None
    """None: SECONDS, or less if a run has so few steps that each would be seen for long."""
    by_stroke: bool = False
    """Whether films draw the final picture stroke by stroke, in place of the steps of the run."""

    def __post_init__(self) -> None:
        if self.fps is not None:
            check_whole("--fps", self.fps, 1, MAX_FPS)
        if self.seconds is not None:
            checked_number("--film-length", self.seconds, MIN_SECONDS, MAX_SECONDS)

    @property
    def flags(self) -> list[str]:
        """What was asked for, as it is typed."""
        typed = {"--fps": self.fps, "--film-length": self.seconds}
        numbers = [f"{flag} {value:g}" for flag, value in typed.items() if value is not None]
        return [*numbers, *([BY_STROKE] if self.by_stroke else [])]

    def fps_of(self, suffix: str) -> int:
        """Return the highest frame rate of a kind of film."""
        fps = FPS[suffix] if self.fps is None else self.fps
        return min(fps, GIF_FPS) if suffix == ".gif" else fps

    def frames_of(self, suffix: str) -> int:
        """Return how many frames a film has if the run has enough steps, at least the first and the last."""
        return max(round((self.seconds or SECONDS) * self.fps_of(suffix)), 2)


USUAL = Timing()
