"""Measuring a backend: prompts from the world's grammar, pictures made as a user would, scored by the judge alone.

The guide's own score says how well it was pleased, not what the picture shows; so the judge, a CLIP of another
architecture and seed that never guides, decides. R-precision is the share of pictures whose own prompt is among the R
nearest of it and of all that mismatch (AttnGAN, Xu et al., 2018, section 4; Park et al., NeurIPS 2021, datasets and
benchmarks): "a heart" is true of a heart in a comic book too, so the one is no rival of the other. What pictures drawn
for the same prompts reach says how much the judge and the prompts allow.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clipgen.config.job import Job, parse_prompts
from clipgen.config.resolving import resolve
from clipgen.engine.runner import load_models, run
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.starter import grammar
from clipgen.starter.english import Claim, say
from clipgen.starter.grammar import Truth
from clipgen.starter.world.compose import draw
from clipgen.util.images import to_tensor
from clipgen.weights.loader import load

JUDGE = "starter/judge"
STATED = {"noun": 1.0, "colour": 0.6, "time": 0.3, "weather": 0.5, "style": 1.0, "count": 1.0, "size": 0.5}
STATED |= {"relation": 1.0, "other": 1.0, "other_colour": 0.6}
"""How often a prompt states what is true of the picture it was imagined from."""


@dataclass(frozen=True)
class Question:
    """A prompt and what it claims."""

    text: str
    claim: Claim
    truth: Truth
    """Of a picture that the claim is true of."""


@dataclass(frozen=True)
class Answer:
    """A picture made for a question, as the judge and the guide see it."""

    question: Question
    picture: Image.Image
    seconds: float
    guide_cosine: float


def questions(count: int, seed: int) -> list[Question]:
    """Different prompts of the drawn world, always the same for a seed.

    Each has a combination that no model was trained on, such as a noun in a style: they know the parts alone.
    """
    rng = np.random.default_rng([seed, 2024])
    asked: dict[frozenset[tuple[str, str]], Question] = {}
    while len(asked) < count:
        truth = grammar.imagine(rng, held=True)
        shown = {name: value for name, value in asdict(truth).items() if value and (name, value) != ("count", "1")}
        claim = {name: value for name, value in shown.items() if rng.random() < STATED.get(name, 0.0)}
        key = frozenset(claim.items())
        if key not in asked and grammar.held_out(claim):
            asked[key] = Question(say(claim, rng), claim, truth)
    return list(asked.values())


def answers(asked: Sequence[Question], template: Job, device: str) -> Iterator[Answer]:
    """Make a picture for one question after the other, with the settings and the seed of `template`."""
    job, _ = resolve(template)
    models = load_models(job, device)
    guide = models.perceptors[0].perceptor
    for question in asked:
        started = time.perf_counter()
        picture = run(replace(job, prompts=parse_prompts(question.text)), models).image
        seconds = time.perf_counter() - started
        cosine = float(embed([picture], guide)[0] @ guide.encode_texts([question.text])[0])
        yield Answer(question, picture, seconds, cosine)


@torch.no_grad()
def embed(pictures: Sequence[Image.Image], perceptor: CLIPPerceptor) -> Tensor:
    """Whole pictures as unit vectors (N, D)."""
    device = next(perceptor.parameters()).device
    views = torch.cat([perceptor.whole(to_tensor(picture, picture.size).to(device)) for picture in pictures])
    return perceptor.encode_images(views)


@torch.no_grad()
def measure(given: Sequence[Answer], device: str = "cpu") -> dict[str, float]:
    """Score answers by the judge; every share comes with its chance level."""
    judge = build_perceptor(load(JUDGE)).eval().requires_grad_(False).to(device)
    vectors = embed([answer.picture for answer in given], judge)
    cosines = vectors @ judge.encode_texts([answer.question.text for answer in given]).T
    own = float(cosines.diagonal().mean())
    guide = float(np.mean([answer.guide_cosine for answer in given]))
    scores = {
        "n": float(len(given)),
        **_precision(cosines, [answer.question.claim for answer in given]),
        "judge cosine": own,
        "guide cosine": guide,
        "gap": guide - own,
        "seconds a picture": float(np.mean([answer.seconds for answer in given])),
    }
    for name in ("noun", "colour", "style", "count"):
        scores |= _attribute(name, given, vectors, judge)
    return scores


def drawn(asked: Sequence[Question], seed: int) -> list[Answer]:
    """A picture drawn for each question, of which its claim is true."""
    answers = []
    for number, question in enumerate(asked):
        rng = np.random.default_rng([seed, 2025, number])
        answers.append(Answer(question, Image.fromarray(draw(question.truth, rng, 256)), 0.0, 0.0))
    return answers


def measure_drawn(asked: Sequence[Question], seed: int, device: str = "cpu") -> dict[str, float]:
    """What pictures reach that were drawn for the questions: all of `measure` that generated pictures share."""
    scores = measure(drawn(asked, seed), device)
    return {name: scores[name] for name in scores if name not in ("guide cosine", "gap", "seconds a picture")}


def _precision(cosines: Tensor, claims: Sequence[Claim]) -> dict[str, float]:
    """R-precision of cosines (picture, prompt), whose claims are these."""
    rivals = torch.tensor([[grammar.contradict(mine, other) for other in claims] for mine in claims])
    rank = ((cosines > cosines.diagonal()[:, None]) & rivals.to(cosines.device)).sum(1)
    chances = 1 / (1 + rivals.sum(1))
    scores = {}
    for place in (1, 5):
        scores[f"R@{place}"] = float((rank < place).float().mean())
        scores[f"R@{place} chance"] = float((place * chances).clamp(max=1).mean())
    return scores


def _attribute(name: str, given: Sequence[Answer], vectors: Tensor, judge: CLIPPerceptor) -> dict[str, float]:
    """How often the judge sees a stated value of an attribute, among all values; nothing where none is stated.

    A question that leaves it open for one of two things does not count: what the judge sees may be that one's.
    """
    named = [(text, claim[name]) for text, claim in grammar.bank() if name in claim]
    seen = (vectors @ judge.encode_texts([text for text, _ in named]).T).argmax(1).tolist()
    wanted = [{side.get(name) for side in grammar.readings(answer.question.claim)} for answer in given]
    hits = [named[k][1] in values for values, k in zip(wanted, seen, strict=True) if None not in values]
    if not hits:
        return {}
    return {f"{name} accuracy": sum(hits) / len(hits), f"{name} chance": 1 / len(named), f"{name} n": float(len(hits))}
