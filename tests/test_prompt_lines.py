"""Files of prompts: alternatives in braces, and settings that hold for one line."""

import math
from pathlib import Path

import pytest
from conftest import Cli
from hypothesis import given
from hypothesis import strategies as st

from clipgen.cli.prompt_lines import MAX_PICTURES, expanded, prompt_lines
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe

SMALL = ("--size", "32x32", "--steps", "3", "--cutouts", "2", "--start", "noise")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines(text: str) -> list[tuple[int, str, dict[str, object]]]:
    Path("prompts.txt").write_text(text, encoding="utf-8")
    return [tuple(line) for line in prompt_lines("prompts.txt")]


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("a cat", ["a cat"]),
        ("a {red|blue} cat", ["a red cat", "a blue cat"]),
        ("{a|b} {c|d}", ["a c", "a d", "b c", "b d"]),
        ("a {small |} cat", ["a small cat", "a  cat"]),
        ("a {red} cat", ["a {red} cat"]),
        ("{}", ["{}"]),
        ("a {cat|dog}:2|fog:-0.5", ["a cat:2|fog:-0.5", "a dog:2|fog:-0.5"]),
    ],
)
def test_braces_stand_for_alternatives(text: str, texts: list[str]) -> None:
    assert list(expanded(text)) == texts


@given(st.lists(st.lists(st.text("abc", min_size=1, max_size=3), min_size=2, max_size=4), min_size=1, max_size=4))
def test_every_combination_comes_once_in_order(parts: list[list[str]]) -> None:
    found = list(expanded(" ".join("{" + "|".join(part) + "}" for part in parts)))
    assert len(found) == math.prod(map(len, parts))
    assert found[0] == " ".join(part[0] for part in parts)
    assert found[-1] == " ".join(part[-1] for part in parts)


@pytest.mark.parametrize("text", ["a {red|blue cat", "a red} cat", "{a|{b|c}", "}{", "{{a}}|{b"])
def test_a_brace_without_its_partner_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"line 2: .* has a brace without its partner"):
        lines(f"fine\n{text}\n")


def test_words_come_from_a_file() -> None:
    Path("animals.txt").write_text("# tame\ncat\n\ndog\n", encoding="utf-8")
    assert lines("a {@animals.txt}, {ink|oil}") == [
        (1, f"a {animal}, {paint}", {}) for animal in ("cat", "dog") for paint in ("ink", "oil")
    ]
    with pytest.raises(UsageError, match=r"line 1: the prompts file plants.txt cannot be read"):
        lines("a {@plants.txt}")
    Path("empty.txt").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"line 1: empty.txt holds no words"):
        lines("a {@empty.txt}")


def test_a_line_has_settings_of_its_own() -> None:
    found = lines(
        '--steps 200 --seed 3 --loss "palette:5:navy, gold" :: a cat\na dog\n--size 64x32 :: a {red|blue} cat'
    )
    assert found == [
        (1, "a cat", {"steps": 200, "seed": 3, "losses": ("palette:5:navy, gold",)}),
        (2, "a dog", {}),
        (3, "a red cat", {"size": (64, 32)}),
        (3, "a blue cat", {"size": (64, 32)}),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--steps 200", "has settings and no prompt"),
        ("--steps two :: a cat", "--steps'.* should be a valid integer"),
        ("--stepps 2 :: a cat", "No such option: --stepps"),
        ("--steps :: a cat", "--steps.* requires an argument"),
        ("--out x.png :: a cat", "No such option: --out"),
        ("--help :: a cat", "No such option: --help"),
        ("--size 'x :: a cat", "a quotation mark without its partner"),
        ("--size 0 :: a cat", "width of --size must be"),
        ("--seed -1x :: a cat", "--seed must be a whole number"),
        ("--steps 2 a cat :: b", "unexpected extra argument"),
    ],
)
def test_settings_that_are_wrong_are_refused_before_anything_is_made(cli: Cli, line: str, message: str) -> None:
    Path("prompts.txt").write_text(f"red\n{line}\n", encoding="utf-8")
    result = cli("batch", "prompts.txt", *SMALL)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: line 2: ")
    assert result.stderr.count("\n") == 1
    with pytest.raises(UsageError, match=f"(?i)line 2: .*{message}"):
        prompt_lines("prompts.txt")
    assert [path.name for path in Path().iterdir()] == ["prompts.txt"]


def test_braces_cannot_ask_for_millions() -> None:
    ten = "{" + "|".join("abcdefghij") + "}"
    with pytest.raises(UsageError, match=f"line 1: braces ask for more than {MAX_PICTURES} pictures"):
        lines(ten * 30)
    assert len(lines(ten * 4)) == MAX_PICTURES


def test_a_batch_makes_what_its_lines_ask_for(cli: Cli) -> None:
    Path("prompts.txt").write_text("--steps 5 --seed 7 :: red\n{green|blue}\n--backend dvae :: red\n", encoding="utf-8")
    made = cli("batch", "prompts.txt", *SMALL, "--seed", "1")
    assert made.exit_code == 0, made.stderr
    plans = [read_recipe(Path(path)).plan for path in made.stdout.split()]
    assert [(plan.text, plan.steps, plan.seed, plan.backend) for plan in plans] == [
        ("red", 5, 7, "vqgan"),
        ("green", 3, 1, "vqgan"),
        ("blue", 3, 1, "vqgan"),
        ("red", 3, 1, "dvae"),
    ]
    again = cli("batch", "prompts.txt", *SMALL, "--seed", "1")
    assert again.exit_code == 0
    assert not again.stdout
    assert again.stderr.count("already made") == 4


def test_a_setting_that_only_fails_when_it_is_planned_costs_its_line(cli: Cli) -> None:
    Path("prompts.txt").write_text("--start init :: red\nblue\n", encoding="utf-8")
    made = cli("batch", "prompts.txt", *SMALL[:-2])
    assert made.exit_code == 1
    assert "error: line 1: --start init needs an init image" in made.stderr
    assert len(made.stdout.split()) == 1
