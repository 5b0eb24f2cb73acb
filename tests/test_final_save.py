"""A picture or a film that cannot be written in the end costs nothing: the state stays, and `resume` completes it."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import Cli
from test_faults import at_step
from test_resume import FILMED, SMALL, digests, stop_at

from clipgen.outputs import film, metadata, picture
from clipgen.util import files

PICTURE = "outputs/red-blue-0-3-1.png"
STATE = Path("outputs/red-blue-0-3-1.clipgen")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pictures are saved that have no place is a folder of its own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


def fail_at_the_end(monkeypatch: pytest.MonkeyPatch, error: BaseException, suffix: str = ".png") -> None:
    """Files of a kind can be written in the course of a run, and no longer at its end."""
    publish = files.publish
    over: list[bool] = []
    at_step(monkeypatch, 12, lambda: over.append(True))

    def refuse(partial: Path, path: Path) -> None:
        if over and path.suffix == suffix:
            raise error
        publish(partial, path)

    for module in (files, film):
        monkeypatch.setattr(module, "publish", refuse)


ERRORS = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EIO, "Input/output error"),
    PermissionError(errno.EACCES, "Permission denied"),
    OSError(errno.EROFS, "Read-only file system"),
    MemoryError(),
    ValueError("what nobody expects"),
]


@pytest.mark.parametrize("every", ["0", "3600"], ids=["saved before", "never saved"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: getattr(error, "strerror", None) or type(error).__name__)
def test_a_picture_that_cannot_be_written_at_the_end_is_completed_later(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException, every: str
) -> None:
    command = (*SMALL[:-1], every)
    with monkeypatch.context() as patch:
        fail_at_the_end(patch, error)
        failed = cli(*command)
    assert (failed.exit_code, failed.stdout) == (1, "")  # the file at that name is one of half-way, if any
    assert f"the picture {PICTURE} could not be written: " in failed.stderr.splitlines()[-1]
    assert "Traceback" not in failed.stderr
    [copy] = (tmp_path / "temporary").glob("*.png")
    assert str(copy) in failed.stderr
    assert f"continue with: clipgen resume {PICTURE}" in failed.stderr.splitlines()
    resumed = cli("resume", PICTURE)
    assert (resumed.exit_code, resumed.stdout) == (0, f"{PICTURE}\n"), resumed.stderr
    assert not STATE.exists()
    assert cli(*command, "-o", "whole").exit_code == 0
    assert digests("outputs") == digests("whole")


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_film_that_cannot_be_written_at_the_end_is_completed_later(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    with monkeypatch.context() as patch:
        fail_at_the_end(patch, ERRORS[0], suffix)
        failed = cli(*FILMED)
    name = PICTURE.removesuffix(".png")
    assert failed.exit_code == 1
    assert failed.stdout.split() == [PICTURE, *(f"{name}{end}" for end in (".mp4", ".gif") if end != suffix)]
    assert f"the film {name}{suffix} was not written" in failed.stderr
    assert cli("resume", PICTURE).exit_code == 0
    assert cli(*FILMED, "-o", "whole").exit_code == 0
    assert digests("outputs") == digests("whole")


def test_a_name_that_becomes_a_folder_is_no_place_and_is_left_alone(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace() -> None:
        Path(PICTURE).unlink()
        Path(PICTURE).mkdir()

    with monkeypatch.context() as patch:
        at_step(patch, 12, replace)
        failed = cli(*SMALL)
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "another file was put there" in failed.stderr
    refused = cli("resume", PICTURE)
    assert refused.exit_code == 2
    assert "move it away" in refused.stderr
    Path(PICTURE).rmdir()
    assert cli("resume", PICTURE).exit_code == 0
    record = metadata.read(Path(PICTURE))
    assert record is not None
    assert record["outcome"] == "finished"


def test_of_a_folder_that_is_removed_only_the_copy_is_named(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at_step(monkeypatch, 12, lambda: shutil.rmtree("outputs"))
    failed = cli(*FILMED)
    assert (failed.exit_code, failed.stdout) == (1, "")
    [copy] = (tmp_path / "temporary").glob("*.png")
    assert str(copy) in failed.stderr
    assert "continue with" not in failed.stderr


@pytest.mark.parametrize("vanish", [Path.unlink, lambda path: path.write_bytes(b"another")])
def test_a_picture_that_is_taken_away_while_films_are_written_keeps_its_state(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, vanish: Callable[[Path], object]
) -> None:
    close = picture.PictureSink.close
    with monkeypatch.context() as patch:
        patch.setattr(picture.PictureSink, "close", lambda self, outcome: (close(self, outcome), vanish(self.path)))
        failed = cli(*SMALL)
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert f"{PICTURE} is no longer what was written there" in failed.stderr
    Path(PICTURE).unlink(missing_ok=True)
    assert cli("resume", PICTURE).stdout == f"{PICTURE}\n"


def test_a_stopped_picture_that_cannot_be_written_says_where_it_is(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish = files.publish

    def refuse(partial: Path, path: Path) -> None:
        if path.suffix == ".png":
            raise ERRORS[0]
        publish(partial, path)

    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        patch.setattr(files, "publish", refuse)
        stopped = cli(*SMALL)
    assert (stopped.exit_code, stopped.stdout) == (130, "")
    [copy] = (tmp_path / "temporary").glob("*.png")
    assert f"it is saved as {copy}" in stopped.stderr
    assert cli("resume", PICTURE).exit_code == 0
    assert cli(*SMALL, "-o", "whole").exit_code == 0
    assert digests("outputs") == digests("whole")


def test_a_copy_that_has_no_room_either_leaves_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(file: object, *_: object) -> None:
        if isinstance(file, Path):
            file.write_bytes(b"half")
        raise ERRORS[0]

    monkeypatch.setattr(picture, "write_picture", full)
    failed = cli(*SMALL)
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert failed.stderr.splitlines()[-1] == (
        f"error: the picture {PICTURE} could not be written: No space left on device"
    )
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not Path(PICTURE).exists()
