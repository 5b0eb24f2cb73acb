"""The losses of a run, as they are typed and as a plan holds them. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

from clipgen.config.keyframes import Changing, read_schedule
from clipgen.config.losses import kind_of_loss
from clipgen.config.records import added_later
from clipgen.config.schedules import ALWAYS, Schedule
from clipgen.errors import UsageError
from clipgen.util.text import quoted


@dataclass(frozen=True)
class LossSettings:
    """A loss, one of LOSS_KINDS, and its weight over the run."""

    name: str
    weight: Schedule
    detail: str = added_later("")
    """As its row in LOSS_KINDS reads it; empty for the usual one."""

    def __post_init__(self) -> None:
        kind = kind_of_loss("a loss", self.name)
        try:
            object.__setattr__(self, "detail", kind.read(self.detail or kind.usual))
        except UsageError as error:
            raise UsageError(f"loss {self.name}: {error}") from error

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the loss of a text whose weight names no steps, see `TypedLoss.parse`. Raises UsageError."""
        return cls(*TypedLoss.parse(text).over(None))

    def __str__(self) -> str:
        """Return the spelling that `parse` reads back as this loss."""
        return str(TypedLoss(self.name, self.weight, self.detail))


class TypedLoss(NamedTuple):
    """A loss as it is typed; the number of steps may be left open."""

    name: str
    weight: Changing
    detail: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the loss of "NAME[:WEIGHT[:DETAIL]]", such as "palette:5:navy,gold". Raises UsageError.

        A weight "8..1" falls from 8 to 1 over the run, "8@0,1@200" in the first 200 steps. Without a weight the detail
        may follow the name at once.
        """
        name, _, rest = text.partition(":")
        name = name.strip()
        kind = kind_of_loss("--loss", name)
        typed, _, detail = rest.partition(":")
        weight = read_schedule(typed, _flag(name))
        if weight is None:
            weight, detail = Schedule.constant(kind.weight), rest
        if min(weight.values) < 0 and not kind.signed:
            raise UsageError(f"--loss {quoted(text)}: the weight of {name} must be at least 0")
        return cls(name, weight, LossSettings(name, ALWAYS, detail.strip()).detail)

    def over(self, steps: int | None) -> tuple[str, Schedule, str]:
        """Return the loss with its weight over a run of so many steps; raises UsageError for a step beyond it."""
        return self.name, self.weight.over(steps, _flag(self.name)), self.detail

    def __str__(self) -> str:
        """Return the spelling that `parse` reads back as this loss."""
        return f"{self.name}:{self.weight}" + (f":{self.detail}" if self.detail else "")


def _flag(loss: str) -> str:
    return f"--loss {loss}"
