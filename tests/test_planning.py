"""From plans back to jobs, and from plans with changes to plans, where perceptors share the prompt."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.session.planning import change_plan, plan_job
from clipgen.session.reading_plans import init_weight_of, job_of

LITE0, LITE1, LITE2 = (f"classifier/efficientnet-lite{size}" for size in range(3))
CLIP32 = "clip/openai-vit-b-32"
PROMPT = "a blue zebra:2|in pencil:0.5|a teapot:-0.3:-.2"
STARTERS = ["starter/clip", "starter/clip-fine"]

CASES: list[dict[str, Any]] = [
    {},
    {"backend": "vqgan"},
    {"backend": "dvae", "steps": 7, "lr": 0.3, "cutouts": 3, "size": (64, 32), "seed": 2**63 - 1},
    {"init": "a.png"},
    {"init": "a.png", "init_weight": 0.3},
    {"init": "a.png", "init_weight": 0.0},
    {"classifiers": (LITE1,)},
    {"classifiers": (f"{LITE1}:2.5", LITE0)},
    {"classifiers": (f"{LITE0}:{1 / 3!r}",), "init": "a.png", "init_weight": 2.0},
    {"clips": (f"{CLIP32}:2",)},
    {"clips": (f"{CLIP32}:2", "clip/openai-rn50"), "classifiers": (LITE0,)},
    {"network": "vqgan/imagenet-f16-1024"},
    {"preset": "draft", "classifiers": (f"{LITE0}:0.5",)},
    {"preset": "draft", "clips": (f"{CLIP32}:0.1",)},
]


def planned(prompt: str = PROMPT, **settings: Any) -> Plan:
    return resolve(Job(parse_prompts(prompt), **{"preset": "photo", **settings}))[0]


def changed(plan: Plan, **changes: Any) -> Plan:
    return change_plan(plan, changes, "cpu")[0]


def guides(plan: Plan) -> list[str]:
    return list(dict.fromkeys(row.weights for row in plan.perceptors))


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_the_job_of_a_plan_asks_for_that_plan(settings: dict[str, Any]) -> None:
    plan = planned(**settings)
    job = job_of(plan)
    assert resolve(job)[0] == plan
    assert job_of(resolve(job)[0]) == job
    assert Job.from_json(job.to_json()) == job
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("prompt", ["a zebra", "zebra", "in pencil", "a zebra|blue:-1"])
def test_the_job_of_a_plan_names_no_perceptor_where_those_of_the_preset_guide(prompt: str) -> None:
    job = job_of(planned(prompt))
    assert (job.clips, job.classifiers) == ((), ())


def test_a_prompt_that_changes_is_shared_anew() -> None:
    plan = planned("a zebra", seed=5, steps=7, lr=0.2, cutouts=2, size=(40, 30))
    assert (guides(plan), plan.weight_of("prompt")) == ([LITE0], 1.0)
    other = changed(plan, prompts=parse_prompts("a blue teapot"))
    assert guides(other) == [LITE0, *STARTERS]
    assert other.readings == (("teapot",),) * 3 + (("blue",),) * 2  # the classifier guides in three parts of the run
    assert other.weight_of("prompt") == 7.0
    kept = ("seed", "steps", "lr", "cutouts", "size", "backend", "preset", "generator", "augmentations", "judges")
    assert {name: getattr(other, name) for name in kept} == {name: getattr(plan, name) for name in kept}
    assert changed(other, prompts=plan.prompts) == plan
    words = changed(plan, prompts=parse_prompts("in pencil"))
    assert (guides(words), words.readings, words.weight_of("prompt")) == (STARTERS, (), 6.0)
    assert changed(words, prompts=plan.prompts) == plan


def test_classifiers_that_a_job_named_share_the_next_prompt() -> None:
    plan = planned("a zebra", classifiers=(f"{LITE1}:2",))
    other = changed(plan, prompts=parse_prompts("a blue teapot"))
    assert guides(other) == [LITE1, *STARTERS]
    assert (other.weight_of("prompt"), other.judges) == (8.0, (LITE2, "starter/judge"))


def test_settings_that_say_nothing_of_the_prompt_leave_the_readings() -> None:
    plan = planned()
    other = changed(plan, seed=7, steps=3, size=(64, 48), lr=0.5, cutouts=2)
    assert other == replace(plan, seed=7, steps=3, size=(64, 48), lr=0.5, cutouts=2)
    assert changed(plan) == plan


def test_another_preset_reads_the_prompt_in_its_own_way() -> None:
    plan = changed(planned(), preset="starter")
    assert (guides(plan), plan.readings, plan.backend) == (STARTERS, (), "pixels")
    assert changed(plan, preset="photo").readings == planned().readings
    named = changed(planned(), classifiers=(LITE1,))
    assert (guides(named), named.judges) == ([LITE1, *STARTERS], (LITE2, "starter/judge"))


def test_a_photograph_is_held_by_its_layout(tmp_path: Path) -> None:
    path = str(tmp_path / "a.png")
    Image.new("RGB", (64, 32), "blue").save(path)
    plan, init, _ = plan_job(Job(parse_prompts("a zebra"), init=path), "cpu")
    assert init is not None
    assert (plan.preset, plan.weight_of("layout")) == ("photo", 1.5)
    assert plan.size[0] == pytest.approx(2 * plan.size[1], rel=0.02)
    looser = change_plan(plan, {"init": path, "init_weight": 0.5}, "cpu")[0]
    assert looser.weight_of("layout") == 0.75
    assert {row.name: row for row in looser.losses}.keys() == {row.name: row for row in plan.losses}.keys()
    free = change_plan(plan, {"init": path, "init_weight": 0.0}, "cpu")[0]
    assert "layout" not in [row.name for row in free.losses]
    without = changed(plan, start="noise")
    assert (without.init, without.start, "layout" in [row.name for row in without.losses]) == ("", "noise", False)


def test_another_backend_leaves_the_perceptors() -> None:
    plan = changed(planned("a zebra", classifiers=(f"{LITE1}:0.5",)), backend="vqgan")
    assert ({row.weights: row.weight for row in plan.perceptors}, plan.backend) == ({LITE1: 0.5}, "vqgan")


def test_a_prompt_without_a_thing_leaves_out_the_classifier_beside_a_clip() -> None:
    job = Job(parse_prompts("zebra"), preset="draft", classifiers=(LITE0,))
    plan = changed(resolve(job)[0], prompts=parse_prompts("a city at night"))
    assert guides(plan) == ["clip/openai-vit-b-32"]


def test_info_can_tell_how_strongly_a_photograph_holds() -> None:
    plan = resolve(Job(parse_prompts("a zebra"), init="a.png"))[0]
    assert init_weight_of(plan) == 1.0
    assert init_weight_of(resolve(Job(parse_prompts("a zebra"), init="a.png", init_weight=0.25))[0]) == 0.25
