"""The recipe travels with the picture: it can be looked at, made again and left out, and tells nothing private."""

import getpass
import json
import shlex
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import Cli
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from recipes import RECIPE, assert_refused, png_with, recipe_with

from clipgen.config.presets import PRESETS
from clipgen.config.prompts import Prompt
from clipgen.core.contracts import Outcome
from clipgen.outputs import metadata
from clipgen.outputs.metadata import Recipe, read_recipe

SMALL = ("--size", "32x32", "--steps", "3", "--cutouts", "2")


def made(cli: Cli, *args: str, out: str = "a.png") -> Path:
    result = cli("red", *SMALL, "--seed", "7", "-o", out, *args)
    assert result.exit_code == 0, result.stderr
    return Path(result.stdout.strip())


def replayed(cli: Cli, path: Path, *args: str) -> Recipe:
    result = cli("replay", str(path), *args, "-o", "again.png")
    assert result.exit_code == 0, result.stderr
    return read_recipe(Path(result.stdout.strip()))


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def test_info_shows_what_was_asked_what_came_of_it_and_the_command(cli: Cli) -> None:
    result = cli("info", str(made(cli, "--lr", "0.05", out="my picture.png")))
    assert (result.exit_code, result.stderr) == (0, "")
    rows = dict(line.split("  ", 1) for line in result.stdout.splitlines())
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    recipe = read_recipe(Path("my picture.png"))
    asked = {"prompt": "red", "backend": "vqgan", "preset": "starter", "size": "32x32", "steps": "3", "seed": "7"}
    assert rows.items() >= {**asked, "lr": "0.05", "cutouts": "2", "outcome": "finished", "steps done": "3"}.items()
    assert float(rows["score"]) == pytest.approx(recipe.score, rel=1e-3)
    assert float(rows["loss"]) == pytest.approx(recipe.loss, rel=1e-3)
    assert rows["version"] == recipe.version
    assert shlex.split(rows["again"]) == ["clipgen", "replay", "my picture.png"]
    assert len({len(line) - len(line.split("  ", 1)[1].lstrip()) for line in result.stdout.splitlines()}) == 1


def test_info_as_json_is_the_whole_record(cli: Cli) -> None:
    path = made(cli)
    document = json.loads(cli("info", str(path), "--json").stdout)
    assert document == {"path": "a.png", **(metadata.read(path) or {})}
    assert document["plan"]["seed"] == 7


PROMPTS = st.builds(
    Prompt, st.sampled_from(["red", "猫", 'a "b" $c']), st.floats(-5, 5).filter(lambda weight: abs(weight) > 1e-16)
)


@given(st.lists(PROMPTS, min_size=1, max_size=4), st.integers(0, 2**63 - 1), st.sampled_from(Outcome))
def test_every_recipe_comes_back_whole(prompts: list[Prompt], seed: int, outcome: Outcome) -> None:
    plan = replace(RECIPE.plan, prompts=tuple(prompts), seed=seed, start="init", init="a.png")
    recipe = Recipe(plan, "0" * 64, outcome, 3, 0.25, 0.5, cutouts_at_once=2)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("args", [(), ("--backend", "dvae"), ("--lr", "0.3")])
def test_a_replay_is_the_same_picture(cli: Cli, args: tuple[str, ...]) -> None:
    path = made(cli, *args)
    assert replayed(cli, path).plan == read_recipe(path).plan
    assert pixels(Path("again.png")) == pixels(path)


def test_a_replay_has_a_name_of_its_own_and_the_films_and_json_of_a_run(cli: Cli) -> None:
    path = made(cli, out="outputs")
    result = cli("replay", str(path), "--gif", "--json")
    document = json.loads(result.stdout)
    assert (document["path"], document["films"]) == ("outputs/red-7-2.png", ["outputs/red-7-2.gif"])
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("args", "changed"),
    [
        (("--prompt", "blue:2"), {"prompts": (Prompt("blue", 2.0),)}),
        (("--seed", "0"), {"seed": 0}),
        (("--steps", "1", "--cutouts", "1"), {"steps": 1, "cutouts": 1}),
        (("--size", "16x24"), {"size": (16, 24)}),
        (("--lr", "0.7"), {"lr": 0.7}),
    ],
)
def test_a_flag_replaces_its_part_and_nothing_else(cli: Cli, args: tuple[str, ...], changed: dict[str, Any]) -> None:
    path = made(cli, "--lr", "0.05")
    assert replayed(cli, path, *args).plan == replace(read_recipe(path).plan, **changed)


def test_another_backend_brings_its_own_numbers_unless_they_are_given(cli: Cli) -> None:
    path = made(cli, "--lr", "0.05")
    defaults = PRESETS["starter"].generators["dvae"]
    plan = replayed(cli, path, "--backend", "dvae", "--steps", "2").plan
    assert (plan.backend, plan.steps, plan.lr, plan.cutouts) == ("dvae", 2, defaults.lr, defaults.cutouts)
    assert plan.generator == defaults.settings
    assert (plan.size, plan.seed, plan.text) == ((32, 32), 7, "red")


def test_an_init_image_is_asked_for_and_compared(cli: Cli) -> None:
    Image.new("RGB", (32, 32), "blue").save("init.png")
    path = made(cli, "--init", "init.png", "--init-weight", "0.5")
    shown = cli("info", str(path)).stdout
    digits = metadata.hash_file("init.png")
    assert all(text in shown for text in ("init.png", digits, "clipgen replay a.png --init FILE"))
    assert_refused(cli("replay", str(path)), f"was started from 'init.png', sha256 {digits[:12]}..., which is not")
    Path("init.png").rename("moved.png")
    result = cli("replay", str(path), "--init", "moved.png", "-o", "same.png")
    assert (result.exit_code, "sha256" in result.stderr) == (0, False)
    assert pixels(Path("same.png")) == pixels(path)
    Image.new("RGB", (32, 32), "green").save("other.png")
    result = cli("replay", str(path), "--init", "other.png", "-o", "other-made.png")
    assert result.exit_code == 0
    assert "warning: --init 'other.png' is not the file that the first run started from" in result.stderr
    assert digits[:12] in result.stderr


def test_a_recipe_of_another_version_is_made_and_said(cli: Cli) -> None:
    path = png_with(recipe_with({"version": "9.9", "plan.steps": 1, "plan.cutouts": 1, "plan.size": [16, 16]}))
    result = cli("replay", str(path))
    assert result.exit_code == 0
    assert "warning: the recipe is from clipgen 9.9, this is " in result.stderr
    assert "clipgen 9.9" not in cli("replay", result.stdout.strip()).stderr


def test_an_init_image_can_be_added(cli: Cli) -> None:
    Image.new("RGB", (32, 32), "blue").save("init.png")
    recipe = replayed(cli, made(cli), "--init", "init.png")
    assert (recipe.plan.init, recipe.plan.start, recipe.plan.weight_of("init")) == ("init.png", "init", 0.0)


def chunk_kinds(path: Path) -> list[bytes]:
    content, place, kinds = path.read_bytes(), 8, []
    while place < len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        kinds.append(kind)
        place += length + 12
    return kinds


@pytest.mark.parametrize("command", ["run", "batch", "replay"])
def test_without_metadata_and_mark_a_picture_is_pixels_and_nothing_else(cli: Cli, command: str) -> None:
    path = made(cli)
    Path("prompts.txt").write_text("red\n")
    args = {
        "run": ("red", *SMALL, "--seed", "7"),
        "batch": ("batch", "prompts.txt", *SMALL, "--seed", "7"),
        "replay": ("replay", "a.png"),
    }[command]
    bare = Path(cli(*args, "--no-metadata", "--no-mark").stdout.strip())
    assert set(chunk_kinds(bare)) == {b"IHDR", b"IDAT", b"IEND"}
    assert set(chunk_kinds(path)) > {b"tEXt"}
    assert pixels(bare) == pixels(path)
    assert_refused(cli("info", str(bare)), "has no clipgen recipe: clipgen did not make it, or ran with --no-metadata")


def test_without_metadata_a_batch_makes_a_picture_again_and_json_still_tells_all(cli: Cli) -> None:
    Path("prompts.txt").write_text("red\n")
    first = cli("batch", "prompts.txt", *SMALL, "--no-metadata", "--json")
    assert json.loads(first.stdout)["pictures"][0]["outcome"] == "finished"
    assert cli("batch", "prompts.txt", *SMALL).stdout == "outputs/red-0-2.png\n"
    assert cli("batch", "prompts.txt", *SMALL).stdout == ""


def test_no_file_tells_who_made_it_and_where(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / "pauline-private"
    (home / "holiday").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("LOGNAME", "USER"):
        monkeypatch.setenv(name, "pauline-private")
    monkeypatch.setattr("socket.gethostname", lambda: "paulines-laptop")
    monkeypatch.setattr("platform.node", lambda: "paulines-laptop")
    Image.new("RGB", (32, 32), "blue").save(home / "holiday" / "init.png")
    out = home / "made"
    assert cli("red", "--init", str(home / "holiday" / "init.png"), *SMALL, "--video", "-o", str(out)).exit_code == 0
    assert sorted(file.suffix for file in out.iterdir()) == [".gif", ".mp4", ".png"]
    for file in out.iterdir():
        content = file.read_bytes()
        assert (b"init.png" in content) is (file.suffix == ".png")
        for private in (str(Path.home()), str(tmp_path), "holiday", getpass.getuser(), "paulines-laptop"):
            assert private.encode() not in content, (file.name, private)
