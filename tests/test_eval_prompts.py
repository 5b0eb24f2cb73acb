"""`clipgen eval --prompts FILE`: pictures of the prompts of a file, by judges that did not guide them."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import COLOURS, Cli, FakePerceptor
from PIL import Image
from test_batch_lockstep import groups, stop_group_at
from torch import Tensor, nn

from clipgen.engine import models
from clipgen.judge import judges
from clipgen.outputs.metadata import read_recipe
from clipgen.util.images import to_tensor

SMALL = ["--preset", "starter", "--size", "32x32", "--steps", "4", "--cutouts", "2", "--start", "noise", "--views", "1"]
TABLE = "Prompt\tCategory\tChallenge\tNote\nred\tWarm\tBasic\t\nblue\tCold\tBasic\tx\ngreen\tCold\tBasic\t\n"
STEM = "eval-p-starter-vqgan"


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the judges, all of which are the same fake, as they are loaded."""
    found: list[str] = []

    def perceptor_of(name: str, *_: Any) -> nn.Module:
        found.append(name)
        return FakePerceptor()

    def embed(pictures: list[Image.Image], perceptor: FakePerceptor) -> Tensor:
        return torch.cat([perceptor.encode_images(perceptor.whole(to_tensor(each, each.size))) for each in pictures])

    monkeypatch.setattr(models, "perceptor_of", perceptor_of)
    monkeypatch.setattr(judges, "embed", embed)
    return found


def write(text: str = TABLE, name: str = "p.tsv") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def record(result: Any) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    path = next(line for line in result.stdout.split() if line.endswith(".json"))
    return dict(json.loads(Path(path).read_text()))


def cosines(path: str) -> dict[str, float]:
    """Those of a picture with each colour, as the fake judge has them."""
    with Image.open(path) as image:
        pixels = np.asarray(image, float) / 255
    seen = pixels.reshape(2, 16, 2, 16, 3).mean((1, 3)).reshape(4, 3) - 0.5 + 1e-3
    return {
        name: float((seen * colour).sum() / np.linalg.norm(seen) / np.linalg.norm(np.tile(colour, 4)))
        for name, colour in COLOURS.items()
    }


def test_a_table_of_prompts_is_judged_as_numpy_judges_its_pictures(cli: Cli, loaded: list[str]) -> None:
    result = cli("eval", "--prompts", write(), *SMALL, "--steps", "12")
    kept = record(result)
    assert loaded == ["starter/judge"]
    said = kept["judges"]["starter/judge"]
    assert [row["prompt"] for row in kept["pictures"]] == ["red", "blue", "green"]
    found = [cosines(row["file"]) for row in kept["pictures"]]
    own = [row[prompt] for row, prompt in zip(found, ("red", "blue", "green"), strict=True)]
    assert said["scores"]["judge cosine"]["value"] == pytest.approx(np.mean(own), abs=2e-3)
    first = [max(("red", "blue", "green"), key=row.__getitem__) for row in found]
    assert said["scores"]["R@1"]["value"] == pytest.approx(np.mean(np.equal(first, ("red", "blue", "green"))))
    assert said["chance"] == {"R@1": pytest.approx(1 / 3), "R@5": 1}
    assert said["categories"]["Cold"]["judge cosine"]["value"] == pytest.approx(np.mean(own[1:]), abs=2e-3)
    assert said["scores"]["gap"]["value"] == pytest.approx(0, abs=1e-6)  # the guide is the same fake
    assert said["robustness"]["clean"]["score"]["value"] == pytest.approx(np.mean(own), abs=2e-3)
    assert kept["seconds a picture"] == pytest.approx(np.mean([row["seconds"] for row in kept["pictures"]]))
    assert [read_recipe(Path(row["file"])).plan.text for row in kept["pictures"]] == ["red", "blue", "green"]
    assert "by category" in result.stderr


def test_plain_lines_are_spread_and_several_seeds_are_compared(cli: Cli) -> None:
    file = write("# colours\nred\n\nblue\nred\nwhite\nblack\n", "p.txt")
    kept = record(cli("eval", "--prompts", file, "--n", "2", "--seeds", "3", "--seed", "7", *SMALL))
    assert [(row["prompt"], row["seed"]) for row in kept["pictures"]] == [
        (text, seed) for seed in (7, 8, 9) for text in ("red", "white")
    ]
    assert 0 < kept["judges"]["starter/judge"]["scores"]["diversity"]["value"] < 2


def test_the_same_command_goes_on_and_makes_nothing_twice(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("eval", "--prompts", write(), *SMALL)
    with monkeypatch.context() as patch:
        stop_group_at(patch, 2, "blue-0.png")
        assert cli(*command).exit_code == 130
    assert len(json.loads(Path(f"eval/{STEM}-3.json").read_text())["pictures"]) == 1
    seconds = json.loads(Path(f"eval/{STEM}-3/seconds.json").read_text())
    assert [row["steps"] for row in seconds.values()] == [4, 3]
    sizes = groups(monkeypatch)
    kept = record(cli(*command))
    assert sizes == [1, 1]  # what was stopped, and what was not begun
    assert kept["pictures"][1]["seconds"] > seconds["blue-0.png"]["seconds"]
    assert kept["made"] == 3
    sizes.clear()
    assert record(cli(*command))["pictures"] == kept["pictures"]
    assert sizes == []
    assert sorted(path.name for path in Path("eval").iterdir()) == sorted(
        [f"{STEM}-3", *(f"{STEM}-3{number}{suffix}" for number in ("", "-2", "-3") for suffix in (".json", ".png"))]
    )


def test_other_settings_and_redo_have_folders_of_their_own(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("eval", "--prompts", write(), *SMALL)
    cli(*command)
    sizes = groups(monkeypatch)
    for further in (["--lr", "0.05"], ["--redo"]):
        sizes.clear()
        assert cli(*command, *further).exit_code == 0
        assert sizes == [1, 1, 1]
    assert sorted(path.name for path in Path("eval").iterdir() if path.is_dir()) == [
        f"{STEM}-3",
        f"{STEM}-3-2",
        f"{STEM}-3-3",
    ]


def test_pictures_in_lockstep_take_their_share_of_the_seconds(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = groups(monkeypatch)
    kept = record(cli("eval", "--prompts", write(), *SMALL, "--together", "3"))
    assert sizes == [3]
    assert kept["together"] == 3
    rows = json.loads(Path(f"eval/{STEM}-3/seconds.json").read_text())
    assert {row["together"] for row in rows.values()} == {3}
    assert len({row["seconds"] for row in rows.values()}) == 1


def test_picks_are_compared_with_the_first_seeds_by_another_judge(cli: Cli, loaded: list[str]) -> None:
    command = ("eval", "--prompts", write(), *SMALL, "--candidates", "3", "--rank-by", "starter/judge")
    kept = record(cli(*command, "--judge", "ViT-B-32"))
    assert (kept["candidates"], kept["ranked by"]) == (3, ["starter/judge"])
    assert [row["prompt"] for row in kept["pictures"]] == ["red", "blue", "green"] * 2
    assert [row["seed"] for row in kept["pictures"]] == [0, 0, 0, *kept["seeds picked"]]
    scores = kept["judges"]["clip/openai-vit-b-32"]["scores"]
    own = [cosines(row["file"])[row["prompt"]] for row in kept["pictures"]]
    gained = scores["judge cosine gained by picking"]["value"]
    assert gained == pytest.approx(np.mean(own[3:]) - np.mean(own[:3]), abs=2e-3)
    assert scores["judge cosine"]["value"] == pytest.approx(np.mean(own[3:]), abs=2e-3)
    assert kept["seconds a picture"] > kept["seconds of picking"] > 0
    choices = json.loads(Path(f"eval/{STEM}-3/candidates.json").read_text())
    for row in choices.values():
        assert row["seed"] == int(max(row["scores"], key=row["scores"].__getitem__))
        assert sorted(row["scores"]) == ["0", "1", "2"]
    assert cli(*command, "--judge", "ViT-B-32").exit_code == 0
    assert loaded.count("starter/judge") == 3  # once for each prompt, and nothing is picked again


def test_scores_over_steps_end_at_those_of_the_pictures(cli: Cli) -> None:
    pytest.importorskip("matplotlib")
    kept = record(cli("eval", "--prompts", write(), *SMALL, "--plots"))
    curves = kept["scores over steps"]
    assert curves["steps"] == {row["prompt"]: [0, 1, 2, 3, 4] for row in kept["pictures"]}
    for row in kept["pictures"]:
        assert curves["judge"][row["prompt"]][-1] == pytest.approx(cosines(row["file"])[row["prompt"]], abs=2e-3)
    assert curves["judge"] == curves["guide"]  # they are the same fake
    assert Path(f"eval/{STEM}-3-steps.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_nothing_is_made(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = cli("eval", "--prompts", write(), *SMALL, "--plots")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert '--plots needs Matplotlib, which is not installed; use pip install "clipgen[plots]"' in result.stderr
    assert not Path("eval").exists()


def test_one_document_or_nothing_but_paths(cli: Cli) -> None:
    result = cli("eval", "--prompts", write(), *SMALL, "--json")
    document = json.loads(result.stdout)
    assert document["record"] == f"eval/{STEM}-3.json"
    assert json.loads(Path(document["record"]).read_text()).items() <= document.items()
    assert result.stderr == ""
    assert cli("eval", "--prompts", write(), *SMALL, "-q").stderr == ""


def test_a_guide_judges_only_if_it_is_allowed_to(cli: Cli) -> None:
    command = ("eval", "--prompts", write(), *SMALL, "--judge", "starter/clip")
    refused = cli(*command)
    assert refused.exit_code == 2
    assert "cannot tell that it was fooled" in refused.stderr
    assert "--allow-guide" in refused.stderr
    allowed = cli(*command, "--allow-guide")
    assert allowed.exit_code == 0
    assert "warning: starter/clip guides these pictures" in allowed.stderr


def test_a_single_prompt_has_no_rivals(cli: Cli) -> None:
    result = cli("eval", "--prompts", write("red\n", "p.txt"), *SMALL)
    assert "R@1 and R@5 are left out" in result.stderr
    assert "R@1" not in record(result)["judges"]["starter/judge"]["scores"]


def test_a_picture_that_fails_costs_itself_alone(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLOURS, "grey", (float("nan"),) * 3)
    result = cli("eval", "--prompts", write("red\ngrey\nblue\n", "p.txt"), *SMALL, "--n", "3")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: 1 of 3 pictures failed"
    assert [row["prompt"] for row in json.loads(Path(f"eval/{STEM}-3.json").read_text())["pictures"]] == ["red", "blue"]


@pytest.mark.parametrize(
    ("text", "args", "message"),
    [
        ("", [], "--prompts p.tsv holds no prompt"),
        ("Prompt\tCategory\n", [], "--prompts p.tsv holds no prompt"),
        ("Text\tCategory\nred\tx\n", [], "has no column Prompt, only 'Text', 'Category'"),
        ("Prompt\nred|blue\n", [], '--prompts p.tsv, line 2: a text cannot contain "|"'),
        ("Prompt\nred ^ blue\n", [], "which separates scenes"),
        (TABLE, ["--n", "0"], "--n must be a whole number from 1 to 3, got 0"),
        (TABLE, ["--n", "4"], "--n must be a whole number from 1 to 3, got 4"),
        (TABLE, ["--seeds", "0"], "--seeds must be a whole number from 1 to 64, got 0"),
        (TABLE, ["--views", "-1"], "--views must be"),
        (TABLE, ["--together", "9"], "--together must be"),
        (TABLE, ["--judge", "ViT-B-33"], "--judge must be one of"),
        (TABLE, ["--judge", "starter/clip-fine"], "--judge starter/clip-fine guides these pictures"),
        (TABLE, ["--classes"], "--classes and --prompts p.tsv both say what to ask for"),
        (TABLE, ["--candidates", "2"], "no judge but what picks among the candidates"),
        (TABLE, ["--candidates", "2", "--judge", "starter/judge"], "--judge starter/judge picks among the candidates"),
        (TABLE, ["--candidates", "2", "--rank-by", "starter/clip"], "--rank-by starter/clip guides these pictures"),
        (TABLE, ["--candidates", "2", "--seeds", "2"], "leave one out"),
        (TABLE, ["--rank-by", "starter/judge"], "add --candidates"),
        (TABLE, ["-o", "x.png"], "an evaluation writes many; use -o FOLDER"),
    ],
)
def test_bad_input_is_refused_in_one_line_before_anything_is_written(
    cli: Cli, text: str, args: list[str], message: str
) -> None:
    result = cli("eval", "--prompts", write(text), *SMALL, *args)
    assert result.exit_code == 2, result.stderr
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["p.tsv"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--candidates", "4"], "--candidates goes with --prompts FILE"),
        (["--plots"], "--plots goes with --prompts FILE"),
        (["--prompts", "none.txt"], "--prompts none.txt cannot be read"),
        (["--plot", "none.json"], "none.json cannot be read"),
    ],
)
def test_options_need_what_they_go_with(cli: Cli, args: list[str], message: str) -> None:
    result = cli("eval", *args, *SMALL)
    assert result.exit_code == 2
    assert re.search(re.escape(message) + "|needs Matplotlib", result.stderr)
    assert not any(Path().iterdir())
