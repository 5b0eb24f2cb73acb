"""A state that a run leaves which is killed after its picture was written goes with the next batch; any other stays."""

import json
import os
from pathlib import Path

import pytest
from fakes import Cli
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from test_batch_faults import Break, write
from test_resume import digests

from clipgen.session.checksum import FIELD, record_digest
from clipgen.session.state import Workspace


def left_at_the_end(monkeypatch: pytest.MonkeyPatch, cli: Cli, *command: str) -> Path:
    """Make pictures as runs do that are killed after a picture was written; return the state that one leaves."""
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "discard", Workspace.release)
        assert cli(*command, "-o", "out").exit_code == 0
    [state] = Path("out").glob("red*.clipgen")
    return state


@pytest.mark.parametrize("save_every", ["0", "3600"])
def test_the_state_of_a_picture_that_is_done_goes(cli: Cli, monkeypatch: pytest.MonkeyPatch, save_every: str) -> None:
    command = (*write("red", "blue"), "--save-every", save_every)
    left_at_the_end(monkeypatch, cli, *command)
    pictures = {path: path.read_bytes() for path in Path("out").glob("*.png")}
    again = cli(*command, "-o", "out")
    assert (again.exit_code, again.stderr.count("already made")) == (0, 2), again.stderr
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == pictures


def of_an_earlier_version(state: Path) -> None:
    job = json.loads((state / "job.json").read_text())
    del job["keep_state"]
    (state / "job.json").write_text(json.dumps(job | {FIELD: record_digest(job)}))


def of_another_picture(state: Path) -> None:
    state.rename(state.with_stem(f"{state.stem}-2"))


def without_its_order(state: Path) -> None:
    (state / "job.json").unlink()
    os.utime(state, (0, 0))  # long ago: nobody is about to write it


def of_a_picture_that_was_changed(state: Path) -> None:
    path, texts = state.with_suffix(".png"), PngInfo()
    with Image.open(path) as picture:
        for name, text in picture.text.items():
            texts.add_itxt(name, text)
        picture.save(path, pnginfo=texts)


@pytest.mark.parametrize(
    "change", [of_an_earlier_version, of_another_picture, without_its_order, of_a_picture_that_was_changed]
)
def test_any_other_state_stays(cli: Cli, monkeypatch: pytest.MonkeyPatch, change: Break) -> None:
    command = write("red")
    change(left_at_the_end(monkeypatch, cli, *command))
    [state] = Path("out").glob("*.clipgen")
    before = digests(str(state))
    again = cli(*command, "-o", "out")
    assert (again.exit_code, "already made" in again.stderr) == (0, True), again.stderr
    assert digests(str(state)) == before


def test_a_state_that_was_asked_for_and_one_in_use_stay(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    command = write("red")
    state = left_at_the_end(monkeypatch, cli, *command)
    workspace = Workspace.open(state)
    assert "already made" in cli(*command, "-o", "out").stderr
    assert state.exists()
    workspace.release()
    assert cli("resume", str(state), "--steps", "+2", "--keep-state").exit_code == 0
    assert cli(*command, "--steps", "14", "-o", "out").exit_code == 0
    assert state.exists()
