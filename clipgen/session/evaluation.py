"""Measuring guidance on things that classifiers know: a picture of each, made as a user would."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.engine.optimise import optimise
from clipgen.errors import UsageError
from clipgen.judge.classes import THINGS
from clipgen.session.session import Session

JUDGES = ("classifier/efficientnet-lite1", "classifier/efficientnet-lite2")
"""Judge unless they guide."""
_WITHOUT_ARTICLE = ("sunglasses", "broccoli")
_SILENT_H = ("hourglass",)


@dataclass(frozen=True)
class Question:
    """A thing, and the plan of its picture."""

    thing: str
    plan: Plan


@dataclass(frozen=True)
class Answer:
    """The picture that was made for a question, and the seconds that took."""

    question: Question
    picture: Image.Image
    seconds: float


def prompt_of(thing: str) -> str:
    """Return the name of a thing with its article."""
    if thing in _WITHOUT_ARTICLE:
        return thing
    return f"{'an' if thing[0].lower() in 'aeiou' or thing in _SILENT_H else 'a'} {thing}"


def questions(count: int, template: Job, device: str) -> list[Question]:
    """Return so many of THINGS, spread evenly over these, each with the settings and the seed of `template`.

    Raises UsageError unless there are as many.
    """
    if not 1 <= count <= len(THINGS):
        raise UsageError(f"with --classes, --n must be from 1 to {len(THINGS)}, got {count}")
    things = [THINGS[k * len(THINGS) // count] for k in range(count)]
    jobs = [replace(template, prompts=parse_prompts(prompt_of(thing))) for thing in things]
    return [Question(thing, resolve(job, device=device)[0]) for thing, job in zip(things, jobs, strict=True)]


def judges_for(asked: Sequence[Question], named: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of the classifiers that judge: those named, or those of JUDGES that do not guide.

    Raises UsageError if one that is named guides, or if none is left.
    """
    guides = {row.weights for question in asked for row in question.plan.perceptors}
    for name in named:
        if name in guides:
            raise UsageError(f"--judge {name} guides these pictures, so it cannot judge them; name another classifier")
    left = tuple(dict.fromkeys(name for name in named or JUDGES if name not in guides))
    if not left:
        raise UsageError(f"{' and '.join(JUDGES)} guide these pictures; name a classifier that judges them by --judge")
    return left


def answers(asked: Sequence[Question], device: str) -> Iterator[Answer]:
    """Make a picture for each question in turn."""
    session = Session(device)
    for question in asked:
        models = session.models(question.plan)
        started = time.perf_counter()
        picture = optimise(question.plan, models).image
        yield Answer(question, picture, time.perf_counter() - started)
