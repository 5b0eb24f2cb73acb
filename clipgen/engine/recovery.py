"""Recovery from numbers that are not finite, picture by picture."""

from __future__ import annotations

from torch import Tensor

from clipgen.core.loop import Loop
from clipgen.engine.snapshot import copy_rows, restore_, tensors_of
from clipgen.errors import DivergedError

PATIENCE = 3
"""Updates in a row that a picture may have to leave out before it goes back."""
RETREATS = 3
"""Times that a picture goes back, each time to steps of half the length, before it is given up."""


class Recovery:
    """Remembers what was good of each picture, goes back there when its numbers go bad, and at last gives it up."""

    def __init__(self, pictures: int) -> None:
        self.failures: dict[int, DivergedError] = {}
        self._retreats = [0] * pictures
        self._good: dict[str, Tensor] = {}

    def remember(self, loop: Loop) -> None:
        """Take all pictures as good as they are now."""
        self._good = copy_rows(tensors_of(loop), slice(None))

    def check(self, loop: Loop, lr: float) -> None:
        """Look how long each picture has stayed where it is; waits for the device."""
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
        """Leave a picture as it is; lr: the learning rate that was asked for, to name a smaller one."""
        self.failures[row] = DivergedError(f"the numbers grew without bound; try a --lr below {lr:g}")
        loop.optimizer.rates[row] = 0.0

    def _retreat(self, loop: Loop, row: int, lr: float) -> None:
        """Go back to what was good of one picture, to go on in smaller steps from there."""
        self._retreats[row] += 1
        if self._retreats[row] > RETREATS:
            self.give_up(loop, row, lr)
            return
        loop.optimizer.rates[row] /= 2
        restore_(loop, row, {name: tensor[row : row + 1] for name, tensor in self._good.items()})
