"""Score hacking: a picture that pleases the CLIP it was made for, and shows nothing to any other."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from clipgen.engine.runner import load_models, run_together

from clipgen.config.job import Job, parse_prompts
from clipgen.config.presets import PRESETS, CutoutSettings, PerceptorSettings, Preset
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.starter.evaluation import JUDGE, embed
from clipgen.weights.loader import load

PROMPTS = ["a cat", "a house", "a boat", "a tree", "a teapot", "a castle", "a strawberry", "a clock"]
GUIDE = "starter/clip"


def perceptor(name: str) -> CLIPPerceptor:
    return build_perceptor(load(name)).eval().requires_grad_(False)


def unaugmented(guide: str) -> Preset:
    """CLIP guidance at its barest: one CLIP sees the whole picture as it is, and pulls towards the text itself."""
    starter = PRESETS["starter"]
    bare = replace(
        starter.generators["vqgan"], optimizer="adam", lr=0.1, levels=1, cutouts=1, small_until=0.0, restored=()
    )
    return replace(
        starter,
        perceptors=(PerceptorSettings(guide),),
        generators={"vqgan": bare},
        feature_prior=None,
        views=CutoutSettings(share_plain=1.0, share_whole=0.0),
    )


def scored(preset: Preset, steps: int, *by: str, prompts: Sequence[str] = PROMPTS) -> list[tuple[float, float]]:
    """What each of the CLIPs `by` says of pictures of prompts: by how much the cosine with the own prompt is above
    that with the others, and how often the own one is the nearest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "starter", preset)
        jobs = [
            Job(parse_prompts(text), preset="starter", size=(128, 128), steps=steps, seed=k)
            for k, text in enumerate(prompts)
        ]
        pictures = [result.image for result in run_together(jobs, load_models(jobs[0], "cpu"))]
    scores = []
    for name in by:
        clip = perceptor(name)
        cosines = embed(pictures, clip) @ clip.encode_texts(prompts).T
        own = cosines.diagonal()
        others = (cosines.sum(1) - own) / (len(prompts) - 1)
        named = cosines.argmax(1) == torch.arange(len(prompts))
        scores.append((float((own - others).mean()), float(named.float().mean())))
    return scores


def test_without_augmentation_a_clip_that_met_no_adversary_is_hacked() -> None:
    """Its score rises to where true pictures never are, and to another CLIP the pictures still show next to nothing."""
    (own, named), (other, named_by_other) = scored(unaugmented(JUDGE), 60, JUDGE, GUIDE)
    assert own > 0.3
    assert named == 1
    assert other < 0.25 * own
    assert named_by_other <= 0.5


@pytest.mark.usefixtures("quick_proposals")
def test_with_a_short_default_recipe_the_judge_sees_what_the_guide_sees() -> None:
    (own, named), (judge, named_by_judge) = scored(PRESETS["starter"], 10, GUIDE, JUDGE, prompts=PROMPTS[:4])
    assert min(own, judge) > 0.2
    assert min(named, named_by_judge) >= 0.75


@pytest.mark.slow
def test_with_the_default_recipe_the_judge_sees_what_the_guide_sees() -> None:
    (own, named), (judge, named_by_judge) = scored(PRESETS["starter"], 24, GUIDE, JUDGE)
    assert min(own, judge) > 0.2
    assert min(named, named_by_judge) >= 0.875
