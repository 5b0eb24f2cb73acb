"""`clipgen words`: who takes which words of a prompt."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import Cli

from clipgen.config.class_words import groups
from clipgen.config.classes import class_names, things_in

OLD_CAT = "an old fluffy kitten in the style of Van Gogh at night"


def test_a_table_of_who_takes_what(cli: Cli) -> None:
    result = cli("words", OLD_CAT, "--preset", "photo")
    assert result.exit_code == 0
    head, *rows, left = (line.split("  ") for line in result.stdout.splitlines())
    assert [[cell.strip() for cell in row if cell] for row in (head, *rows)] == [
        ["PERCEPTOR", "TAKES", "CLASSES"],
        ["classifier/efficientnet-lite0", "cat", "5 classes: tabby, tiger cat, …"],
        ["starter/clip", "in the style of Van Gogh at night"],
        ["starter/clip-fine", "in the style of Van Gogh at night"],
    ]
    assert left == ['left out: "old", "fluffy"']
    assert not any(line.endswith(" ") for line in result.stdout.splitlines())


def test_only_those_that_take_something_are_named(cli: Cli) -> None:
    lines = cli("words", "a volcano", "--preset", "photo").stdout.splitlines()
    assert [line.split() for line in lines[1:]] == [["classifier/efficientnet-lite0", "volcano", "1", "class"]]
    lines = cli("words", "a blue fluffy night", "--preset", "photo").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["starter/clip", "starter/clip-fine"]
    assert lines[3:] == ['left out: "fluffy"']


def test_clips_take_whole_texts_where_no_classifier_guides(cli: Cli) -> None:
    result = cli("words", "a rhinoceros", "--preset", "starter")
    assert "starter/clip-fine  a rhinoceros" in result.stdout
    assert "left out" not in result.stdout
    assert result.stdout.endswith('not known: "rhinoceros"\n')
    assert 'clipgen\'s own models know none of these things: "rhinoceros"' in result.stderr


def test_the_choice_of_preset_is_explained_apart_from_the_table(cli: Cli) -> None:
    result = cli("words", "a hippopotamus")
    assert result.stderr.startswith("preset photo: ")
    assert result.stdout.startswith("PERCEPTOR")


def test_models_that_are_named_take_the_place_of_the_presets(cli: Cli) -> None:
    lines = cli("words", "a dog", "--perceptor", "efficientnet-lite2", "--clip", "ViT-B-32").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["classifier/efficientnet-lite2", "clip/openai-vit-b-32"]
    assert "118 classes: " in lines[1]
    assert "a dog" in lines[2]


def test_several_prompts_have_a_column(cli: Cli) -> None:
    lines = cli("words", "a volcano:2|two tabby cats:-0.5|red", "--preset", "photo").stdout.splitlines()
    assert lines[0].split() == ["PERCEPTOR", "PROMPT", "TAKES", "CLASSES"]
    assert [line.split()[1:] for line in lines[1:3]] == [
        ["a", "volcano:2", "volcano", "1", "class"],
        ["two", "tabby", "cats:-0.5", "tabby", "1", "class"],
    ]
    assert lines[3].split() == ["starter/clip", "red", "red"]


def test_json_holds_the_same(cli: Cli) -> None:
    result = cli("words", OLD_CAT, "--preset", "photo", "--json")
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert found["prompts"] == [{"text": OLD_CAT, "weight": 1.0}]
    assert found["left_out"] == ["old", "fluffy"]
    classifier, clip, _ = found["perceptors"]
    assert classifier["things"] == [{"words": "kitten", "name": "cat", "classes": [281, 282, 283, 284, 285]}]
    assert (clip["name"], clip["weight"], clip["takes"]) == ("starter/clip", 3.0, ["in the style of Van Gogh at night"])
    assert clip["things"] == []


def test_a_terminal_is_shown_nothing_that_is_hidden(cli: Cli) -> None:
    assert "\x1b" not in cli("words", "a \x1b[31mcat\x1b[0m", "--preset", "starter").stdout


@pytest.mark.parametrize("args", [("zzz qqq", "--preset", "photo"), ("a crane",), ("a cat", "--backend", "foo")])
def test_a_prompt_is_refused_as_a_run_would_refuse_it(cli: Cli, args: tuple[str, ...]) -> None:
    results = [cli(command, *args) for command in ("words", "run")]
    assert [result.exit_code for result in results] == [2, 2]
    assert results[0].stderr == results[1].stderr
    assert results[0].stderr.count("\n") == 1
    assert results[0].stdout == ""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "words needs a prompt, or --list"),
        (("--list", "a cat"), "--list takes no prompt"),
        (("a cat", "--perceptor", "lite9"), "must be one of classifier/efficientnet-lite0"),
        (("a cat", "--size", "64"), "No such option"),
    ],
)
def test_bad_input_is_refused_in_one_line(cli: Cli, args: tuple[str, ...], message: str) -> None:
    result = cli("words", *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_list_has_every_class_and_every_group(cli: Cli) -> None:
    rows = [line.split("\t") for line in cli("words", "--list").stdout.splitlines()]
    assert all(len(row) == 2 for row in rows)
    assert [name for name, _ in rows[:1000]] == list(class_names())
    assert [classes for _, classes in rows[:1000]] == list(map(str, range(1000)))
    listed = dict(rows[1000:])
    assert listed["cat"] == "281-285"
    assert listed["elephant"] == "101 385-386"
    assert listed["cow"] == "345"
    assert len(listed) == len(rows) - 1000 == len(groups())


def test_the_names_of_the_list_can_be_used_in_a_prompt(cli: Cli) -> None:
    named = {row["name"]: row["classes"] for row in json.loads(cli("words", "--list", "--json").stdout)}
    assert len(named) > 1000
    for name in ("cat", "tabby", "sunglasses", "crane (bird)", "elephant", "cow"):
        assert list(things_in(f"the {name}")[0].classes) == named[name]


@pytest.mark.parametrize(
    "args", [["a fluffy cat", "--preset", "photo"], ["a city", "--clip", "ViT-B-32"], ["a cat"], ["--list"]]
)
def test_it_is_instant_because_torch_is_not_imported(args: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "clipgen", "words", *args]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines() if "|" in line}
    assert "clipgen.cli.words" in imported
    assert not imported & {"torch", "numpy", "PIL", "kornia", "open_clip", "timm", "torchvision", "safetensors"}
