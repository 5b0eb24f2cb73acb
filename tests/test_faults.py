"""What goes wrong around a run costs neither the picture nor anything that was there before."""

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
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
from clipgen.outputs.picture import PictureSink
from clipgen.util import files as naming

FULL = OSError(28, "No space left on device")


def at_step(monkeypatch: pytest.MonkeyPatch, index: int, act: object) -> None:
    """Have something happen when a step is shown."""
    taken = PictureSink.on_step

    def on_step(self: PictureSink, step: Step) -> None:
        taken(self, step)
        if step.index == index:
            act()  # type: ignore[operator]

    monkeypatch.setattr(PictureSink, "on_step", on_step)


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


def replaced_by_a_file() -> None:
    Path("outputs").rename("moved")
    Path("outputs").write_text("a file")


def replaced_by_a_loop() -> None:
    Path("outputs").rename("moved")
    Path("outputs").symlink_to("outputs")


def forbidden() -> None:
    Path("outputs").chmod(0)
    if os.geteuid() == 0:  # who is forbidden nothing
        os.seteuid(65534)


def read_only() -> None:
    Path("outputs").chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)


@pytest.fixture
def everybodys() -> Iterator[str]:
    """A folder that every user can write, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield folder


@pytest.mark.parametrize("flags", [(), ("--video",), ("--candidates", "2"), ("--json",)])
@pytest.mark.parametrize("lose", [replaced_by_a_file, replaced_by_a_loop, forbidden, read_only])
def test_a_folder_that_can_no_longer_be_written_costs_no_picture_and_says_where_it_is(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    everybodys: str,
    flags: tuple[str, ...],
    lose: Callable[[], None],
) -> None:
    tmp_path.chmod(0o755)
    elsewhere = Path(everybodys)
    monkeypatch.setattr("tempfile.tempdir", everybodys)
    at_step(monkeypatch, 5, lambda: lose() if Path("outputs").is_dir() else None)
    user = os.geteuid()
    try:
        result = cli("red|blue:0.3", *SMALL[1:], "--save-every", "30", *flags)
    finally:
        os.seteuid(user)
        if Path("outputs").is_dir():
            Path("outputs").chmod(0o755)
    assert result.exit_code == 1
    [saved] = elsewhere.glob("*.png")
    assert f"it is saved as {saved}" in result.stderr
    assert metadata.read(saved) is not None
    assert "unexpected" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("when", ["at once", "half-way"])
def test_where_the_folder_for_temporary_files_is_full_too_nothing_torn_is_left(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, when: str
) -> None:
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))

    def torn(path: Path, *_: object) -> None:
        if when == "half-way":
            path.write_bytes(b"\x89PNG")
        refuse()

    monkeypatch.setattr("clipgen.outputs.picture.write_picture", torn)
    result = cli(*SMALL)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith("could not be written: No space left on device")
    assert list(elsewhere.iterdir()) == []


def test_a_long_name_is_saved_elsewhere_under_a_shorter_one(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "temporary"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    monkeypatch.setattr(naming, "publish", lambda _part, path: refuse() if path.suffix == ".png" else None)
    assert cli(*SMALL, "-o", "猫" * 82 + ".png").exit_code == 1
    [saved] = elsewhere.iterdir()
    assert metadata.read(saved) is not None


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_stopped_at_any_moment_leaves_what_goes_on_or_nothing(cli: Cli) -> None:
    chance = random.Random(1)
    assert cli(*FILMED, "-o", "whole").exit_code == 0
    for number in range(int(os.environ.get("CLIPGEN_KILLS", "1"))):
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
