"""The axes of a contact sheet whose pictures are placed by what their recipes say. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipgen.config.checks import check_choice
from clipgen.config.plan import spell
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.config.plan import Plan

SETTINGS: Mapping[str, Callable[[Plan], str]] = {
    "prompt": lambda plan: plan.text,
    "seed": lambda plan: str(plan.seed),
    "steps": lambda plan: str(plan.steps),
    "lr": lambda plan: f"{plan.lr:g}",
    "cutouts": lambda plan: str(plan.cutouts),
    "size": lambda plan: spell(plan.size),
    "backend": lambda plan: plan.backend,
    "preset": lambda plan: plan.preset,
    "start": lambda plan: plan.start,
    "init": lambda plan: plan.init or "none",
}
"""What can stand along an edge, by the name of its option."""


@dataclass(frozen=True)
class Table:
    """Pictures by row and column, with the labels of both; a cell without one is None."""

    cells: list[Path | None]
    rows: list[str]
    columns: list[str]


def check_axes(x: str | None, y: str | None, columns: int | None) -> None:
    """Raise a UsageError unless pictures can be placed by these settings; nothing is checked without one."""
    for flag, name in (("--x", x), ("--y", y)):
        if name is not None:
            check_choice(flag, name, tuple(SETTINGS))
    if x is not None and x == y:
        raise UsageError(f"--x {x} and --y {y} are one setting; name another for one of them, or leave it out")
    if (x or y) and columns is not None:
        raise UsageError(f"--columns {columns} and {'--x' if x else '--y'} exclude each other; leave one out")


def placed(plans: Mapping[Path, Plan], x: str | None, y: str | None) -> Table:
    """Return pictures placed by a setting along the upper edge, one along the left edge, or both.

    Raises UsageError if two belong into one cell.
    """
    keys = {path: (_value(plan, x), _value(plan, y)) for path, plan in plans.items()}
    cells: dict[tuple[str, str], Path] = {}
    for path, key in keys.items():
        if (other := cells.setdefault(key, path)) != path:
            shared = " and ".join(f"{name} {value}" for name, value in zip((x, y), key, strict=True) if name)
            raise UsageError(f"{other} and {path} have both {shared}; leave one out, or name another setting")
    across, down = (_in_order([key[place] for key in cells]) for place in (0, 1))
    return Table(
        [cells.get((column, row)) for row in down for column in across],
        [f"{y} {value}" for value in down] if y else [],
        [f"{x} {value}" for value in across] if x else [],
    )


def _value(plan: Plan, name: str | None) -> str:
    return SETTINGS[name](plan) if name else ""


def _in_order(values: Sequence[str]) -> list[str]:
    """Return each value once: numbers by their size, others as they come."""
    once = list(dict.fromkeys(values))
    try:
        return sorted(once, key=float)
    except ValueError:
        return once
