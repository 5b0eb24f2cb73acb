"""Files under way have names that nobody can guess, are never links, and leave nothing behind."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from test_sinks import PLAN, step_at

from clipgen.core.contracts import Outcome
from clipgen.outputs.picture import PictureSink
from clipgen.session.state import Order, Workspace
from clipgen.util import files
from clipgen.util.files import partial_path, partials, publish, remove_partials, replacing
from clipgen.weights.cache import read_digest, write_digest

NEW, OLD = "0123456789abcdef", "12345"


def write_picture(path: Path) -> None:
    sink = PictureSink(path, PLAN)
    sink.on_step(step_at(1))
    sink.close(Outcome.FINISHED)


def write_text(path: Path) -> None:
    with replacing(path) as partial:
        partial.write_text("whole", encoding="utf-8")


def write_sheet(path: Path) -> None:
    with replacing(path) as partial:
        Image.new("RGB", (8, 8)).save(partial, format="PNG")


def write_order(path: Path) -> None:
    workspace = Workspace(path.parent, Order.of(PLAN), None)
    workspace.change(workspace.order)


WRITERS: dict[str, Callable[[Path], None]] = {
    "a.png": write_picture,
    "a.mp4": write_text,
    "eval.json": write_text,
    "sheet.png": write_sheet,
    "job.json": write_order,
    "weights": lambda path: write_digest(path, "0" * 64),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_in_the_place_of_a_file_is_replaced_and_its_target_stays(tmp_path: Path, name: str) -> None:
    stranger, path = tmp_path / "stranger", tmp_path / name
    stranger.write_text("mine")
    target = path.with_name(f"{name}.sha256") if name == "weights" else path
    target.symlink_to(stranger)
    WRITERS[name](path)
    assert stranger.read_text() == "mine"
    assert target.is_file()
    assert not target.is_symlink()
    assert sorted(tmp_path.iterdir()) == sorted([stranger, target])
    if name == "weights":
        assert read_digest(path) == "0" * 64


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_planted_at_the_temporary_name_is_not_followed(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger, path = tmp_path / "stranger", tmp_path / name
    stranger.write_text("mine")
    guessed = tmp_path / "guessed"
    guessed.symlink_to(stranger)
    monkeypatch.setattr(files, "partial_path", lambda _path: guessed)
    with pytest.raises(Exception, match="File exists"):
        WRITERS[name](path)
    assert stranger.read_text() == "mine"
    assert not os.path.lexists(path)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "nothing"])
def test_only_a_regular_file_is_published(tmp_path: Path, kind: str) -> None:
    stranger, path = tmp_path / "stranger", tmp_path / "a.png"
    stranger.write_text("mine")
    partial = partial_path(path)
    make = {"link": lambda: partial.symlink_to(stranger), "pipe": lambda: os.mkfifo(partial), "folder": partial.mkdir}
    make.get(kind, lambda: None)()
    with pytest.raises(OSError, match=r"symbolic links|regular|directory"):
        publish(partial, path)
    assert stranger.read_text() == "mine"
    assert not os.path.lexists(path)


def test_temporary_names_cannot_be_guessed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    names = {partial_path(path).name for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(r"\.[0-9a-f]{8}\.[0-9a-f]{16}\.png", name) for name in names)
    assert not any(str(os.getpid()) == name.split(".")[2] for name in names)


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_text(tmp_path / "a.json")
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.json", "old")]


def test_what_killed_processes_left_is_found_by_the_old_names_and_the_new(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    stem = partial_path(path).name.split(".")[1]
    left = [tmp_path / f".{stem}.{word}.png" for word in (OLD, NEW)]
    others = [
        tmp_path / f".{stem}.notes.png",  # a stranger's
        tmp_path / f".{stem}.{NEW}.gif",
        tmp_path / f".{stem}.{NEW}a.png",
        partial_path(tmp_path / "b.png"),
        path,
    ]
    for file in (*left, *others):
        file.write_text("x")
    (tmp_path / f".{stem}.1.png").mkdir()
    link = tmp_path / f".{stem}.2.png"
    link.symlink_to(path)
    assert partials(path) == sorted([*left, link])
    remove_partials(path)
    assert sorted(tmp_path.iterdir()) == sorted([*others, tmp_path / f".{stem}.1.png"])
    assert path.read_text() == "x"


def test_a_folder_that_is_gone_has_no_leftovers(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps({}))
    for path in (tmp_path / "gone" / "a.png", tmp_path / "file" / "a.png"):
        remove_partials(path)
        assert partials(path) == []
