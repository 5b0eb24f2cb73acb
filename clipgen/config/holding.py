"""How strongly a picture is held to its init image, by `--init-weight`. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from clipgen.config.edits import AROUND
from clipgen.config.job import Job
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.preset import Preset
from clipgen.config.settings import UnclipSettings
from clipgen.config.targets import CHANGE

HOLD_AROUND = 0.6
"""How much less a picture is held to the colours around a mask than to an init image."""
HOLD_CHANGED = 0.5
"""How much less a picture is held to an init image whose colours may be what is to change."""
PURE_NOISE = 20.0
"""Standard deviation of noise, in units of that of the data, that hides all of these."""


def init_weight(job: Job, preset: Preset) -> float:
    """Return how strongly a picture is held to its init image.

    By default one that moves away from it is not, nor one that begins at tokens, and less what the mask or the change
    of texts leaves open.
    """
    if job.init_weight is not None:
        return job.init_weight
    if job.recipe:
        return 0.0
    around = job.edit is not None and job.edit.inside == AROUND
    share = HOLD_AROUND if around else HOLD_CHANGED if job.blend == CHANGE else 1.0
    return 0.0 if job.motion or job.init_tokens else share * preset.init_weight


def hold_weight(job: Job, preset: Preset) -> float:
    """Return the weight of the loss that holds a picture to its init image or tokens; 0 without any."""
    return init_weight(job, preset) * holding(job.recipe, preset)[1] if job.can_be_held else 0.0


def holding(recipe: str | None, preset: Preset) -> tuple[str, float]:
    """Return the loss that holds a picture to its init image, and its weight when `--init-weight` is 1."""
    return ("init", PEER_RECIPES[recipe].hold_scale) if recipe else (preset.hold, preset.hold_scale)


def held_unclips(unclips: Sequence[UnclipSettings], weight: float) -> tuple[UnclipSettings, ...]:
    """Return the settings of unCLIPs, given for an init weight of 1, for another one.

    They go from a picture that has nothing of the init image, at 0, to the image itself.
    """
    return tuple(
        replace(
            row,
            init_img2img_noise=min(row.init_img2img_noise / max(weight, 1e-6), PURE_NOISE),
            layout_guidance=row.layout_guidance * min(weight, 2.0),
            layout_share=weight * row.layout_share / (1 + (weight - 1) * row.layout_share),
        )
        for row in unclips
    )
