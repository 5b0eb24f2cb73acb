"""The preset photo: who guides, and what each perceptor takes of the prompt."""

from dataclasses import replace
from typing import Any

import pytest

from clipgen.config.choice import networks_of
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.errors import UsageError

CAT = parse_prompts("a cat")
LITE0, LITE1, LITE2 = (f"classifier/efficientnet-lite{size}" for size in range(3))
CLIP32 = "clip/openai-vit-b-32"
GUIDES = {LITE0: 1.0, "starter/clip": 3.0, "starter/clip-fine": 3.0}


def photo(prompt: str, **settings: Any) -> tuple[Plan, list[str]]:
    return resolve(Job(parse_prompts(prompt), **{"preset": "photo", **settings}))


def shares(plan: Plan) -> dict[str, float]:
    return {row.weights: row.weight for row in plan.perceptors}


def heard(plan: Plan) -> tuple[tuple[str, ...], ...]:
    """Return what each network takes; one that guides in several parts of the run takes the same in each."""
    rows: dict[str, tuple[str, ...]] = {}
    for row, texts in zip(plan.perceptors, plan.readings, strict=bool(plan.readings)):
        assert rows.setdefault(row.weights, texts) == texts
    return tuple(rows.values())


@pytest.mark.parametrize(
    ("prompt", "guides", "readings"),
    [
        ("a goldfish in pencil", list(GUIDES), (("goldfish",), ("in pencil",), ("in pencil",))),
        ("a goldfish", [LITE0], (("goldfish",),)),
        ("goldfish", [LITE0], ()),
        ("blue, in pencil", list(GUIDES)[1:], ()),
        ("a goldfish:2|blue:0.5", list(GUIDES), (("goldfish", ""), ("", "blue"), ("", "blue"))),
        ("a blue goldfish|a zebra:-1", list(GUIDES), (("goldfish", "zebra"), ("blue", ""), ("blue", ""))),
        ("a goldfish|blue:-1", list(GUIDES), (("goldfish", ""), ("", "blue"), ("", "blue"))),
        ("a zebra:-1", [LITE0], (("zebra",),)),
    ],
)
def test_perceptors_that_take_nothing_are_left_out_and_the_plan_says_what_the_others_take(
    prompt: str, guides: list[str], readings: tuple[tuple[str, ...], ...]
) -> None:
    plan, notes = photo(prompt)
    assert shares(plan) == {name: GUIDES[name] for name in guides}
    assert heard(plan) == readings
    assert plan.weight_of("prompt") == sum(GUIDES[name] for name in guides)  # losses add up
    assert {row.name for row in plan.models} == set(guides)  # nothing else is loaded
    assert notes == []
    assert Plan.from_json(plan.to_json()) == plan


def test_a_preset_whose_losses_are_averaged_keeps_the_weight_of_the_prompt() -> None:
    plan, _ = resolve(Job(CAT, preset="draft", clips=(f"{CLIP32}:2", "clip/openai-vit-b-16:0.5")))
    assert shares(plan) == {CLIP32: 2.0, "clip/openai-vit-b-16": 0.5}
    assert plan.weight_of("prompt") == 1.0
    assert plan.readings == ()


def test_words_that_nobody_knows_are_left_out() -> None:
    plan, notes = photo("a quixotic goldfish|a quixotic, zany zebra:-1")
    assert notes == []
    assert heard(plan) == (("goldfish", "zebra"),)


@pytest.mark.parametrize("prompt", ["a gryphon", "a gryphon|quixotic:-1", "a gryphon|a goldfish:-1", "with the of"])
def test_a_prompt_of_which_nobody_knows_what_is_wanted_is_refused(prompt: str) -> None:
    with pytest.raises(UsageError, match=r"^preset photo knows nothing that '.*' asks for; .*knows far more$"):
        photo(prompt)


def test_a_name_of_different_things_is_refused_where_a_classifier_guides() -> None:
    with pytest.raises(UsageError, match='"crane" can be'):
        photo("a crane")
    assert resolve(Job(parse_prompts("a crane"), preset="starter"))[0].readings == ()


def test_auto_takes_the_classifier_for_things_that_the_starter_set_does_not_draw() -> None:
    def chosen(prompt: str, **settings: Any) -> tuple[str, str]:
        plan, [reason, *_] = resolve(Job(parse_prompts(prompt), **settings))
        assert reason.startswith(f"preset {plan.preset}: ")
        return plan.preset, plan.backend

    assert chosen("a zebra") == chosen("a cat beside a zebra") == chosen("a zebra|blue:-1") == ("photo", "pixels")
    assert chosen("a cat") == chosen("peace") == chosen("a goldfish at night") == ("starter", "vqgan")
    assert chosen("a cat|a zebra:-1") == ("starter", "vqgan")  # which is not wanted
    assert chosen("a cat", init="a.png") == ("photo", "pixels")
    assert chosen("peace", init="a.png") == ("starter", "vqgan")
    assert chosen("a zebra", start="unclip") == ("starter", "vqgan")
    assert chosen("a zebra", backend="vqgan") == ("photo", "vqgan")
    assert chosen("a cat", classifiers=(LITE1,)) == ("photo", "pixels")
    assert chosen("a zebra", clips=(CLIP32,)) == ("draft", "vqgan")
    assert "knows zebra and teapot; --preset starter" in resolve(Job(parse_prompts("a zebra, a teapot, a zebra")))[1][0]


def test_a_judge_is_no_guide() -> None:
    assert photo("a zebra")[0].judges == (LITE1, LITE2, "starter/judge")
    plan, _ = photo("a zebra", classifiers=(LITE1,))
    assert (list(shares(plan)), plan.judges) == ([LITE1], (LITE2, "starter/judge"))


def test_named_classifiers_take_the_place_of_the_preset_s() -> None:
    plan, _ = photo("a blue zebra", classifiers=(f"{LITE1}:2.5", LITE0))
    assert shares(plan) == {LITE1: 2.5, LITE0: 1.0, "starter/clip": 3.0, "starter/clip-fine": 3.0}
    assert heard(plan) == (("zebra",), ("zebra",), ("blue",), ("blue",))
    assert plan.weight_of("prompt") == 9.5


def test_named_clips_take_the_place_of_all_and_hear_whole_texts() -> None:
    plan, _ = photo("a blue zebra", clips=(f"{CLIP32}:2",))
    assert (shares(plan), plan.readings, plan.weight_of("prompt")) == ({CLIP32: 2.0}, (), 2.0)
    plan, _ = photo("a blue zebra", clips=(f"{CLIP32}:2",), classifiers=(LITE0,))
    assert shares(plan) == {LITE0: 1.0, CLIP32: 2.0}
    assert heard(plan) == (("zebra",), ("a blue zebra",))


def test_a_classifier_named_beside_the_clips_of_a_preset_guides_with_them() -> None:
    plan, _ = resolve(Job(parse_prompts("a blue zebra"), preset="draft", classifiers=(f"{LITE0}:0.5",)))
    assert shares(plan) == {LITE0: 0.5, CLIP32: 1.0}
    assert heard(plan) == (("zebra",), ("a blue zebra",))


def test_a_named_network_brings_its_own_backend() -> None:
    job = Job(parse_prompts("a zebra"), preset="photo", network="vqgan/imagenet-f16-1024")
    plan, _ = resolve(job)
    assert (plan.backend, plan.generator.weights) == ("vqgan", "vqgan/imagenet-f16-1024")
    assert set(networks_of(job)) == set(plan.networks)


def test_a_perceptor_that_was_named_and_takes_nothing_is_mentioned() -> None:
    plan, notes = photo("in pencil", classifiers=(f"{LITE1}:2",))
    assert LITE1 not in shares(plan)
    assert notes == [f"{LITE1} takes nothing of this prompt, so it does not guide"]


def test_too_many_things_are_refused_before_a_run() -> None:
    with pytest.raises(UsageError, match="names 9 things; a classifier looks for up to 8"):
        photo("a dog, a cat, a goldfish, a zebra, a lion, a tiger, a castle, a volcano and a violin")


def test_a_plan_says_what_each_perceptor_takes() -> None:
    plan, _ = resolve(Job(parse_prompts("a cat:2|fog:-0.5"), preset="starter", start="noise"))
    assert plan.texts_of(0) == plan.texts_of(1) == ("a cat", "fog")
    told = replace(plan, readings=(("a cat", ""), ("", "fog")))
    assert (told.texts_of(0), told.texts_of(1)) == (("a cat", ""), ("", "fog"))
    assert Plan.from_json(told.to_json()) == told
