"""Progress on stderr, of every phase: a live display with a small picture in a terminal, plain lines elsewhere.

Numbers are read from the device only when something is shown, at most a few times a second: each reading waits for the
device to finish its work. Torch-free until there is a picture, so that something is shown while torch is imported.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Self, TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from clipgen.core.contracts import Outcome, Step
from clipgen.engine.forecast import GUIDING, PREPARING
from clipgen.outputs.sparkline import sparkline
from clipgen.outputs.terminal import AUTO, BLOCKS, CELL, OFF, cell_size, preview_kind
from clipgen.outputs.tracker import SAVING, Clock, Tracker, clock_time
from clipgen.util.streams import Forgiving

if TYPE_CHECKING:
    from torch import Tensor

    from clipgen.outputs.preview import Painted

REFRESH_SECONDS = 0.25
LINE_SECONDS = 10.0
LINE_SHARE = 0.1
BEAT_SECONDS = 1.0
SHARE = 0.015
"""The most of the time of a run that goes into new pictures of it; as much again goes into drawing them."""
PREVIEW_COLUMNS = 40
PAINTED_SECONDS = 1.0
CURVE_COLUMNS, LEAST_CURVE = 16, 4
BAR_COLUMNS = 30
SPINNER, ASCII_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
_numbers = itertools.count((os.getpid() & 0xFFFF) << 8 | 1)
"""Of pictures in terminals, which other programs number, too."""


def progress_on(stream: TextIO, *, redirect: bool = False, preview: str = AUTO) -> Tracker:
    """Return the progress display for `stream`: a live one only in a terminal, even if colours are forced.

    redirect: whether lines that others write to stderr go above a live display, for which `sys.stderr` is replaced
    while it is shown. preview: one of PREVIEWS.
    """
    file = cast(TextIO, Forgiving(stream))
    console = Console(file=file)
    moves = file.isatty() and not console.is_dumb_terminal
    if not moves:
        return PlainProgress(file)
    return LiveProgress(console, redirect=redirect, preview=preview_kind(file, preview))


def progress_sink(label: str, stream: TextIO) -> Tracker:
    """Return the progress display for one run; it is a sink."""
    return progress_on(stream).begin(label)


class PlainProgress(Tracker):
    """Prints a line for each stage, then whenever a tenth of the steps or ten seconds have passed."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        super().__init__(clock)
        self._stream = stream
        self._next_index = 0.0
        self._next_time = 0.0
        self._lock = threading.Lock()
        self._resting = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, label: str) -> Self:
        self._next_index = 0.0
        return super().begin(label)

    def rest(self) -> None:
        self._resting.set()
        self._thread = None

    def beat(self) -> None:
        """Print a line if there was none for ten seconds."""
        with self._lock:
            if self._clock() >= self._next_time:
                self._say(f"still {self._doing}, {clock_time(self._clock() - self._entered)} so far", self._left())

    def _show_stage(self) -> None:
        with self._lock:
            self._next_time = self._clock() + LINE_SECONDS
            if not self._is_brief and self._doing != PREPARING:
                self._say(self._doing, self._left())
        self._keep_beating()

    def _show_step(self, step: Step) -> None:
        with self._lock:
            if step.index >= self._next_index or self._clock() >= self._next_time or step.index == step.total:
                self._next_index = step.index + LINE_SHARE * step.total
                numbers, ended = self._describe(step), step.index == step.total
                self._say(numbers, None if ended else self._left(step), self._passed() if ended else None)
        self._keep_beating()

    def _show_outcome(self, outcome: Outcome) -> None:
        self._say(outcome.value)

    def _say(self, message: str, left: float | None = None, passed: float | None = None) -> None:
        self._next_time = self._clock() + LINE_SECONDS
        start = f"{self._label}: " if self._label else ""
        end = f"  {clock_time(left)} left" if left is not None else ""
        end += f"  in {clock_time(passed)}" if passed is not None else ""
        self._stream.write(f"{start}{message}{end}\n")
        self._stream.flush()

    def _keep_beating(self) -> None:
        if self._thread is None:
            self._resting = threading.Event()
            self._thread = threading.Thread(target=self._beat_until, args=(self._resting,), daemon=True)
            self._thread.start()

    def _beat_until(self, resting: threading.Event) -> None:
        while not resting.wait(BEAT_SECONDS):
            self.beat()


class LiveProgress(Tracker):
    """Shows a small picture, what is done, a bar and the time left, drawn anew a few times a second."""

    def __init__(
        self, console: Console, clock: Clock = time.monotonic, *, redirect: bool = False, preview: str = BLOCKS
    ) -> None:
        """redirect: as for `progress_on`. preview: one of PREVIEWS but AUTO."""
        super().__init__(clock)
        self._console, self._redirect, self._preview = console, redirect, preview
        # A picture that is no text is sent whole each time.
        self._rate = 1 / (REFRESH_SECONDS if preview in (BLOCKS, OFF) else PAINTED_SECONDS)
        self._spinner = SPINNER if console.encoding.startswith("utf") else ASCII_SPINNER
        self._next_time = self._next_picture = 0.0
        self._numbers = ""
        self._scores: list[float] = []
        self._number = 0
        self._picture: Segments | Painted | None = None
        self._live: Live | None = None

    def begin(self, label: str) -> Self:
        self._picture, self._numbers, self._scores = None, "", []
        self._next_time = self._next_picture = 0.0
        self._number = next(_numbers)
        return super().begin(label)

    def close(self, outcome: Outcome) -> None:
        super().close(outcome)
        self._picture = None

    def rest(self) -> None:
        if self._live:
            self._live.transient = self._picture is None
            live, self._live = self._live, None
            live.stop()

    def _show_stage(self) -> None:
        self._start()

    def _show_step(self, step: Step) -> None:
        if self._clock() < self._next_time and step.index < step.total:
            return
        self._numbers = self._describe(step)
        self._scores.append(self._score)
        began = self._clock()
        if self._preview != OFF and (began >= self._next_picture or step.index == step.total):
            self._picture = self._preview_of(step.image)
            ended = self._clock()
            self._next_picture = ended + (ended - began) / SHARE
        self._next_time = self._clock() + REFRESH_SECONDS
        if self._live is None or self._rate < 1 / REFRESH_SECONDS or step.index == step.total:
            self._start()  # else the thread of the display shows it as soon

    def _preview_of(self, image: Tensor) -> Segments | Painted | None:
        """Return the picture as this terminal shows it; None if there is no room or no colour for it."""
        from clipgen.outputs.preview import Painted, half_blocks

        cell = CELL if self._preview == BLOCKS else cell_size(self._console.file)
        columns = self._preview_columns(image, cell)
        if not columns:
            return None
        if self._preview == BLOCKS:
            return half_blocks(image, columns)
        return Painted(self._preview, image, columns, cell, self._number)

    def _start(self) -> None:
        """Show what there is; a thread draws it anew as long as this lasts."""
        if self._live is None:
            settings: dict[str, Any] = {"redirect_stdout": False, "redirect_stderr": self._redirect}
            self._live = Live(
                console=self._console, get_renderable=self._draw, refresh_per_second=self._rate, **settings
            )
            self._live.start()
        self._live.refresh()

    def _show_outcome(self, outcome: Outcome) -> None:
        self._console.print(f"{self._label}: {outcome.value}", style="yellow", markup=False)

    def _draw(self) -> RenderableType:
        lines = [_line(self._label)] if self._label else []
        state = f"{self._sign()} {self._state()}"
        lines.append(_line(state + self._curve(self._console.width - len(state))))
        below = Group(*lines, self._bar())
        if self._picture is None:
            return below
        return Group(self._picture, below) if isinstance(self._picture, Segments) else self._picture.above(below)

    def _curve(self, room: int) -> str:
        """Return the scores so far as a line, if there is room for it."""
        width = min(CURVE_COLUMNS, room - 3)
        if width < LEAST_CURVE or len(self._scores) < 2 or not self._console.encoding.startswith("utf"):
            return ""
        return f"  {sparkline(self._scores, width)}"

    def _sign(self) -> str:
        return self._spinner[int(self._clock() / REFRESH_SECONDS) % len(self._spinner)]

    def _state(self) -> str:
        """Say what is done: the numbers of the steps, or for how long something else has lasted."""
        if self._doing == GUIDING or self._outcome:
            return self._numbers
        lasted = self._clock() - self._entered
        numbers = f"{self._numbers}  " if self._doing == SAVING else ""
        return f"{numbers}{self._doing}, {clock_time(lasted)}"

    def _bar(self) -> Table:
        left = self._left()
        times = f"{clock_time(self._passed())} so far"
        if self._outcome:
            times = f"in {clock_time(self._passed())}"
        elif left is not None:
            times += f", {clock_time(left)} left"
        done = 1.0 if self._outcome is Outcome.FINISHED else self._forecast.fraction() if self._forecast else 0.0
        width = max(min(BAR_COLUMNS, self._console.width - len(times) - 2), 4)
        bar = ProgressBar(total=1.0, completed=done, width=width, pulse=not (self._forecast or self._outcome))
        row = Table.grid(padding=(0, 1))
        row.add_row(bar, _line(times))
        return row

    def _preview_columns(self, picture: Tensor, cell: tuple[int, int]) -> int:
        """Return the width at which the picture and the lines below fit into the window; 0 for no picture.

        cell: width and height of a character cell in pixels.
        """
        console = self._console
        if console.color_system is None or console.no_color:
            return 0
        if self._preview == BLOCKS and not console.encoding.startswith("utf"):
            return 0
        fitting = int((console.height - 4) * cell[1] / cell[0] * picture.shape[-1] / picture.shape[-2])
        return max(min(PREVIEW_COLUMNS, console.width, fitting), 0)


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
