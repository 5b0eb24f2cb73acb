"""What is written into a picture is read back without loss, publishes nothing private, and trusts nothing it reads."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import Prompt, parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.saving import SUFFIXES, Saving
from clipgen.core.contracts import Outcome
from clipgen.outputs.metadata import (
    CHUNK,
    WEB_UI_CHUNK,
    describe_plan,
    describe_run,
    is_done,
    read,
    web_ui_text,
)
from clipgen.outputs.picture_file import write_picture

# How web UIs find the pairs in the last line (A1111's infotext_utils.py).
PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def plan_for(text: str, **settings: object) -> Plan:
    return resolve(Job(parse_prompts(text), **settings))[0]  # type: ignore[arg-type]


def write(path: Path, plan: Plan, outcome: Outcome = Outcome.FINISHED) -> Path:
    record = describe_run(describe_plan(plan), outcome=outcome, steps_done=3, score=0.25, loss=0.5)
    write_picture(path, Image.new("RGB", (8, 8)), plan, record, Saving(path.suffix))
    return path


@pytest.mark.parametrize("text", ["a cat", "猫 und Käse", 'say "hi", 12:30', "Negative prompt: x", "a:2|b:-1:-0.5"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_plan_comes_back_whole(tmp_path: Path, text: str, suffix: str) -> None:
    plan = plan_for(text, seed=7)
    record = read(write(tmp_path / f"a{suffix}", plan))
    assert record is not None
    assert Plan.from_dict(record["plan"]) == plan
    assert (record["outcome"], record["steps_done"], record["clip_score"]) == ("finished", 3, 0.25)


def test_an_init_image_leaves_its_name_and_hash_but_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "private folder"
    folder.mkdir()
    init = folder / "selfie.png"
    init.write_bytes(b"pixels")
    path = write(tmp_path / "a.png", plan_for("a cat", init=str(init)))
    assert b"private folder" not in path.read_bytes()
    record = read(path)
    assert record is not None
    assert record["plan"]["init"] == "selfie.png"
    assert len(record["init_sha256"]) == 64


def test_the_sampler_is_the_optimizer_of_the_backend() -> None:
    assert "Sampler: normalised" in web_ui_text(plan_for("a cat", backend="vqgan"))
    assert "Sampler: adam" in web_ui_text(plan_for("a cat", backend="dvae"))


def test_done_means_this_plan_and_finished(tmp_path: Path) -> None:
    plan = plan_for("a cat", seed=1)
    finished = write(tmp_path / "finished.png", plan)
    assert is_done(finished, describe_plan(plan))
    assert not is_done(finished, describe_plan(plan_for("a cat", seed=2)))
    assert not is_done(finished, describe_plan(plan_for("a cat", seed=1, steps=5)))
    assert not is_done(write(tmp_path / "interrupted.png", plan, Outcome.INTERRUPTED), describe_plan(plan))


def test_done_looks_into_the_init_image(tmp_path: Path) -> None:
    init = tmp_path / "init.png"
    init.write_bytes(b"before")
    plan = plan_for("a cat", init=str(init))
    path = write(tmp_path / "a.png", plan)
    assert is_done(path, describe_plan(plan))
    init.write_bytes(b"after")
    assert not is_done(path, describe_plan(plan))


@pytest.mark.parametrize(
    "chunk",
    ["", "no json", "[1]", "null", "1", "[" * 100_000, '{"job": ' * 9000, json.dumps({"job": "x" * 2_000_000})],
)
def test_hostile_chunks_are_no_record(tmp_path: Path, chunk: str) -> None:
    info = PngInfo()
    info.add_text(CHUNK, chunk)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    assert read(tmp_path / "a.png") is None
    assert not is_done(tmp_path / "a.png", describe_plan(plan_for("a cat")))


def test_every_prefix_of_a_picture_is_read_or_refused_quietly(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.png", plan_for("a cat")).read_bytes()
    part = tmp_path / "part.png"
    for length in range(0, len(whole), 7):
        part.write_bytes(whole[:length])
        assert read(part) is None or read(part) == read(tmp_path / "a.png")


def test_other_files_are_no_record(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "jpeg.png", format="JPEG")
    assert read(tmp_path / "plain.png") is None
    assert read(tmp_path / "jpeg.png") is None
    assert read(tmp_path / "missing.png") is None
    assert read(tmp_path) is None


TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=40)


@given(TEXTS.filter(lambda text: "|" not in text), st.integers(0, 2**63 - 1))
def test_web_uis_find_prompt_and_settings(text: str, seed: int) -> None:
    plan = resolve(Job((Prompt(text), Prompt("fog", -0.5)), seed=seed))[0]
    prompt, negative, settings = web_ui_text(plan).split("\n")
    found = dict(PAIR.findall(settings))
    assert prompt == text
    assert negative == "Negative prompt: fog"
    assert found["Seed"] == str(seed)
    assert found["Steps"] == str(plan.steps)
    assert found["Size"] == "256x256"


def test_both_chunks_are_in_the_file(tmp_path: Path) -> None:
    plan = plan_for("a cat at night")
    with Image.open(write(tmp_path / "a.png", plan)) as image:
        assert image.info[WEB_UI_CHUNK] == web_ui_text(plan)
        assert image.info[WEB_UI_CHUNK].startswith("a cat at night\nSteps: ")
