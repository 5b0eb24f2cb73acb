"""A training that is watched: the loss on held-out pictures, the best weights so far, samples now and then."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from clipgen.training.loop import Fit, Plan
from clipgen.training.progress import Report
from clipgen.training.task import Task

CHECKS = 25
"""How often a training is checked on held-out pictures."""


class WatchedFit(Fit[nn.Module]):
    """The training of a task.

    The weights that are kept are the running averages at the check with the lowest loss on held-out pictures, or the
    last ones if there are no such pictures.
    """

    def __init__(self, folder: Path, task: Task, plan: Plan, facts: Mapping[str, Any], *, held_out: bool):
        super().__init__(folder, task.module, plan, facts)
        self.task, self._held_out = task, held_out
        self.patience, self.show_seconds = 0, math.inf
        self.best: dict[str, Any] = {"loss": math.inf, "step": 0, "module": {}}
        self.worse = 0
        """Checks since the best."""
        self._shown = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether the steps are over, or patience is."""
        return super().done or 0 < self.patience <= self.worse

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on."""
        return {**super().state(), "best": self.best, "worse": self.worse}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        super().restore(state)
        self.best, self.worse = state["best"], state["worse"]

    @torch.no_grad()
    def after_step(self, report: Report) -> None:
        """Check the weights, and show what they do, when it is time."""
        every = max(1, self.plan.steps // CHECKS)
        if self._held_out and (self.step % every == 0 or self.step == self.plan.steps):
            self._check(report)
        if time.monotonic() - self._shown > self.show_seconds:
            self.show()

    def show(self) -> None:
        """Write samples, and note in the log what can be said of them."""
        path = self.folder / f"sheet-{self.step:06d}.png"
        self.note({"step": self.step, **self.task.show(self.averaged.eval(), path)})
        self._shown = time.monotonic()

    def _check(self, report: Report) -> None:
        loss = self.task.held_out_loss(self.averaged.eval())
        counts = self.step >= self.task.counts_from * self.plan.steps
        better = counts and loss < self.best["loss"]
        if better:
            kept = {name: value.detach().cpu().clone() for name, value in self.averaged.state_dict().items()}
            self.best = {"loss": loss, "step": self.step, "module": kept}
        self.worse = self.worse + 1 if counts and not better else 0
        self.note({"step": self.step, "held_out_loss": round(loss, 6), "best_step": self.best["step"]})
        report(f"step {self.step}/{self.plan.steps}  held-out loss {loss:.4f}{'  the best so far' * better}")
        if self.done and self.step < self.plan.steps:
            report(f"stopping early: no check since step {self.best['step']} was better")

    def kept(self) -> nn.Module:
        """Return the module with the weights that are kept, ready for use."""
        if self.best["module"]:
            self.averaged.load_state_dict(self.best["module"])
        return self.averaged.eval()
