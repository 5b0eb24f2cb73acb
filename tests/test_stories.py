"""Stories: scenes that follow each other in one run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import Cli, Recorder, fake_models, plan
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import Prompt, parse_prompts, prompt_from_record, prompt_record, spell_prompts
from clipgen.config.resolve import resolve
from clipgen.engine.optimise import optimise
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session.planning import change_plan

SMALL = ("--size", "32x32", "--steps", "9", "--cutouts", "2", "--seed", "1")
STORY = "red ^ green:2|blue:-0.5 ^ blue"


def test_scenes_take_equal_parts_of_the_run() -> None:
    prompts = parse_prompts(STORY)
    assert [prompt.text for prompt in prompts] == ["red", "green", "blue", "blue"]
    assert [prompt.span for prompt in prompts] == [(0, 1 / 3), (1 / 3, 2 / 3), (1 / 3, 2 / 3), (2 / 3, 1)]
    assert spell_prompts(prompts) == STORY
    assert parse_prompts("a^2 ^b") == (Prompt("a^2 ^b"),)


@given(st.lists(st.lists(st.sampled_from(["a cat", "fog:-0.5", "x:2:0.5"]), min_size=1, max_size=3), min_size=1))
def test_a_story_is_read_as_it_is_spelled(scenes: list[list[str]]) -> None:
    text = " ^ ".join("|".join(["red", *scene]) for scene in scenes[:12])
    prompts = parse_prompts(text)
    assert spell_prompts(prompts) == text
    assert Job.from_json(Job(prompts).to_json()).prompts == prompts
    assert tuple(prompt_from_record(prompt_record(one)) for one in prompts) == prompts


def test_a_record_without_scenes_is_as_it_was() -> None:
    assert prompt_record(Prompt("a cat")) == {"text": "a cat", "weight": 1.0, "stop": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("red ^ ", "the prompt is empty"),
        (" ^ red", "the prompt is empty"),
        ("red:0 ^ blue", "no text with a weight counts at 0% of the run"),
        ("red ^ blue:0 ^ green", "no text with a weight counts at 33% of the run"),
        ("red ^ blue ^ green:0", "no text with a weight counts at 67% of the run"),
        (" ^ ".join(["red"] * 65), "the prompt must have 1 to 64 texts, got 65"),
    ],
)
def test_a_story_with_a_hole_is_refused(cli: Cli, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Job(parse_prompts(text))
    result = cli(text)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert not list(Path().iterdir())


@pytest.mark.parametrize(("since", "until"), [(0.5, 0.5), (0.7, 0.2), (-0.1, 1.0), (0.0, 1.5), (0.0, float("nan"))])
def test_a_scene_ends_after_it_begins(since: float, until: float) -> None:
    with pytest.raises(UsageError, match=r"a prompt's|a prompt must end after it begins"):
        prompt_from_record({"text": "red", "weight": 1.0, "stop": None, "since": since, "until": until})


def made(text: str, **settings: object) -> Plan:
    return plan(text, backend="pixels", start="noise", **settings)


def test_each_scene_pulls_while_it_lasts_and_no_longer() -> None:
    recorder = Recorder()
    optimise(plan("red ^ green ^ blue", start="noise", steps=60), fake_models(), [recorder])
    means = [step.image.mean((1, 2)) for step in recorder.steps]
    assert [int(means[index].argmax()) for index in (20, 40, 60)] == [0, 1, 2]


def test_the_score_and_the_loss_are_those_of_the_scene() -> None:
    run = Run([made("red ^ blue", steps=4)], fake_models("pixels"))
    red, blue = (Run([made(text, steps=4)], fake_models("pixels")) for text in ("red", "blue"))
    images = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    for done, alone in ((0, red), (1, red), (2, blue), (4, blue)):
        run.loop.done = alone.loop.done = done
        mine, theirs = run.loop.measure(images), alone.loop.measure(images)
        torch.testing.assert_close(mine.losses, theirs.losses)
        torch.testing.assert_close(mine.scores, theirs.scores)


def test_pictures_in_lockstep_keep_to_their_own_scenes() -> None:
    plans = [made("red ^ blue|green:-1", steps=4), made("green", steps=4, seed=2)]
    together = Run(plans, fake_models("pixels"))
    for row, one in enumerate(plans):
        alone = Run([one], fake_models("pixels"))
        for _ in range(4):
            alone.find_gradients()
            alone.update()
        if row == 0:
            for _ in range(4):
                together.find_gradients()
                together.update()
        assert torch.equal(together.loop.generator.decode()[row], alone.loop.generator.decode()[0])


def test_a_story_starts_from_noise_and_gets_as_many_steps_a_scene() -> None:
    one, _ = resolve(Job(parse_prompts("a cat"), preset="starter", start="noise"))
    three, _ = resolve(Job(parse_prompts("a cat ^ a dog ^ a fish"), preset="starter"))
    assert (three.start, three.unclip, three.steps) == ("noise", (), 3 * one.steps)
    assert three.lr_schedule.at(0.9) == three.lr_schedule.at(0.1)
    with pytest.raises(UsageError, match=r"a story does not go with start unclip of preset starter.*use --start noise"):
        resolve(Job(parse_prompts("a cat ^ a dog"), preset="starter", start="unclip"))
    over, _ = resolve(Job(parse_prompts("a cat ^ a dog"), preset="starter", init="photo.png"))
    assert (over.start, over.unclip, over.cutouts) == ("init", (), one.cutouts)


def test_a_story_is_recorded_replayed_and_resumed(cli: Cli) -> None:
    done = cli("red ^ blue", *SMALL, "--keep-state")
    assert done.exit_code == 0, done.stderr
    picture = Path(done.stdout.strip())
    assert picture.name == "red-blue-1.png"
    assert read_recipe(picture).plan.text == "red ^ blue"
    again = Path(cli("replay", str(picture)).stdout.strip())
    assert np.array_equal(Image.open(again), Image.open(picture))
    assert cli("resume", str(picture), "--steps", "+3").exit_code == 0
    assert read_recipe(picture).steps_done == 12


def test_a_replay_as_a_story_or_as_no_story_is_planned_anew() -> None:
    one, _ = resolve(Job(parse_prompts("red"), preset="starter"), device="cpu")
    story, _, _ = change_plan(one, {"prompts": parse_prompts("red ^ blue")}, "cpu")
    assert story == replace(resolve(Job(parse_prompts("red ^ blue"), preset="starter"), device="cpu")[0], size=one.size)
    again, _, _ = change_plan(story, {"prompts": parse_prompts("red")}, "cpu")
    assert (again.text, len({prompt.span for prompt in again.prompts})) == ("red", 1)
    assert again.lr_schedule == one.lr_schedule
    same, _, _ = change_plan(story, {"prompts": parse_prompts("blue ^ red")}, "cpu")
    assert same == replace(story, prompts=same.prompts)
