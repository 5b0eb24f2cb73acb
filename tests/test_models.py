"""The models of a plan are those that it names, and what it names for what it is not is refused."""

from dataclasses import replace
from typing import Any

import pytest

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.settings import PerceptorSettings
from clipgen.engine.models import load_judges, load_models
from clipgen.errors import UsageError


def made(backend: str = "vqgan", **generator: Any) -> Plan:
    plan = resolve(Job(parse_prompts("red"), backend, "starter", start="noise"))[0]
    return replace(plan, generator=replace(plan.generator, **generator))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (made(weights="starter/clip"), "kind 'clip' is not a generator"),
        (made(weights="starter/dvae"), "starter/dvae must be a vqgan with cells of 8 pixels, and is a dvae"),
        (made("dvae", weights="starter/vqgan"), "starter/vqgan must be a dvae with cells of 8 pixels, and is a vqgan"),
        (made(stride=16), "cells of 16 pixels, and is a vqgan with cells of 8 pixels"),
        (made(weights=""), "backend vqgan has a network, got ''"),
        (made("pixels", weights="starter/vqgan"), "backend pixels has no network, got 'starter/vqgan'"),
        (replace(made(), perceptors=(PerceptorSettings("starter/vqgan"),)), "kind 'vqgan' is not a CLIP"),
    ],
)
def test_models_that_are_not_what_the_plan_takes_them_for_are_refused(plan: Plan, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_models(plan, "cpu")


def test_a_classifier_that_guides_with_cutouts_of_several_sizes_is_one_network() -> None:
    plan, _ = resolve(Job(parse_prompts("a zebra"), preset="photo"))
    guides = load_models(plan, "cpu").guides
    assert [guide.perceptor.size for guide in guides] == [128, 160, 224]
    assert len({id(guide.perceptor.network) for guide in guides}) == 1  # type: ignore[attr-defined]
    assert [(guide.settings.since, guide.settings.until) for guide in guides] == [(0, 0.25), (0.25, 0.5), (0.5, 1)]


def test_a_clip_takes_cutouts_of_its_own_size_only() -> None:
    plan = replace(made(), perceptors=(PerceptorSettings("starter/clip", scale=0.5),))
    with pytest.raises(UsageError, match="starter/clip takes cutouts of one size only"):
        load_models(plan, "cpu")


def test_a_judge_that_is_no_clip_is_refused() -> None:
    plan = replace(made("pixels"), judges=("starter/vqgan",))
    with pytest.raises(UsageError, match="kind 'vqgan' is not a CLIP"):
        load_judges(plan, load_models(plan, "cpu"))


@pytest.mark.parametrize("backend", ["vqgan", "dvae", "pixels", "strokes"])
def test_the_models_of_every_backend_load(backend: str) -> None:
    models = load_models(made(backend), "cpu")
    assert any(True for _ in models.network.parameters()) == (backend not in ("pixels", "strokes"))
    assert [guide.settings for guide in models.guides] == list(made(backend).perceptors)
