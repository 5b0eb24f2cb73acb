"""How strongly a picture is held to its init image, by `--init-weight`. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from clipgen.config.edits import AROUND
from clipgen.config.job import Job
from clipgen.config.presets import Preset
from clipgen.config.settings import UnclipSettings

HOLD_AROUND = 0.4
"""How much less a picture is held to the colours around a mask than to an init image."""
PURE_NOISE = 20.0
"""Standard deviation of noise, in units of that of the data, that hides all of these."""


def init_weight(job: Job, preset: Preset) -> float:
    """Return how strongly a picture is held to its init image.

    By default one that moves away from it is not, and one inside a mask less to the mere colours around it.
    """
    if job.init_weight is not None:
        return job.init_weight
    share = HOLD_AROUND if job.edit and job.edit.inside == AROUND else 1.0
    return 0.0 if job.motion else share * preset.init_weight


def hold_weight(job: Job, preset: Preset) -> float:
    """Return the weight of the loss that holds a picture to its init image; 0 without one."""
    return init_weight(job, preset) * preset.hold_scale if job.init else 0.0


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
