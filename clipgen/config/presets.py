"""Presets: named bundles of models and settings, as data. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from clipgen.config.schedules import Schedule
from clipgen.config.settings import (
    BF16,
    FP32,
    CutoutSettings,
    GeneratorSettings,
    LossSettings,
    PerceptorSettings,
    UnclipSettings,
)

AUTO = "auto"
STARTER, PHOTO, DRAFT, STANDARD, BEST = "starter", "photo", "draft", "standard", "best"
LOCAL = (STARTER, PHOTO)
"""The presets whose models come with the installation, and are quick on a CPU."""
DEFAULT_BACKEND = "vqgan"
NOISE, UNCLIP, INIT, TOKENS = "noise", "unclip", "init", "tokens"
PATTERNS = ("perlin", "gradient", "snow")
"""The keys of `clipgen.steering.starts.PATTERNS`; their settings, like those of TOKENS, are those of NOISE."""
STARTS = (NOISE, UNCLIP, INIT, *PATTERNS, TOKENS)
"""Where a latent can begin."""

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True)
class GeneratorDefaults:
    """The defaults for one generator."""

    settings: GeneratorSettings
    steps: int
    lr: float
    cutouts: int
    losses: tuple[LossSettings, ...] = ()
    """The losses beside those of the prompt and of the init image."""

    @property
    def weights(self) -> str:
        """Name of the generator's network."""
        return self.settings.weights


@dataclass(frozen=True)
class Guidance:
    """The settings for runs that begin in one way."""

    generators: Mapping[str, GeneratorDefaults]
    """By backend."""
    augmentations: CutoutSettings = field(default_factory=CutoutSettings)
    unclip: tuple[UnclipSettings, ...] = ()
    """The unCLIP that proposes the start; at most one."""


@dataclass(frozen=True)
class Preset:
    """Models that work together, and the defaults for them."""

    name: str
    summary: str
    perceptors: tuple[PerceptorSettings, ...]
    """The guiding perceptors; the losses of those that guide at a step are averaged."""
    guidance: Mapping[str, Guidance]
    """By start, one of STARTS; the first is the default without an init image."""
    judges: tuple[str, ...] = ()
    """Names of perceptors that rank pictures and do not guide; if empty, those that guide rank them."""
    moving: Guidance | None = None
    """The settings of runs whose picture moves; None for those of runs from noise."""
    size: Size = (256, 256)
    memory: int = 0
    """Bytes that a default run with backend vqgan takes at full speed; with less, cutouts are processed in parts."""
    backend: str = DEFAULT_BACKEND
    """The generator that is used by default."""
    adds_up: bool = False
    """Whether the losses of the perceptors, times their weights, are summed instead of averaged."""
    hold: str = "init"
    """The loss that holds a picture to its init image, one of LOSSES."""
    hold_scale: float = 1.0
    """The weight of that loss when `--init-weight` is 1."""
    init_weight: float = 0.0
    """The default of `--init-weight`."""
    precision: str = FP32
    """One of PRECISIONS; the default of `--precision` where the device computes in it."""

    @property
    def start(self) -> str:
        """Where a latent begins by default, without an init image."""
        return next(iter(self.guidance))

    def guidance_from(self, start: str) -> Guidance | None:
        """Return the settings for a start, one of STARTS; None if the preset has none."""
        return self.guidance.get(NOISE if start in (*PATTERNS, TOKENS) else start)

    @property
    def moving_guidance(self) -> Guidance:
        """The settings of runs whose picture moves, wherever they start."""
        return self.moving or self.guidance[NOISE]

    @property
    def generators(self) -> Mapping[str, GeneratorDefaults]:
        """The defaults of its generators, without an init image."""
        return self.guidance[self.start].generators


_PIXELS = GeneratorSettings("", stride=1, levels=6)


def _pretrained(
    name: str, size: Size, steps: int, cutouts: int, clips: tuple[str, ...], memory: float, summary: str
) -> Preset:
    """Return a preset of OpenAI's CLIPs with the ImageNet VQGAN and DALL-E's dVAE.

    The learning rates and the latent of a single resolution are those of VQGAN-CLIP (Crowson et al., 2022, arXiv
    2204.08583) and of the notebooks that guided DALL-E's dVAE.
    """
    classic = Guidance(
        {
            "vqgan": GeneratorDefaults(
                GeneratorSettings("vqgan/imagenet-f16-16384", 16, levels=1), steps, 0.1, cutouts
            ),
            "dvae": GeneratorDefaults(GeneratorSettings("dvae/dall-e", 8, levels=1), steps, 0.1, cutouts),
            "pixels": GeneratorDefaults(_PIXELS, steps, 0.02, cutouts),
        }
    )
    return Preset(
        name,
        summary,
        tuple(PerceptorSettings(f"clip/openai-{clip}") for clip in clips),
        {NOISE: classic, INIT: classic},
        size=size,
        memory=int(memory * 10**9),
        precision=BF16,
    )


_STARTER_VQGAN = GeneratorSettings(
    "starter/vqgan", 8, levels=6, optimizer="normalised", small_until=0.5, full_lr_share=0.4
)
_STARTER_DVAE = GeneratorSettings("starter/dvae", 8, levels=4, small_until=0.5, reencode_at=(0.25, 0.5, 0.75, 0.9))
_STARTER_UNCLIP = Guidance(
    {
        "vqgan": GeneratorDefaults(_STARTER_VQGAN, steps=50, lr=0.06, cutouts=1),
        "dvae": GeneratorDefaults(_STARTER_DVAE, steps=100, lr=0.4, cutouts=1),
        "pixels": GeneratorDefaults(_PIXELS, steps=50, lr=0.01, cutouts=1),
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
_STARTER_CLASSIC = Guidance(
    {
        "vqgan": GeneratorDefaults(replace(_STARTER_VQGAN, small_until=0.0), steps=100, lr=0.06, cutouts=16),
        "dvae": GeneratorDefaults(replace(_STARTER_DVAE, small_until=0.0), steps=100, lr=0.4, cutouts=16),
        "pixels": GeneratorDefaults(_PIXELS, steps=100, lr=0.02, cutouts=16),
    }
)
_STARTER_MOVING = Guidance(
    {
        **_STARTER_CLASSIC.generators,
        "vqgan": GeneratorDefaults(
            replace(_STARTER_VQGAN, optimizer="adam", small_until=0.0), steps=100, lr=0.2, cutouts=4
        ),
    }
)
"""Steps that do not get shorter would have the colours flicker without the momentum of Adam."""
_STARTER_INIT = Guidance(
    {
        "vqgan": GeneratorDefaults(
            replace(_STARTER_VQGAN, optimizer="adam", small_until=0.0, full_lr_share=1.0), steps=80, lr=0.2, cutouts=1
        ),
        "dvae": GeneratorDefaults(replace(_STARTER_DVAE, small_until=0.0), steps=100, lr=0.4, cutouts=1),
        "pixels": GeneratorDefaults(_PIXELS, steps=80, lr=0.03, cutouts=1),
    },
    _STARTER_UNCLIP.augmentations,
    tuple(
        replace(row, candidates=32, init_img2img_noise=2.5, layout_guidance=0.08, layout_share=0.25, solver="heun")
        for row in _STARTER_UNCLIP.unclip
    ),
)
"""Over the init image the unCLIP draws another picture of the same layout; the run turns the one into the other.

The layout steers each evaluation of the prior, of which Heun's method makes twice as many."""


def coarse_to_fine(classifier: str) -> tuple[PerceptorSettings, ...]:
    """Return the settings of a convolutional classifier that composes the picture before it works on details."""
    return (
        PerceptorSettings(classifier, until=0.25, scale=4 / 7),
        PerceptorSettings(classifier, since=0.25, until=0.5, scale=5 / 7),
        PerceptorSettings(classifier, since=0.5),
    )


_PHOTO_PIXELS = GeneratorSettings("", stride=1, levels=9, fall=0.5, decorrelated=True)
_PHOTO = Guidance(
    {
        "pixels": GeneratorDefaults(
            _PHOTO_PIXELS,
            steps=120,
            lr=0.03,
            cutouts=4,
            losses=(
                LossSettings("total-variation", Schedule.constant(40.0)),
                LossSettings("contrast", Schedule.constant(10.0)),
            ),
        ),
        "vqgan": GeneratorDefaults(GeneratorSettings("starter/vqgan", 8, levels=6), steps=100, lr=0.3, cutouts=4),
        "dvae": GeneratorDefaults(replace(_STARTER_DVAE, small_until=0.0), steps=100, lr=0.4, cutouts=4),
    },
    CutoutSettings(
        share_plain=0.0, share_whole=1.0, zoom=0.2, degrees=0.0, shear=0.0, perspective=0.0, jitter=0.0, noise=0.2
    ),
)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name=STARTER,
            memory=113 * 10**7,
            summary="small models that ship inside the package: offline, fast on a CPU, trained on a drawn world",
            perceptors=(PerceptorSettings("starter/clip"), PerceptorSettings("starter/clip-fine")),
            guidance={UNCLIP: _STARTER_UNCLIP, NOISE: _STARTER_CLASSIC, INIT: _STARTER_INIT},
            moving=_STARTER_MOVING,
            judges=("starter/judge",),
            hold="layout",
            hold_scale=0.3,
            init_weight=1.0,
        ),
        Preset(
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
            adds_up=True,
            hold="layout",
            hold_scale=1.5,
            init_weight=1.0,
        ),
        _pretrained(
            DRAFT, (256, 256), 200, 16, ("vit-b-32",), 4, "pretrained models, small and quick, trained on real images"
        ),
        _pretrained(
            STANDARD,
            (512, 512),
            400,
            32,
            ("vit-b-32", "vit-b-16"),
            15,
            "pretrained models, two CLIPs and four times the pixels: for a GPU",
        ),
        _pretrained(
            BEST,
            (512, 512),
            600,
            32,
            ("vit-b-32", "vit-b-16", "vit-l-14"),
            30,
            "pretrained models, three CLIPs and more steps: for a large GPU",
        ),
    )
}

BACKENDS: tuple[str, ...] = tuple(dict.fromkeys(name for preset in PRESETS.values() for name in preset.generators))
