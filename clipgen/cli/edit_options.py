"""The options that edit a part of the init image, and the fields of a job that they set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from clipgen.cli.option_groups import Option
from clipgen.cli.options import typed
from clipgen.cli.values import expanded
from clipgen.config.edits import AROUND, FEATHER, INSIDE, OVERLAY_EVERY
from clipgen.config.targets import PLACES

EDITING = "Editing"


@dataclass(frozen=True)
class EditOptions:
    """Which part of the init image may change."""

    mask: Annotated[
        str | None,
        Option(
            "--mask",
            f"Change this part of the init image only: {', '.join(PLACES)}, or an image of its size, white or "
            "transparent there.",
            "PLACE|FILE",
            (*PLACES,),
            panel=EDITING,
        ),
    ] = None
    extend: Annotated[
        str | None,
        Option(
            "--extend",
            "Draw more picture around the init image: so many of its pixels on each side.",
            "LEFT,TOP,RIGHT,BOTTOM",
            panel=EDITING,
        ),
    ] = None
    feather: Annotated[
        float | None,
        Option(
            "--feather",
            "Width of the mask's soft edge, inside it, as a fraction of the shorter side.",
            "NUMBER",
            panel=EDITING,
            default=f"{FEATHER:g}",
        ),
    ] = None
    inside: Annotated[
        str | None,
        Option(
            "--inside",
            "What the run begins with inside the mask: the colours around it, or what the init image has there.",
            choices=INSIDE,
            panel=EDITING,
            default=AROUND,
        ),
    ] = None

    overlay: Annotated[
        str | None,
        Option(
            "--overlay",
            "Lay this picture over the one that is being made, every few steps, where it is not transparent.",
            "FILE",
            panel=EDITING,
        ),
    ] = None
    overlay_every: Annotated[
        int | None,
        Option("--overlay-every", "Steps between two overlays.", "NUMBER", panel=EDITING, default=f"{OVERLAY_EVERY}"),
    ] = None

    def job_fields(self) -> dict[str, Any]:
        """Return the fields of a job that were given."""
        mask = self.mask if self.mask is None or self.mask in PLACES else str(expanded(Path(self.mask), "--mask"))
        overlay = None if self.overlay is None else str(expanded(Path(self.overlay), "--overlay"))
        edit = typed(mask=mask, extend=self.extend, feather=self.feather, inside=self.inside)
        return edit | typed(overlay=overlay, overlay_every=self.overlay_every)
