"""What somebody else put under the names of a run, before or after it was stopped, is never replaced."""

import itertools
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import Cli
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from test_faults import at_step
from test_resume import SMALL, digests, stop_at

from clipgen.session.ownership import OwnFiles

FILMED = (*SMALL[:-1], "3600", "--video")
NAME = "outputs/red-blue-0-3-1"
Put = Callable[[Path], object]


def link(path: Path) -> None:
    Path("precious").write_bytes(b"precious")
    path.unlink()
    path.symlink_to(Path("precious").absolute())


def edit(path: Path) -> None:
    """The recipe stays in the picture, as image editors do."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            recipe = PngInfo()
            for key, text in image.info.items():
                recipe.add_text(str(key), text)
            ImageOps.invert(image).save(path, pnginfo=recipe)
    else:
        path.write_bytes(path.read_bytes() + b"\0")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def listen(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


PUTS: list[Put] = [lambda path: path.write_bytes(b"a stranger's"), link, edit, pipe, listen, folder, grow, flip]


def look(path: Path) -> object:
    """What is at a path, without opening what could block."""
    found = path.lstat()
    return found.st_mode, found.st_ino, path.read_bytes() if path.is_file() else None


def test_resume_leaves_the_file_of_another_alone_and_goes_on_when_it_is_moved(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        assert cli(*FILMED).exit_code == 130
    Path("outputs").rename("stopped")
    for suffix, put in itertools.product((".png", ".mp4", ".gif"), PUTS):
        shutil.copytree("stopped", "outputs")
        path = Path(f"{NAME}{suffix}")
        put(path)
        before = look(path)
        refused = cli("resume", f"{NAME}.png")
        assert (refused.exit_code, refused.stdout) == (2, ""), (suffix, put)
        assert str(path) in refused.stderr
        assert "move it away" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert look(path) == before
        path.rename("moved") if path.is_dir() else path.unlink()
        if put is not flip:
            shutil.rmtree("outputs")
            shutil.rmtree("moved", ignore_errors=True)
            continue
        assert cli("resume", f"{NAME}.png").exit_code == 0
        shutil.rmtree("outputs") if Path("finished").exists() else Path("outputs").rename("finished")
    assert cli(*FILMED, "-o", "whole").exit_code == 0
    assert digests("finished") == digests("whole")


@pytest.mark.parametrize(
    ("suffix", "every", "put"),
    [
        (".png", "0", PUTS[0]),
        (".png", "3600", grow),
        (".png", "0", grow),
        (".png", "3600", link),
        (".png", "3600", pipe),
        (".png", "3600", folder),
        (".mp4", "3600", PUTS[0]),
        (".mp4", "3600", link),
    ],
)
def test_what_is_put_there_while_the_run_lasts_stays_too(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, suffix: str, every: str, put: Put
) -> None:
    """Over a placeholder, or over a picture of half-way if the state is saved after every step."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    path, seen = Path(f"{NAME}{suffix}"), []

    def act() -> None:
        put(path)
        seen.append(look(path))

    command = (*SMALL[:-1], every, *(["--mp4"] if suffix == ".mp4" else []))
    with monkeypatch.context() as patch:
        at_step(patch, 6, act)
        result = cli(*command)
    assert result.exit_code == 1
    assert "another file was put there meanwhile" in result.stderr
    assert str(path) not in result.stdout.split()
    assert look(path) == seen[0]
    path.rename("moved")
    resumed = cli("resume", f"{NAME}.png")
    assert resumed.exit_code == 0, resumed.stderr
    assert cli(*command, "-o", "whole").exit_code == 0
    assert digests("outputs") == digests("whole")


def test_what_the_run_itself_left_of_half_way_is_replaced(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for index, command in ((2, FILMED), (4, ("resume", f"{NAME}.png")), (7, ("resume", f"{NAME}.png"))):
        with monkeypatch.context() as patch:
            stop_at(patch, index, signal.SIGTERM)
            assert cli(*command).exit_code == 143
    assert cli("resume", f"{NAME}.png").exit_code == 0


def test_pictures_without_a_recipe_are_known_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        assert cli(*SMALL, "--no-metadata").exit_code == 130
    mine = Path(f"{NAME}.png").read_bytes()
    Path(f"{NAME}.png").write_bytes(b"a stranger's")
    assert cli("resume", f"{NAME}.png").exit_code == 2
    Path(f"{NAME}.png").write_bytes(mine)
    assert cli("resume", f"{NAME}.png").exit_code == 0


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a.png": 3}', '{"a.png": [["x", 1]]}', "[" * 100_000, None])
def test_a_list_of_files_that_is_damaged_makes_nothing_the_runs_own(tmp_path: Path, text: str | None) -> None:
    picture, part = tmp_path / "a.png", tmp_path / "part.png"
    part.write_bytes(b"new")
    OwnFiles(tmp_path).claim(part, picture)
    part.rename(picture)
    OwnFiles(tmp_path).check(picture)
    record = tmp_path / "files.json"
    record.unlink()
    if text is None:
        os.mkfifo(record)
    else:
        record.write_text(text)
    with pytest.raises(FileExistsError):
        OwnFiles(tmp_path).check(picture)
    assert picture.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["n" * 260 + ".png", "é" * 200, "n" * 260 + ".clipgen"])
def test_a_name_that_no_file_can_have_names_nothing_to_resume(cli: Cli, name: str) -> None:
    refused = cli("resume", name)
    assert refused.exit_code == 2
    assert "there is nothing to resume" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("path", [".", "/", ".."])
def test_a_folder_is_no_picture_to_resume(cli: Cli, path: str) -> None:
    result = cli("resume", path)
    assert result.exit_code == 2
    assert "there is nothing to resume" in result.stderr
