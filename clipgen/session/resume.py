"""Resuming a picture whose run was stopped or killed, in its own files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from os.path import lexists  # which is False, and no error, for a name that no file can have
from pathlib import Path

from clipgen.config.saving import SUFFIXES
from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session.naming import STEPS, SVG, steps_folder
from clipgen.session.picture import Picture
from clipgen.session.state import SUFFIX, Workspace
from clipgen.util.files import remove_empty, remove_partials

KINDS = {**dict.fromkeys(SUFFIXES, "picture"), SVG: "drawing"}
"""What a file is, by its suffix, if it is no film."""


@contextmanager
def unfinished_picture(workspace: Workspace, paths: dict[str, Path], label: str) -> Iterator[Picture]:
    """Hold the files of a picture, as returned by `own_paths`, while its run continues."""
    folders = [paths[STEPS]] if STEPS in paths else []
    files = [path for path in paths.values() if path not in folders]
    for path in paths.values():
        try:
            remove_partials(path)
            if not path.exists():
                (Path.mkdir if path in folders else Path.touch)(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be written ({error.strerror}): make room for it there") from error
    try:
        yield Picture(workspace, paths, label)
    finally:
        remove_empty(files, folders)


def state_of(picture: Path) -> Path:
    """Return the folder with the state of a picture; raises UsageError if there is none."""
    folder = picture if picture.suffix == SUFFIX else picture.parent / f"{picture.stem}{SUFFIX}"
    if not (lexists(folder) and folder.is_dir()):
        hint = (
            f"make it again with: clipgen replay {picture}"
            if lexists(picture) and picture.is_file()
            else "check the path"
        )
        raise UsageError(
            f"there is nothing to resume: {folder} does not exist, perhaps because the run has finished; {hint}"
        )
    return folder


def own_paths(workspace: Workspace) -> dict[str, Path]:
    """Return the files of the picture beside a workspace; raises UsageError if another file has the name of one."""
    order = workspace.order
    paths = {suffix: workspace.folder.with_suffix(suffix) for suffix in order.suffixes}
    picture = paths[order.saving.suffix]
    if not order.run:
        _check_old(workspace, picture)
        workspace.own.adopt(paths.values())
    for path in paths.values():
        try:
            workspace.own.check(path)
        except OSError as error:
            what = f"another {KINDS.get(path.suffix, 'film')}"
            what = what if path.is_file() else "no regular file"
            raise UsageError(f"{path} is {what}, not the one whose state is beside it; move it away") from error
    return paths | ({STEPS: _own_folder(steps_folder(picture))} if order.every_step else {})


def _own_folder(path: Path) -> Path:
    """Return the folder of step pictures; raises UsageError if something else has its name."""
    if lexists(path) and (path.is_symlink() or not path.is_dir()):
        raise UsageError(f"{path} is no folder, and that of the step pictures has this name; move it away")
    return path


def _check_old(workspace: Workspace, picture: Path) -> None:
    """Raise a UsageError if a picture is not that of a state of an earlier version, as its recipe tells."""
    is_there = picture.is_file() and picture.stat().st_size > 0
    if workspace.order.saving.metadata and is_there and not _is_of(picture, workspace):
        raise UsageError(f"{picture} is another picture, not the one whose state is beside it; move it away")


def _is_of(picture: Path, workspace: Workspace) -> bool:
    """Whether a picture comes from the same run, perhaps with fewer steps planned."""
    try:
        recipe = read_recipe(picture)
    except UsageError:
        return False
    order = workspace.order
    return (replace(recipe.plan, steps=1), recipe.init_sha256) == (
        replace(order.plan, steps=1),
        order.described.get("init_sha256"),
    )
