"""The preset of one pretrained CLIP that guides pixels, for people without a GPU. Torch-free."""

from __future__ import annotations

from clipgen.config.loss_settings import LossSettings
from clipgen.config.preset import DALLE_MINI, DRAWN, INIT, NOISE, QUICK, GeneratorDefaults, Guidance, Preset
from clipgen.config.preset_photo import PHOTO_PIXELS
from clipgen.config.preset_pretrained import NORM, refining
from clipgen.config.schedules import Schedule
from clipgen.config.settings import BF16, CutoutSettings, GeneratorSettings, PerceptorSettings

STEPS, CUTOUTS = 100, 12
"""About five minutes of one core, nearly all of it in the CLIP."""

_QUICK = Guidance(
    {
        "pixels": GeneratorDefaults(
            PHOTO_PIXELS,
            STEPS,
            lr=0.05,
            cutouts=CUTOUTS,
            losses=(
                LossSettings("total-variation", Schedule.constant(2.0)),
                LossSettings("contrast", Schedule.constant(0.5)),
            ),
        ),
        "vqgan": GeneratorDefaults(
            GeneratorSettings("vqgan/imagenet-f16-16384", 16, levels=1), STEPS, lr=0.1, cutouts=CUTOUTS
        ),
        "kl": GeneratorDefaults(GeneratorSettings("kl/taesd", 8, levels=4), STEPS, 0.1, CUTOUTS, (NORM,)),
        "strokes": GeneratorDefaults(DRAWN, STEPS, lr=1.0, cutouts=CUTOUTS),
        "dvae": GeneratorDefaults(GeneratorSettings("dvae/dall-e", 8, levels=1), STEPS, lr=0.1, cutouts=CUTOUTS),
    },
    # As in Direct Ascent Synthesis (Fort and Whitaker, 2025, arXiv 2502.07753), shifts and noise alone.
    CutoutSettings(
        share_plain=0.0,
        share_whole=0.5,
        min_scale=0.6,
        zoom=0.2,
        degrees=0.0,
        shear=0.0,
        perspective=0.0,
        jitter=0.0,
        noise=0.2,
    ),
)

QUICK_PRESET = Preset(
    name=QUICK,
    memory=2 * 10**9,
    summary="a pretrained CLIP and pixels: minutes a picture on a CPU, after a download of 605 MB",
    perceptors=(PerceptorSettings("clip/vit-b-32-laion2b_s34b_b79k"),),
    guidance={NOISE: _QUICK, INIT: _QUICK, DALLE_MINI: refining(_QUICK)},
    backend="pixels",
    precision=BF16,
)
