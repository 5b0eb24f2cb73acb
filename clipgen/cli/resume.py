"""`clipgen resume PICTURE.png`: a run that was stopped, from where it was stopped."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipgen.cli import choosing, options
from clipgen.cli.report import Notes, Results
from clipgen.errors import UsageError
from clipgen.session.session import SAVE_SECONDS, Delivery, Studio
from clipgen.util.files import remove_empty, remove_partials

if TYPE_CHECKING:
    from clipgen.session.state import Workspace

Unfinished = Annotated[
    Path,
    typer.Argument(
        metavar="PICTURE.png",
        help="The picture that was not finished, or the folder beside it with its state.",
        show_default=False,
    ),
]
MoreSteps = Annotated[
    str | None,
    typer.Option(
        "--steps",
        metavar="NUMBER|+NUMBER",
        help="Steps in all, or how many more than were planned.",
        rich_help_panel=options.ENGINE,
        show_default="as planned",
    ),
]


def resume(
    picture: Unfinished,
    steps: MoreSteps = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    offline: choosing.Offline = False,
    save_every: options.SaveEvery = SAVE_SECONDS,
    keep_state: options.KeepState = False,
) -> None:
    """Go on with a picture whose run was stopped or killed.

    It ends as if it had never been stopped, film and all.
    """
    from clipgen.session.state import Workspace, with_more_steps

    delivery = Delivery(save_every=save_every, keep_state=keep_state)
    workspace = Workspace.open(_state_of(picture))
    try:
        snapshot, order = workspace.snapshot(), workspace.order
        changed = with_more_steps(order, steps, snapshot.done if snapshot else 0)
        paths = own_paths(workspace)
        settings = replace(order.job, init=None, init_weight=0.0)  # the init image is in the workspace
        notes = Notes(quiet=quiet or as_json)
        studio = Studio(
            settings, device=device, delivery=delivery, results=Results(as_json=as_json), notes=notes, offline=offline
        )
        workspace.change(changed)
        resume_in(studio, workspace, paths, order.job.text)
    finally:
        workspace.release()
    studio.print_json()


def resume_in(studio: Studio, workspace: "Workspace", paths: dict[str, Path], label: str) -> None:
    """Go on with the picture of a workspace, in files that are its own."""
    for path in paths.values():
        remove_partials(path)
        path.touch()
    try:
        studio.make(workspace, paths, label)
    finally:
        remove_empty(paths.values())


def own_paths(workspace: "Workspace") -> dict[str, Path]:
    """Return the files of the picture beside a workspace; UsageError where another picture has its name."""
    from clipgen.outputs.metadata import read

    paths = {suffix: workspace.folder.with_suffix(suffix) for suffix in (".png", *workspace.order.films)}
    picture = paths[".png"]
    if workspace.order.metadata and picture.exists() and picture.stat().st_size > 0:
        record = read(picture) or {}
        if any(record.get(key) != value for key, value in workspace.order.asked.items()):
            raise UsageError(f"{picture} is another picture than the one whose state is beside it; move it away")
    return paths


def _state_of(picture: Path) -> Path:
    """Return the folder with the state of a picture."""
    from clipgen.session.state import SUFFIX

    folder = picture if picture.suffix == SUFFIX else picture.with_suffix(SUFFIX)
    if not folder.is_dir():
        hint = f"make it anew with: clipgen replay {picture}" if picture.is_file() else "check the path"
        raise UsageError(f"there is nothing to go on from: {folder} does not exist, as when a run has finished; {hint}")
    return folder
