"""What is done in a run or several, from loading models to writing films, and how long all of it takes. Torch-free."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Self

from clipgen.core.contracts import Outcome, Step
from clipgen.engine.forecast import GUIDING, PREPARING, Forecast, Phase
from clipgen.util.text import one_line

MAX_LABEL = 100
SAVING = "saving"
UNFINISHED = (Outcome.INTERRUPTED, Outcome.DIVERGED)
"""Outcomes that are named at the end; an error of its own explains a failure."""

Clock = Callable[[], float]


def clock_time(seconds: float) -> str:
    """Format a duration as in 0:01:40."""
    return str(timedelta(seconds=round(seconds)))


class Tracker:
    """What is done, and the time left in all; this one shows nothing.

    It is a sink of each run in turn. Stages that are announced between runs, or before the first, are shown, too.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._label = self._doing = ""
        self._forecast: Forecast | None = None
        self._began: float | None = None
        self._entered = 0.0
        self._score = 0.0
        self._first: tuple[int, float] | None = None
        self._is_brief = False
        self._runs = 0
        self._outcome: Outcome | None = None

    def expect(self, phases: Sequence[Phase]) -> None:
        """Receive the phases of all that is to come."""
        self._forecast = Forecast(phases, self._clock)
        if self._runs:
            self._began = None

    def begin(self, label: str) -> Self:
        """Note that the run of the picture with this label begins; returns the display, as its sink."""
        self._label, self._first = one_line(label, MAX_LABEL), None
        self.stage(PREPARING)
        return self

    def stage(self, text: str, *, brief: bool = False) -> None:
        """Note what is done from now on, in a few words. brief: not worth a line of its own."""
        self._doing, self._entered, self._outcome = one_line(text, MAX_LABEL), self._clock(), None
        self._began = self._entered if self._began is None else self._began
        if self._forecast:
            self._forecast.enter(text.split()[0])
        self._is_brief = brief
        self._show_stage()

    def on_step(self, step: Step) -> None:
        """Receive a step of the run."""
        if self._first is None or self._doing != GUIDING:
            self._doing, self._entered = GUIDING, self._clock()
        if self._first is None:
            self._first = (step.index, self._entered)
        if self._forecast:
            self._forecast.step(step.index)
        self._show_step(step)
        if step.index == step.total:
            self._doing, self._entered = SAVING, self._clock()

    def close(self, outcome: Outcome) -> None:
        """Receive the outcome of the run."""
        self._outcome = outcome
        self._runs += 1
        self.rest()
        if outcome in UNFINISHED:
            self._show_outcome(outcome)

    def rest(self) -> None:
        """Stop showing anything, until the next stage or step."""

    def _describe(self, step: Step) -> str:
        """Format the numbers of a step, and note its score; waits for the device."""
        self._score = float(step.score)
        parts = [f"{step.index}/{step.total}", f"loss {float(step.loss):.4f}", f"score {self._score:.3f}"]
        if self._first and step.index > self._first[0]:
            rate = (step.index - self._first[0]) / max(self._clock() - self._first[1], 1e-9)
            parts.append(f"{rate:.2f} steps/s")
        return "  ".join(parts)

    def _left(self, step: Step | None = None) -> float | None:
        """Return the seconds left: those of the forecast or, without one, by the pace of the steps."""
        if self._forecast:
            return self._forecast.left()
        if step is None or self._first is None or step.index == self._first[0]:
            return None
        return (self._clock() - self._first[1]) / (step.index - self._first[0]) * (step.total - step.index)

    def _passed(self) -> float:
        return self._clock() - (self._began or 0.0)

    def _show_stage(self) -> None:
        """Show that a stage has begun."""

    def _show_step(self, step: Step) -> None:
        """Show a step."""

    def _show_outcome(self, outcome: Outcome) -> None:
        """Show how a run ended early."""
