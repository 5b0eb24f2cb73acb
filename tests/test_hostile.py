"""Thousands of hostile inputs: each ends in success or in one clear line, whatever it holds.

A small share runs with every test run; CLIPGEN_FUZZ=2000 tries that many of each kind.
"""

import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mutators import COUNT, check_line, chunk, job_record, json_text, picture, png, prompt
from PIL import Image

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.saving import AS_PNG
from clipgen.errors import UsageError
from clipgen.outputs import metadata
from clipgen.outputs.picture_file import write_picture
from clipgen.perceptors.text_tokens import small_tokenizer
from clipgen.session.naming import default_stem
from clipgen.util.images import MAX_PIXELS, load_image
from clipgen.util.text import one_line

RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
MAX_SECONDS = 20.0  # of processor time, for one case

Report = Callable[[str, object], None]


def try_all(kind: str, case: Callable[[int], object], report: Report) -> None:
    """Run every case; some must succeed and some be refused, or the cases are not worth their time."""
    accepted = refused = 0
    for seed in range(COUNT):
        start = time.process_time()
        try:
            case(seed)
            accepted += 1
        except UsageError as error:
            check_line(str(error))
            refused += 1
        except Exception as error:
            raise AssertionError(f"case {seed}") from error
        assert time.process_time() - start < MAX_SECONDS, f"case {seed}"
    report(f"{kind} accepted", accepted)
    report(f"{kind} refused", refused)
    assert accepted > COUNT // 50
    assert refused > COUNT // 50


def test_pictures(tmp_path: Path, record_testsuite_property: Report, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.png"

    def case(seed: int) -> None:
        path.write_bytes(picture(seed))
        image, notes = load_image(path)
        assert image.mode == "RGB"
        assert 0 < image.width * image.height <= MAX_PIXELS
        for note in notes:
            check_line(one_line(note))

    try_all("pictures", case, record_testsuite_property)
    assert capfd.readouterr() == ("", "")  # decoders keep their complaints to themselves too
    assert list(tmp_path.iterdir()) == [path]


def test_job_files(record_testsuite_property: Report) -> None:
    def case(seed: int) -> None:
        job = Job.from_json(json_text(seed, job_record()))
        assert Job.from_json(job.to_json()) == job
        assert parse_prompts(job.text) == job.prompts

    try_all("job files", case, record_testsuite_property)


def text_chunk(seed: int, text: str) -> bytes:
    """The record of a picture, in one of the ways in which a PNG file can hold a text."""
    draw = random.Random(seed)
    content = text.encode("utf-8", "surrogatepass")
    if draw.random() < 0.3:
        return chunk(b"tEXt", b"clipgen\0" + content)
    return chunk(b"iTXt", b"clipgen\0\0\0\0\0" + content)


def test_metadata(tmp_path: Path, record_testsuite_property: Report) -> None:
    path = tmp_path / "a.png"
    described = metadata.describe_plan(resolve(Job(parse_prompts("a cat")))[0])
    record = {"schema": 2, **described, "outcome": "finished"}

    def case(seed: int) -> None:
        path.write_bytes(png(8, 8, text_chunk(seed, json_text(seed, record))))
        found = metadata.read(path)
        assert not metadata.is_done(path, described)
        if found is None:
            raise UsageError("no record")
        assert isinstance(found, dict)
        json.dumps(found)
        Plan.from_dict(found.get("plan"))

    try_all("metadata", case, record_testsuite_property)


def test_metadata_of_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for seed in range(COUNT):
        path.write_bytes(picture(seed))
        assert metadata.read(path) is None or isinstance(metadata.read(path), dict), seed


def test_a_picture_without_end_has_no_record(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "bomb.png").write_bytes(png(40_000, 40_000, text_chunk(1, '{"plan": {}}')))
    assert metadata.read(tmp_path / "pipe.png") is None
    assert metadata.read(tmp_path / "bomb.png") is None


def test_prompts(tmp_path: Path, record_testsuite_property: Report) -> None:
    tokenizer = small_tokenizer(1000, 32)

    def case(seed: int) -> None:
        plan, notes = resolve(Job(parse_prompts(prompt(seed)), seed=seed))
        assert parse_prompts(plan.text) == plan.prompts
        check_stem(default_stem(plan), tmp_path)
        for line in (*notes, plan.text):
            check_line(one_line(line))
        for each in plan.prompts:
            tokenizer.encode(each.text)
        path = tmp_path / "a.png"
        record = metadata.describe_plan(plan)
        write_picture(path, Image.new("RGB", (1, 1)), plan, record, AS_PNG)
        assert metadata.read(path) == record

    try_all("prompts", case, record_testsuite_property)


def check_stem(stem: str, folder: Path) -> None:
    """The name can be used on every system, and stays in its folder."""
    path = folder / f"{stem}.png"
    assert len(path.name.encode()) <= 255
    assert path.name.isprintable()
    assert stem.split(".")[0].upper() not in RESERVED
    assert path.resolve().parent == folder.resolve()
    path.touch()
    path.unlink()
