"""The options that ask for something beside the prompt, and the fields of a job that they set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from clipgen.cli.option_groups import Option
from clipgen.cli.options import PICTURE, typed
from clipgen.cli.values import expanded
from clipgen.config.losses import OF_PICTURE

STEERING = "Steering"


@dataclass(frozen=True)
class SteeringOptions:
    """What the picture is to have beside the prompt."""

    loss: Annotated[
        list[str] | None,
        Option(
            "--loss",
            "Pull towards this, too, such as palette:5:navy,gold or symmetry; repeat it for several. `clipgen losses` "
            "lists them. The weight 8..1 falls from 8 to 1; 0 removes a loss of the preset.",
            "NAME[:WEIGHT[:DETAIL]]",
            panel=STEERING,
        ),
    ] = None

    tile: Annotated[
        bool, Option("--tile", "Make a picture whose opposite edges fit together, to repeat it.", panel=STEERING)
    ] = False
    init_noise: Annotated[
        float | None,
        Option("--init-noise", "Noise on the init image where the run begins, from 0 to 1.", "NUMBER", panel=PICTURE),
    ] = None

    def job_fields(self) -> dict[str, Any]:
        """Return the fields of a job that were given; raises UsageError for a picture that cannot be read."""
        losses = None if self.loss is None else tuple(map(_with_colours, self.loss))
        return typed(losses=losses, init_noise=self.init_noise, tile=self.tile or None)


def _with_colours(loss: str) -> str:
    """Return a loss with the colours of the picture that it names, if it names one. Raises UsageError."""
    before, at, file = loss.partition(OF_PICTURE)
    if not at:
        return loss
    from clipgen.session.arguments import with_colours

    return with_colours(f"{before}{at}{expanded(Path(file), '--loss')}")
