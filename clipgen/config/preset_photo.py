"""The preset of a classifier that learned from photographs. Torch-free."""

from __future__ import annotations

from dataclasses import replace

from clipgen.config.loss_settings import LossSettings
from clipgen.config.preset import DRAWN, INIT, NOISE, PHOTO, GeneratorDefaults, Guidance, Preset
from clipgen.config.preset_starter import STARTER_DVAE
from clipgen.config.schedules import Schedule
from clipgen.config.settings import CutoutSettings, GeneratorSettings, PerceptorSettings
from clipgen.config.strokes import STROKES


def coarse_to_fine(classifier: str) -> tuple[PerceptorSettings, ...]:
    """Return the settings of a convolutional classifier that composes the picture before it works on details."""
    return (
        PerceptorSettings(classifier, until=0.25, scale=4 / 7),
        PerceptorSettings(classifier, since=0.25, until=0.5, scale=5 / 7),
        PerceptorSettings(classifier, since=0.5),
    )


PHOTO_PIXELS = GeneratorSettings("", stride=1, levels=9, fall=0.5, decorrelated=True)
_PHOTO = Guidance(
    {
        "pixels": GeneratorDefaults(
            PHOTO_PIXELS,
            steps=120,
            lr=0.03,
            cutouts=4,
            losses=(
                LossSettings("total-variation", Schedule.constant(40.0)),
                LossSettings("contrast", Schedule.constant(10.0)),
            ),
        ),
        "vqgan": GeneratorDefaults(GeneratorSettings("starter/vqgan", 8, levels=6), steps=100, lr=0.3, cutouts=4),
        "dvae": GeneratorDefaults(replace(STARTER_DVAE, small_until=0.0), steps=100, lr=0.4, cutouts=4),
        "strokes": GeneratorDefaults(
            DRAWN,
            steps=120,
            lr=2.0,
            cutouts=4,
            losses=(LossSettings("total-variation", Schedule.constant(40.0)),),  # strokes that say nothing fade
        ),
    },
    CutoutSettings(
        share_plain=0.0, share_whole=1.0, zoom=0.2, degrees=0.0, shear=0.0, perspective=0.0, jitter=0.0, noise=0.2
    ),
)

PHOTO_PRESET = Preset(
    name=PHOTO,
    memory=13 * 10**8,
    summary="a classifier that learned 1,000 things from photographs, beside the starter set's CLIPs: offline, "
    "on a CPU",
    perceptors=(
        *coarse_to_fine("classifier/efficientnet-lite0"),
        PerceptorSettings("starter/clip", weight=3.0),
        PerceptorSettings("starter/clip-fine", weight=3.0),
    ),
    guidance={NOISE: _PHOTO, INIT: _PHOTO},
    judges=("classifier/efficientnet-lite1", "classifier/efficientnet-lite2", "starter/judge"),
    backend="pixels",
    starts={STROKES: "gradient"},  # strokes that cover the paper; on a white one few of many would be of use
    adds_up=True,
    hold="layout",
    hold_scale=1.5,
    init_weight=1.0,
)
