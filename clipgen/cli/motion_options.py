"""The options of a camera, which `clipgen zoom` takes."""

from dataclasses import dataclass
from typing import Annotated

from clipgen.cli.option_groups import Option
from clipgen.cli.options import typed
from clipgen.config.motion import BORDERS, USUAL_ZOOM, MotionSettings, parse_pan

CAMERA = "Camera"


@dataclass(frozen=True)
class MotionOptions:
    """How the picture moves during the run."""

    zoom: Annotated[
        float | None,
        Option(
            "--zoom",
            "Factor by which each move enlarges the picture; below 1 the camera draws back.",
            "NUMBER",
            panel=CAMERA,
            default=f"{USUAL_ZOOM:g}, or 1 with --pan or --rotate",
        ),
    ] = None
    pan: Annotated[
        str | None,
        Option("--pan", "Pixels by which each move shifts the picture to the right and down.", "X,Y", panel=CAMERA),
    ] = None
    rotate: Annotated[
        float | None, Option("--rotate", "Degrees by which each move turns it clockwise.", "DEGREES", panel=CAMERA)
    ] = None
    border: Annotated[
        str,
        Option(
            "--border",
            "What comes into sight at the edges: the picture mirrored, its opposite side, or its outermost pixels.",
            choices=BORDERS,
            panel=CAMERA,
        ),
    ] = MotionSettings.border
    move_every: Annotated[
        int, Option("--move-every", "Number of steps from one move to the next.", "NUMBER", panel=CAMERA)
    ] = MotionSettings.every

    def motion(self) -> MotionSettings:
        """Return the motion that was asked for. Raises UsageError."""
        moves = typed(zoom=self.zoom, pan=None if self.pan is None else parse_pan(self.pan), rotate=self.rotate)
        return MotionSettings(border=self.border, every=self.move_every, **(moves or {"zoom": USUAL_ZOOM}))
