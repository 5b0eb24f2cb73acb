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


MAX_LOSSES = 15


def checked_losses(losses: object, *, has_init: bool) -> tuple[str, ...]:
    """Return losses as they are spelled in full; raises UsageError for one that is none, twice there or lacks an image.

    has_init: whether there is an init image.
    """
    if not isinstance(losses, list | tuple) or not all(isinstance(text, str) for text in losses):
        raise UsageError(f"--loss must be a list of losses, got {quoted(losses)}")
    if len(losses) > MAX_LOSSES:
        raise UsageError(f"--loss can be given up to {MAX_LOSSES} times, got {len(losses)}")
    read = [TypedLoss.parse(text) for text in losses]
    names = [row.name for row in read]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--loss names {name} twice; give one weight")
        if kind_of_loss("--loss", name).needs_init and not has_init:
            raise UsageError(f"--loss {name} needs an init image; add --init FILE")
    return tuple(map(str, read))
