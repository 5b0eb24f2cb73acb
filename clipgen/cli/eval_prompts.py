"""`clipgen eval --prompts FILE`: how well pictures show the prompts of a file, by judges that did not guide them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipgen.cli.eval_candidates import Picks, compared, picks_for, ranking
from clipgen.cli.eval_options import COUNT, MAX_COUNT
from clipgen.cli.eval_plots import check_plots, plot_steps
from clipgen.cli.eval_prompt_file import PromptRow, read_prompts, spread
from clipgen.cli.eval_report import Robustness, print_robustness, print_table, robustness, write_report
from clipgen.cli.eval_run import SECONDS, Run, guide_of, mean_seconds
from clipgen.cli.judge_options import judge_names
from clipgen.config.checks import check_whole
from clipgen.util.files import slug

if TYPE_CHECKING:
    from PIL.Image import Image

    from clipgen.judge.captions import Opinion
    from clipgen.judge.intervals import Interval
    from clipgen.judge.judges import Judge
    from clipgen.session.evaluation_run import Made, Maker, Wanted

ALONE = "with a single prompt there are no others to confuse it with, so R@1 and R@5 are left out"
MEANS = ("R@1", "R@5", "judge cosine", "judge probability")
"""What is reported by category, too."""


def evaluate_prompts(run: Run, path: Path) -> None:
    """Make pictures for the prompts of a file and report how the judges, and the guide, score them."""
    if run.options.plots:
        check_plots()
    rows = _rows(path, run.options.count)
    run = run.with_preset()
    wanted = run.wanted([row.text for row in rows])
    names = _judges(run, wanted)
    picks = picks_for(run, wanted, names) if run.options.candidates > 1 else None
    wanted = run.fetch(wanted)
    judges = run.judges(names)  # first, so that weights that are missing cost no time
    if len(rows) == 1:
        run.notes.note(ALONE)
    stem = f"eval-{slug(path.stem)}-{run.template.preset}-{wanted[0].plan.backend}-{len(rows)}"
    evaluation = _Evaluation(run, rows, judges, stem, picks)
    run.make(wanted, stem, evaluation.report, more=picks.further if picks else None)


def _rows(path: Path, asked: int | None) -> list[PromptRow]:
    rows = read_prompts(path)
    most = min(len(rows), MAX_COUNT)
    count = min(COUNT, most) if asked is None else asked
    check_whole(f"with --prompts {path}, --n", count, 1, most)
    return spread(rows, count)


def _judges(run: Run, wanted: Sequence[Wanted]) -> list[str]:
    """Return the names of the judges. Raises UsageError for one that guides."""
    from clipgen.session.evaluation import check_judges, guides_of, usual_judges

    plans = [each.plan for each in wanted]
    if not run.options.judge:
        return usual_judges(plans, ranking(run, wanted))
    names = judge_names(run.options.judge)
    for name in check_judges(names, guides_of(plans), allow_guide=run.options.allow_guide):
        run.notes.note(f"warning: {name} guides these pictures, so its scores say how well it was pleased")
    return names


@dataclass(frozen=True)
class _Evaluation:
    run: Run
    rows: Sequence[PromptRow]
    judges: Sequence[Judge]
    stem: str
    picks: Picks | None

    def report(self, maker: Maker, made: Sequence[Made]) -> None:
        """Print the tables, and write the record, the contact sheet and the plot."""
        from clipgen.judge.captions import opinion

        run, texts = self.run, [row.text for row in self.rows]
        pictures, own = [each.picture for each in made], [each.place % len(texts) for each in made]
        captions = [texts[place] for place in own]
        record = self._settings(maker.wanted, made)
        for judge in self.judges:
            guide = guide_of(maker, maker.wanted[0], classifier=judge.is_classifier)
            found = opinion(judge, guide, pictures, own, texts)
            record["judges"][judge.name] = self._said(judge, found, pictures, captions, made)
        record["pictures"] = [
            {
                "prompt": text,
                "file": str(each.path),
                "seed": maker.wanted[each.place].plan.seed,
                "seconds": each.seconds,
            }
            for each, text in zip(made, captions, strict=True)
        ]
        if run.options.plots and len(made) == len(maker.wanted):
            record["scores over steps"] = plot_steps(run, self.stem, maker, maker.wanted, self.judges[0])
        write_report(run, self.stem, record, pictures, captions)

    def _settings(self, wanted: Sequence[Wanted], made: Sequence[Made]) -> dict[str, Any]:
        """Return what the record says first: how the pictures were made."""
        plan = wanted[0].plan
        return {
            "preset": plan.preset,
            "backend": plan.backend,
            "size": list(plan.size),
            "steps": plan.steps,
            "guides": list(dict.fromkeys(row.weights for each in wanted for row in each.plan.perceptors)),
            "n": len(self.rows),
            "made": len(made),
            "seeds": self.run.options.seeds,
            SECONDS: self._seconds(made),
            "together": self.run.options.together,
            **(self.picks.described if self.picks else {}),
            "judges": {},
        }

    def _seconds(self, made: Sequence[Made]) -> float | None:
        """Return the seconds that a picture took; that of a pick, with those for picking it."""
        if not self.picks:
            return mean_seconds(made)
        picked = mean_seconds([each for each in made if each.place >= len(self.rows)])
        return None if picked is None else picked + self.picks.seconds

    def _said(
        self,
        judge: Judge,
        found: Opinion,
        pictures: Sequence[Image],
        captions: Sequence[str],
        made: Sequence[Made],
    ) -> dict[str, Any]:
        """Print, and return, what one judge says."""
        from clipgen.judge.captions import part, summary

        picked = compared(made, found, len(self.rows), judge.unit) if self.picks else None
        main = part(found, picked.places) if picked else found
        scores = summary(main, judge.unit) | (picked.scores if picked else {})
        self._print(judge, scores, main, self._seconds(made))
        categories = self._categories(judge, main)
        known = [k for k in (picked.places if picked else range(len(made))) if judge.taken(captions[k])]
        altered: Robustness = robustness(self.run, judge, [pictures[k] for k in known], [captions[k] for k in known])
        print_robustness(self.run, judge, altered)
        return {
            "scores": scores,
            "chance": self._chance() if main.ranks else {},
            "judged": len([score for score in main.scores if score is not None]),
            "categories": categories,
            "robustness": altered,
        }

    def _chance(self) -> dict[str, float]:
        from clipgen.judge.score import PLACES

        return {f"R@{place}": min(place / len(self.rows), 1.0) for place in PLACES}

    def _print(self, judge: Judge, scores: Mapping[str, object], main: Opinion, seconds: float | None) -> None:
        chance = self._chance()
        rows = [[name, str(value), f"{chance[name]:.3f}" if name in chance else ""] for name, value in scores.items()]
        rows.append([SECONDS, "" if seconds is None else f"{seconds:.1f}", ""])
        judged = len([score for score in main.scores if score is not None])
        title = f"{judge.name}: {judged} of {len(main.scores)} pictures of {len(self.rows)} prompts"
        print_table(self.run, title, ["measure", "value", "chance"], rows)

    def _categories(self, judge: Judge, main: Opinion) -> dict[str, dict[str, Interval]]:
        """Print, and return, the means by category; {} if the file has none."""
        from clipgen.judge.captions import part, summary

        groups = [self.rows[place].category for place in main.own]
        found = {
            name: summary(part(main, [k for k, each in enumerate(groups) if each == name]), judge.unit)
            for name in dict.fromkeys(filter(None, groups))
        }
        names = [name for name in MEANS if any(name in row for row in found.values())]
        rows = [
            [category, f"{groups.count(category)}", *(str(row.get(name, "")) for name in names)]
            for category, row in found.items()
        ]
        if rows:
            print_table(self.run, f"by category, by {judge.name}", ["category", "pictures", *names], rows)
        return found
