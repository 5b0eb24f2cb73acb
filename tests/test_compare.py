"""`clipgen compare`: folders and job files, what is paired, who may judge, and votes that come back."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import Cli, FakePerceptor
from PIL import Image

from clipgen.config.perceptor_names import BEST_CLIPS
from clipgen.outputs import vote_page
from clipgen.session import verdicts
from clipgen.weights.registry import networks

SMALL = ("--preset", "starter", "--start", "noise", "--size", "32x32", "--steps", "2", "--cutouts", "2")
WORDS = ("red", "green", "blue", "white", "black")
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255,) * 3, "black": (0,) * 3}


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> FakePerceptor:
    """Every judge sees mean colours."""
    one = FakePerceptor()
    monkeypatch.setattr(verdicts, "perceptor_of", lambda name: one)
    return one


def folder(name: str, colours: Sequence[str], words: Sequence[str] = WORDS, suffix: str = "png") -> str:
    """Pictures without recipes, called after words."""
    Path(name).mkdir()
    for word, colour in zip(words, colours, strict=False):
        Image.new("RGB", (32, 32), COLOURS[colour]).save(f"{name}/{word}.{suffix}")
    return name


def document(made: Any) -> dict[str, Any]:
    assert made.exit_code == 0, made.stderr
    found: dict[str, Any] = json.loads(made.stdout)
    return found


def cosine(word: str, colour: str) -> float:
    """What FakePerceptor thinks of it, by numpy."""
    text = np.where(np.array(COLOURS[word]) > 0, 1.0, -1.0)
    seen = np.array(COLOURS[colour]) / 255 - 0.5 + 1e-3
    return float(text @ seen / np.linalg.norm(text) / np.linalg.norm(seen))


def test_folders_without_recipes_are_paired_by_name(cli: Cli, judge: FakePerceptor) -> None:
    folder("a", ["red", "red", "red", "red", "black"])
    folder("b", ["red", "green", "blue", "white"], suffix="bmp")
    found = document(cli("compare", "a", "b", "--json", "-o", "out"))
    assert [pair["prompt"] for pair in found["pairs"]] == ["blue", "green", "red", "white"]
    scores = [pair["scores"]["starter/judge"] for pair in found["pairs"]]
    by_hand = [[cosine(word, "red"), cosine(word, word)] for word in ("blue", "green", "red", "white")]
    assert np.array(scores) == pytest.approx(np.array(by_hand), abs=1e-3)
    [difference] = found["judges"]["starter/judge"]["differences"]
    assert difference["gain"]["value"] == pytest.approx(np.mean([b - a for a, b in by_hand]), abs=1e-3)
    assert difference["wins"]["value"] == 3.5 / 4  # that of red is equal
    assert [(side["name"], side["pictures"], side["left_out"]) for side in found["sides"]] == [("A", 5, 1), ("B", 4, 0)]
    assert [Path(file).name for file in found["files"]] == ["compare.json", "compare.html", "compare-sheet-1.png"]


def test_it_says_what_follows_and_prints_the_paths(cli: Cli, judge: FakePerceptor) -> None:
    folder("a", ["red"] * 4)
    folder("b", WORDS)
    made = cli("compare", "a", "b", "-o", "out")
    assert made.stdout.split() == ["out/compare.json", "out/compare.html", "out/compare-sheet-1.png"]
    assert "B: 1 of 5 pictures are left out, which have no partner" in made.stderr
    assert "A and B: no difference can be told at n = 4: that takes 6 pairs at least" in made.stderr
    again = cli("compare", "a", "b", "-o", "out", "-q")
    assert (again.stderr, again.stdout.split()[0]) == ("", "out/compare-2.json")  # nothing is overwritten


def test_prompts_come_from_lines_in_the_order_of_names(cli: Cli, judge: FakePerceptor) -> None:
    folder("a", WORDS, ("1", "2", "3", "10"))
    folder("b", WORDS, ("1", "2", "3", "10"))
    Path("p.txt").write_text("red\ngreen\nblue\nwhite\n")
    found = document(cli("compare", "a", "b", "--prompts", "p.txt", "--json"))
    assert [pair["prompt"] for pair in found["pairs"]] == ["red", "green", "blue", "white"]
    assert all(min(pair["scores"]["starter/judge"]) > 0.9 for pair in found["pairs"])
    Path("p.txt").write_text("red\n")
    refused = cli("compare", "a", "b", "--prompts", "p.txt")
    assert "--prompts holds 1 prompts, and the first side has 4 pictures" in refused.stderr


def test_a_damaged_picture_costs_its_pair_alone(cli: Cli, judge: FakePerceptor) -> None:
    folder("a", WORDS)
    folder("b", WORDS)
    Path("b/red.png").write_bytes(Path("b/red.png").read_bytes()[:50])
    made = cli("compare", "a", "b", "--json")
    assert document(made)["n"] == 4
    for path in Path("b").iterdir():
        path.write_bytes(b"no picture")
    made = cli("compare", "a", "b")
    assert made.exit_code == 2
    assert made.stderr.splitlines()[-1] == "error: 0 of 5 pairs can be read, and a comparison takes 2 or more"


JOB = 'preset = "starter"\nstart = "noise"\nsize = "32x32"\ncutouts = 2\nsteps = {}\n'


@pytest.fixture
def jobs(cli: Cli) -> None:
    for name, steps in (("a", 2), ("b", 9)):
        Path(f"{name}.toml").write_text(JOB.format(steps))
    Path("p.txt").write_text("red\ngreen\nblue\nblack\n")


def test_job_files_make_pictures_and_a_second_time_none(
    cli: Cli, jobs: None, judge: FakePerceptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("compare", "a.toml", "b.toml", "--prompts", "p.txt", "-o", "out", "--json", "--seed", "5")
    found = document(cli(*command))
    assert sorted(path.name for path in Path("out/a").iterdir()) == [
        f"{word}-5.png" for word in sorted((*WORDS[:3], "black"))
    ]
    assert found["n"] == 4
    assert all(side["seconds"] > 0 for side in found["sides"])
    [difference] = found["judges"]["starter/judge"]["differences"]
    assert difference["wins"]["value"] > 0.5  # more steps
    times = {path: path.stat().st_mtime_ns for path in Path("out").glob("?/*.png")}
    again = document(cli(*command))
    assert {path: path.stat().st_mtime_ns for path in Path("out").glob("?/*.png")} == times
    assert again["judges"] == found["judges"]
    assert [side["seconds"] for side in again["sides"]] == [None, None]
    by_hand = document(cli("compare", "out/a", "out/b", "--json", "-o", "out2", "--seed", "5"))
    assert by_hand["judges"] == found["judges"]


def test_a_picture_that_fails_costs_its_pair_and_is_said_in_the_end(cli: Cli, jobs: None, judge: FakePerceptor) -> None:
    Path("p.txt").write_text("red\nunknown\ngreen\n")
    made = cli("compare", "a.toml", "b.toml", "--prompts", "p.txt", "-o", "out")
    assert made.exit_code == 1
    assert made.stderr.splitlines()[-1] == "error: 2 of 6 pictures failed"
    record = json.loads(Path("out/compare.json").read_text())
    assert [pair["prompt"] for pair in record["pairs"]] == ["red", "green"]


def test_many_pairs_are_asked_in_part(cli: Cli, judge: FakePerceptor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vote_page.questions, "__defaults__", (3,))
    folder("a", ["red"] * 5)
    folder("b", WORDS)
    made = cli("compare", "a", "b", "-o", "out")
    assert "the page for a vote asks about 3 of 5 pairs" in made.stderr
    assert len(json.loads(Path("out/compare.json").read_text())["questions"]) == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "name two folders of pictures, or two job files, as in clipgen compare a b"),
        (("f",), "compare takes from 2 to 8 folders or job files, got 1"),
        (("f", "./f"), "compare takes different folders or job files"),
        (("f", "a.toml"), "compare takes folders or job files (.toml), not both"),
        (("v.json",), "v.json is no folder and no job file (TOML); to count votes, add --of compare.json"),
        (("v.json", "--of", "key.json", "--n", "3"), "--of counts votes, and --n is for a comparison to be made"),
        (("f", "nowhere"), "there is no file or folder nowhere"),
        (("f", "other"), "f and other have 0 pictures of the same prompts or names"),
        (("f", "g", "--n", "4"), "--n goes with job files"),
        (("f", "g", "--judge", "starter/jugde"), "did you mean starter/judge?"),
        (("f", "g", "--seed", "-1"), "--seed must be a whole number from 0"),
        (("f", "g", "-o", "x.png"), "-o x.png is a file"),
        (("f", "g", "--of", "key.json"), "key.json cannot be read"),
        (("a.toml", "prompt.toml"), "prompt.toml holds a prompt"),
        (("a.toml", "wrong.toml"), "wrong.toml: the key must be one of"),
        (("a.toml", "wrong.toml"), "got 'stepps'; did you mean steps?"),
        (("a.toml", "bad.toml"), "bad.toml: --steps must be"),
        (("a.toml", "seed.toml"), "a.toml has seed 0 and seed.toml has seed 4"),
        (("a.toml", "same.toml"), "a.toml and same.toml have the same settings"),
        (("a.toml", "b.toml", "--prompts", "odd.txt"), "--prompts, prompt 2: "),
        (("a.toml", "b.toml", "--n", "1"), "--n must be a whole number from 2"),
        (("a.toml", "b.toml", "--n", "4", "--prompts", "p.txt"), "leave one out"),
        (("a.toml", "b.toml", "--prompts", "p.txt", "--judge", "starter/clip"), "starter/clip guides these pictures"),
    ],
)
def test_what_is_wrong_is_one_line_and_writes_nothing(
    cli: Cli, jobs: None, judge: FakePerceptor, args: tuple[str, ...], message: str
) -> None:
    folder("f", WORDS)
    folder("g", WORDS)
    folder("other", WORDS, ("x", "y", "z"))
    files = {"prompt": 'prompt = "red"\n', "wrong": "stepps = 3\n", "bad": "steps = 0\n", "seed": "seed = 4\n"}
    for name, text in {**files, "same": JOB.format(2)}.items():
        Path(f"{name}.toml").write_text(text)
    Path("odd.txt").write_text("red\n|\n")
    before = sorted(Path().rglob("*"))
    made = cli("compare", *args)
    assert made.exit_code == 2
    assert message in made.stderr
    assert made.stderr.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_a_guide_judges_only_if_that_is_allowed(cli: Cli, judge: FakePerceptor) -> None:
    for side, steps in (("a", "2"), ("b", "3")):
        for word in WORDS[:2]:
            cli(word, *SMALL[:-4], "--steps", steps, "--cutouts", "2", "-o", f"{side}/{word}.png")
    refused = cli("compare", "a", "b", "--judge", "starter/clip")
    assert refused.exit_code == 2
    assert "so that it cannot tell that it was fooled" in refused.stderr
    allowed = document(cli("compare", "a", "b", "--judge", "starter/clip", "--allow-guide", "--json"))
    assert list(allowed["judges"]) == ["starter/clip"]
    assert list(document(cli("compare", "a", "b", "--json"))["judges"]) == ["starter/judge"]


def test_usual_judges_never_guided(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(BEST_CLIPS) == sorted(networks("clip"))
    monkeypatch.setattr(verdicts, "is_ready", lambda name: name in ("clip/openai-rn50", "clip/openai-vit-b-32"))
    best, other = "clip/openai-vit-b-32", "clip/openai-rn50"
    assert verdicts.usual_judges(frozenset()) == [best]
    assert verdicts.usual_judges(frozenset({best})) == [other]
    assert verdicts.usual_judges(frozenset({best, other})) == ["starter/judge"]
    assert verdicts.usual_judges(frozenset({"starter/clip", "starter/vqgan"})) == ["starter/judge"]
    monkeypatch.setattr(verdicts, "is_ready", lambda name: name.startswith("classifier/"))
    lite = "classifier/efficientnet-lite"
    assert verdicts.usual_judges(frozenset({f"{lite}0", "starter/clip"})) == [f"{lite}1", f"{lite}2"]


def test_the_real_judge_prefers_pictures_that_show_the_prompt(cli: Cli) -> None:
    from clipgen.starter.evaluation import drawn, questions

    answers = drawn(questions(8, 0), 0)
    for side, shift in (("a", 1), ("b", 0)):
        Path(side).mkdir()
        for number, answer in enumerate(answers):
            answers[(number + shift) % 8].picture.save(f"{side}/{answer.question.text}.png")
    found = document(cli("compare", "a", "b", "--json"))
    [difference] = found["judges"]["starter/judge"]["differences"]
    assert difference["verdict"].startswith("B is better by ")
    with torch.no_grad():
        judge = verdicts.load_judges(["starter/judge"])["starter/judge"]
        image = torch.tensor(np.asarray(answers[1].picture)).permute(2, 0, 1)[None] / 255
        expected = judge.encode_images(judge.whole(image)) @ judge.encode_texts([answers[1].question.text]).T
    [scores] = [p["scores"]["starter/judge"] for p in found["pairs"] if p["prompt"] == answers[1].question.text]
    assert scores[1] == pytest.approx(float(expected), abs=0.02)


def saved(key: dict[str, Any], ballot: str, prefers: str) -> None:
    """Votes that prefer the side of this name wherever it is shown."""
    names = [side["name"] for side in key["sides"]]
    votes = [
        {"pair": number, "vote": {names[one["left"]]: "left", names[one["right"]]: "right"}.get(prefers, "equal")}
        for number, one in enumerate(key["questions"], start=1)
    ]
    record = {"format": "clipgen votes 1", "comparison": key["comparison"], "ballot": ballot * 8, "voter": ballot}
    Path(f"votes-{ballot}.json").write_text(json.dumps({**record, "votes": votes}))


def test_votes_come_back_as_preferences(cli: Cli, judge: FakePerceptor) -> None:
    folder("a", ["black"] * 4)
    folder("b", WORDS[:4])
    key = document(cli("compare", "a", "b", "--json", "-o", "out"))
    html = Path("out/compare.html").read_text(encoding="utf-8")
    assert (
        json.loads(re.findall('"pairs" type="application/json">(.*?)</script>', html)[0])["comparison"]
        == key["comparison"]
    )
    for ballot, side in (("aa", "B"), ("bb", "B"), ("cc", "A")):
        saved(key, ballot, side)
    found = document(cli("compare", "votes-aa.json", "--of", "out/compare.json", "--json"))
    [row] = found["preferences"]
    assert (row["share"]["value"], row["count"], found["votes"]) == (1.0, 4, 4)
    assert found["agreement"]["starter/judge"]["value"] == 1.0
    three = cli("compare", "votes-aa.json", "votes-bb.json", "votes-cc.json", "--of", "out/compare.json")
    assert three.stdout.splitlines()[0].startswith("12 votes of 3 voters; votes for about equal count half")
    assert "B over A: 67% [" in three.stdout
    assert "of 4 prompts; no preference can be told at n = 4" in three.stdout


def test_three_sides_get_strengths(cli: Cli, judge: FakePerceptor) -> None:
    for name, colours in (("a", ["black"] * 5), ("b", ["white"] * 5), ("c", WORDS)):
        folder(name, colours)
    key = document(cli("compare", "a", "b", "c", "--json", "-o", "out"))
    assert len(key["questions"]) == 15
    assert [row["sides"] for row in key["judges"]["starter/judge"]["differences"]] == [
        ["A", "B"],
        ["A", "C"],
        ["B", "C"],
    ]
    saved(key, "aa", "C")
    found = document(cli("compare", "votes-aa.json", "--of", "out/compare.json", "--json"))
    strengths = {name: row["value"] for name, row in found["strengths"].items()}
    assert strengths["A"] == pytest.approx(strengths["B"])
    assert strengths["C"] > 1
    assert "strength of C: +" in cli("compare", "votes-aa.json", "--of", "out/compare.json").stdout


def test_nothing_on_the_page_tells_the_sides_apart(cli: Cli, judge: FakePerceptor) -> None:
    folder("baseline", ["black"] * 4)
    folder("candidate", WORDS[:4])
    made = cli("compare", "baseline", "candidate", "-o", "out")
    html = Path(made.stdout.split()[1]).read_text(encoding="utf-8")
    text = re.sub('base64,[^"]*', "", html)
    assert not re.search(r"baseline|candidate|side[- ]?[AB]\b|\.png|starter/judge|out/", text)
