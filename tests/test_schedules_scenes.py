"""Scenes that begin at chosen moments, and fade into each other."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fakes import Cli, fake_models, plan
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipgen.cli.story_options import joined_scenes
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.stories import with_scenes
from clipgen.core.losses import encode_targets
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session.planning import change_plan
from clipgen.session.reading_plans import job_of

SMALL = ("--size", "32x32", "--steps", "8", "--cutouts", "2", "--seed", "1", "--preset", "starter")


def story(text: str = "red ^ green ^ blue", at: tuple[str, ...] = ("0", "2", "75%"), **settings: object) -> Plan:
    asked = {"preset": "starter", "backend": "pixels", "steps": 8, "size": (48, 32), "cutouts": 2, **settings}
    return resolve(Job(parse_prompts(text), at=at, **asked))[0]


def spans(made: Plan) -> list[tuple[float, float]]:
    return [prompt.span for prompt in made.prompts]


def test_scenes_begin_at_steps_and_percentages() -> None:
    assert spans(story()) == [(0, 0.25), (0.25, 0.75), (0.75, 1)]
    assert spans(story("red|white ^ blue", ("0", "12.5%"))) == [(0, 0.125), (0, 0.125), (0.125, 1)]
    assert story().text == "red ^ green ^ blue"
    assert Plan.from_json(story().to_json()) == story()
    assert resolve(job_of(story(cross_fade="2")))[0] == story(cross_fade="25%")


@pytest.mark.parametrize(
    ("prompt", "scenes", "told"),
    [
        ("red", [("200", "blue")], ("red ^ blue", ("0", "200"))),
        (None, [("0", "red|fog:-1"), ("50%", "blue")], ("red|fog:-1 ^ blue", ("0", "50%"))),
        ("", [("0%", "red")], ("red", ("0%",))),
        ("red", [], ("red", ())),
        (None, [], (None, ())),
    ],
)
def test_scenes_make_a_story(prompt: str | None, scenes: list[tuple[str, str]], told: tuple[str, ...]) -> None:
    assert with_scenes(prompt, scenes) == told


@pytest.mark.parametrize(
    ("typed", "joined"),
    [
        (["--at", "0", "a cat", "--at", "9", "x", "-q"], ["--at", "0 a cat", "--at", "9 x", "-q"]),
        (["--at=0", "cat", "--at", "0 cat", "dog"], ["--at=0 cat", "--at", "0 cat", "dog"]),
        (["--at", "0", "--steps", "3"], ["--at", "0", "--steps", "3"]),
        (["a", "--", "--at", "0", "x"], ["a", "--", "--at", "0", "x"]),
        (["--at"], ["--at"]),
    ],
)
def test_the_two_values_of_a_scene_are_taken_as_one(typed: list[str], joined: list[str]) -> None:
    assert joined_scenes(typed) == joined


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--at", "200", "autumn"), "--at 200 needs a scene before it; give a prompt, or --at 0 TEXT"),
        (("--at", "0", "a", "--at", "9", "b"), "--at: step 9 is beyond the end of the run of 8 steps"),
        (("red", "--at", "8", "b"), "--at 8 is the end of the run"),
        (("red", "--at", "50%", "a", "--at", "20%", "b"), "--at: 20% is before 50%; put them in order"),
        (("red", "--at", "4", "a", "--at", "50%", "b"), "--at: 4 and 50% are the same moment"),
        (("red", "--at", "101%", "a"), "--at: 101% is beyond the end of the run, which is 100%"),
        (("red", "--at", "50%"), "--at 50% has no text; say what to draw, as in --at 50% autumn"),
        (("red", "--at", "-4", "a"), "--at must name a step such as 200"),
        (("red", "--at", "autumn", "4"), "or a part of the run such as 50%, got 'autumn'"),
        (("red", "--at", "0", "a"), "--at 0 and the prompt 'red' are both the first scene; leave one out"),
        (("red ^ blue", "--at", "4", "a"), "'red ^ blue' has scenes of its own"),
        (("red", "--at", "4", "a ^"), "'a ^' has scenes of its own"),
        (("red", "--at", "4", "blue:0"), "no text with a weight counts at 50% of the run"),
        (("red", "--cross-fade", "10%"), "--cross-fade 10% needs scenes that fade into each other"),
        (("red", "--at", "2", "blue", "--cross-fade", "3"), "--cross-fade of 37.5% is longer than the shortest"),
        (("red ^ blue", "--cross-fade", "some"), "--cross-fade must name a step such as 200"),
        (("red ^ blue", "--cross-fade", "9"), "--cross-fade: step 9 is beyond the end"),
    ],
)  # fmt: skip
def test_scenes_that_cannot_be_are_refused_in_one_line(cli: Cli, args: tuple[str, ...], message: str) -> None:
    result = cli(*args, *SMALL)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(Path().iterdir())


def weights(made: Plan, progress: float) -> list[float]:
    """What each text weighs at a moment, as the losses see it."""
    run = Run([made], fake_models("pixels"))
    perceptors = [guide.perceptor for guide in fake_models("pixels").guides]
    readings = [[made.texts_of(0)]]
    targets = encode_targets(perceptors, [1.0], [made.prompts], readings, torch.device("cpu"), made.cross_fade)
    assert run.total == made.steps
    return targets.at(progress).weights[0][0].tolist()


def test_scenes_change_at_once_by_default() -> None:
    assert [weights(story(), step / 8) for step in (0, 1, 2, 5, 6, 8)] == [
        *([[1, 0, 0]] * 2),
        *([[0, 1, 0]] * 2),
        *([[0, 0, 1]] * 2),
    ]


def test_scenes_fade_into_each_other_around_each_change() -> None:
    made = story("red:2 ^ green:-1 ^ blue", cross_fade="2")
    seen = [weights(made, progress) for progress in (0.0, 0.125, 0.1875, 0.25, 0.375, 0.5, 0.75, 1.0)]
    assert seen == [
        [2, 0, 0],
        [2, 0, 0],
        [1.5, -0.25, 0],
        [1, -0.5, 0],
        [0, -1, 0],
        [0, -1, 0],
        [0, -0.5, 0.5],
        [0, 0, 1],
    ]


@given(st.floats(0, 1), st.floats(0, 0.25))
def test_the_shares_of_all_scenes_are_together_one(progress: float, fade: float) -> None:
    shares = [prompt.share_at(fade, progress) for prompt in story().prompts]
    assert sum(shares) == pytest.approx(1)
    assert all(0 <= share <= 1 for share in shares)


def test_a_fade_is_followed_by_the_loss_that_is_minimised() -> None:
    faded, mixed = (Run([made], fake_models("pixels")) for made in (story(cross_fade="2"), mixture()))
    images = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    faded.loop.done = mixed.loop.done = 2
    assert torch.equal(faded.loop.measure(images).losses, mixed.loop.measure(images).losses)


def mixture() -> Plan:
    return plan("red:0.5|green:0.5|blue:0", backend="pixels", start="noise", cutouts=2, steps=8)


def test_pictures_in_lockstep_fade_as_they_do_alone() -> None:
    plans = [story(cross_fade="2"), replace(story("blue ^ red|white:-1 ^ green", cross_fade="2"), seed=5)]
    together = Run(plans, fake_models("pixels"))
    advance(together)
    for row, one in enumerate(plans):
        alone = Run([one], fake_models("pixels"))
        advance(alone)
        assert torch.equal(together.loop.generator.decode()[row], alone.loop.generator.decode()[0])


def advance(run: Run) -> None:
    for _ in range(run.total):
        run.find_gradients()
        run.update()


def test_scenes_are_typed_recorded_replayed_and_resumed(cli: Cli) -> None:
    made = cli("--at", "0", "red", "--at", "2", "green", "--at", "75%", "blue", *SMALL, "--keep-state")
    assert made.exit_code == 0, made.stderr
    picture = made.stdout.strip()
    assert Path(picture).name == "red-green-blue-1.png"
    assert spans(read_recipe(Path(picture)).plan) == spans(story())
    again = cli("replay", picture).stdout.strip()
    assert Image.open(again).tobytes() == Image.open(picture).tobytes()
    assert cli("resume", picture, "--steps", "+4").exit_code == 0
    assert read_recipe(Path(picture)).steps_done == 12


def test_a_replay_can_change_the_scenes(cli: Cli) -> None:
    picture = cli("red", *SMALL, "--start", "noise").stdout.strip()

    def replayed(*args: str) -> Plan:
        result = cli("replay", picture, *args)
        assert result.exit_code == 0, result.stderr
        return read_recipe(Path(result.stdout.strip())).plan

    told = replayed("--at", "50%", "blue", "--steps", "10", "--cross-fade", "2")
    assert (told.text, spans(told), told.cross_fade) == ("red ^ blue", [(0, 0.5), (0.5, 1)], 0.2)
    other = replayed("--at", "0", "white", "--at", "4", "blue", "--steps", "16")
    assert (other.text, spans(other)) == ("white ^ blue", [(0, 0.25), (0.25, 1)])


def test_a_replay_with_one_scene_or_other_moments_keeps_what_fits() -> None:
    made = story(cross_fade="25%")
    assert change_plan(made, {"prompts": parse_prompts("red")}, "cpu")[0].cross_fade == 0.0
    moved = change_plan(made, {"prompts": made.prompts, "at": ("0", "4", "6"), "cross_fade": "1"}, "cpu")[0]
    assert (spans(moved), moved.cross_fade) == ([(0, 0.5), (0.5, 0.75), (0.75, 1)], 0.125)
    assert replace(moved, prompts=made.prompts, cross_fade=0.25) == made


def test_job_files_and_lines_of_a_batch_have_scenes(cli: Cli) -> None:
    Path("job.toml").write_text('at = ["0 red", "50% blue"]\ncross-fade = "2"\n', encoding="utf-8")
    made = cli("run", "job.toml", *SMALL)
    assert made.exit_code == 0, made.stderr
    recorded = read_recipe(Path(made.stdout.strip())).plan
    assert (recorded.text, spans(recorded), recorded.cross_fade) == ("red ^ blue", [(0, 0.5), (0.5, 1)], 0.25)
    Path("lines.txt").write_text("--at 2 'blue|green:0.5' --cross-fade 10% :: red\nwhite\n", encoding="utf-8")
    made = cli("batch", "lines.txt", *SMALL[:-4], "--preset", "starter", "--start", "noise", "-o", "batch")
    assert made.exit_code == 0, made.stderr
    plans = {recipe.text: recipe for recipe in (read_recipe(path).plan for path in Path("batch").glob("*.png"))}
    assert sorted(plans) == ["red ^ blue|green:0.5", "white"]
    assert spans(plans["red ^ blue|green:0.5"])[0] == (0, 0.25)


def test_a_place_for_each_scene() -> None:
    with pytest.raises(UsageError, match="--at must name a place for each of 2 scenes, got 1"):
        Job(parse_prompts("red ^ blue"), at=("0",))
    with pytest.raises(UsageError, match="--at 10% is not the beginning"):
        story("red ^ blue", ("10%", "50%"))
