"""What goes wrong around a run costs neither the picture nor anything that was there before."""

import os
import random
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import Cli
from PIL import Image
from test_resume import FILMED, SMALL, digests, start
from torch import Tensor

from clipgen.core.contracts import Step
from clipgen.core.loop import Loop, Measured
from clipgen.outputs import metadata
from clipgen.outputs.png import PngSink
from clipgen.util import files as naming

FULL = OSError(28, "No space left on device")


def at_step(monkeypatch: pytest.MonkeyPatch, index: int, act: object) -> None:
    """Have something happen when a step is shown."""
    taken = PngSink.on_step

    def on_step(self: PngSink, step: Step) -> None:
        taken(self, step)
        if step.index == index:
            act()  # type: ignore[operator]

    monkeypatch.setattr(PngSink, "on_step", on_step)


def refuse(*_: object, **__: object) -> None:
    raise FULL


def leftovers() -> list[str]:
    return sorted(path.name for path in Path().rglob("*") if path.is_file())


def test_a_full_disk_costs_neither_the_picture_nor_older_files(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    older = Path(cli(*SMALL).stdout.strip())
    before = older.read_bytes()
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    publish = naming.publish
    monkeypatch.setattr(
        naming, "publish", lambda part, path: (refuse if path.suffix == ".png" else publish)(part, path)
    )
    result = cli(*SMALL)
    assert result.exit_code == 1
    [saved] = elsewhere.glob("*.png")
    assert (
        f"red-blue-0-3-1-2.png could not be written: No space left on device; it is saved as {saved}" in result.stderr
    )
    assert len(result.stderr.strip().splitlines()[-1:]) == 1
    assert "Traceback" not in result.stderr
    with Image.open(saved) as image, Image.open(older) as original:
        assert image.tobytes() == original.tobytes()
    assert older.read_bytes() == before
    [state] = Path("outputs").glob("*.clipgen")  # from which `resume` completes it
    shutil.rmtree(state)
    assert leftovers() == sorted([older.name, saved.name])


@pytest.mark.parametrize("flags", [(), ("--video",)])
def test_a_folder_that_vanishes_costs_no_picture(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    at_step(monkeypatch, 5, lambda: shutil.rmtree("outputs"))
    result = cli(*SMALL, *flags)
    assert result.exit_code == 1
    [saved] = elsewhere.glob("*.png")
    assert str(saved) in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_film_that_outgrows_a_limit_costs_no_picture(cli: Cli) -> None:
    large = (*SMALL, "--size", "96x96", "--gif")
    assert cli(*large, "-o", "free").exit_code == 0
    film = Path("free/red-blue-0-3-1.gif")
    process = start(*large, "-o", "tight", limit=film.stat().st_size // 2)
    output, said = process.communicate(timeout=300)
    assert process.returncode == 1, said
    assert output.split() == ["tight/red-blue-0-3-1.png"]
    assert "gif was not written" in said
    assert "Traceback" not in said
    assert cli("resume", output.strip()).exit_code == 0
    assert digests("tight") == digests("free")


def test_a_state_that_cannot_be_saved_is_said_and_costs_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipgen.session.state.save_file", refuse)
    result = cli(*SMALL)
    assert result.exit_code == 0
    assert result.stderr.count("could not be written: [Errno 28] No space left on device") == 1
    assert leftovers() == ["red-blue-0-3-1.png"]


def test_a_run_that_diverges_leaves_its_last_good_picture(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = Loop.measure

    def bad(self: Loop, images: Tensor) -> Measured:
        measured = measure(self, images)
        return replace(measured, losses=measured.losses * float("nan")) if self.done >= 5 else measured

    monkeypatch.setattr(Loop, "measure", bad)
    result = cli(*SMALL, "--steps", "30")
    assert result.exit_code == 5
    [path] = Path("outputs").iterdir()
    record = metadata.read(path)
    assert record is not None
    assert record["outcome"] == "diverged"
    with Image.open(path) as image:
        assert image.getextrema() != ((0, 0),) * 3


@pytest.mark.timeout(1800)
def test_a_run_stopped_at_any_moment_leaves_what_goes_on_or_nothing(cli: Cli) -> None:
    chance = random.Random(1)
    assert cli(*FILMED, "-o", "whole").exit_code == 0
    for number in range(int(os.environ.get("CLIPGEN_KILLS", "2"))):
        folder, how = f"stopped-{number}", chance.choice([signal.SIGINT, signal.SIGTERM])
        process = start(*FILMED, "-o", folder, pause=0.05)
        while not Path(folder).exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 1.5))
        process.send_signal(how)
        output, said = process.communicate(timeout=300)
        assert "Traceback" not in said
        if process.returncode == -how:  # it came after the last file was written and the last handler was gone
            assert digests(folder) == digests("whole")
            continue
        assert process.returncode in (0, 130 if how == signal.SIGINT else 143), said
        for unfinished in Path(folder).glob("*.clipgen"):
            assert cli("resume", str(unfinished)).exit_code == 0
            assert output.split()
        assert digests(folder) in (digests("whole"), {})


def test_no_file_names_this_user_or_machine(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    at_step(monkeypatch, 5, lambda: signal.raise_signal(signal.SIGINT))
    Image.new("RGB", (40, 40), "red").save(tmp_path / "face.png")
    assert cli("red", *SMALL[1:], "--video", "--init", str(tmp_path / "face.png")).exit_code == 130
    written = b"".join(path.read_bytes() for path in Path("outputs").rglob("*") if path.is_file())
    for secret in (str(tmp_path), str(Path.home()), os.uname().nodename):
        assert len(secret) < 5 or secret.encode() not in written  # three letters may be there by chance
