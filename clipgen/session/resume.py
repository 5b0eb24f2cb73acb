"""Resuming a picture whose run was stopped or killed, in its own files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from clipgen.errors import UsageError
from clipgen.outputs.metadata import read_recipe
from clipgen.session.picture import Picture
from clipgen.session.state import SUFFIX, Workspace
from clipgen.util.files import remove_empty, remove_partials


@contextmanager
def unfinished_picture(workspace: Workspace, paths: dict[str, Path], label: str) -> Iterator[Picture]:
    """Hold the files of a picture, as returned by `own_paths`, while its run continues."""
    for path in paths.values():
        remove_partials(path)
        path.touch()
    try:
        yield Picture(workspace, paths, label)
    finally:
        remove_empty(paths.values())


def state_of(picture: Path) -> Path:
    """Return the folder with the state of a picture; raises UsageError if there is none."""
    folder = picture if picture.suffix == SUFFIX else picture.parent / f"{picture.stem}{SUFFIX}"
    if not folder.is_dir():
        hint = f"make it again with: clipgen replay {picture}" if picture.is_file() else "check the path"
        raise UsageError(
            f"there is nothing to resume: {folder} does not exist, perhaps because the run has finished; {hint}"
        )
    return folder


def own_paths(workspace: Workspace) -> dict[str, Path]:
    """Return the files of the picture beside a workspace; raises UsageError if another picture has its name."""
    order = workspace.order
    paths = {suffix: workspace.folder.with_suffix(suffix) for suffix in (".png", *order.films)}
    picture = paths[".png"]
    if order.metadata and picture.exists() and picture.stat().st_size > 0 and not _is_of(picture, workspace):
        raise UsageError(f"{picture} is another picture, not the one whose state is beside it; move it away")
    return paths


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
