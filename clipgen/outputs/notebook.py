"""Progress in a notebook: one output that shows the picture while it is made, and in the end a line. Torch-free."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

from clipgen.core.contracts import Outcome, Step
from clipgen.outputs.tracker import Clock, Tracker, clock_time
from clipgen.util import html

REFRESH_SECONDS = 0.25
SHARE = 0.02
"""The most of the time of a run that goes into showing it."""
SIDE = 384
"""Pixels of the longer side of a picture, at most: more is slow to send to a browser far away."""
QUALITY = 85
_DIV = '<div style="white-space:pre-wrap">'
"""Keeps the gaps between numbers."""


class NotebookProgress(Tracker):
    """Shows the picture and the progress line where the output of the cell is; needs IPython, which a notebook has."""

    def __init__(self, notes: Sequence[str] = (), clock: Clock = time.monotonic) -> None:
        """notes: lines that stay below it."""
        super().__init__(clock)
        self._notes = notes
        self._show: Any = None
        self._picture = ""
        self._last: Step | None = None
        self._next_time, self._done = 0.0, 0.0

    def close(self, outcome: Outcome) -> None:
        super().close(outcome)
        self._picture = ""
        numbers = [self._describe(self._last)] if self._last else []
        ended = [] if outcome is Outcome.FINISHED else [outcome.value]
        self._put("  ".join([*numbers, *ended, f"in {clock_time(self._passed())}"]))

    def _show_stage(self) -> None:
        self._put(self._doing)

    def _show_step(self, step: Step) -> None:
        self._last = step
        if self._clock() < self._next_time and step.index < step.total:
            return
        numbers, left = self._describe(step), self._left(step)
        began = self._clock()
        self._done = step.index / step.total
        self._picture = html.image(_jpeg(step), "image/jpeg")
        self._put(numbers if left is None else f"{numbers}  {clock_time(left)} left")
        ended = self._clock()
        self._next_time = ended + max(REFRESH_SECONDS, (ended - began) / SHARE)

    def _put(self, state: str) -> None:
        """Show what there is in place of what was shown."""
        line = f"{self._label}: {state}"
        bar = "" if self._outcome else f'<progress value="{self._done:.3f}" max="1"></progress> '
        parts = [self._picture, f"{bar}{html.text(line)}", *map(html.text, self._notes)]
        content = {"text/plain": line, "text/html": "".join(f"{_DIV}{part}</div>" for part in parts if part)}
        if self._show is None:
            display = import_module("IPython.display")
            handle = display.display(content, raw=True, display_id=True)
            self._show = partial(display.update_display, raw=True, display_id=handle.display_id)
        else:
            self._show(content)


def _jpeg(step: Step) -> bytes:
    from clipgen.util.images import to_pil

    picture = to_pil(step.image)
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
