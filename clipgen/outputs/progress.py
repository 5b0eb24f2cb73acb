"""Progress on stderr: a live bar with a small picture in a terminal, plain lines elsewhere.

Numbers are read from the device only when something is shown, at most a few times a second: each reading waits for the
device to finish its work.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from clipgen.core.contracts import Outcome, Step
from clipgen.outputs.preview import half_blocks

REFRESH_SECONDS = 0.25
LINE_SECONDS = 10.0
LINE_SHARE = 0.1
PREVIEW_COLUMNS = 40
BAR_COLUMNS = 30
UNFINISHED = (Outcome.INTERRUPTED, Outcome.DIVERGED)
"""Outcomes that are named at the end; an error of its own explains a failure."""

Clock = Callable[[], float]


def progress_sink(label: str, stream: TextIO) -> "PlainProgress | LiveProgress":
    """Return the progress display for `stream`: a live one only in a terminal, even if colours are forced."""
    console = Console(file=stream)
    moves = stream.isatty() and not console.is_dumb_terminal
    return LiveProgress(label, console) if moves else PlainProgress(label, stream)


class Pace:
    """The speed since the first step that was seen."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[int, float] | None = None

    def describe(self, step: Step) -> str:
        """Format the state of the run as one line; waits for the device."""
        parts = [f"{step.index}/{step.total}", f"loss {float(step.loss):.4f}", f"score {float(step.score):.3f}"]
        return "  ".join(parts + self._timing(step))

    def start(self, step: Step) -> None:
        """Remember where and when the run began."""
        if self._first is None:
            self._first = (step.index, self._clock())

    def _timing(self, step: Step) -> list[str]:
        if self._first is None or step.index == self._first[0]:
            return []
        elapsed = max(self._clock() - self._first[1], 1e-9)
        rate = (step.index - self._first[0]) / elapsed
        if step.index == step.total:
            return [f"{rate:.2f} steps/s", f"in {_clock_time(elapsed)}"]
        return [f"{rate:.2f} steps/s", f"{_clock_time((step.total - step.index) / rate)} left"]


def _clock_time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


class PlainProgress:
    """Prints one line at the start, then whenever a tenth of the run or ten seconds have passed."""

    def __init__(self, label: str, stream: TextIO, clock: Clock = time.monotonic) -> None:
        self._label = label
        self._stream = stream
        self._clock = clock
        self._pace = Pace(clock)
        self._next_index = 0.0
        self._next_time = 0.0

    def on_step(self, step: Step) -> None:
        self._pace.start(step)
        if step.index >= self._next_index or self._clock() >= self._next_time or step.index == step.total:
            self._next_index = step.index + LINE_SHARE * step.total
            self._next_time = self._clock() + LINE_SECONDS
            self._say(self._pace.describe(step))

    def close(self, outcome: Outcome) -> None:
        if outcome in UNFINISHED:
            self._say(outcome.value)

    def say(self, line: str) -> None:
        """Print a line of its own."""
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def _say(self, message: str) -> None:
        self.say(f"{self._label}: {message}")


class LiveProgress:
    """Shows a bar, the numbers and a small picture, updated in place."""

    def __init__(self, label: str, console: Console, clock: Clock = time.monotonic) -> None:
        self._label = label
        self._console = console
        self._clock = clock
        self._pace = Pace(clock)
        self._next_time = 0.0
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def on_step(self, step: Step) -> None:
        self._pace.start(step)
        if self._clock() >= self._next_time or step.index == step.total:
            self._live.start()
            self._live.update(self._draw(step), refresh=True)
            self._next_time = self._clock() + REFRESH_SECONDS

    def close(self, outcome: Outcome) -> None:
        self._live.stop()
        if outcome in UNFINISHED:
            self._console.print(f"{self._label}: {outcome.value}", style="yellow", markup=False)

    def say(self, line: str) -> None:
        """Print a line above the display; any thread may."""
        self._console.print(line, markup=False, highlight=False)

    def _draw(self, step: Step) -> RenderableType:
        label = Text(self._label, no_wrap=True, overflow="ellipsis")
        numbers = Text(self._pace.describe(step), no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(total=step.total, completed=step.index, width=self._bar_columns(len(numbers)))
        row = Table.grid(padding=(0, 1))
        row.add_row(bar, numbers)
        picture = step.image
        columns = self._preview_columns(picture.shape[-2] / picture.shape[-1])
        return Group(half_blocks(picture, columns), label, row) if columns else Group(label, row)

    def _bar_columns(self, beside: int) -> int:
        return max(min(BAR_COLUMNS, self._console.width - beside - 2), 4)

    def _preview_columns(self, aspect: float) -> int:
        """Return the width at which the picture and the lines below fit into the window; 0 for no picture."""
        if self._console.color_system is None:
            return 0
        rows = self._console.height - 3
        return max(min(PREVIEW_COLUMNS, self._console.width, int(2 * rows / aspect)), 0)
