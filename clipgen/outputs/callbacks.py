"""Functions of the user that watch a run, as its sinks. Torch-free."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from clipgen.core.contracts import Outcome, Step
from clipgen.outputs.tracker import Clock, Tracker
from clipgen.util.interrupts import Stop


@dataclass(frozen=True)
class Progress:
    """How far the run of a picture is."""

    step: int
    """Number of updates made, from 0 to `total`."""
    total: int
    score: float
    """Mean similarity of the cutouts and the prompt, at most 1."""
    seconds_left: float | None
    """By the pace of the steps so far; None before there is one."""


class ProgressCalls(Tracker):
    """Calls a function with the progress after every step, for which it waits for the device."""

    shown_as = "progress"

    def __init__(self, act: Callable[[Progress], object], clock: Clock = time.monotonic) -> None:
        super().__init__(clock)
        self._act = act

    def _show_step(self, step: Step) -> None:
        self._act(Progress(step.index, step.total, float(step.score), self._left(step)))


class StepCalls:
    """Calls a function with every step; asks to stop when it returns False."""

    shown_as = "on_step"

    def __init__(self, act: Callable[[Step], object], stop: Stop) -> None:
        self._act, self._stop = act, stop

    def on_step(self, step: Step) -> None:
        if self._act(step) is False:
            self._stop.ask()

    def close(self, _outcome: Outcome) -> None:
        """Nothing is open."""
