"""`clipgen resume PICTURE.png`: continues a stopped run from its last saved state."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import Option, flat, only
from clipgen.cli.options import ENGINE, EngineOptions, OutputOptions
from clipgen.cli.sessions import open_session
from clipgen.errors import UsageError
from clipgen.session.session import Studio
from clipgen.util.files import remove_empty, remove_partials

if TYPE_CHECKING:
    from clipgen.session.state import Workspace

Unfinished = Annotated[
    Path,
    typer.Argument(
        metavar="PICTURE.png",
        help="The unfinished picture, or the folder beside it that holds its state.",
        show_default=False,
    ),
]
ResumeOutput = Annotated[OutputOptions, only("as_json", "quiet", "save_every", "keep_state")]
MoreSteps = Annotated[
    str | None,
    Option(
        "--steps",
        "Steps in all, or how many more than were planned.",
        "NUMBER|+NUMBER",
        panel=ENGINE,
        default="as planned",
    ),
]


@flat
def resume(
    picture: Unfinished,
    *,
    steps: MoreSteps = None,
    engine: Annotated[EngineOptions, only("device")],
    output: ResumeOutput,
    models: Annotated[ModelOptions, only("offline")],
) -> None:
    """Continue a picture whose run was stopped or killed.

    It ends as if the run had never been stopped, films included.
    """
    from clipgen.session.state import Workspace, with_more_steps

    workspace = Workspace.open(_state_of(picture))
    try:
        snapshot, order = workspace.snapshot(), workspace.order
        changed = with_more_steps(order, steps, snapshot.done if snapshot else 0)
        paths = own_paths(workspace)
        settings = replace(order.job, init=None, init_weight=0.0)  # the init image is in the workspace
        studio = open_session(settings, output, device=engine.device, offline=models.offline).studio
        workspace.change(changed)
        resume_in(studio, workspace, paths, order.job.text)
    finally:
        workspace.release()
    studio.print_json()


def resume_in(studio: Studio, workspace: "Workspace", paths: dict[str, Path], label: str) -> None:
    """Continue the picture of a workspace, in files that are its own."""
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
            raise UsageError(f"{picture} is another picture, not the one whose state is beside it; move it away")
    return paths


def _state_of(picture: Path) -> Path:
    """Return the folder with the state of a picture."""
    from clipgen.session.state import SUFFIX

    folder = picture if picture.suffix == SUFFIX else picture.with_suffix(SUFFIX)
    if not folder.is_dir():
        hint = f"make it again with: clipgen replay {picture}" if picture.is_file() else "check the path"
        raise UsageError(
            f"there is nothing to resume: {folder} does not exist, perhaps because the run has finished; {hint}"
        )
    return folder
