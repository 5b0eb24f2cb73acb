"""`clipgen eval --classes`: how often pictures show the thing asked for, by classifiers that did not guide them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from clipgen.cli.eval_report import print_robustness, print_table, robustness, write_report
from clipgen.cli.eval_run import SECONDS, Run, mean_seconds

if TYPE_CHECKING:
    from clipgen.judge.classes import Verdict
    from clipgen.judge.judges import Judge
    from clipgen.session.evaluation import Answer, Question
    from clipgen.session.evaluation_run import Made, Maker

Verdicts = Mapping[str, Sequence["Verdict"]]
"""By the name of the judge, those on the pictures."""


def evaluate_classes(run: Run, count: int, judges: Sequence[str]) -> None:
    """Make pictures of things and report what the judges see in them."""
    from clipgen.session.evaluation import Answer, judges_for, prompt_of, questions

    run = run.with_preset()
    asked = questions(count, run.template, run.device)
    named = judges_for(asked, judges, allow_guide=run.options.allow_guide)
    wanted = run.wanted([prompt_of(question.thing) for question in asked])
    wanted = run.fetch(wanted)
    loaded = run.judges(named)  # first, so that weights that are missing cost no time
    template = run.template
    stem = f"eval-classes-{template.preset}-{asked[0].plan.backend}-{count}"

    def report(_maker: Maker, made: list[Made]) -> None:
        questions = [replace(asked[each.place % count], plan=wanted[each.place].plan) for each in made]
        answers = [Answer(one, each.picture, each.seconds) for one, each in zip(questions, made, strict=True)]
        _report(run, stem, loaded, made, answers)

    run.make(wanted, stem, report)


def _report(run: Run, stem: str, judges: Sequence[Judge], made: Sequence[Made], answers: Sequence[Answer]) -> None:
    """Print the tables, and write the record and the contact sheet."""
    from clipgen.judge.classes import CHANCE, summary, verdicts

    things, pictures = [answer.question.thing for answer in answers], [answer.picture for answer in answers]
    given = {judge.name: verdicts(pictures, things, judge.perceptor, run.device) for judge in judges}
    scores = {name: summary(things, found) for name, found in given.items()}
    seconds = mean_seconds(made)
    _print(f"preset {run.template.preset}, {len(made)} pictures", run, scores, CHANCE, seconds)
    texts = [answer.question.plan.text for answer in answers]
    altered = {judge.name: robustness(run, judge, pictures, texts) for judge in judges}
    for judge in judges:
        print_robustness(run, judge, altered[judge.name])
    record = {
        "preset": run.template.preset,
        "judges": list(given),
        "scores": scores,
        "intervals": {name: _intervals(found, len(set(things))) for name, found in scores.items()},
        "chance": dict(CHANCE),
        "robustness": altered,
        SECONDS: seconds,
        "together": run.options.together,
        "pictures": [
            _described(answer, {name: found[k] for name, found in given.items()}, made[k])
            for k, answer in enumerate(answers)
        ],
    }
    ranks = [verdict.rank for verdict in next(iter(given.values()))]
    captions = [f"{thing}: {rank}" for thing, rank in zip(things, ranks, strict=True)]
    write_report(run, stem, record, pictures, captions)


def _intervals(scores: Mapping[str, float], things: int) -> dict[str, Any]:
    """Return the intervals of top-1 and top-5; several pictures of a thing count as one try."""
    from clipgen.judge.intervals import share_interval

    return {name: share_interval(round(scores[name] * things), things) for name in ("top-1", "top-5")}


def _described(answer: Answer, given: Mapping[str, Verdict], made: Made) -> dict[str, Any]:
    """Return what the JSON file says of one picture."""
    from clipgen.judge.classes import HELD_OUT

    question: Question = answer.question
    plan = question.plan
    return {
        "prompt": plan.text,
        "thing": question.thing,
        "held_out": question.thing in HELD_OUT,
        "preset": plan.preset,
        "backend": plan.backend,
        "size": list(plan.size),
        "steps": plan.steps,
        "seed": plan.seed,
        "guides": list(dict.fromkeys(row.weights for row in plan.perceptors)),
        "seconds": answer.seconds,
        "file": str(made.path),
        "verdicts": {name: asdict(verdict) for name, verdict in given.items()},
    }


def _print(
    title: str, run: Run, scores: Mapping[str, Mapping[str, float]], chance: Mapping[str, float], seconds: float | None
) -> None:
    """Print the scores by judge, with chance levels."""
    rows = [
        [
            measure,
            *(_text(measure, row[measure]) for row in scores.values()),
            _text(measure, chance[measure]) if measure in chance else "",
        ]
        for measure in next(iter(scores.values()))
    ]
    rows.append([SECONDS, "" if seconds is None else f"{seconds:.1f}"])
    print_table(run, title, ["measure", *(name.rpartition("/")[2] for name in scores), "chance"], rows)


def _text(measure: str, value: float) -> str:
    """Format a score; ranks and counts are whole or half."""
    return f"{value:g}" if measure.endswith(("rank", " n")) else f"{value:.3f}"
