"""A stranger's recipe is only data: it is shown visibly and made, or refused in one line, and so is what is none."""

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from fakes import COLOURS, Cli
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from recipes import assert_refused, old_recipe_with, png_with, recipe_with

from clipgen.config.checks import MAX_JSON
from clipgen.outputs import metadata
from clipgen.outputs.metadata import WEB_UI_CHUNK
from clipgen.util.text import MAX_QUOTED, quoted, visible


@pytest.mark.parametrize("command", ["info", "replay"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 3}, "reads schema 1 and 2, got 3"),
        ({"schema": None}, "reads schema 1 and 2, got None"),
        ({"schema": True}, "reads schema 1 and 2, got True"),
        ({"extra": 1}, "recipe: the key must be one of"),
        ({"x" * 500_000: 1}, "recipe: the key must be one of"),
        ({"job": {}}, "recipe: the key must be one of"),
        ({"outcome": "great"}, "outcome must be one of"),
        ({"outcome": ["finished"]}, "outcome must be one of"),
        ({"steps_done": -1}, "steps_done must be a whole number from 0"),
        ({"steps_done": True}, "steps_done must be a whole number from 0"),
        ({"loss": float("nan")}, "not valid JSON (NaN is not a number)"),
        ({"loss": "0.5"}, "loss must be a number"),
        ({"clip_score": 10**400}, "clip_score must be a number"),
        ({"cutouts_at_once": 0}, "cutouts_at_once must be a whole number from 1"),
        ({"version": 1}, "version must be text"),
        ({"version": "1" * 99}, "version must be text of up to 40 characters"),
        ({"init_sha256": "0" * 64}, "init must be a file name without a folder, got ''"),
        ({"plan": None}, "plan: must be a JSON object, got None"),
        ({"plan.prompts": "red"}, "plan.prompts must be a list"),
        ({"plan.prompts": [{"text": "a\x1b[2Jb"}]}, "the prompt contains the unprintable character U+001B"),
        ({"plan.prompts": [{"text": "a\ud800b"}]}, "the prompt contains the unprintable character U+D800"),
        ({"plan.prompts": [{"text": "red"}] * 65}, "plan.prompts must be a list of at most 64 values"),
        ({"plan.prompts": []}, "the prompt must have 1 to 64 texts"),
        ({"plan.backend": "\x1b]0;owned\x07\u202e"}, r"got '\x1b]0;owned\x07\u202e'"),
        ({"plan.preset": [[[]]]}, "plan.preset must be text"),
        ({"plan.size": [10**9, 10**9]}, "the width of --size must be a whole number"),
        ({"plan.size": [33, 32]}, "--size 33x32 is not on the grid of vqgan"),
        ({"plan.size": [4096, 4096]}, "--size 4096x4096 is too large"),
        ({"plan.steps": 10**4000}, "--steps must be a whole number from 1 to 100000"),
        ({"plan.steps": 1e300}, "plan.steps must be a whole number"),
        ({"plan.seed": "7"}, "plan.seed must be a whole number"),
        ({"plan.shell": "rm"}, "plan: the key must be one of"),
        ({"plan.lr": 0}, "--lr must be above 0"),
        ({"plan.lr_schedule.kind": "exec"}, "the kind of a schedule must be one of constant, cosine"),
        ({"plan.losses": [{"name": "x", "weight": {"kind": "constant", "start": 1, "end": 1}}]}, "a loss must be one"),
        ({"plan.generator.weights": "../../etc/passwd"}, "a generator's weights must be a name such as"),
        ({"plan.generator.weights": "a/../b"}, "a generator's weights must be a name such as"),
        ({"plan.generator.stride": 0}, "a generator's stride must be a whole number from 1"),
        ({"plan.generator.levels": 10**9}, "--levels must be a whole number from 1"),
        ({"plan.generator.optimizer": "eval"}, "the optimizer must be one of"),
        ({"plan.judges": ["/etc/passwd"]}, "a judge must be a name such as"),
        ({"plan.unclip": [{}]}, "plan.unclip: the key prior is missing"),
        ({"plan.perceptors": []}, "the number of perceptors must be a whole number from 1"),
        ({"plan.start": "init"}, "a run starts at an init image or at tokens if it has them"),
        ({"plan.start": "init", "plan.init": "/etc/passwd", "init_sha256": "0" * 64}, "init must be a file name"),
        ({"plan.start": "init", "plan.init": "../a.png", "init_sha256": "0" * 64}, "init must be a file name"),
        ({"plan.start": "init", "plan.init": "a.png"}, "init_sha256 must be 64 hexadecimal digits, got None"),
        (
            {"plan.start": "init", "plan.init": "a.png", "init_sha256": "0" * 63 + "\n"},
            "init_sha256 must be 64 hexadecimal digits",
        ),
    ],
)
def test_a_foreign_recipe_is_refused_in_one_line(cli: Cli, command: str, changes: dict[str, Any], message: str) -> None:
    assert_refused(cli(command, str(png_with(recipe_with(changes)))), message)
    assert list(Path().iterdir()) == [Path("foreign.png")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plan": {}}, "recipe: the key must be one of"),
        ({"job": None}, "job: must be a JSON object, got None"),
        ({"job.prompts": "red"}, "prompts must be a list"),
        ({"job.prompts": [{"text": "a\x1b[2Jb"}]}, "the prompt contains the unprintable character U+001B"),
        ({"job.prompts": [{"text": "red"}] * 65}, "the prompt must have 1 to 64 texts"),
        ({"job.backend": "\x1b]0;owned\x07\u202e"}, r"got '\x1b]0;owned\x07\u202e'"),
        ({"job.preset": [[[]]]}, "--preset must be one of"),
        ({"job.size": [10**9, 10**9]}, "the width of --size must be a whole number"),
        ({"job.steps": 10**4000}, "--steps must be a whole number from 1 to 100000"),
        ({"job.shell": "rm"}, "job: the key must be one of"),
        ({"job.network": "/etc/passwd"}, "--vqgan must be one of"),
        ({"job.init": "/etc/passwd", "init_sha256": "0" * 64}, "init must be a file name without a folder"),
        ({"job.init": "a.png"}, "init_sha256 must be 64 hexadecimal digits, got None"),
        ({"views_at_once": "1"}, "must be a whole number from 1"),
    ],
)
def test_a_foreign_recipe_of_schema_1_is_refused_in_one_line(cli: Cli, changes: dict[str, Any], message: str) -> None:
    for command in ("info", "replay"):
        assert_refused(cli(command, str(png_with(old_recipe_with(changes)))), message)


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
@pytest.mark.parametrize("place", ["schema", "version", "plan", "outcome", "plan.backend", "plan.prompts", "plan.size"])
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
    hidden = {
        "version": "1\x1b]0;owned\x07\n2",
        "plan.start": "init",
        "plan.init": "a\u202egnp.exe\x9b1m",
        "init_sha256": "0" * 64,
    }
    path = png_with(recipe_with({**hidden, "plan.prompts": [{"text": "a\u2066 cat\u200b\u3164"}]}))
    result = cli("info", str(path))
    assert result.exit_code == 0
    for shown in (r"1\x1b]0;owned\x07\n2", r"a\u202egnp.exe\x9b1m", r"a\u2066 cat\u200b\u3164"):
        assert shown in result.stdout
    assert all(line.isprintable() for line in result.stdout.split("\n"))
    assert cli("info", str(path), "--json").stdout.isascii()
    assert_refused(cli("replay", str(path)), r"was started from 'a\u202egnp.exe\x9b1m', sha256 000000000000...")


def test_what_a_replay_says_of_a_foreign_prompt_is_visible(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLOURS, "red\u202e", (1, -1, -1))
    prompts = [{"text": "red\u202e", "weight": 1, "stop": None}]
    small = {"plan.steps": 2, "plan.cutouts": 2, "plan.size": [16, 16], "plan.prompts": prompts}
    result = cli("replay", str(png_with(recipe_with({**small, "version": "9\x1b[2J"}))))
    assert result.exit_code == 0
    assert r"red\u202e: 2/2  loss" in result.stderr
    assert r"the recipe is from clipgen 9\x1b[2J" in result.stderr
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
    assert_refused(cli("info", str(path)), "'bomb.png' cannot be read as a picture (Decompressed data too large")
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
        "jpeg.png": "has no clipgen recipe",
        "empty.png": "is not a PNG, JPEG or WebP file",
        "plain.png": "has no clipgen recipe",
        "web-ui.png": "it holds only the settings of another program",
        "huge.png": "cannot be read as a picture (Image size",
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
