"""Weights of texts that change over the run, and what a run with changing numbers is: recorded, replayed, resumed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fakes import Cli, fake_models
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import clipgen
from clipgen.config.job import Job
from clipgen.config.keyframes import Keyframes
from clipgen.config.plan import Plan
from clipgen.config.prompts import Prompt, parse_prompts, prompt_from_record, prompt_notes, prompt_record, spell_prompts
from clipgen.config.resolve import resolve
from clipgen.config.schedules import Schedule
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session.planning import change_plan

CHANGING = ["red:1..0", "red:-1..0.5:-0.2", "red:1@0%,0@50%", "red:1@0,0@200:0.3", "red:0..1"]
SMALL = ("--size", "32x32", "--steps", "8", "--seed", "1", "--start", "noise", "--preset", "starter")
EVERYTHING = (
    *("red:1..0|blue:0@0,1@4", "--lr", "0.1..0.02", "--cutouts", "2@0,4@4", "--loss", "symmetry:8@0,1@50%"),
    *("--loss", "saturation:-2..2", "--at", "2", "green:0.5..1", "--at", "75%", "white", "--cross-fade", "2"),
)


@pytest.mark.parametrize("text", CHANGING)
def test_a_changing_weight_is_read_spelled_and_recorded(text: str) -> None:
    [prompt] = parse_prompts(text)
    assert (prompt.text, prompt.weight) == ("red", prompt.schedule.start if prompt.schedule else None)
    assert spell_prompts([prompt]) == text
    assert prompt_from_record(prompt_record(prompt)) == prompt
    assert prompt_record(prompt)["schedule"] == str(prompt.schedule)
    assert Job.from_json(Job((prompt,)).to_json()).prompts == (prompt,)


def test_what_is_a_text_stays_one() -> None:
    for text in ("Area:1900..2049", "me:a@b", "a:1@0,x@5", "a:1..", "a:..2", "x:1,5", "a:1@0%%"):
        assert parse_prompts(text) == (Prompt(text),)
    assert prompt_record(Prompt("a")) == {"text": "a", "weight": 1.0, "stop": None}
    assert "one that changes looks like" in prompt_notes(parse_prompts("a:1@0,x@5"))[0]
    assert parse_prompts("a:3@40%") == (Prompt("a", 3.0),)


@given(st.sampled_from(["a:1..0", "at 12:05..7", "b:1@0,2@50%:3", "c:1..0:1", "d 5"]), st.sampled_from([1.0, 0.5]))
def test_a_text_that_ends_like_a_changing_weight_is_spelled_so_that_it_stays_text(text: str, weight: float) -> None:
    for prompt in (Prompt(text, weight), Prompt(text, schedule=Schedule("cosine", 0.5, 2.0)), Prompt(text, 2.0, 0.5)):
        assert parse_prompts(str(prompt)) == (prompt,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("red:1@50%,0@20%", "the weight of 'red': 20% is before 50%"),
        ("red:1@0,0@150%", "the weight of 'red': 150% is beyond the end"),
        ("red:0..0", "every weight of the prompt is 0"),
        ("red:1@0,0@9", "the weight of 'red': step 9 is beyond the end of the run of 8 steps"),
    ],
)
def test_a_changing_weight_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(Job(parse_prompts(text), preset="starter", steps=8))


@pytest.mark.parametrize("schedule", [5, None, "navy", "1@50%,0@20%"])
def test_a_record_of_a_schedule_that_is_none_is_refused(schedule: object) -> None:
    with pytest.raises(UsageError, match="prompt: the schedule"):
        prompt_from_record({"text": "red", "schedule": schedule})


def test_a_plan_has_no_steps_left_in_its_weights() -> None:
    [prompt] = parse_prompts("red:1@0,0@4")
    assert isinstance(prompt.schedule, Keyframes)
    made = resolve(Job((prompt,), preset="starter", steps=8))[0]
    assert made.text == "red:1@0%,0@50%"
    with pytest.raises(UsageError, match="the weight of 'red' must count in percent"):
        replace(made, prompts=(prompt,))


def test_a_changing_weight_starts_from_noise_and_has_the_learning_rate_of_a_story() -> None:
    constant, changing = (resolve(Job(parse_prompts(text), preset="starter"))[0] for text in ("red", "red:1..0.5"))
    assert (constant.start, changing.start, changing.unclip) == ("unclip", "noise", ())
    assert changing.lr_schedule.at(0.9) == changing.lr_schedule.at(0.1)
    with pytest.raises(UsageError, match="a weight that changes over the run does not go with start unclip"):
        resolve(Job(parse_prompts("red:1..0.5"), preset="starter", start="unclip"))
    assert change_plan(constant, {"prompts": changing.prompts}, "cpu")[0] == changing
    assert change_plan(changing, {"prompts": constant.prompts}, "cpu")[0].start == "noise"


def test_everything_that_changes_is_recorded_replayed_and_shown(cli: Cli) -> None:
    made = cli(*EVERYTHING, *SMALL)
    assert made.exit_code == 0, made.stderr
    picture = made.stdout.strip()
    recorded = read_recipe(Path(picture)).plan
    assert recorded.text == "red:1..0|blue:0@0%,1@50% ^ green:0.5..1 ^ white"
    assert [prompt.span for prompt in recorded.prompts] == [(0, 0.25), (0, 0.25), (0.25, 0.75), (0.75, 1)]
    assert recorded.cross_fade == 0.25
    shown = cli("info", picture).stdout
    for text in ("0.1..0.02", "2@0%,4@50%", "symmetry:8@0%,1@50%", "0%, 25%, 75%", "cross-fade"):
        assert text in shown
    again = cli("replay", picture).stdout.strip()
    assert Image.open(again).tobytes() == Image.open(picture).tobytes()
    assert read_recipe(Path(again)).plan == recorded


def test_a_run_of_everything_that_is_resumed_is_the_one_that_was_not_stopped() -> None:
    asked = everything()
    whole = Run([asked], fake_models("pixels"))
    steps(whole, 3)
    rest = Run([asked], fake_models("pixels"), snapshots=[whole.snapshot(0)])
    for run in (whole, rest):
        steps(run, asked.steps - run.done)
    assert torch.equal(whole.finish()[0].image, rest.finish()[0].image)


def everything() -> Plan:
    job = Job(
        parse_prompts("red:1..0|blue:0@0,1@4 ^ green:0.5..1 ^ white"),
        backend="pixels",
        preset="starter",
        size=(48, 32),
        steps=8,
        lr="0.1..0.02",
        cutouts="2@0,4@4",
        losses=("symmetry:8@0,1@50%",),
        at=("0", "2", "75%"),
        cross_fade="2",
    )
    return resolve(job)[0]


def steps(run: Run, count: int) -> None:
    for _ in range(count):
        run.find_gradients()
        run.update()


def test_python_takes_the_same_texts(cli: Cli) -> None:
    made = clipgen.generate(
        "red:1..0",
        size=32,
        steps=4,
        preset="starter",
        start="noise",
        lr="0.1..0.02",
        cutouts="2..4",
        at=[(2, "blue"), ("75%", "white")],
        cross_fade=1,
    ).plan
    assert made.text == "red:1..0 ^ blue ^ white"
    assert [prompt.since for prompt in made.prompts] == [0, 0.5, 0.75]
    assert (made.cutouts_at(0.0), made.cutouts, made.lr, made.cross_fade) == (2, 4, 0.1, 0.25)
    job = Job(parse_prompts("red ^ blue"), preset="starter", size=(32, 32), steps=2, cutouts=2, at=("0", "1"))
    assert clipgen.generate(job, prompts="white ^ red ^ blue").plan.text == "white ^ red ^ blue"
    assert clipgen.generate(job).plan.prompts[1].since == 0.5
    with pytest.raises(UsageError, match="at must be pairs of a place and a text"):
        clipgen.generate("red", at=["spring"])
