"""`clipgen eval`: how often pictures show what prompts of the drawn world ask for, by a judge that never guides."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from clipgen.cli.eval_options import MAX_COUNT
from clipgen.cli.eval_report import DRAWN, Robustness, print_robustness, print_table, robustness, text_of, write_report
from clipgen.cli.eval_run import Run, guide_of
from clipgen.config.presets import PRESETS
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.judge.intervals import Interval
    from clipgen.judge.judges import Judge
    from clipgen.session.evaluation_run import Made, Maker, Wanted
    from clipgen.starter.evaluation import Answer, Question


def evaluate_world(run: Run, count: int) -> None:
    """Make pictures for so many prompts of the drawn world, and report on them."""
    if not 2 <= count <= MAX_COUNT:
        raise UsageError(f"--n must be from 2 to {MAX_COUNT}, got {count}")
    run = run.with_preset()
    template = replace(run.template, backend=run.template.backend or PRESETS[run.template.preset].backend)
    from clipgen.starter.evaluation import JUDGE, questions

    run = replace(run, template=template)
    asked = questions(count, template.seed)
    wanted = run.wanted([question.text for question in asked])
    wanted = run.fetch(wanted)
    [judge] = run.judges([JUDGE])
    stem = f"eval-{template.backend}-{count}"

    def report(maker: Maker, made: list[Made]) -> None:
        _report(run, stem, judge, made, _answers(maker, wanted, asked, made))

    run.make(wanted, stem, report, least=2)


def _answers(maker: Maker, wanted: Sequence[Wanted], asked: Sequence[Question], made: Sequence[Made]) -> list[Answer]:
    from clipgen.starter.evaluation import Answer

    guide = guide_of(maker, wanted[made[0].place], classifier=False)
    found = []
    for each in made:
        question, picture = asked[each.place % len(asked)], each.picture
        cosine = float(guide.scores(guide.vectors([picture]), [question.text])[0]) if guide else None
        found.append(Answer(question, picture, each.seconds, cosine))
    return found


def _report(run: Run, stem: str, judge: Judge, made: Sequence[Made], answers: Sequence[Answer]) -> None:
    """Print the tables, and write the record and the contact sheet."""
    from clipgen.judge.diversity import diversity
    from clipgen.starter.evaluation import drawn, measure_drawn

    asked = list({answer.question.text: answer.question for answer in answers}.values())
    scores = _scores(answers, run.device)
    ideal = measure_drawn(asked, run.template.seed, run.device)
    texts, pictures = [answer.question.text for answer in answers], [answer.picture for answer in answers]
    if apart := diversity(judge.vectors(pictures), texts):
        scores["diversity"] = statistics.fmean(apart)
    sure = _intervals(scores, len(asked))
    _print(run, f"{run.template.backend}, {len(answers)} pictures", scores, ideal, sure)
    altered, altered_drawn = _robustness(run, judge, answers), _robustness(run, judge, drawn(asked, run.template.seed))
    print_robustness(run, judge, altered, altered_drawn)
    record = {
        "backend": run.template.backend,
        "scores": scores,
        "intervals": sure,
        "drawn": ideal,
        "robustness": altered,
        "robustness of drawn pictures": altered_drawn,
        "together": run.options.together,
        "prompts": texts,
        "pictures": [str(each.path) for each in made],
    }
    write_report(run, stem, record, pictures, texts)


def _robustness(run: Run, judge: Judge, answers: Sequence[Answer]) -> Robustness:
    return robustness(run, judge, [each.picture for each in answers], [each.question.text for each in answers])


def _scores(answers: Sequence[Answer], device: str) -> dict[str, float]:
    """Return the scores of the judge; of several seeds their mean, as rivals are the prompts of one picture each."""
    from clipgen.starter.evaluation import measure

    seeds: list[dict[str, Answer]] = []
    for answer in answers:
        row = next((row for row in seeds if answer.question.text not in row), None)
        if row is None:
            seeds.append(row := {})
        row[answer.question.text] = answer
    measured = [measure(list(row.values()), device) for row in seeds if len(row) > 1]
    names = dict.fromkeys(name for row in measured for name in row)
    values = {name: [row[name] for row in measured if name in row] for name in names}
    return {name: sum(row) if _is_count(name) else statistics.fmean(row) for name, row in values.items()}


def _is_count(name: str) -> bool:
    return name == "n" or name.endswith(" n")


def _intervals(scores: Mapping[str, float], prompts: int) -> dict[str, Interval]:
    """Return the intervals of the shares; several seeds of a prompt count as one try."""
    from clipgen.judge.intervals import share_interval

    seeds = max(scores["n"] / prompts, 1)
    counts = {name: scores.get(f"{name.removesuffix(' accuracy')} n", scores["n"]) / seeds for name in scores}
    return {
        name: share_interval(round(scores[name] * round(count)), round(count))
        for name, count in counts.items()
        if name.endswith(" accuracy") or name in ("R@1", "R@5")
    }


def _print(
    run: Run, title: str, scores: Mapping[str, float], ideal: Mapping[str, float], sure: Mapping[str, Interval]
) -> None:
    """Print the scores, with chance levels and, where they are meaningful, the scores of drawn pictures."""
    rows = [
        [
            name,
            str(sure[name]) if name in sure else text_of(value),
            text_of(scores.get(f"{name.removesuffix(' accuracy')} chance")),
            text_of(ideal.get(name)),
        ]
        for name, value in scores.items()
        if not name.endswith(" chance")
    ]
    print_table(run, title, ["measure", "value", "chance", DRAWN], rows)
