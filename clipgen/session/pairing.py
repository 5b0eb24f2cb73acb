"""Pictures of the same prompts, from several folders."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipgen.config.plan import Plan
from clipgen.config.prompts import Prompt, parse_prompts
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe


@dataclass(frozen=True)
class Found:
    """A picture, and the plan that made it; None without a recipe."""

    path: Path
    plan: Plan | None


@dataclass(frozen=True)
class Pair:
    """Pictures of one prompt, one of each side."""

    text: str
    prompts: tuple[Prompt, ...]
    """What the text means."""
    paths: tuple[Path, ...]


Sides = Sequence[Sequence[Found]]


def found(path: Path) -> Found:
    """Return a picture with its plan, if it has a recipe."""
    try:
        return Found(path, read_recipe(path).plan)
    except UsageError:
        return Found(path, None)


def paired(sides: Sides, lines: Sequence[str] | None = None) -> list[Pair]:
    """Return the pictures that belong together.

    They are those of one prompt, by their recipes, and of one seed where a side has several of a prompt. A picture
    without a recipe goes with those of the same file name; then the prompt is that of another one's recipe, or one of
    `lines`, which name the pictures of the first side in their order, or the file name itself. Raises UsageError.
    """
    by_recipe = _by_prompt(sides)
    used = {path for pair in by_recipe for path in pair.paths}
    named = _lines_of(sides, lines)
    return by_recipe + _by_name([[one for one in side if one.path not in used] for side in sides], named)


def _lines_of(sides: Sides, lines: Sequence[str] | None) -> Mapping[Path, str]:
    """Return what `lines` say of the pictures of the first side."""
    if lines is None:
        return {}
    if all(one.plan for side in sides for one in side):
        raise UsageError("--prompts is not needed here: the recipes of the pictures hold their prompts; leave it out")
    if len(lines) != len(sides[0]):
        raise UsageError(
            f"--prompts holds {len(lines):,} prompts, and the first side has {len(sides[0]):,} pictures; write one "
            "line for each, in the order of their names"
        )
    return {one.path: line for one, line in zip(sides[0], lines, strict=True)}


def _by_prompt(sides: Sides) -> list[Pair]:
    groups = [_grouped(side) for side in sides]
    pairs: list[Pair] = []
    for text in groups[0]:
        same = [group.get(text, []) for group in groups]
        if any(len(side) > 1 for side in same):
            seeds = dict.fromkeys(plan.seed for _, plan in same[0])
            rows = [row for seed in seeds for row in zip(*(_of_seed(side, seed) for side in same), strict=False)]
        else:
            rows = list(zip(*same, strict=False))
        pairs += [Pair(text, row[0][1].prompts, tuple(path for path, _ in row)) for row in rows]
    return pairs


def _grouped(side: Sequence[Found]) -> dict[str, list[tuple[Path, Plan]]]:
    """Return the pictures with recipes by their prompts."""
    groups: dict[str, list[tuple[Path, Plan]]] = defaultdict(list)
    for one in side:
        if one.plan:
            groups[one.plan.text].append((one.path, one.plan))
    return dict(groups)


def _of_seed(side: Sequence[tuple[Path, Plan]], seed: int) -> list[tuple[Path, Plan]]:
    return [one for one in side if one[1].seed == seed]


def _by_name(sides: Sides, lines: Mapping[Path, str]) -> list[Pair]:
    """Pair what is left by file names, unless all have recipes: those tell that they are of other prompts."""
    others = [{one.path.stem: one for one in reversed(side)} for side in sides[1:]]
    pairs = []
    for one in sides[0]:
        row = [one, *(side[one.path.stem] for side in others if one.path.stem in side)]
        plan = next((each.plan for each in row if each.plan), None)
        if len(row) == len(sides) and not all(each.plan for each in row):
            text = plan.text if plan else lines.get(one.path) or _in_words(one.path.stem)
            pairs.append(Pair(text, plan.prompts if plan else _prompts(text), tuple(each.path for each in row)))
    return pairs


def _in_words(stem: str) -> str:
    """Return the text that a file name stands for: "a-red_cat" is "a red cat"."""
    return " ".join(re.split(r"[-_\s]+", stem)).strip() or stem


def _prompts(text: str) -> tuple[Prompt, ...]:
    """Return what a text means; one that is no prompt as it stands, as file names may be, is a plain text."""
    try:
        return parse_prompts(text)
    except UsageError:
        return (Prompt(text),)
