"""The presets of pretrained models, which are downloaded. Torch-free."""

from __future__ import annotations

from dataclasses import replace

from clipgen.config.loss_settings import LossSettings
from clipgen.config.losses import LOSS_KINDS
from clipgen.config.preset import (
    BEST,
    DALLE_MINI,
    DRAFT,
    DRAWN,
    INIT,
    NOISE,
    PIXELS,
    STANDARD,
    GeneratorDefaults,
    Guidance,
    Preset,
    Size,
)
from clipgen.config.priors import PriorSettings
from clipgen.config.schedules import Schedule
from clipgen.config.sequences import SequenceSettings
from clipgen.config.settings import BF16, GeneratorSettings, PerceptorSettings

DALLE_MINI_VQGAN = "vqgan/dalle-mini-f16-16384"
"""The VQGAN whose codes DALL-E mini writes."""
NORM = LossSettings("norm", Schedule.constant(LOSS_KINDS["norm"].weight))
"""What keeps latents without a codebook like those of pictures."""


def _pretrained(
    name: str,
    size: Size,
    steps: int,
    cutouts: int,
    clips: tuple[str, ...],
    memory: float,
    kl: str,
    titok: GeneratorSettings,
    summary: str,
) -> Preset:
    """Return a preset of OpenAI's CLIPs with the ImageNet VQGAN, DALL-E's dVAE, a continuous autoencoder and a TiTok.

    The learning rates and the latent of a single resolution are those of VQGAN-CLIP (Crowson et al., 2022, arXiv
    2204.08583), of the notebooks that guided DALL-E's dVAE, and of TokenOpt (Lao Beyer et al., 2025, arXiv 2506.08257).
    """
    classic = Guidance(
        {
            "vqgan": GeneratorDefaults(
                GeneratorSettings("vqgan/imagenet-f16-16384", 16, levels=1), steps, 0.1, cutouts
            ),
            "dvae": GeneratorDefaults(GeneratorSettings("dvae/dall-e", 8, levels=1), steps, 0.1, cutouts),
            "kl": GeneratorDefaults(GeneratorSettings(kl, 8, levels=4), steps, 0.1, cutouts, (NORM,)),
            "titok": GeneratorDefaults(titok, steps, 0.1, cutouts),
            "pixels": GeneratorDefaults(PIXELS, steps, 0.02, cutouts),
            "strokes": GeneratorDefaults(DRAWN, steps, 1.0, cutouts),
        }
    )
    return Preset(
        name,
        summary,
        tuple(PerceptorSettings(f"clip/openai-{clip}") for clip in clips),
        {NOISE: classic, INIT: classic, DALLE_MINI: refining(classic)},
        size=size,
        memory=int(memory * 10**9),
        precision=BF16,
    )


def refining(classic: Guidance) -> Guidance:
    """Return the settings of runs that refine what DALL-E mini proposes, in its own VQGAN, in fewer steps."""
    first = classic.generators["vqgan"]
    vqgan = replace(first, settings=replace(first.settings, weights=DALLE_MINI_VQGAN))
    rows = {**classic.generators, "vqgan": vqgan}
    return replace(
        classic,
        generators={name: replace(row, steps=max(row.steps // 4, 1)) for name, row in rows.items()},
        prior=(PriorSettings("dalle-mini/mini", DALLE_MINI_VQGAN, proposals=16, guidance_scale=10.0),),
    )


def _titok(name: str, tokens: int) -> GeneratorSettings:
    return GeneratorSettings(f"titok/imagenet-{name}-{tokens}", 256, 1, sequence=(SequenceSettings(tokens),))


PRETRAINED = (
    _pretrained(
        DRAFT,
        (256, 256),
        200,
        16,
        ("vit-b-32",),
        4,
        "kl/taesd",
        _titok("s", 128),
        "pretrained models, small and quick, trained on real images",
    ),
    _pretrained(
        STANDARD,
        (512, 512),
        400,
        32,
        ("vit-b-32", "vit-b-16"),
        15,
        "kl/sd-vae-ft-mse",
        _titok("l", 32),
        "pretrained models, two CLIPs and four times the pixels: for a GPU",
    ),
    _pretrained(
        BEST,
        (512, 512),
        600,
        32,
        ("vit-b-32", "vit-b-16", "vit-l-14"),
        30,
        "kl/sd-vae-ft-mse",
        _titok("l", 32),
        "pretrained models, three CLIPs and more steps: for a large GPU",
    ),
)
