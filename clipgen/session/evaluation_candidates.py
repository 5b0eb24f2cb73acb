"""Picking a seed for each picture of an evaluation, as `--candidates` does, and keeping the choices over stops."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clipgen.config.plan import Plan
from clipgen.session.candidates import best_seeds
from clipgen.session.evaluation_folder import SEEDS, read_json, write_json
from clipgen.session.evaluation_run import Maker, Wanted


@dataclass(frozen=True)
class Choice:
    """The seed that was picked for a prompt, the seconds that took, and the ranking score of every seed."""

    seed: int
    seconds: float
    scores: dict[str, float]


def rankers_of(plan: Plan, named: str | None) -> tuple[str, ...]:
    """Return the names of the perceptors that pick: the one that is named, the judges of the plan, or its guides."""
    guides = tuple(dict.fromkeys(row.weights for row in plan.perceptors))
    return (named,) if named else plan.judges or guides


def choices(
    maker: Maker, wanted: Sequence[Wanted], count: int, rank_by: str | None, tell: Callable[[str], None]
) -> list[Choice]:
    """Pick among `count` seeds for each picture, beginning with its own; earlier choices are read from the folder."""
    rows: dict[str, Any] = read_json(maker.folder / SEEDS) or {}
    for place, each in enumerate(wanted):
        if str(place) in rows:
            continue
        plan = replace(each.plan, judges=(rank_by,)) if rank_by else each.plan
        models = maker.session.models(plan)
        started = time.perf_counter()
        found = best_seeds(plan, count, models)
        scores = {str(one.plan.seed): one.score for one in found}
        seconds = time.perf_counter() - started
        rows[str(place)] = {"seed": found[0].plan.seed, "seconds": seconds, "scores": scores}
        write_json(maker.folder / SEEDS, rows)
        tell(f"candidates {place + 1}/{len(wanted)}  {seconds:.1f} s  seed {found[0].plan.seed}  {each.text}")
    return [Choice(**rows[str(place)]) for place in range(len(wanted))]
