"""`clipgen score`: numbers as by hand, accuracy as the evaluation of the drawn world has it, bad input in one line."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import by_hand
import numpy as np
import open_clip
import pytest
import torch
from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES
from own_files import cli
from typer.testing import CliRunner

from clipgen.cli import clip_options
from clipgen.cli.app import app
from clipgen.judge import pictures as reading
from clipgen.judge.intervals import share_interval
from clipgen.starter import grammar
from clipgen.starter.evaluation import Answer, drawn, measure, questions

pytestmark = pytest.mark.usefixtures("own_folder")
TEXTS = ["a cat", "a house", "a tree"]
ASKED = tuple(part for text in TEXTS for part in ("--text", text))
FILE = Path("mine/open_clip_model.safetensors")
JUDGE = "starter/judge"


def record(*args: str) -> dict[str, Any]:
    result = cli("score", *args, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def numbers(row: dict[str, Any], name: str, labels: list[str]) -> list[float]:
    found = {place["label"]: place[name] for place in row["top"]}
    return [found[label] for label in labels]


@pytest.fixture
def some() -> list[Path]:
    return by_hand.pictures(Path("some"))


def test_probabilities_are_the_softmax_at_the_models_temperature(some: list[Path]) -> None:
    hand = by_hand.random_clip(by_hand.TINY, {}, FILE)
    found = record("some", "--clip-weights", str(FILE), *ASKED)
    assert [clip["probability"] for clip in found["clips"]] == ["softmax over the labels"]
    cosines = hand.cosines(by_hand.opened(some), TEXTS).double().numpy()
    logits = np.exp(hand.model.logit_scale.item()) * cosines
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for row, wanted in zip(found["pictures"], expected, strict=True):
        assert numbers(row, "probability", TEXTS) == pytest.approx(list(wanted), abs=1e-4)
        assert [place["label"] for place in row["top"]] == [TEXTS[k] for k in np.argsort(-wanted)]
    assert [row["path"] for row in found["pictures"]] == list(map(str, some))


def test_of_one_text_a_softmax_has_no_probability_and_a_sigmoid_has(some: list[Path]) -> None:
    by_hand.random_clip(by_hand.TINY, {}, FILE)
    [alone] = record(str(some[0]), "--clip-weights", str(FILE), "--text", "a cat")["pictures"][0]["top"]
    assert alone["probability"] is None
    assert -1 <= alone["cosine"] <= 1
    [judged] = record(str(some[0]), "--clip", JUDGE, "--text", "a cat")["pictures"][0]["top"]
    hand = by_hand.starter(JUDGE)
    logit = np.exp(hand.model.logit_scale.item()) * judged["cosine"] + hand.model.logit_bias.item()
    assert judged["probability"] == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-3)


def test_several_clips_are_averaged_by_weight_and_each_is_reported(some: list[Path]) -> None:
    names = {JUDGE: 1.0, "starter/clip": 3.0}
    found = record(str(some[0]), "--clip", JUDGE, "--clip", "starter/clip:3", *ASKED)
    each = {name: record(str(some[0]), "--clip", name, *ASKED)["pictures"][0] for name in names}
    row = found["pictures"][0]
    for key in ("cosine", "probability"):
        wanted = [numbers(each[name], key, TEXTS) for name in names]
        assert numbers(row, key, TEXTS) == pytest.approx([(a + 3 * b) / 4 for a, b in zip(*wanted, strict=True)])
        for name in names:
            by_clip = {place["label"]: place["by_clip"][name][key] for place in row["top"]}
            assert [by_clip[text] for text in TEXTS] == pytest.approx(numbers(each[name], key, TEXTS))


def test_a_softmax_and_a_sigmoid_have_no_common_probability(some: list[Path]) -> None:
    by_hand.random_clip(by_hand.TINY, {}, FILE)
    own = record("some", "--clip-weights", str(FILE), *ASKED)["clips"][0]["name"]
    place = record("some", "--clip", own, "--clip", JUDGE, *ASKED)["pictures"][0]["top"][0]
    assert place["probability"] is None
    assert all(one["probability"] is not None for one in place["by_clip"].values())


def test_templates_make_the_classes_of_open_clip(some: list[Path]) -> None:
    hand = by_hand.random_clip(by_hand.TINY, {}, FILE)
    with torch.no_grad():
        classes = open_clip.build_zero_shot_classifier(
            hand.model, hand.tokenizer, ["cat", "house"], OPENAI_IMAGENET_TEMPLATES, num_classes_per_batch=None
        )
        seen = hand.model.encode_image(torch.stack([hand.prepare(by_hand.opened(some)[1])]), normalize=True)
    found = record(str(some[1]), "--clip-weights", str(FILE), "--text", "cat", "--text", "house", "--templates")
    cosines = numbers(found["pictures"][0], "cosine", ["cat", "house"])
    assert cosines == pytest.approx((seen @ classes)[0].tolist(), abs=1e-5)
    plain = record(str(some[1]), "--clip-weights", str(FILE), "--text", "cat", "--text", "house")
    assert cosines != pytest.approx(numbers(plain["pictures"][0], "cosine", ["cat", "house"]), abs=1e-3)


def test_labels_of_a_file_may_be_many_and_have_blank_lines(some: list[Path]) -> None:
    many = [f"a thing number {number}" for number in range(700)]
    Path("labels.txt").write_text("\ufeff" + "\n\n".join([*many, many[3], "  "]) + "\n", encoding="utf-8")
    result = cli("score", str(some[0]), "--clip", JUDGE, "--labels", "labels.txt", "--text", "a cat", "--csv", "o.csv")
    assert (result.exit_code, result.stdout) == (0, "o.csv\n")
    assert "a label is given twice and counted once: 'a thing number 3'" in result.stderr
    with Path("o.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    found = record(str(some[0]), "--clip", JUDGE, "--labels", "labels.txt", "--text", "a cat", "--top", "701")
    assert sorted(place["label"] for place in found["pictures"][0]["top"]) == sorted([*many, "a cat"])
    cosines = [place["cosine"] for place in found["pictures"][0]["top"]]
    assert cosines == sorted(cosines, reverse=True)
    assert [float(row["cosine"]) for row in rows] == pytest.approx(cosines[:5])


@pytest.fixture(scope="module")
def world() -> list[Answer]:
    """Drawn pictures of one thing each, of which the noun is asked for."""
    asked = [each for each in questions(60, seed=11) if "noun" in each.claim and "other" not in each.claim]
    return drawn(asked, seed=4)


@pytest.mark.slow
def test_accuracy_of_folders_is_that_of_the_evaluation_of_the_drawn_world(world: list[Answer]) -> None:
    said = {claim["noun"]: text for text, claim in grammar.bank() if "noun" in claim}
    Path("labels.txt").write_text("\n".join(said.values()))
    for number, answer in enumerate(world):
        folder = Path("world", said[answer.question.claim["noun"]].replace(" ", "_"))
        folder.mkdir(parents=True, exist_ok=True)
        answer.picture.save(folder / f"{number}.png")
    args = ("world", "--clip", JUDGE, "--labels-from-folders", "--labels", "labels.txt")
    found, expected = record(*args), measure(world)
    assert expected["noun n"] == len(world) == len(found["pictures"])
    top = found["accuracy"][JUDGE]["top-1"]
    assert top["value"] == pytest.approx(expected["noun accuracy"])
    hits = round(top["value"] * len(world))
    wilson = share_interval(hits, len(world))
    assert (top["low"], top["high"]) == (wilson.low, wilson.high)
    assert 0 < hits < len(world)
    assert sum(cell["pictures"] for cell in found["confusion"]) == len(world)
    right = sum(cell["pictures"] for cell in found["confusion"] if cell["folder"] == cell["best"])
    assert right == hits
    ranks = [row["ranks"][JUDGE] for row in found["pictures"]]
    assert found["accuracy"][JUDGE]["top-5"]["value"] == sum(rank <= 5 for rank in ranks) / len(ranks)
    shown = cli("score", *args)
    assert f"{top['value']:.3f} [{wilson.low:.3f}, {wilson.high:.3f}]" in shown.stdout
    assert "most frequent confusions" in shown.stdout


def test_paths_come_from_standard_input_and_each_counts_once(some: list[Path]) -> None:
    typed = "\n".join(map(str, some[:2])) + "\n\n"
    result = CliRunner().invoke(app, ["score", "-", str(some[1]), "--clip", JUDGE, *ASKED, "--top", "1"], input=typed)
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == list(map(str, some[:2]))
    assert "1 of the pictures is named twice; each counts once" in result.stderr
    empty = CliRunner().invoke(app, ["score", "-", *ASKED], input="\n")
    assert (empty.exit_code, empty.stderr.count("\n")) == (2, 1)
    assert "standard input is empty" in empty.stderr


def test_one_broken_picture_costs_itself_alone(some: list[Path]) -> None:
    Path("some/1b.png").write_bytes(some[1].read_bytes()[:60])
    result = cli("score", "some", "--clip", JUDGE, *ASKED, "--top", "1")
    assert result.exit_code == 0
    assert result.stdout.count("some/") == len(some)
    assert result.stderr.startswith("left out: the picture 'some/1b.png' ")
    quiet = cli("score", "some", "--clip", JUDGE, *ASKED, "--top", "1", "-q")
    assert (quiet.stdout, quiet.stderr) == (result.stdout, "")
    assert [text.split("'")[1] for text in record("some", "--clip", JUDGE, *ASKED)["left_out"]] == ["some/1b.png"]


def test_the_best_published_clip_that_is_here_judges(some: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    result = cli("score", str(some[0]), *ASKED)
    assert "judged by starter/judge, which knows drawn pictures alone: no published CLIP is installed" in result.stderr
    here = {"clip/openai-rn50", "clip/openai-vit-b-16", "clip/openai-vit-b-32"}
    monkeypatch.setattr("clipgen.weights.registry.is_ready", lambda name: name in here)
    judge = by_hand.perceptor_of(JUDGE)
    monkeypatch.setattr("clipgen.engine.models.perceptor_of", lambda _name: judge)
    result = cli("score", str(some[0]), *ASKED)
    assert result.stderr == "judged by clip/openai-vit-b-16: the best published CLIP that is installed\n"


def test_the_end_of_a_long_text_is_said_to_be_unseen(some: list[Path]) -> None:
    result = cli("score", str(some[0]), "--clip", JUDGE, "--text", "a cat", "--text", "a dog " * 40)
    assert result.exit_code == 0
    assert "starter/judge reads 32 tokens at most: it does not see the end of 'a dog a dog" in result.stderr


def test_after_ctrl_c_what_was_seen_is_reported(some: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(seen: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def some_of(*args: Any) -> Iterator[Any]:
            for number, each in enumerate(seen(*args)):
                if number == 2:
                    raise KeyboardInterrupt
                yield each

        return some_of

    monkeypatch.setattr(reading, "seen", stopped(reading.seen))
    result = cli("score", "some", "--clip", JUDGE, *ASKED, "--json")
    assert result.exit_code == 130
    found = json.loads(result.stdout)
    assert (found["complete"], len(found["pictures"])) == (False, 2)


def test_a_table_replaces_nothing(some: list[Path]) -> None:
    Path("out.csv").write_text("mine")
    assert cli("score", "some", "--clip", JUDGE, *ASKED, "--csv", "out.csv").stdout == "out-2.csv\n"
    assert Path("out.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), 'name pictures and what they may show, as in clipgen score outputs --text "a cat"'),
        (("some",), "score needs labels: --text"),
        (("empty", *ASKED), "there is no picture in empty"),
        (("nowhere", *ASKED), "there is no file or folder nowhere"),
        (("bad.png", *ASKED), "the picture 'bad.png' is"),
        (("some", "--text", " "), "--text is empty"),
        (("some", "--labels", "blank.txt"), "--labels blank.txt holds no label"),
        (("some", "--labels", "nowhere.txt"), "--labels nowhere.txt cannot be read"),
        (("some", "--labels", "bad.png"), "--labels bad.png is not UTF-8 text"),
        (("some", *ASKED, "--top", "0"), "--top must be a whole number from 1 to 1000, got 0"),
        (("some", *ASKED, "--csv", "x.txt"), "--csv x.txt is not a CSV file; use --csv x.csv"),
        (("some", "--labels-from-folders"), "--labels-from-folders finds one label, 'some'"),
        (("some", "--text", "a photo of a cat", "--templates"), "give the name alone"),
        (("some", *ASKED, "--clip", "ViT-B-33"), "--clip"),
        (("some", *ASKED, "--clip", JUDGE, "--clip", JUDGE), "--clip starter/judge is given twice"),
        (("some", *ASKED, "--clip", JUDGE, "--clip-weights", "x"), "--clip starter/judge has weights of its own"),
        (("some", *ASKED, "--clip", f"{JUDGE}:0"), "the weight after the colon must be from"),
        (("some", *ASKED, "--ema"), "--ema chooses among the weights in a file of yours"),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(some: list[Path], args: tuple[str, ...], message: str) -> None:
    Path("empty").mkdir()
    Path("blank.txt").write_text("\n \n")
    Path("bad.png").write_bytes(b"\x89PNG\xff\xfe")
    before = sorted(Path().rglob("*"))
    result = cli("score", *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1 + ("judged by" in result.stderr) + ("left out" in result.stderr)
    assert sorted(Path().rglob("*")) == before


def test_a_clip_that_is_not_here_is_named_with_the_command_that_gets_it(some: list[Path]) -> None:
    result = cli("score", "some", *ASKED, "--clip", "ViT-B-32")
    assert result.exit_code == 3
    assert "clipgen models pull" in result.stderr
    assert clip_options.BEST_CLIPS
