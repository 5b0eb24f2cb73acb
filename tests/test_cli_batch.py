"""A batch loads the models once, goes on past what fails, and never does the same work twice."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import COLOURS, fake_models, install
from PIL import Image
from typer.testing import CliRunner, Result

from clipgen.cli.app import app
from clipgen.config.plan import Plan
from clipgen.engine.models import Models
from clipgen.outputs import metadata
from clipgen.session import session

SMALL = ("--size", "32x32", "--steps", "2", "--cutouts", "2")
PROMPTS = "# colours\n\nred\n  blue  \n# the end\ngreen:2|white:-0.5\n"
PICTURES = ["outputs/red-0.png", "outputs/blue-0.png", "outputs/green-2-white-0-5-0.png"]
Batch = Callable[..., Result]


class Loader:
    """Loads the fakes and counts."""

    def __init__(self) -> None:
        self.loads = 0

    def __call__(self, plan: Plan, device: str, note: object) -> Models:
        self.loads += 1
        return fake_models(plan.backend)


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    loader = Loader()
    install(monkeypatch.setattr)
    monkeypatch.setattr(session, "load_models", loader)
    return loader


@pytest.fixture
def batch(loader: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """Types `clipgen batch FILE` in an empty folder, with FILE holding the given text."""
    monkeypatch.chdir(tmp_path)

    def call(text: str | bytes, *args: str) -> Result:
        Path("prompts.txt").write_bytes(text.encode() if isinstance(text, str) else text)
        return CliRunner().invoke(app, ["batch", "prompts.txt", *SMALL, *args])

    return call


def test_every_prompt_becomes_a_picture_with_models_loaded_once(batch: Batch, loader: Loader) -> None:
    result = batch(PROMPTS)
    assert result.exit_code == 0
    assert result.stdout.split() == PICTURES
    assert all(Path(path).stat().st_size for path in PICTURES)
    assert loader.loads == 1


def test_what_is_done_is_skipped_and_nothing_else(batch: Batch, loader: Loader) -> None:
    batch(PROMPTS)
    before = {path: Path(path).read_bytes() for path in PICTURES}
    Path(PICTURES[1]).unlink()
    again = batch(PROMPTS + "black\n")
    assert again.stdout.split() == [PICTURES[1], "outputs/black-0.png"]
    assert "already made, outputs/red-0.png" in again.stderr
    assert {path: Path(path).read_bytes() for path in PICTURES} == before
    assert batch(PROMPTS).stdout == ""
    assert loader.loads == 2


def test_other_settings_are_other_work(batch: Batch) -> None:
    batch("red")
    assert batch("red", "--lr", "0.5").stdout.split() == ["outputs/red-0-2.png"]
    assert batch("red", "--seed", "5").stdout.split() == ["outputs/red-5.png"]
    assert batch("red", "--lr", "0.5").stdout == ""


def test_a_film_that_is_missing_is_work_to_do(batch: Batch) -> None:
    batch("red")
    assert batch("red", "--gif").stdout.split() == ["outputs/red-0-2.png", "outputs/red-0-2.gif"]
    assert batch("red", "--gif").stdout == ""


def test_a_prompt_alone_and_in_a_batch_is_the_same_picture(batch: Batch) -> None:
    batch("blue\nred\n")
    CliRunner().invoke(app, ["red", "--seed", "0", "-o", "alone.png", *SMALL])
    with Image.open("alone.png") as alone, Image.open("outputs/red-0.png") as in_batch:
        assert alone.tobytes() == in_batch.tobytes()


def test_a_bad_line_does_not_stop_the_others(batch: Batch) -> None:
    result = batch("red\n" + "x" * 3000 + "\nblue\na|\n")
    assert result.exit_code == 1
    assert result.stdout.split() == ["outputs/red-0.png", "outputs/blue-0.png"]
    assert "error: line 2: the prompt is longer than" in result.stderr
    assert "error: line 4: the prompt is empty" in result.stderr
    assert result.stderr.splitlines()[-1] == "error: 2 of 4 prompts failed, on line 2, 4"


@pytest.mark.parametrize("together", ["1", "8"])
def test_a_run_that_fails_does_not_stop_the_others(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, together: str
) -> None:
    assert batch("blue\ngreen\n", "-o", "good").exit_code == 0
    monkeypatch.setitem(COLOURS, "bad", (math.nan, math.nan, math.nan))
    result = batch("blue\nbad\ngreen\n", "--together", together)
    assert result.exit_code == 1
    assert "error: line 2: the numbers grew without bound" in result.stderr
    assert result.stderr.splitlines()[-1] == "error: 1 of 3 prompts failed, on line 2"
    for name in ("blue-0.png", "green-0.png"):
        assert Path("outputs", name).read_bytes() == Path("good", name).read_bytes()
    assert (metadata.read(Path("outputs/bad-0.png")) or {})["outcome"] == "diverged"
    assert sorted(path.name for path in Path("outputs").iterdir()) == ["bad-0.png", "blue-0.png", "green-0.png"]


def test_ctrl_c_ends_the_whole_batch(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: object, **_settings: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "optimise_together", interrupted)
    result = batch(PROMPTS)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.splitlines()[-1] == "stopped"


def test_json_tells_what_was_made_skipped_and_failed(batch: Batch) -> None:
    batch("red")
    result = batch("red\nblue\na|\n", "--json")
    document = json.loads(result.stdout)
    assert [picture["path"] for picture in document["pictures"]] == ["outputs/blue-0.png"]
    assert document["skipped"] == ["outputs/red-0.png"]
    assert [failure["line"] for failure in document["failed"]] == [3]
    assert result.exit_code == 1


def test_prompts_come_from_standard_input_too(batch: Batch) -> None:
    result = CliRunner().invoke(app, ["batch", "-", *SMALL], input=PROMPTS)
    assert result.stdout.split() == PICTURES


def test_windows_text_files_are_read(batch: Batch) -> None:
    assert batch("\ufeffred\r\nblue\r\n".encode()).stdout.split() == PICTURES[:2]


def test_the_preset_is_explained_once(batch: Batch) -> None:
    assert batch(PROMPTS).stderr.count("preset starter") == 1


@pytest.mark.parametrize(
    ("text", "args", "message"),
    [
        (b"caf\xe9", (), "prompts.txt is not UTF-8 text (byte 3)"),
        ("# nothing\n\n", (), "prompts.txt holds no prompt"),
        ("red", ("--steps", "0"), "--steps must be a whole number from 1"),
        ("red", ("--init", "missing.png"), "'missing.png' does not exist"),
        ("red", ("--together", "0"), "--together must be a whole number from 1 to 8, got 0"),
        ("red", ("--together", "9"), "--together must be a whole number from 1 to 8, got 9"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    batch: Batch, loader: Loader, text: str | bytes, args: tuple[str, ...], message: str
) -> None:
    result = batch(text, *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["prompts.txt"]
    assert loader.loads == 0


def test_a_folder_that_cannot_be_made_is_found_before_models_load(batch: Batch, loader: Loader) -> None:
    result = batch("red", "-o", "prompts.txt/inside")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: -o prompts.txt/inside cannot be written")
    assert [path.name for path in Path().iterdir()] == ["prompts.txt"]
    assert loader.loads == 0


def test_a_missing_file_is_named(batch: Batch) -> None:
    result = CliRunner().invoke(app, ["batch", "missing.txt"])
    assert result.exit_code == 2
    assert (
        result.stderr
        == "error: the prompts file missing.txt cannot be read (No such file or directory); check the path\n"
    )


def test_an_init_image_that_goes_away_stays_that_of_every_line(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (32, 32)).save("init.png")
    real = session.optimise_together

    def optimise(*args: object, **settings: object) -> object:
        Path("init.png").unlink(missing_ok=True)
        return real(*args, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "optimise_together", optimise)
    result = batch("red\nblue\n", "--init", "init.png", "--together", "1")
    assert (result.exit_code, result.stdout.split()) == (0, ["outputs/red-0.png", "outputs/blue-0.png"])
