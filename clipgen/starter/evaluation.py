"""Measuring a backend on the drawn world: prompts of its grammar, pictures made as a user would, scored by the judge.

The guide's own score says how well guidance pleased it, not what the picture shows. So the judge, a CLIP of another
architecture and seed that never guides, decides. Of R-precision (AttnGAN, Xu et al., 2018, section 4; Park et al.,
NeurIPS 2021, datasets and benchmarks) only prompts that contradict are rivals: "a heart" is true of a heart in a comic
book, too. Pictures that are drawn for the same prompts show how much the judge and the prompts allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clipgen.judge.score import embed, r_precision
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.starter import grammar
from clipgen.starter.english import Claim, say
from clipgen.starter.grammar import Truth
from clipgen.starter.world.compose import draw
from clipgen.weights.loader import load

JUDGE = "starter/judge"
STATED = {"noun": 1.0, "colour": 0.6, "time": 0.3, "weather": 0.5, "style": 1.0, "count": 1.0, "size": 0.5}
STATED |= {"relation": 1.0, "other": 1.0, "other_colour": 0.6}
"""How often a prompt states each thing that is true of its picture."""


@dataclass(frozen=True)
class Question:
    """A prompt, and what it claims."""

    text: str
    claim: Claim
    truth: Truth
    """What a picture shows of which the claim is true."""


@dataclass(frozen=True)
class Answer:
    """A picture made for a question, the seconds that took, and the guide's cosine between the two, if known."""

    question: Question
    picture: Image.Image
    seconds: float | None
    guide_cosine: float | None


def questions(count: int, seed: int) -> list[Question]:
    """Return so many different prompts of the drawn world, the same ones for a seed.

    Each has a combination that no model was trained on, such as a noun in a style; they know only its parts.
    """
    rng = np.random.default_rng([seed, 2024])
    asked: dict[frozenset[tuple[str, str]], Question] = {}
    while len(asked) < count:
        truth = grammar.random_truth(rng, held=True)
        shown = {name: value for name, value in asdict(truth).items() if value and (name, value) != ("count", "1")}
        claim = {name: value for name, value in shown.items() if rng.random() < STATED.get(name, 0.0)}
        key = frozenset(claim.items())
        if key not in asked and grammar.held_out(claim):
            asked[key] = Question(say(claim, rng), claim, truth)
    return list(asked.values())


@torch.no_grad()
def measure(given: Sequence[Answer], device: str = "cpu") -> dict[str, float]:
    """Return the scores that the judge gives to answers, by name; those that chance can reach, with its level."""
    judge = build_perceptor(load(JUDGE)).eval().requires_grad_(False).to(device)
    vectors = embed([answer.picture for answer in given], judge)
    cosines = vectors @ judge.encode_texts([answer.question.text for answer in given]).T
    own = float(cosines.diagonal().mean())
    scores = {"n": float(len(given)), **r_precision(cosines, rivals([answer.question.claim for answer in given]))}
    scores["judge cosine"] = own
    if guided := [answer.guide_cosine for answer in given if answer.guide_cosine is not None]:
        scores["guide cosine"] = float(np.mean(guided))
        scores["gap"] = scores["guide cosine"] - own
    if timed := [answer.seconds for answer in given if answer.seconds is not None]:
        scores["seconds a picture"] = float(np.mean(timed))
    for name in ("noun", "colour", "style", "count"):
        scores |= _attribute(name, given, vectors, judge)
    return scores


def drawn(asked: Sequence[Question], seed: int) -> list[Answer]:
    """Return for each question a picture drawn so that its claim is true."""
    answers = []
    for number, question in enumerate(asked):
        rng = np.random.default_rng([seed, 2025, number])
        answers.append(Answer(question, Image.fromarray(draw(question.truth, rng, 256)), 0.0, 0.0))
    return answers


def measure_drawn(asked: Sequence[Question], seed: int, device: str = "cpu") -> dict[str, float]:
    """Return the scores of pictures that are drawn for the questions: of `measure`, what they have."""
    scores = measure(drawn(asked, seed), device)
    return {name: scores[name] for name in scores if name not in ("guide cosine", "gap", "seconds a picture")}


def rivals(claims: Sequence[Claim]) -> Tensor:
    """Return (N, N) boolean: whether a picture of the one claim (row) cannot show the other (column)."""
    return torch.tensor([[grammar.contradict(mine, other) for other in claims] for mine in claims])


def _attribute(name: str, given: Sequence[Answer], vectors: Tensor, judge: CLIPPerceptor) -> dict[str, float]:
    """Return how often the judge names a stated value of an attribute, among all values; {} where none is stated.

    A question that leaves the attribute of one of two things open does not count: the judge may name that one's.
    """
    named = [(text, claim[name]) for text, claim in grammar.bank() if name in claim]
    seen = (vectors @ judge.encode_texts([text for text, _ in named]).T).argmax(1).tolist()
    wanted = [{side.get(name) for side in grammar.readings(answer.question.claim)} for answer in given]
    hits = [named[k][1] in values for values, k in zip(wanted, seen, strict=True) if None not in values]
    if not hits:
        return {}
    return {f"{name} accuracy": sum(hits) / len(hits), f"{name} chance": 1 / len(named), f"{name} n": float(len(hits))}
