"""Recovery from non-finite losses and gradients, picture by picture."""

from __future__ import annotations

from torch import Tensor

from clipgen.core.loop import Loop
from clipgen.engine.snapshot import copy_rows, restore_, tensors_of
from clipgen.errors import DivergedError

PATIENCE = 3
"""Consecutive updates that a picture must skip before it returns to its last good state."""
RETREATS = 3
"""How often a picture returns, each time with half the learning rate, before it is given up."""


class Recovery:
    """Keeps the last good state of each picture, returns to it when values are not finite, and finally gives up."""

    def __init__(self, pictures: int) -> None:
        self.failures: dict[int, DivergedError] = {}
        self._retreats = [0] * pictures
        self._good: dict[str, Tensor] = {}

    def remember(self, loop: Loop) -> None:
        """Record the current state of all pictures as good."""
        self._good = copy_rows(tensors_of(loop), slice(None))

    def check(self, loop: Loop, lr: float) -> None:
        """Record good states, and return pictures that have skipped too many updates; waits for the device."""
        idle = loop.optimizer.idle()
        if not any(idle):
            self.remember(loop)
            return
        for row, steps in enumerate(idle):
            if steps >= PATIENCE and row not in self.failures:
                self._retreat(loop, row, lr)
            elif steps == 0:
                for name, tensor in tensors_of(loop).items():
                    self._good[name][row] = tensor[row].detach()

    def give_up(self, loop: Loop, row: int, lr: float) -> None:
        """Stop updating a picture; lr: the learning rate that was asked for, which the error names."""
        self.failures[row] = DivergedError(f"the numbers grew without bound; try a --lr below {lr:g}")
        loop.optimizer.rates[row] = 0.0

    def _retreat(self, loop: Loop, row: int, lr: float) -> None:
        """Return one picture to its last good state, and continue from there in smaller steps."""
        self._retreats[row] += 1
        if self._retreats[row] > RETREATS:
            self.give_up(loop, row, lr)
            return
        loop.optimizer.rates[row] /= 2
        restore_(loop, row, {name: tensor[row : row + 1] for name, tensor in self._good.items()})
