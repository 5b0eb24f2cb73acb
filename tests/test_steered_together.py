"""Steered pictures in lockstep are those that are made alone; nothing is added to runs that are not steered."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from fakes import Recorder, fake_models, plan
from PIL import Image

from clipgen.config.targets import TargetSettings
from clipgen.engine.inputs import Inputs, given_by
from clipgen.engine.optimise import Result, Task, optimise, optimise_together
from clipgen.engine.run import Run


def images() -> Inputs:
    mask = Image.new("L", (48, 32))
    mask.paste(255, (0, 0, 24, 32))
    return Inputs(Image.new("RGB", (48, 32), "gray"), mask, targets=(Image.new("RGB", (20, 20), "blue"),))


STEERED = pytest.mark.parametrize(
    "settings",
    [
        {"targets": ("image:x.png:0.5", "noise:3"), "init": "a.png", "mask": "left"},
        {"targets": ("region:left:blue", "whole-image:x.png")},
        {"targets": ("image:x.png:1..0",), "blend": "mix"},
        {"targets": ("image:x.png",), "blend": "morph"},
    ],
    ids=["edit", "region", "mix", "morph"],
)


@STEERED
def test_steered_pictures_are_the_same_together_as_alone(settings: dict[str, Any]) -> None:
    plans = [plan("red|green", seed=seed, **settings) for seed in (1, 2)]
    given = images() if "init" in settings else replace(images(), init=None, mask=None)
    together = optimise_together([Task(each, given) for each in plans], fake_models())
    for each, one in zip(plans, together, strict=True):
        assert isinstance(one, Result)
        assert one.image.tobytes() == optimise(each, fake_models(), init=given).image.tobytes()


@STEERED
def test_a_steered_run_continues_where_it_was_stopped(settings: dict[str, Any]) -> None:
    asked = plan("red|green", steps=8, **settings)
    inputs = images() if "init" in settings else replace(images(), init=None, mask=None)
    given = given_by([inputs], asked.size, torch.device("cpu"))
    whole = Run([asked], fake_models(), given)
    for done in range(8):
        if done == 3:
            rest = Run([asked], fake_models(), given, snapshots=[whole.snapshot(0)])
        whole.find_gradients()
        whole.update()
    for _ in range(5):
        rest.find_gradients()
        rest.update()
    assert torch.equal(rest.finish()[0].image, whole.finish()[0].image)


def test_a_run_that_is_not_steered_has_the_terms_that_it_always_had() -> None:
    recorder = Recorder()
    optimise(plan("red", start="noise"), fake_models(), [recorder])
    assert all(list(step.terms) == ["prompt"] for step in recorder.steps)
    assert not TargetSettings.parse("noise:3").is_file
