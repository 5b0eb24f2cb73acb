"""The judge judges: pictures that show what was asked score high, the same pictures in another order at chance."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_batch_lockstep import stop_group_at
from typer.testing import CliRunner

from clipgen.cli.app import app
from clipgen.starter import grammar, words
from clipgen.starter.evaluation import Answer, drawn, measure, measure_drawn, questions, rivals
from clipgen.util.files import slug

COUNT = 24


@pytest.fixture(scope="module")
def true_answers() -> list[Answer]:
    """Drawn pictures of which the questions' claims hold."""
    return [replace(answer, seconds=2.0, guide_cosine=0.5) for answer in drawn(questions(COUNT, seed=5), seed=9)]


def test_questions_differ_and_come_from_the_seed() -> None:
    asked = questions(40, seed=0)
    assert asked == questions(40, seed=0) != questions(40, seed=1)
    assert len({tuple(question.claim.items()) for question in asked}) == 40
    assert all("noun" in question.claim for question in asked)
    assert all(grammar.is_true(question.claim, question.truth) for question in asked)
    assert all(grammar.held_out(question.claim) for question in asked)
    assert 10 < sum("style" in question.claim for question in asked) < 40


def test_true_pictures_score_high(true_answers: list[Answer]) -> None:
    scores = measure(true_answers)
    assert scores["n"] == COUNT
    assert scores["R@1"] >= 0.9
    assert scores["R@5"] >= 0.95
    assert scores["noun accuracy"] >= 0.8
    assert scores["colour accuracy"] >= 0.7
    assert scores["seconds a picture"] == 2.0
    assert scores["gap"] == pytest.approx(0.5 - scores["judge cosine"])


def test_pictures_of_something_else_score_at_chance(true_answers: list[Answer]) -> None:
    pictures = [answer.picture for answer in true_answers]
    shifted = [replace(a, picture=p) for a, p in zip(true_answers, pictures[7:] + pictures[:7], strict=True)]
    scores = measure(shifted)
    assert scores["R@1"] <= 0.15
    assert scores["noun accuracy"] <= 0.3
    claims = [answer.question.claim for answer in shifted]
    ways = [1 + sum(grammar.contradict(claim, other) for other in claims) for claim in claims]
    assert scores["R@1 chance"] == pytest.approx(sum(1 / count for count in ways) / COUNT)
    assert scores["noun chance"] == pytest.approx(1 / len(words.NOUNS))


def test_a_colour_counts_only_where_all_that_is_asked_for_has_a_stated_one(true_answers: list[Answer]) -> None:
    robot = {"noun": "robot", "relation": "wearing", "other": "scarf", "other_colour": "grey"}

    def counted(claim: dict[str, str]) -> float:
        asked = replace(true_answers[0].question, text="a robot with a grey scarf", claim=claim)
        return measure([replace(answer, question=asked) for answer in true_answers[:2]]).get("colour n", 0)

    assert counted(robot) == 0
    assert counted(robot | {"colour": "red"}) == 2


def test_a_prompt_is_no_rival_of_one_that_it_is_true_of_too() -> None:
    claims = [{"noun": "heart"}, {"noun": "heart", "style": "comic"}, {"noun": "cat"}]
    assert rivals(claims).tolist() == [[False, False, True], [False, False, True], [True, True, False]]


def test_drawn_pictures_tell_what_the_judge_allows() -> None:
    asked = questions(COUNT, seed=5)
    scores = measure_drawn(asked, seed=0)
    assert scores == measure_drawn(asked, seed=0)
    assert scores["R@1"] >= 0.9
    assert "guide cosine" not in scores


def run_eval(folder: Path) -> Any:
    small = ["--size", "32x32", "--steps", "2", "--cutouts", "2", "--views", "2", "--start", "noise"]
    command = ["eval", "--n", "4", *small, "-o", str(folder)]
    return CliRunner().invoke(app, command)


def test_eval_writes_a_table_a_record_and_a_sheet(tmp_path: Path) -> None:
    result = run_eval(tmp_path)
    assert result.exit_code == 0
    record, sheet = (Path(line) for line in result.stdout.split())
    kept = json.loads(record.read_text())
    assert kept["scores"]["n"] == kept["drawn"]["n"] == 4
    assert kept["prompts"] == [question.text for question in questions(4, seed=0)]
    assert all(text in result.stderr for text in kept["prompts"])
    assert "noun accuracy" in result.stderr
    assert set(kept["robustness"]) == {"clean", "random views", "JPEG 50", "JPEG 25", "blur", "shift"}
    clean = kept["robustness"]["clean"]
    assert clean["score"]["value"] == pytest.approx(kept["scores"]["judge cosine"], abs=1e-5)
    assert clean["loss"]["value"] == 0
    assert set(kept["robustness of drawn pictures"]) == set(kept["robustness"])
    assert kept["intervals"]["R@1"]["low"] <= kept["scores"]["R@1"] <= kept["intervals"]["R@1"]["high"]
    with Image.open(sheet) as image:
        assert image.format == "PNG"


@pytest.mark.parametrize(
    ("whole", "kept"), [(1, []), pytest.param(3, ["eval-vqgan-4.json", "eval-vqgan-4.png"], marks=pytest.mark.slow)]
)
def test_a_stopped_eval_measures_what_it_made_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int, kept: list[str]
) -> None:
    pictures = [f"{slug(question.text)}-0.png" for question in questions(4, seed=0)]
    with monkeypatch.context() as patch:
        stop_group_at(patch, 1, pictures[whole])
        assert run_eval(tmp_path).exit_code == 130
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == kept
    if kept:
        assert json.loads((tmp_path / kept[0]).read_text())["scores"]["n"] == whole
    again = run_eval(tmp_path)
    record = json.loads(Path(again.stdout.split()[0]).read_text())
    assert record["scores"]["n"] == 4
    assert [Path(path).name for path in record["pictures"]] == pictures
    assert f"{pictures[0]}" in again.stderr
    assert list(json.loads((tmp_path / "eval-vqgan-4" / "seconds.json").read_text())) == pictures
