"""What an evaluation asks for, and who may judge: a classifier, or a CLIP, that did not guide the pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.errors import UsageError
from clipgen.judge.classes import THINGS

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
    """The picture that was made for a question, and the seconds that took, if they are known."""

    question: Question
    picture: Image.Image
    seconds: float | None


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


def judges_for(asked: Sequence[Question], named: Sequence[str] = (), *, allow_guide: bool = False) -> tuple[str, ...]:
    """Return the names of the classifiers that judge: those named, or those of JUDGES that do not guide.

    Raises UsageError if one that is named guides, unless `allow_guide`, or if none is left.
    """
    plans = [question.plan for question in asked]
    if named:
        check_judges(named, guides_of(plans), allow_guide=allow_guide)
        return tuple(dict.fromkeys(named))
    left = tuple(name for name in JUDGES if name not in guides_of(plans))
    if not left:
        raise UsageError(f"{' and '.join(JUDGES)} guide these pictures; name a classifier that judges them by --judge")
    return left


def guides_of(plans: Iterable[Plan]) -> set[str]:
    """Return the names of all perceptors that guide any of these runs."""
    return {row.weights for plan in plans for row in plan.perceptors}


def check_judges(names: Sequence[str], guides: Collection[str], *, allow_guide: bool = False) -> list[str]:
    """Return the judges that also guide. Raises UsageError, which says why, if any do, unless `allow_guide`."""
    both = [name for name in names if name in guides]
    if both and not allow_guide:
        raise UsageError(
            f"--judge {both[0]} guides these pictures, so that it cannot tell that it was fooled: every term for "
            "realism that is left out raises its own score; name another judge, or add --allow-guide"
        )
    return both


def usual_judges(plans: Sequence[Plan], taken: Collection[str] = ()) -> list[str]:
    """Return the judges of the preset of these plans that do not guide. Raises UsageError without any.

    taken: the names of those that pick among candidates, which cannot judge the picks.
    """
    named = dict.fromkeys(name for plan in plans for name in plan.judges)
    found = [name for name in named if name not in guides_of(plans) and name not in taken]
    if not found:
        what = "picks among the candidates" if taken else "guides"
        raise UsageError(
            f"preset {plans[0].preset} has no judge but what {what}; name one by --judge, such as --judge ViT-B-16"
        )
    return found
