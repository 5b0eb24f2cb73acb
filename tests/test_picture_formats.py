"""A picture as JPEG or WebP is as good as a PNG: with its recipe, resumable, skipped by a batch, and safe to read."""

import os
import random
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import Cli, plan
from PIL import Image
from recipes import assert_refused
from test_resume import SMALL, stop_at

from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.saving import LOSSY, SUFFIXES, Saving
from clipgen.core.contracts import Outcome
from clipgen.errors import UsageError
from clipgen.outputs.embedded import JPEG_XMP, is_whole_picture, texts_in
from clipgen.outputs.metadata import describe_plan, describe_run, read, read_recipe
from clipgen.outputs.picture_file import write_picture

IMAGE = Image.effect_noise((64, 48), 60).convert("RGB")
NAME = "outputs/red-blue-0-3-1"


def write(path: Path, made: Plan, **saving: object) -> Path:
    record = describe_run(describe_plan(made), outcome=Outcome.FINISHED, steps_done=8, score=0.25, loss=0.5)
    write_picture(path, IMAGE, made, record, Saving(path.suffix, **saving))  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.webp", "A.JPG"])
def test_a_run_writes_the_format_that_is_named_and_replays_it(cli: Cli, name: str) -> None:
    first = cli(*SMALL, "-o", name)
    made = Path(first.stdout.strip())
    assert made.name.lower() == name.lower()
    with Image.open(made) as image:
        assert image.format == ("WEBP" if name.endswith("webp") else "JPEG")
    again = Path(cli("replay", str(made), "-o", "again.png").stdout.strip())
    assert read_recipe(again).plan == read_recipe(made).plan
    assert f"again       clipgen replay {made}" in cli("info", str(made)).stdout
    taken = cli(*SMALL, "-o", name).stdout.strip()
    assert Path(taken).stem == f"{made.stem}-2"


def test_quality_goes_with_formats_that_lose_something(cli: Cli) -> None:
    sizes = [write(Path(f"q{quality}.jpg"), plan(), quality=quality).stat().st_size for quality in (10, 50, 95)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert_refused(cli(*SMALL, "-o", "a.png", "--quality", "50"), "--quality 50 goes with JPEG and WebP")
    for wrong in ("0", "101"):
        assert_refused(cli(*SMALL, "-o", "a.jpg", "--quality", wrong), "--quality must be a whole number from 1 to 100")
    assert not list(Path().glob("a*"))


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_a_stopped_run_is_resumed_to_the_same_file(cli: Cli, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    whole = Path(cli(*SMALL, "-o", f"whole{suffix}").stdout.strip())
    stop_at(monkeypatch, 5)
    stopped = cli(*SMALL, "-o", f"a{suffix}")
    assert stopped.exit_code == 130
    assert f"continue with: clipgen resume a{suffix}" in stopped.stderr
    stop_at(monkeypatch, None)
    assert cli("resume", f"a{suffix}").stdout.strip() == f"a{suffix}"
    assert Path(f"a{suffix}").read_bytes() == whole.read_bytes()
    assert not Path("a.clipgen").exists()


def test_a_batch_takes_a_finished_picture_in_any_format_for_made(cli: Cli) -> None:
    Path("prompts.txt").write_text("red|blue:0.3\n")
    for suffix in LOSSY:
        Path("outputs").mkdir(exist_ok=True)
        made = Path(cli(*SMALL, "-o", f"{NAME}{suffix}").stdout.strip())
        told = cli("batch", "prompts.txt", "--json", *SMALL[1:])
        assert f'"skipped": [\n  "{made}"' in told.stdout or f'"{made}"' in told.stdout
        assert "already made" not in told.stdout
        made.write_bytes(made.read_bytes()[:-40])  # a part of it is no picture
        assert not is_whole_picture(made)
        made.unlink()


@pytest.mark.parametrize("name", ["jpg", "webp"])
def test_pictures_in_a_folder_get_the_format_that_is_asked_for(cli: Cli, name: str) -> None:
    Path("prompts.txt").write_text("red\nblue\n")
    command = ("batch", "prompts.txt", *SMALL[1:], "--format", name, "--quality", "60")
    made = cli(*command)
    assert made.exit_code == 0, made.stderr
    assert sorted(made.stdout.split()) == [f"outputs/{each}-1.{name}" for each in ("blue", "red")]
    for path in map(Path, made.stdout.split()):
        assert read_recipe(path).plan.steps == 12
        with Image.open(path) as image:
            assert image.format == {"jpg": "JPEG", "webp": "WEBP"}[name]
    assert cli(*command).stderr.count("already made") == 2
    assert cli("red", *SMALL[1:], "--format", name, "-o", "single").stdout.strip() == f"single/red-1.{name}"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("-o", "a.webp", "--format", "jpg"), "--format jpg and -o a.webp name two formats; leave one of them out"),
        (("-o", "a.jpg", "--format", "png"), "--format png and -o a.jpg name two formats"),
        (("--format", "jpeg"), "--format must be one of jpg, png, webp, got 'jpeg'; did you mean jpg?"),
        (("--format", "png", "--quality", "50"), "--quality 50 goes with JPEG and WebP"),
    ],
)
def test_a_format_that_cannot_be_is_refused(cli: Cli, args: tuple[str, ...], said: str) -> None:
    assert_refused(cli(*SMALL, *args), said)
    assert not Path("outputs").exists()


def test_a_format_and_a_file_that_agree_are_fine(cli: Cli) -> None:
    assert cli(*SMALL, "-o", "a.jpeg", "--format", "jpg").stdout.strip() == "a.jpeg"


def test_sheet_and_compare_read_recipes_in_other_formats(cli: Cli) -> None:
    for seed, suffix in enumerate((".jpg", ".webp", ".png"), start=1):
        cli("red", *SMALL[1:-4], "--seed", str(seed), "-o", f"many/a{seed}{suffix}")
    assert cli("sheet", "many", "--x", "seed").exit_code == 0


def test_a_recipe_that_a_jpeg_cannot_hold_is_refused_before_the_run(cli: Cli) -> None:
    long = "|".join(f"{chr(97 + number % 26)} {'very ' * 150}large cat {number}" for number in range(60))
    refused = cli(long, *SMALL[1:], "-o", "a.jpg")
    assert refused.exit_code == 2, refused.stderr[-3000:]
    assert "and a JPEG has room for 65,533; use -o FILE.png or FILE.webp, or --no-metadata" in refused.stderr
    assert not list(Path().glob("a*"))
    asked = replace(plan(), prompts=parse_prompts(long))
    assert read_recipe(write(Path("a.webp"), asked)).plan == asked
    with pytest.raises(UsageError, match="a JPEG has room"):
        write(Path("b.jpg"), asked)
    write(Path("c.jpg"), asked, metadata=False)


def test_a_picture_longer_than_the_format_allows_is_refused() -> None:
    Saving(".jpg").check((65_500, 1))
    for suffix, side in ((".webp", 16_384), (".jpg", 65_501)):
        with pytest.raises(UsageError, match="pixels on a side"):
            Saving(suffix).check((1, side))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    whole = write(tmp_path / f"a{suffix}", plan()).read_bytes()
    draw, path = random.Random(1), tmp_path / f"b{suffix}"
    for _ in range(150):
        data = bytearray(whole[: draw.randrange(len(whole))] if draw.random() < 0.3 else whole)
        for _ in range(draw.randrange(8)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data)
        record = read(path)
        assert record is None or isinstance(record, dict)
        is_whole_picture(path)


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'


def hostile(kind: str) -> bytes:
    """A file with one XMP packet, or the promise of one."""
    if kind == "entities in a JPEG":
        body = JPEG_XMP + BOMB
        return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 2) + body + b"\xff\xd9"
    if kind == "a JPEG of segments without end":
        return b"\xff\xd8" + b"\xff\xe2\x00\x02" * 50_000
    body = {"entities in a WebP": BOMB, "a long packet": b"<x>" + b"y" * 2_000_000, "no XML": b"\x00\xff" * 40}[kind]
    chunk = b"XMP " + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("entities in a JPEG", "declares a document type"),
        ("entities in a WebP", "declares a document type"),
        ("a long packet", "longer than 1,000,000 bytes"),
        ("no XML", "is no XML"),
        ("a JPEG of segments without end", "has no clipgen recipe"),
    ],
)
def test_hostile_packets_are_refused_in_one_line(cli: Cli, kind: str, said: str) -> None:
    Path("bad.jpg").write_bytes(hostile(kind))
    assert_refused(cli("info", "bad.jpg"), said)
    assert read(Path("bad.jpg")) is None


def test_a_chunk_that_says_it_has_gigabytes_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF\xff\xff\xff\xffWEBPXMP " + struct.pack("<I", 2**32 - 1) + b"<x/>")
    assert texts_in(path)["XML:com.adobe.xmp"] == "<x/>"
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UsageError, match="is not a file"):
        texts_in(tmp_path / "pipe.jpg")
