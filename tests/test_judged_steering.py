"""What steering does to real pictures of the starter models, by a CLIP that did not guide them. Slow."""

from collections.abc import Sequence

import pytest
import torch
from PIL import Image
from torch import Tensor

from clipgen import generate
from clipgen.core.contracts import Outcome, Step
from clipgen.judge.score import embed
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.util.images import to_pil
from clipgen.weights.loader import load

pytestmark = pytest.mark.slow

THINGS = ("heart", "star", "balloon", "car", "cat", "lighthouse")
CHANGES = [
    *(("heart", *pair) for pair in (("red", "blue"), ("blue", "green"), ("yellow", "red"))),
    *(("star", *pair) for pair in (("yellow", "red"), ("blue", "yellow"), ("red", "green"))),
    *(("balloon", *pair) for pair in (("red", "blue"), ("green", "red"), ("blue", "yellow"))),
    *(("car", *pair) for pair in (("blue", "red"), ("red", "yellow"), ("green", "blue"))),
]
"""Things, with the colour that each has and the one that it is to get."""
RATE = 0.8


class Frames:
    """A sink that keeps the pictures of some steps."""

    def __init__(self, *steps: int) -> None:
        self.pictures: dict[int, Image.Image] = {}
        self._steps = steps

    def on_step(self, step: Step) -> None:
        if step.index in self._steps:
            self.pictures[step.index] = to_pil(step.image)

    def close(self, _outcome: Outcome) -> None:
        """Nothing is open."""


@pytest.fixture(scope="module")
def judge() -> CLIPPerceptor:
    made: CLIPPerceptor = build_perceptor(load("starter/judge"))
    return made.eval()


def scores(judge: CLIPPerceptor, pictures: Sequence[Image.Image], texts: Sequence[str]) -> Tensor:
    """Cosines (N, T)."""
    with torch.no_grad():
        return embed(pictures, judge) @ judge.encode_texts(texts).T


@pytest.mark.parametrize("backend", ["vqgan", "dvae"])
def test_a_change_turns_the_colour_and_keeps_the_thing(judge: CLIPPerceptor, backend: str) -> None:
    turned = kept = 0
    for thing, before, after in CHANGES:
        init = generate(f"a {before} {thing}", preset="starter", seed=1, size=128).image
        texts = f"a {after} {thing}|a {before} {thing}:-1"
        made = generate(texts, preset="starter", backend=backend, seed=1, blend="change", init=init).image
        was, now = scores(judge, [made], [f"a {before} {thing}", f"a {after} {thing}"])[0]
        turned += bool(now > was)
        kept += THINGS[int(scores(judge, [made], [f"a {after} {name}" for name in THINGS])[0].argmax())] == thing
    assert min(turned, kept) / len(CHANGES) >= RATE, f"{turned} turned and {kept} kept of {len(CHANGES)}"


def test_the_middle_of_a_mixture_is_between_its_ends(judge: CLIPPerceptor) -> None:
    pairs = [("a red heart", "a lighthouse"), ("a cat", "a yellow star"), ("a car", "a tree")]
    found = []
    for first, second in pairs:
        made = [
            generate(f"{first}:{1 - share}|{second}:{share}", preset="starter", blend="mix", seed=1, size=128).image
            for share in (0.0, 0.5, 1.0)
        ]
        found.append(scores(judge, made, [first, second]))
    first, second = torch.stack(found).mean(0).T
    assert first[0] > first[1] > first[2]
    assert second[0] < second[1] < second[2]


def test_each_scene_is_best_on_its_own_text(judge: CLIPPerceptor) -> None:
    texts = ["a red heart", "a lighthouse at sunset", "a cat"]
    frames = Frames(100, 200, 300)
    made = generate(" ^ ".join(texts), preset="starter", seed=1, size=128, steps=300, sinks=[frames])
    found = scores(judge, [frames.pictures[100], frames.pictures[200], made.image], texts)
    assert found.argmax(0).tolist() == [0, 1, 2]
