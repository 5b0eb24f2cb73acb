"""The recipe travels with the picture: it can be looked at, made again and left out, and a stranger's is only data."""

import getpass
import json
import os
import shlex
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from fakes import COLOURS, Cli
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import Result

from clipgen import metadata
from clipgen.job import MAX_JSON, Job, Prompt, parse_prompts
from clipgen.metadata import CHUNK, WEB_UI_CHUNK, Recipe, read_recipe
from clipgen.presets import PRESETS
from clipgen.printable import MAX_QUOTED, quoted, visible
from clipgen.sinks.base import Outcome

SMALL = ("--size", "32x32", "--steps", "3", "--cutouts", "2")
RECIPE = Recipe(Job(parse_prompts("red")), None, Outcome.FINISHED, 3, 0.25, 0.5)


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


def png_with(text: str, key: str = CHUNK, path: str = "foreign.png") -> Path:
    chunks = PngInfo()
    chunks.add_text(key, text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=chunks)
    return Path(path)


def recipe_with(changes: dict[str, Any]) -> str:
    """Write a good recipe, but for some parts: a key of the record or, with a dot, of its job."""
    record = RECIPE.to_dict()
    for name, value in changes.items():
        place = record["job"] if name.startswith("job.") else record
        place[name.removeprefix("job.")] = value
    return json.dumps(record)


def assert_refused(result: Result, message: str) -> None:
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) < 600
    assert result.stderr[:-1].isprintable()
    assert result.stdout == ""


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
    assert document["job"]["seed"] == 7


PROMPTS = st.builds(Prompt, st.sampled_from(["red", "猫", 'a "b" $c']), st.floats(-5, 5).filter(bool))


@given(st.lists(PROMPTS, min_size=1, max_size=4), st.integers(0, 2**63 - 1), st.sampled_from(Outcome))
def test_every_recipe_comes_back_whole(prompts: list[Prompt], seed: int, outcome: Outcome) -> None:
    recipe = Recipe(Job(tuple(prompts), seed=seed, init="a.png"), "0" * 64, outcome, 3, 0.25, 0.5)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("args", [(), ("--backend", "dvae"), ("--lr", "0.3")])
def test_a_replay_is_the_same_picture(cli: Cli, args: tuple[str, ...]) -> None:
    path = made(cli, *args)
    assert replayed(cli, path).job == read_recipe(path).job
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
        (("--backend", "vqgan", "--preset", "auto"), {}),
    ],
)
def test_a_flag_replaces_its_part_and_nothing_else(cli: Cli, args: tuple[str, ...], changed: dict[str, Any]) -> None:
    path = made(cli, "--lr", "0.05")
    before = read_recipe(path).job
    assert replayed(cli, path, *args).job == Job(**{**vars(before), **changed})


def test_another_backend_brings_its_own_numbers_unless_they_are_given(cli: Cli) -> None:
    path = made(cli, "--lr", "0.05")
    defaults = PRESETS["starter"].generators["dvae"]
    job = replayed(cli, path, "--backend", "dvae", "--steps", "2").job
    assert (job.backend, job.steps, job.lr, job.cutouts) == ("dvae", 2, defaults.lr, defaults.cutouts)
    assert (job.size, job.seed, job.text) == ((32, 32), 7, "red")


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
    path = png_with(recipe_with({"version": "9.9", "job.steps": 1, "job.cutouts": 1, "job.size": [16, 16]}))
    result = cli("replay", str(path))
    assert result.exit_code == 0
    assert "warning: the recipe is of clipgen 9.9, this is " in result.stderr
    assert "9.9" not in cli("replay", result.stdout.strip()).stderr


def test_an_init_image_can_be_added(cli: Cli) -> None:
    Image.new("RGB", (32, 32), "blue").save("init.png")
    recipe = replayed(cli, made(cli), "--init", "init.png")
    assert (recipe.job.init, recipe.job.init_weight) == ("init.png", 0.0)


def chunk_kinds(path: Path) -> list[bytes]:
    content, place, kinds = path.read_bytes(), 8, []
    while place < len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        kinds.append(kind)
        place += length + 12
    return kinds


@pytest.mark.parametrize("command", ["run", "batch", "replay"])
def test_without_metadata_a_picture_is_pixels_and_nothing_else(cli: Cli, command: str) -> None:
    path = made(cli)
    Path("prompts.txt").write_text("red\n")
    args = {
        "run": ("red", *SMALL, "--seed", "7"),
        "batch": ("batch", "prompts.txt", *SMALL, "--seed", "7"),
        "replay": ("replay", "a.png"),
    }[command]
    bare = Path(cli(*args, "--no-metadata").stdout.strip())
    assert set(chunk_kinds(bare)) == {b"IHDR", b"IDAT", b"IEND"}
    assert set(chunk_kinds(path)) > {b"tEXt"}
    assert pixels(bare) == pixels(path)
    assert_refused(cli("info", str(bare)), "has no clipgen recipe: clipgen did not make it, or was told --no-metadata")


def test_without_metadata_a_batch_makes_a_picture_again_and_json_still_tells_all(cli: Cli) -> None:
    Path("prompts.txt").write_text("red\n")
    first = cli("batch", "prompts.txt", *SMALL, "--no-metadata", "--json")
    assert json.loads(first.stdout)["pictures"][0]["outcome"] == "finished"
    assert cli("batch", "prompts.txt", *SMALL).stdout == "outputs/red-0-2.png\n"
    assert cli("batch", "prompts.txt", *SMALL).stdout == ""


@pytest.mark.parametrize("command", ["info", "replay"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "reads schema 1, got 2"),
        ({"schema": None}, "reads schema 1, got None"),
        ({"extra": 1}, "recipe: the key must be one of"),
        ({"x" * 500_000: 1}, "recipe: the key must be one of"),
        ({"outcome": "great"}, "outcome must be one of"),
        ({"outcome": ["finished"]}, "outcome must be one of"),
        ({"steps_done": -1}, "steps_done must be a whole number from 0"),
        ({"steps_done": True}, "steps_done must be a whole number from 0"),
        ({"loss": float("nan")}, "not valid JSON (NaN is not a number)"),
        ({"loss": "0.5"}, "loss must be a number"),
        ({"clip_score": 10**400}, "clip_score must be a number"),
        ({"version": 1}, "version must be text"),
        ({"version": "1" * 99}, "version must be text of up to 40 characters"),
        ({"init_sha256": "0" * 64}, "init must be a file name without a folder, got None"),
        ({"job": None}, "job: must be a JSON object, got None"),
        ({"job.prompts": "red"}, "prompts must be a list"),
        ({"job.prompts": [{"text": "a\x1b[2Jb"}]}, "the prompt contains the unprintable character U+001B"),
        ({"job.prompts": [{"text": "a\ud800b"}]}, "the prompt contains the unprintable character U+D800"),
        ({"job.prompts": [{"text": "red"}] * 65}, "the prompt must have 1 to 64 texts"),
        ({"job.backend": "\x1b]0;owned\x07\u202e"}, r"got '\x1b]0;owned\x07\u202e'"),
        ({"job.preset": [[[]]]}, "--preset must be one of"),
        ({"job.size": [10**9, 10**9]}, "the width of --size must be a whole number"),
        ({"job.steps": 10**4000}, "--steps must be a whole number from 1 to 100000"),
        ({"job.steps": 1e300}, "--steps must be a whole number from 1 to 100000"),
        ({"job.seed": "7"}, "--seed must be a whole number"),
        ({"job.shell": "rm"}, "job: the key must be one of"),
        ({"job.init": "/etc/passwd", "init_sha256": "0" * 64}, "init must be a file name without a folder"),
        ({"job.init": "../a.png", "init_sha256": "0" * 64}, "init must be a file name without a folder"),
        ({"job.init": "a.png"}, "init_sha256 must be 64 hexadecimal digits, got None"),
        ({"job.init": "a.png", "init_sha256": "0" * 63 + "\n"}, "init_sha256 must be 64 hexadecimal digits"),
    ],
)
def test_a_foreign_recipe_is_refused_in_one_line(cli: Cli, command: str, changes: dict[str, Any], message: str) -> None:
    assert_refused(cli(command, str(png_with(recipe_with(changes)))), message)
    assert list(Path().iterdir()) == [Path("foreign.png")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[1]", "must be a JSON object"),
        ("9" * 5000, "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"schema": 1}', "the key clip_score is missing"),
        (" " * (MAX_JSON + 1), "longer than 1000000 characters"),
    ],
)
def test_text_that_is_no_recipe_is_refused_in_one_line(cli: Cli, text: str, message: str) -> None:
    assert_refused(cli("info", str(png_with(text))), message)


@pytest.mark.parametrize("depth", [10, 300, 900, 950])
@pytest.mark.parametrize("place", ["schema", "version", "job", "outcome", "job.backend", "job.prompts", "job.size"])
def test_nesting_of_any_depth_is_refused_in_one_line(cli: Cli, place: str, depth: int) -> None:
    deep = recipe_with({place: "DEEP"}).replace('"DEEP"', "[" * depth + "]" * depth)
    assert_refused(cli("info", str(png_with(deep))), "foreign.png")


def test_an_error_can_quote_any_value() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert quoted(deep) == "too large a value of the type list"
    assert quoted("a\u202e\n") == r"'a\u202e\n'"
    assert len(quoted("x" * 10**6)) == len(quoted([1] * 10**4)) == MAX_QUOTED


def test_what_is_printed_of_a_foreign_recipe_is_visible(cli: Cli) -> None:
    hidden = {"version": "1\x1b]0;owned\x07\n2", "job.init": "a\u202egnp.exe\x9b1m", "init_sha256": "0" * 64}
    path = png_with(recipe_with({**hidden, "job.prompts": [{"text": "a\u2066 cat\u200b\u3164"}]}))
    result = cli("info", str(path))
    assert result.exit_code == 0
    for shown in (r"1\x1b]0;owned\x07\n2", r"a\u202egnp.exe\x9b1m", r"a\u2066 cat\u200b\u3164"):
        assert shown in result.stdout
    assert all(line.isprintable() for line in result.stdout.split("\n"))
    assert cli("info", str(path), "--json").stdout.isascii()
    assert_refused(cli("replay", str(path)), r"was started from 'a\u202egnp.exe\x9b1m', sha256 000000000000...")


def test_what_a_replay_says_of_a_foreign_prompt_is_visible(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLOURS, "red\u202e", (1, -1, -1))
    job = {"job.steps": 2, "job.cutouts": 2, "job.size": [16, 16], "job.prompts": [{"text": "red\u202e"}]}
    job |= {"version": "9\x1b[2J"}
    result = cli("replay", str(png_with(recipe_with(job))))
    assert result.exit_code == 0
    assert r"red\u202e: 2/2  loss" in result.stderr
    assert r"the recipe is of clipgen 9\x1b[2J" in result.stderr
    assert all(line.isprintable() for line in result.stderr.split("\n"))


@given(st.text())
def test_visible_text_is_printable_and_plain_text_stays(text: str) -> None:
    assert visible(text).isprintable()
    assert visible(visible(text)) == visible(text)
    assert visible("Käse, 猫 🐈 'quoted' \\ ") == "Käse, 猫 🐈 'quoted' \\ "


def bomb(kind: bytes) -> Path:
    """A PNG of a few kilobytes whose text unpacks to 50 MB."""
    packed = zlib.compress(b" " * 50_000_000)
    body = {b"zTXt": b"clipgen\0\0" + packed, b"iTXt": b"clipgen\0\1\0\0\0" + packed}[kind]
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    Image.new("RGB", (8, 8)).save("plain.png")
    content = Path("plain.png").read_bytes()
    Path("bomb.png").write_bytes(content[:33] + chunk + content[33:])
    return Path("bomb.png")


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_text_bomb_is_refused_in_one_line(cli: Cli, kind: bytes) -> None:
    path = bomb(kind)
    assert_refused(cli("info", str(path)), "'bomb.png' cannot be read as a PNG file (Decompressed data too large")
    assert metadata.read(path) is None


def broken_files() -> dict[str, str]:
    """Write files that are no pictures of clipgen; tells of each what is said."""
    Image.new("RGB", (8, 8)).save("jpeg.png", format="JPEG")
    Image.new("RGB", (8, 8)).save("plain.png")
    header = struct.pack(">II5B", 100_000, 100_000, 8, 2, 0, 0, 0)
    huge = b"IHDR" + header
    content = Path("plain.png").read_bytes()
    Path("huge.png").write_bytes(content[:12] + huge + struct.pack(">I", zlib.crc32(huge)) + content[33:])
    Path("empty.png").touch()
    os.mkfifo("pipe.png")
    png_with("a cat\nSteps: 20, Sampler: x, Seed: 7", WEB_UI_CHUNK, "web-ui.png")
    return {
        "jpeg.png": "is not a PNG file",
        "empty.png": "is not a PNG file",
        "plain.png": "has no clipgen recipe",
        "web-ui.png": "the settings in it are in the form of other programs alone",
        "huge.png": "cannot be read as a PNG file (Image size",
        "pipe.png": "is not a file",
        "missing\x1b.png": r"'missing\x1b.png' is not a file",
        ".": "is not a file",
        "x" * 300: "cannot be read",
    }


def test_files_without_a_recipe_are_refused_in_one_line(cli: Cli) -> None:
    for name, message in broken_files().items():
        assert_refused(cli("info", name), message)
        assert_refused(cli("replay", name), message)
        assert metadata.read(Path(name)) is None


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
