"""The preset of the models that ship inside the package. Torch-free."""

from __future__ import annotations

from dataclasses import replace

from clipgen.config.preset import (
    DRAWN,
    INIT,
    NOISE,
    PIXELS,
    PRIOR,
    STARTER,
    UNCLIP,
    GeneratorDefaults,
    Guidance,
    Preset,
)
from clipgen.config.priors import PriorSettings
from clipgen.config.settings import CutoutSettings, GeneratorSettings, PerceptorSettings, UnclipSettings

_VQGAN = GeneratorSettings("starter/vqgan", 8, levels=6, optimizer="normalised", small_until=0.5, full_lr_share=0.4)
STARTER_DVAE = GeneratorSettings("starter/dvae", 8, levels=4, small_until=0.5, reencode_at=(0.25, 0.5, 0.75, 0.9))
_UNCLIP = Guidance(
    {
        "vqgan": GeneratorDefaults(_VQGAN, steps=50, lr=0.06, cutouts=1),
        "dvae": GeneratorDefaults(STARTER_DVAE, steps=100, lr=0.4, cutouts=1),
        "pixels": GeneratorDefaults(PIXELS, steps=50, lr=0.01, cutouts=1),
        "strokes": GeneratorDefaults(DRAWN, steps=50, lr=0.5, cutouts=1),
    },
    CutoutSettings(share_plain=0.0, share_whole=1.0),
    (
        UnclipSettings(
            "starter/feature-prior",
            "starter/sketcher",
            "starter/painter",
            "starter/upsampler",
            "starter/vqgan",
            guidance_scale=4.0,
            candidates=16,
            decoder_scale=2.5,
            img2img_noise=0.8,
            img2img_candidates=8,
            upsampler_candidates=4,
            text_weight=1.0,
            solver="dpm++2m",
        ),
    ),
)
_CLASSIC = Guidance(
    {
        "vqgan": GeneratorDefaults(replace(_VQGAN, small_until=0.0), steps=100, lr=0.06, cutouts=16),
        "dvae": GeneratorDefaults(replace(STARTER_DVAE, small_until=0.0), steps=100, lr=0.4, cutouts=16),
        "pixels": GeneratorDefaults(PIXELS, steps=100, lr=0.02, cutouts=16),
        "strokes": GeneratorDefaults(DRAWN, steps=120, lr=3.0, cutouts=8),
    }
)
_PRIOR = Guidance(
    {
        "vqgan": GeneratorDefaults(replace(_VQGAN, small_until=0.0), steps=50, lr=0.06, cutouts=8),
        "dvae": GeneratorDefaults(replace(STARTER_DVAE, small_until=0.0), steps=50, lr=0.4, cutouts=8),
        "pixels": GeneratorDefaults(PIXELS, steps=50, lr=0.01, cutouts=8),
    },
    prior=(PriorSettings("starter/token-prior", "starter/vqgan", proposals=16, guidance_scale=2.0),),
)
_MOVING = Guidance(
    {
        **_CLASSIC.generators,
        "vqgan": GeneratorDefaults(replace(_VQGAN, optimizer="adam", small_until=0.0), steps=100, lr=0.2, cutouts=4),
    }
)
"""Steps that do not get shorter would have the colours flicker without the momentum of Adam."""
_INIT = Guidance(
    {
        "vqgan": GeneratorDefaults(
            replace(_VQGAN, optimizer="adam", small_until=0.0, full_lr_share=1.0), steps=80, lr=0.2, cutouts=1
        ),
        "dvae": GeneratorDefaults(replace(STARTER_DVAE, small_until=0.0), steps=100, lr=0.4, cutouts=1),
        "pixels": GeneratorDefaults(PIXELS, steps=80, lr=0.03, cutouts=1),
        "strokes": GeneratorDefaults(DRAWN, steps=80, lr=0.5, cutouts=1),
    },
    _UNCLIP.augmentations,
    tuple(
        replace(row, candidates=32, init_img2img_noise=2.5, layout_guidance=0.08, layout_share=0.25, solver="heun")
        for row in _UNCLIP.unclip
    ),
)
"""Over the init image the unCLIP draws another picture of the same layout; the run turns the one into the other.

The layout steers each evaluation of the prior, of which Heun's method makes twice as many."""

STARTER_PRESET = Preset(
    name=STARTER,
    memory=113 * 10**7,
    summary="small models that ship inside the package: offline, fast on a CPU, trained on a drawn world",
    perceptors=(PerceptorSettings("starter/clip"), PerceptorSettings("starter/clip-fine")),
    guidance={UNCLIP: _UNCLIP, NOISE: _CLASSIC, PRIOR: _PRIOR, INIT: _INIT},
    moving=_MOVING,
    judges=("starter/judge",),
    hold="layout",
    hold_scale=0.3,
    init_weight=1.0,
)
