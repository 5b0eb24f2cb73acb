"""Score hacking: a picture that pleases the CLIP it was made for, and shows nothing to any other."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.settings import CutoutSettings, PerceptorSettings
from clipgen.engine.models import load_models
from clipgen.engine.optimise import Result, Task, optimise_together
from clipgen.judge.score import embed
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.starter.evaluation import JUDGE
from clipgen.weights.loader import load

PROMPTS = ["a cat", "a house", "a boat", "a tree", "a teapot", "a castle", "a strawberry", "a clock"]
GUIDE = "starter/clip"


def perceptor(name: str) -> CLIPPerceptor:
    return build_perceptor(load(name)).eval().requires_grad_(False)


def starter(prompt: str, steps: int, seed: int) -> Plan:
    return resolve(Job(parse_prompts(prompt), preset="starter", size=(128, 128), steps=steps, seed=seed))[0]


def unaugmented(plan: Plan, guide: str) -> Plan:
    """CLIP guidance at its barest: one CLIP sees the whole picture as it is, and pulls towards the text itself."""
    return replace(
        plan,
        perceptors=(PerceptorSettings(guide),),
        judges=(),
        generator=replace(plan.generator, optimizer="adam", levels=1, small_until=0.0, reencode_at=()),
        lr=0.1,
        cutouts=1,
        start="noise",
        unclip=(),
        augmentations=CutoutSettings(share_plain=1.0, share_whole=0.0),
    )


def scored(plans: Sequence[Plan], *by: str) -> list[tuple[float, float]]:
    """What each of the CLIPs `by` says of the pictures of plans: by how much the cosine with the own prompt is above
    that with the others, and how often the own one is the nearest."""
    made = optimise_together([Task(plan) for plan in plans], load_models(plans[0], "cpu"))
    pictures = [result.image for result in made if isinstance(result, Result)]
    prompts = [plan.text for plan in plans]
    scores = []
    for name in by:
        clip = perceptor(name)
        cosines = embed(pictures, clip) @ clip.encode_texts(prompts).T
        own = cosines.diagonal()
        others = (cosines.sum(1) - own) / (len(prompts) - 1)
        named = cosines.argmax(1) == torch.arange(len(prompts))
        scores.append((float((own - others).mean()), float(named.float().mean())))
    return scores


@pytest.mark.slow
def test_without_augmentation_a_clip_that_met_no_adversary_is_hacked() -> None:
    """Its score rises to where true pictures never are, and to another CLIP the pictures still show next to nothing."""
    (own, named), (other, named_by_other) = scored(
        [unaugmented(starter(text, 60, k), JUDGE) for k, text in enumerate(PROMPTS)], JUDGE, GUIDE
    )
    assert own > 0.3
    assert named == 1
    assert other < 0.25 * own
    assert named_by_other <= 0.5


@pytest.mark.slow
@pytest.mark.usefixtures("quick_proposals")
def test_with_a_short_default_recipe_the_judge_sees_what_the_guide_sees() -> None:
    (own, named), (judge, named_by_judge) = scored(
        [starter(text, 10, k) for k, text in enumerate(PROMPTS[:4])], GUIDE, JUDGE
    )
    assert min(own, judge) > 0.2
    assert min(named, named_by_judge) >= 0.75


@pytest.mark.slow
def test_with_the_default_recipe_the_judge_sees_what_the_guide_sees() -> None:
    (own, named), (judge, named_by_judge) = scored(
        [starter(text, 24, k) for k, text in enumerate(PROMPTS)], GUIDE, JUDGE
    )
    assert min(own, judge) > 0.2
    assert min(named, named_by_judge) >= 0.875
