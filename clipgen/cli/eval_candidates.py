"""`clipgen eval --candidates N`: whether the seed that is picked among several is better than the first one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clipgen.cli.judge_options import judge_names
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.cli.eval_run import Run
    from clipgen.judge.captions import Opinion
    from clipgen.judge.intervals import Interval
    from clipgen.session.evaluation_candidates import Choice
    from clipgen.session.evaluation_run import Made, Maker, Wanted


@dataclass
class Picks:
    """Who picks among the candidates, and what was picked."""

    run: Run
    firsts: Sequence[Wanted]
    """The pictures of the first seed, one for each prompt."""
    rankers: tuple[str, ...]
    choices: list[Choice] = field(default_factory=list)

    def further(self, maker: Maker) -> list[Wanted]:
        """Pick a seed for each prompt, and return its picture."""
        from clipgen.session.evaluation_candidates import choices

        options = self.run.options
        named = judge_names([options.rank_by], "--rank-by")[0] if options.rank_by else None
        self.choices = choices(maker, self.firsts, options.candidates, named, self.run.tell)
        return [
            replace(each, plan=replace(each.plan, seed=choice.seed))
            for each, choice in zip(self.firsts, self.choices, strict=True)
        ]

    @property
    def seconds(self) -> float:
        """The mean of the seconds that picking took, beside those of the picture."""
        return statistics.fmean(choice.seconds for choice in self.choices)

    @property
    def described(self) -> dict[str, object]:
        """What the record says of picking."""
        chosen = [choice.seed for choice in self.choices]
        said = {"candidates": self.run.options.candidates, "ranked by": list(self.rankers)}
        return {**said, "seeds picked": chosen, "seconds of picking": self.seconds}


def picks_for(run: Run, wanted: Sequence[Wanted], judges: Sequence[str]) -> Picks:
    """Check who picks, and who judges the picks. Raises UsageError if one does both, or picks and guides."""
    from clipgen.session.evaluation import guides_of

    rankers = ranking(run, wanted)
    if run.options.rank_by and rankers[0] in guides_of(each.plan for each in wanted):
        raise UsageError(f"--rank-by {rankers[0]} guides these pictures; name another that picks among the candidates")
    both = [name for name in judges if name in rankers]
    if both:
        raise UsageError(
            f"--judge {both[0]} picks among the candidates, so it cannot judge the picks; name another, or another "
            "--rank-by"
        )
    return Picks(run, wanted, rankers)


def ranking(run: Run, wanted: Sequence[Wanted]) -> tuple[str, ...]:
    """Return the names of those that pick among candidates; () if there are none to pick among."""
    from clipgen.session.evaluation_candidates import rankers_of

    if run.options.candidates == 1:
        return ()
    named = judge_names([run.options.rank_by], "--rank-by")[0] if run.options.rank_by else None
    return tuple(dict.fromkeys(name for each in wanted for name in rankers_of(each.plan, named)))


@dataclass(frozen=True)
class Compared:
    """The picks beside the pictures of the first seeds."""

    places: list[int]
    """Of the picks among the pictures that were made."""
    scores: dict[str, Interval]
    """Of the first seeds, and how much better the picks are, on the same prompts."""


def compared(made: Sequence[Made], found: Opinion, prompts: int, unit: str) -> Compared:
    """Compare the pictures made for places from `prompts` on with those of the same prompts before."""
    from clipgen.judge.captions import part, summary
    from clipgen.judge.intervals import mean_interval

    firsts = {each.place: k for k, each in enumerate(made) if each.place < prompts}
    picks = {each.place - prompts: k for k, each in enumerate(made) if each.place >= prompts}
    pairs = [(firsts[prompt], pick) for prompt, pick in picks.items() if prompt in firsts]
    if not pairs:
        return Compared(list(picks.values()), {})
    one = summary(part(found, [first for first, _ in pairs]), unit)
    scores = {f"{name} of the first seeds": value for name, value in one.items() if name in ("R@1", f"judge {unit}")}
    if found.ranks:
        gains = [(found.ranks[pick] == 1) - (found.ranks[first] == 1) for first, pick in pairs]
        scores["R@1 gained by picking"] = mean_interval([float(gain) for gain in gains])
    rows = [(found.scores[first], found.scores[pick]) for first, pick in pairs]
    gained = [after - before for before, after in rows if before is not None and after is not None]
    if gained:
        scores[f"judge {unit} gained by picking"] = mean_interval(gained)
    return Compared(list(picks.values()), scores)
