"""Numbers that change over a run, as they are typed, recorded and followed."""

import json
from dataclasses import replace

import pytest
import torch
from fakes import fake_models, plan
from hypothesis import given
from hypothesis import strategies as st

from clipgen.config.job import Job
from clipgen.config.keyframes import Keyframes, Place, read_schedule
from clipgen.config.loss_settings import LossSettings
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.schedules import Schedule, read_percent, spell_percent
from clipgen.engine.run import Run
from clipgen.errors import UsageError
from clipgen.session.planning import change_plan
from clipgen.session.reading_plans import job_of

shares = st.floats(0, 1)
points = st.lists(shares, min_size=1, max_size=6, unique=True).flatmap(
    lambda places: st.tuples(*(st.tuples(st.just(place), st.floats(-1e6, 1e6)) for place in sorted(places)))
)


def read(text: str, steps: int = 400) -> Schedule:
    typed = read_schedule(text, "--flag")
    assert typed is not None
    return typed.over(steps, "--flag")


def test_values_at_keyframes_between_them_and_outside_of_them() -> None:
    schedule = read("8@25%,1@50%,4@100%")
    seen = [schedule.at(progress) for progress in (0.0, 0.25, 0.375, 0.5, 0.75, 1.0)]
    assert seen == [8, 8, 4.5, 1, 2.5, 4]
    assert read("3@40%").at(0.0) == read("3@40%").at(1.0) == 3


def test_steps_percentages_and_shares_name_the_same_moments() -> None:
    assert read("8@0,1@200,4@400") == read("8@0%,1@50%,4@100%") == read("8@0.0,1@0.5,4@1.0") == read("8@0, 1@200,4@1.0")
    assert read("8@0,1@1").points[1][0] == 1 / 400
    assert (read("1@0,2@33%", 300), read("1@0,2@99", 300)) == (read("1@0,2@99", 300), read("1@0,2@.33"))


@given(points)
def test_keyframes_pass_through_their_points_and_survive_text_and_json(
    points: tuple[tuple[float, float], ...],
) -> None:
    schedule = Schedule.keyframes(points)
    assert [schedule.at(progress) for progress, _ in points] == [value for _, value in points]
    assert read_schedule(str(schedule), "--flag") == schedule
    made = replace(made_plan(), losses=(LossSettings("saturation", schedule), LossSettings("prompt", schedule)))
    assert Plan.from_json(made.to_json()) == made
    assert LossSettings.parse(str(made.losses[0])) == made.losses[0]


@given(shares)
def test_a_percentage_is_read_as_it_is_spelled(share: float) -> None:
    assert read_percent(spell_percent(share)[:-1]) == share


def test_a_straight_line_is_spelled_as_the_keyframes_that_it_is() -> None:
    line = Schedule("linear", 8.0, 1.0)
    assert str(line) == "8@0%,1@100%"
    assert [read(str(line)).at(step / 8) for step in range(9)] == [line.at(step / 8) for step in range(9)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8@50%,1@20%", "--flag: 20% is before 50%; put them in order"),
        ("8@200,1@20%", "--flag: 20% is before 200; put them in order"),
        ("8@50%,1@200", "--flag: 50% and 200 are the same moment; leave one out"),
        ("8@0,1@401", "--flag: step 401 is beyond the end of the run of 400 steps"),
        ("8@0,1@101%", "--flag: 101% is beyond the end of the run"),
        ("8@0,1@1.5", "--flag: 1.5 is beyond the end of the run"),
        ("8@0,@50%", "--flag: keyframes are VALUE@STEP or VALUE@PERCENT"),
        ("@50%", "--flag: keyframes are VALUE@STEP or VALUE@PERCENT"),
        ("8@0,", "--flag: keyframes are VALUE@STEP or VALUE@PERCENT"),
        ("8@-1", "--flag: keyframes are VALUE@STEP or VALUE@PERCENT"),
        ("8@" + "1" * 10, "--flag: keyframes are VALUE@STEP or VALUE@PERCENT"),
        (",".join(f"1@{step}" for step in range(65)), "at most 64"),
        ("9e9@0", "--flag: a value must be a number from"),
    ],
)
def test_keyframes_that_cannot_be_are_refused_with_the_flag(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    assert str(caught.value).startswith(message) or message in str(caught.value)


@pytest.mark.parametrize("text", ["", "navy,gold", "8..", "a@b", "left-right", "8:1"])
def test_what_is_no_number_is_no_schedule(text: str) -> None:
    assert read_schedule(text, "--flag") is None


def test_steps_need_a_number_of_steps() -> None:
    typed = read_schedule("8@0,1@200", "--flag")
    assert typed == Keyframes((8.0, 1.0), (Place("0"), Place("200")))
    assert str(typed) == "8@0,1@200"
    with pytest.raises(UsageError, match="step 200 means nothing without a number of steps"):
        LossSettings.parse("symmetry:8@0,1@200")


@pytest.mark.parametrize("change", [{"points": []}, {"points": [[0.5, 1], [0.5, 2]]}, {"start": 3}, {"kind": "linear"}])
def test_a_record_of_keyframes_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    record = json.loads(replace(made_plan(), lr_schedule=read("1@0,2@50%")).to_json())
    record["lr_schedule"] |= change
    with pytest.raises(UsageError, match="schedule"):
        Plan.from_dict(record)


def test_a_record_from_before_there_were_keyframes_is_read() -> None:
    record = json.loads(made_plan().to_json())
    del record["lr_schedule"]["points"]
    assert Plan.from_dict(record) == made_plan()


def made_plan(text: str = "red", **settings: object) -> Plan:
    return plan(text, **{"backend": "pixels", "start": "noise", **settings})


ASKED: list[dict[str, object]] = [
    {"lr": "0.1..0.02"},
    {"lr": "0@0,0.3@7,0.1@100%"},
    {"lr": "0.06@0"},
    {"cutouts": "4@0,16@50%"},
    {"cutouts": "3@0,7@9,5@12"},
    {"losses": ("symmetry:8@0,0@6", "saturation:-2@25%,2@75%", "palette:3..1:navy")},
]


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_a_job_with_keyframes_survives_json_and_is_the_job_of_its_plan(asked: dict[str, object]) -> None:
    job = Job(parse_prompts("red"), preset="starter", backend="pixels", start="noise", steps=12, **asked)
    assert Job.from_json(job.to_json()) == job
    made = resolve(job)[0]
    assert resolve(job_of(made))[0] == made
    assert Plan.from_json(made.to_json()) == made


def test_the_learning_rate_goes_from_its_first_value_to_its_last() -> None:
    made = made_plan(lr="0.1..0.02")
    assert (made.lr, made.lr * made.lr_schedule.at(1.0)) == (0.1, pytest.approx(0.02))
    warm = made_plan(lr="0@0,0.3@6,0.1@100%")
    assert [warm.lr * warm.lr_schedule.at(progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx([0, 0.3, 0.1])
    usual = made_plan(lr=0.1)
    assert usual.lr_schedule == made_plan().lr_schedule != made.lr_schedule
    again = change_plan(made, {"lr": "0.2@0"}, "cpu")[0]
    assert (again.lr, again.lr_schedule.at(0.9)) == (0.2, 1.0)
    assert change_plan(made, {"lr": 0.3}, "cpu")[0] == replace(made, lr=0.3)


def test_the_number_of_cutouts_follows_its_keyframes() -> None:
    made = made_plan(cutouts="3@0,7@6,5@12")
    assert [made.cutouts_at(step / 12) for step in (0, 3, 6, 9, 12)] == [3, 5, 7, 6, 5]


def run_of(made: Plan, **settings: object) -> Run:
    return Run([made], fake_models("pixels"), **settings)  # type: ignore[arg-type]


def gradients(run: Run) -> list[torch.Tensor]:
    run.find_gradients()
    return [latent.grad for latent in run.loop.generator.parameters() if latent.grad is not None]


def test_a_weight_of_0_leaves_exactly_the_gradient_without_the_loss() -> None:
    bare = run_of(made_plan("red"))
    losses, texts = made_plan("red", losses=("symmetry:8@0,0@50%",)), made_plan("red|blue:1@0,0@50%")
    for other in (run_of(losses), run_of(texts)):
        for done, same in ((0, False), (6, True), (9, True)):
            bare.loop.done = other.loop.done = done
            assert all(map(torch.equal, gradients(bare), gradients(other))) == same


def test_a_weight_of_a_text_is_followed_by_loss_and_score() -> None:
    changing = run_of(made_plan("red:1..0|blue:-1@0,0.5@50%"))
    images = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    for done, text in ((0, "red|blue:-1"), (6, "red:0.5|blue:0.5"), (12, "red:0|blue:0.5")):
        constant = run_of(made_plan(text))
        changing.loop.done = constant.loop.done = done
        mine, theirs = changing.loop.measure(images), constant.loop.measure(images)
        assert mine.losses.tolist() == pytest.approx(theirs.losses.tolist(), abs=1e-6)
        assert mine.scores.tolist() == pytest.approx(theirs.scores.tolist(), abs=1e-6)
