"""`clipgen.generate` as people call it: what it takes, what it refuses and how, and what comes back."""

import functools
import io
import sys
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from fakes import install
from fakes import job as small_job
from PIL import Image

import clipgen
from clipgen.config.prompts import parse_prompts
from clipgen.core.contracts import Outcome
from clipgen.errors import ClipgenError, UsageError
from clipgen.outputs.metadata import read_recipe, web_ui_text
from clipgen.session import api
from clipgen.session.arguments import Settings, as_parameters
from clipgen.session.session import Session

SMALL = {"preset": "starter", "device": "cpu", "size": (32, 32), "steps": 3, "cutouts": 2}


@pytest.fixture(autouse=True)
def _fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The models are the fakes, and the folder is empty."""
    monkeypatch.chdir(tmp_path)
    install(monkeypatch.setattr)
    monkeypatch.setattr(api, "_session", functools.cache(Session))  # without the models that other tests have loaded


def made(prompt: Any = "red", **settings: Any) -> clipgen.Result:
    return clipgen.generate(prompt, **{**SMALL, **settings})


def pixels(result: clipgen.Result) -> bytes:
    return result.image.tobytes()


def test_types_are_shipped_and_names_are_listed() -> None:
    assert resources.files("clipgen").joinpath("py.typed").is_file()
    assert set(clipgen.__all__) <= set(dir(clipgen))


def test_every_field_of_a_job_is_a_setting_with_a_type() -> None:
    assert set(get_type_hints(Settings)) == {field.name for field in fields(clipgen.Job)}


def test_a_seed_is_random_unless_given_and_recorded() -> None:
    first, second = made(), made(seed=None)
    assert first.plan.seed != second.plan.seed
    assert pixels(made(seed=first.plan.seed)) == pixels(first)
    assert made(first.plan, seed=None).plan == first.plan
    job = small_job(seed=5, preset="starter")
    assert clipgen.generate(job, device="cpu", seed=None).plan.seed == 5


@pytest.mark.parametrize("size", [(40, 32), [40, 32], "40x32", (np.int64(40), np.int32(32))])
def test_sizes_are_understood_as_people_write_them(size: Any) -> None:
    assert made(size=size).plan.size == (40, 32)


@pytest.mark.parametrize("size", [32, "32", np.int64(32)])
def test_a_single_number_is_a_square(size: Any) -> None:
    assert made(size=size).plan.size == (32, 32)


def test_numbers_of_numpy_are_those_of_python() -> None:
    result = made(seed=np.int64(7), steps=np.int32(3), cutouts=np.uint8(2), lr=np.float32(0.5))
    assert result.plan == made(seed=7, lr=0.5).plan
    assert type(result.plan.seed) is int
    result.save("a.png")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 to 100000, got 0"),
        ({"steps": True}, "steps must be a whole number from 1 to 100000, got True"),
        ({"size": "big"}, "size must look like 256x256 (width x height), got 'big'"),
        ({"size": (0, 32)}, "the width of size must be a whole number from 1 to 4096, got 0"),
        ({"init_weight": 2}, "init_weight 2 needs an init image; add init=FILE"),
        ({"init": "missing.png"}, "init 'missing.png' does not exist; check the path"),
        ({"clips": "nonsense"}, "clips must be "),
        ({"device": "gpu"}, "device must be "),
        ({"step": 3}, "a setting of generate must be one of at, backend, "),
        ({"step": 3}, "got 'step'; did you mean steps?"),
        ({"progres": False}, "did you mean progress?"),
    ],
)
def test_errors_are_named_after_parameters(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        made(**settings)
    assert message in str(raised.value)
    assert "--" not in str(raised.value)


def test_other_flags_stay_in_messages() -> None:
    assert as_parameters("try --size 64x64, fewer --cutouts, --offline") == "try size 64x64, fewer cutouts, --offline"
    assert as_parameters("--clip and --vqgan; --clip-weights") == "clips and network; --clip-weights"


@pytest.mark.parametrize("prompt", [["a cat", "a dog"], ("a cat",), None, 3, b"a cat"])
def test_what_is_no_prompt_is_refused_with_what_to_pass(prompt: Any) -> None:
    with pytest.raises(UsageError, match='the prompt must be a text such as "a cat", a Job or a Plan, got ') as raised:
        made(prompt)
    assert ("call generate once for each picture" in str(raised.value)) == isinstance(prompt, list | tuple | bytes)


def test_another_prompt_for_a_plan() -> None:
    assert made(made().plan, prompts="blue").plan.text == "blue"
    assert made(small_job(), prompts=parse_prompts("blue:2")).plan.text == "blue:2"


def test_an_init_image_is_a_path_or_an_image() -> None:
    image = Image.effect_noise((40, 32), 90).convert("RGB")
    image.save("init.png")
    named, given = (made(init=init, seed=1, size=None) for init in (Path("init.png"), image))
    assert pixels(named) == pixels(given)
    assert (named.plan.init, given.plan.init) == ("init.png", "image")
    assert named.record["init_sha256"] == given.record["init_sha256"]  # of the file as which Pillow saves it
    assert read_recipe(given.save("out.png")).plan == given.plan
    assert pixels(clipgen.generate(given.plan, init=image, device="cpu")) == pixels(given)
    with pytest.raises(UsageError, match="init 'image' does not exist"):
        made(given.plan)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F"])
def test_images_of_every_mode_are_taken_and_left_as_they_are(mode: str) -> None:
    grey = Image.linear_gradient("L").resize((32, 32))
    image = Image.new("LAB", (32, 32), (128, 128, 128)) if mode == "LAB" else grey.convert(mode.split(";")[0])
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    before = image.tobytes()
    assert made(init=image).outcome is Outcome.FINISHED
    assert (image.mode, image.tobytes()) == (mode, before)


def test_an_image_that_cannot_be_read_is_refused() -> None:
    Image.new("RGB", (32, 32)).save("closed.png")
    with Image.open("closed.png") as closed:
        pass
    with pytest.raises(UsageError, match="init 'image' cannot be used"):
        made(init=closed)


def test_a_picture_is_saved_with_its_recipe_and_nothing_is_overwritten() -> None:
    result = made(seed=3)
    first, second = result.save("new/cat.png"), result.save(Path("new") / "cat.png")
    assert (first, second) == (Path("new/cat.png"), Path("new/cat-2.png"))
    assert first.read_bytes() == second.read_bytes() == result._repr_png_()
    recipe = read_recipe(first)
    assert (recipe.plan, recipe.outcome, recipe.steps_done) == (result.plan, Outcome.FINISHED, 3)
    assert recipe.to_dict() == result.record
    with Image.open(first) as image:
        assert image.tobytes() == pixels(result)
        assert image.info["parameters"] == web_ui_text(result.plan)
    assert result.save("new") == Path("new/red-3.png")
    assert sorted(path.name for path in Path("new").iterdir()) == ["cat-2.png", "cat.png", "red-3.png"]


def test_what_cannot_be_saved_says_why() -> None:
    result = made()
    with pytest.raises(
        UsageError, match=r"'cat.tif' is no PNG, JPEG or WebP file; save 'cat.png', or use result.image.save"
    ):
        result.save("cat.tif")
    Path("file").touch()
    with pytest.raises(UsageError, match=r"^path file cannot be written"):
        result.save("file/cat.png")


def test_a_disk_that_is_full_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    result = made()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clipgen.session.result.write_picture", full)
    with pytest.raises(ClipgenError, match="could not be written: No space left on device"):
        result.save("cat.png")
    assert list(Path().iterdir()) == []


def test_warnings_are_notes_that_name_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "warnings_of", lambda _plan, _models: ["try --backend dvae"])
    rounded = "size 45x32 rounded to 48x32: vqgan draws in cells of 8x8 pixels"
    assert made(size=(45, 32)).notes == (rounded, "try backend dvae")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "progress", "shown"),
    [
        (Terminal(), None, True),
        (Terminal(), False, False),
        (io.StringIO(), None, False),
        (io.StringIO(), True, True),
    ],
)
def test_progress_is_shown_in_a_terminal_unless_told_otherwise(
    stream: io.StringIO, progress: bool | None, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stderr", stream)
    made("red", size=(45, 32), progress=progress)
    assert ("3/3" in stream.getvalue()) == ("rounded to 48x32" in stream.getvalue()) == shown


def test_nothing_is_shown_where_there_is_no_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert made(progress=True).outcome is Outcome.FINISHED
