"""`clipgen resume PICTURE`: continues a stopped run from its last saved state."""

from pathlib import Path
from typing import Annotated

import typer

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import Option, flat, only
from clipgen.cli.options import ENGINE
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.sessions import open_for_plan

Unfinished = Annotated[
    Path,
    typer.Argument(
        metavar="PICTURE",
        help="The unfinished picture, or the folder beside it that holds its state.",
        show_default=False,
    ),
]
ResumeOutput = Annotated[
    OutputOptions, only("preview", "as_json", "quiet", "save_every", "keep_state", "sign", "sign_key", "sign_time")
]
MoreSteps = Annotated[
    str | None,
    Option(
        "--steps",
        "Number of steps in all, or how many to add to those planned.",
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

    The result is the same as if the run had never been stopped, films included.
    """
    from clipgen.session.resume import own_paths, state_of, unfinished_picture
    from clipgen.session.state import Workspace, change_order, with_more_steps

    workspace = Workspace.open(state_of(picture))
    try:
        snapshot, order = workspace.snapshot(), workspace.order
        changed = with_more_steps(order, steps, snapshot.done if snapshot else 0)
        paths = own_paths(workspace)
        opened = open_for_plan(changed.plan, workspace.inputs, [], output, device=engine.device, offline=models.offline)
        if changed != order:
            change_order(workspace, changed)
        with unfinished_picture(workspace, paths, order.plan.text) as unfinished:
            opened.session.make(unfinished)
    finally:
        workspace.release()
    opened.results.print_made()
