"""Several seeds a short way: the judge's order, the whole way for the best, and the pictures that runs alone make."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fakes import COLOURS, Cli, FakePerceptor, Recorder, fake_models, plan
from PIL import Image

from clipgen.config.job import MAX_SEED, Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.engine.models import Models
from clipgen.engine.optimise import optimise
from clipgen.judge.score import mean_similarities
from clipgen.outputs import metadata
from clipgen.session import candidates
from clipgen.session.candidates import TOGETHER, best_seeds, judge_readings
from clipgen.session.evaluation import JUDGES

CPU = torch.device("cpu")
SMALL = ("red", "--size", "32x32", "--steps", "10", "--cutouts", "2", "--seed", "3")


@pytest.fixture(autouse=True)
def _judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "load_judges", lambda _plan, _models: [FakePerceptor()])


def test_candidates_are_quick_runs_in_the_order_of_the_judge() -> None:
    asked, models, recorders = plan(seed=5), fake_models(), []

    def progress(label: str) -> list[Recorder]:
        recorders.append((label, Recorder()))
        return [recorders[-1][1]]

    found = best_seeds(asked, TOGETHER + 1, models, progress)
    assert sorted(each.plan.seed for each in found) == list(range(5, 5 + TOGETHER + 1))
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert all(each.plan.steps == asked.steps for each in found)
    for each in found:
        alone = optimise(plan(seed=each.plan.seed, steps=2), models)
        assert mean_similarities([alone.image], asked.prompts, [FakePerceptor()], CPU) == [each.score]
    assert [label for label, _ in recorders] == ["candidates 1 to 4 of 5", "candidates 5 to 5 of 5"]
    assert [recorder.steps[-1].total for _, recorder in recorders] == [2, 2]


def test_the_judge_goes_by_the_weights_of_the_texts() -> None:
    red, blue = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    judges = [FakePerceptor()]
    for text, better, worse in (("red", red, blue), ("red:0.2|blue", blue, red), ("red:-1|white:0.1", blue, red)):
        first, second = mean_similarities([better, worse], plan(text).prompts, judges, CPU)
        assert first > second


@pytest.mark.parametrize(("prompt", "judges"), [("a zebra|blue", ("classifier/efficientnet-lite1",)), ("blue", ())])
def test_where_no_judge_knows_a_word_the_guides_rank(
    monkeypatch: pytest.MonkeyPatch, prompt: str, judges: tuple[str, ...]
) -> None:
    asked = []

    def load_judges(plan: Plan, models: Models) -> list[FakePerceptor]:
        asked.append(plan.judges)
        return [FakePerceptor() for _ in plan.judges or models.guides]

    monkeypatch.setattr(candidates, "load_judges", load_judges)
    for text in ("zebra", "a zebra"):
        monkeypatch.setitem(COLOURS, text, (1, 1, -1))
    wanted = replace(plan(prompt), judges=("classifier/efficientnet-lite1",))
    found = best_seeds(wanted, 2, fake_models(perceptors=2))
    assert asked == [judges]
    assert {each.plan.judges for each in found} == {wanted.judges}
    assert all(-1 <= each.score <= 1 for each in found)


def test_seeds_go_round_at_the_largest() -> None:
    found = best_seeds(plan(seed=MAX_SEED), 2, fake_models())
    assert {each.plan.seed for each in found} == {MAX_SEED, 0}


def test_the_best_become_pictures_as_if_they_had_been_asked_for(cli: Cli) -> None:
    result = cli(*SMALL, "--candidates", "3", "--keep", "2")
    assert result.exit_code == 0, result.stderr
    order = [line.split()[1].rstrip(":") for line in result.stderr.splitlines() if line.startswith("seed ")]
    assert len(order) == 3
    pictures = [Path(line) for line in result.stdout.split()]
    assert [picture.name for picture in pictures] == [f"red-{seed}.png" for seed in order[:2]]
    for picture, seed in zip(pictures, order, strict=False):
        assert metadata.read_recipe(picture).plan.seed == int(seed)
        alone = cli(*SMALL[:-1], seed, "-o", f"alone-{seed}.png").stdout.strip()
        with Image.open(picture) as best, Image.open(alone) as other:
            assert best.tobytes() == other.tobytes()


def test_with_one_name_for_several_all_get_a_number_and_one_document(cli: Cli) -> None:
    result = cli(*SMALL, "--candidates", "2", "--keep", "2", "-o", "best.png", "--json")
    assert [picture["path"] for picture in json.loads(result.stdout)["pictures"]] == ["best.png", "best-2.png"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--candidates", "0"), "--candidates must be a whole number from 1 to 64"),
        (("--candidates", "65"), "--candidates must be a whole number from 1 to 64"),
        (("--candidates", "3", "--keep", "4"), "--keep must be a whole number from 1 to 3"),
        (("--keep", "2"), "--keep must be a whole number from 1 to 1"),
    ],
)
def test_impossible_numbers_are_refused_before_anything(cli: Cli, flags: tuple[str, ...], message: str) -> None:
    result = cli(*SMALL, *flags)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_init_image_is_that_of_every_candidate(cli: Cli) -> None:
    Image.new("RGB", (32, 32), "blue").save("init.png")
    assert cli(*SMALL, "--init", "init.png", "--candidates", "2").exit_code == 0


def test_a_judge_of_the_starter_set_is_not_asked_for_what_only_a_classifier_takes() -> None:
    plan, _ = resolve(Job(parse_prompts("a blue zebra"), preset="photo"))
    assert judge_readings(plan) == [("zebra",), ("zebra",), ("blue",)]
    plan, _ = resolve(Job(parse_prompts("a zebra"), preset="photo", classifiers=tuple(JUDGES)))
    assert (plan.judges, judge_readings(plan)) == (("starter/judge",), [("",)])
