"""Presets: named bundles of models and the settings that suit them, as data. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

AUTO = "auto"
STARTER, DRAFT, STANDARD, BEST = "starter", "draft", "standard", "best"

Size = tuple[int, int]
"""Width and height in pixels."""

Progress = TypeVar("Progress", float, "Tensor")
"""Share of the steps that are done."""


@dataclass(frozen=True)
class CutoutSettings:
    """How strongly the views that the perceptor sees differ from one another.

    A view is plain (the whole picture, unaltered), whole (the whole picture, altered) or a crop.
    """

    share_plain: float = 0.125
    """Share of the views that are plain."""
    share_whole: float = 0.25
    """Share of the views that are whole."""
    min_scale: float = 0.4
    """Smallest side of a crop, as a share of the shorter side of the picture."""
    max_scale: float = 0.95
    """Largest side of a crop, as a share of the shorter side of the picture."""
    zoom: float = 0.1
    """A whole view is scaled by a factor within 1 ± zoom, and shifted by up to the same share of the picture."""
    degrees: float = 12.0
    """Rotation within ± degrees."""
    shear: float = 0.08
    """Horizontal shear factor within ± shear."""
    perspective: float = 0.12
    """Perspective: opposite edges differ in scale by a factor of up to (1 + p) / (1 - p)."""
    jitter: float = 0.1
    """Brightness, contrast and saturation each change by up to this share."""
    noise: float = 0.1
    """Standard deviation of the pixel noise, uniform between 0 and this."""
    flip: bool = False
    """Mirror half of the altered views; off, because left and right can matter to a prompt."""


@dataclass(frozen=True)
class GeneratorDefaults:
    """The weights of one backend and the settings that suit them."""

    weights: str
    """Name for `clipgen.weights.loader.load`."""
    stride: int
    """Pixels per latent cell of these weights."""
    steps: int
    lr: float
    cutouts: int
    optimizer: str = "adam"
    """One of `clipgen.core.optim.RULES`."""
    levels: int | None = None
    """Resolutions that the latent is a sum of; None for as many as its backend takes by itself."""
    small_until: float = 0.0
    """Progress up to which a picture that starts at noise is made at half the size, in a quarter of the time: its cells
    are then larger parts of it, so that it is laid out and divided more boldly."""
    full_lr_share: float = 1.0
    """How much of the rate, the user's too, is left when a picture that started small goes on at full size: what was
    painted there has finer strokes, which longer steps wash out."""
    restored: tuple[float, ...] = ()
    """Progress in (0, 1) at which the latent becomes what the backend's encoder makes of the picture: an encoder that
    has learned to see through blur gives it the edges of pictures that the decoder knows."""


@dataclass(frozen=True)
class PerceptorSettings:
    """A perceptor that guides, and the part of the run in which it does, from `since` to `until` in [0, 1]."""

    weights: str
    """Name for `clipgen.weights.loader.load`."""
    since: float = 0.0
    until: float = 1.0

    def guides(self, progress: float) -> bool:
        """Whether it guides at a progress in [0, 1]; the one that guides to the end also sees the final picture."""
        return self.since <= progress < self.until or progress == self.until == 1.0


@dataclass(frozen=True)
class FeaturePriorSettings:
    """A prior over what the preset's perceptors see in the cells of pictures: texts pull towards what it draws."""

    weights: str
    """Name for `clipgen.weights.loader.load`."""
    sketcher: str
    """Name of what knows about how a picture of such features looks."""
    painter: str
    """Name of what adds the detail to that: pictures without an init image start at what it paints."""
    upsampler: str
    """Name of what paints at twice the size over what was painted."""
    decoder: str
    """Name of the VQGAN whose latents it paints."""
    scale: float = 1.0
    """How far it goes beyond what a text changes for it: 1 is no farther."""
    candidates: int = 16
    """How many it draws of a text, for one to be taken; unless there is an init image all are painted for that."""
    painting_scale: float = 1.0
    """How far paintings go beyond what the painter is told."""
    repaint_noise: float = 0.0
    """Through how much noise, in units of their latents' spread, pictures are painted over once when they grow to full
    size: what guidance has changed shows through, edges and colours are again those of paintings. 0: they are not."""
    repaintings: int = 1
    """How often each is painted over then, for one to be taken."""
    upsamplings: int = 1
    """How often that is upsampled, for one to be taken."""
    upsampling_scale: float = 1.0
    """How far that goes beyond what the upsampler is told."""
    text_pull: float = 0.0
    """How strongly, by their weights, the texts themselves pull beside it."""
    init_noise: float = 4.0
    """Through how much noise it sees an init image, in units of the features' spread: what shows through is kept."""
    init_scale: float = 8.0
    """In place of `scale` with an init image, which has a say of its own."""


@dataclass(frozen=True)
class Preset:
    """One bundle: the models that work together and the defaults that suit them."""

    name: str
    summary: str
    perceptors: tuple[PerceptorSettings, ...]
    """Those that guide; the losses of all that guide at a time are averaged."""
    generators: Mapping[str, GeneratorDefaults]
    """By backend."""
    feature_prior: FeaturePriorSettings | None = None
    judge: str | None = None
    """Name of a CLIP that does not guide and can choose between pictures; None where the guides have to."""
    size: Size = (256, 256)
    max_pixels: int = 2048 * 2048
    memory: int = 0
    """Bytes that a run of these defaults takes at full speed, vqgan backend; with less, views are seen in parts."""
    smoothness: float = 0.0
    """Weight of the total variation of the picture in the loss."""
    views: CutoutSettings = CutoutSettings()


def _pretrained(
    name: str, size: Size, steps: int, cutouts: int, clips: tuple[str, ...], memory: float, summary: str
) -> Preset:
    """Describe a preset of OpenAI's CLIPs with the ImageNet VQGAN and DALL-E's dVAE.

    Learning rates and a latent of one resolution are those of VQGAN-CLIP (Crowson et al., 2022, arXiv 2204.08583) and
    of the notebooks that guided DALL-E's dVAE.
    """
    return Preset(
        name,
        summary,
        tuple(PerceptorSettings(f"clip/openai-{clip}") for clip in clips),
        {
            "vqgan": GeneratorDefaults("vqgan/imagenet-f16-16384", 16, steps, 0.1, cutouts, levels=1),
            "dvae": GeneratorDefaults("dvae/dall-e", 8, steps, 0.1, cutouts, levels=1),
        },
        size=size,
        memory=int(memory * 10**9),
    )


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name=STARTER,
            memory=5 * 10**8,
            summary="small models that ship inside the package: offline, fast on a CPU, knows the drawn world",
            perceptors=(PerceptorSettings("starter/clip"), PerceptorSettings("starter/clip-fine")),
            generators={
                "vqgan": GeneratorDefaults(
                    "starter/vqgan",
                    8,
                    50,
                    0.06,
                    1,
                    optimizer="normalised",
                    small_until=0.5,
                    full_lr_share=0.4,
                ),
                "dvae": GeneratorDefaults(
                    "starter/dvae", 8, 100, 0.4, 1, small_until=0.5, restored=(0.25, 0.5, 0.75, 0.9)
                ),
            },
            feature_prior=FeaturePriorSettings(
                "starter/feature-prior",
                "starter/sketcher",
                "starter/painter",
                "starter/upsampler",
                "starter/vqgan",
                scale=4.0,
                candidates=32,
                painting_scale=2.5,
                repaint_noise=0.8,
                repaintings=8,
                upsamplings=4,
                text_pull=1.0,
            ),
            judge="starter/judge",
            views=CutoutSettings(share_plain=0.0, share_whole=1.0),
        ),
        _pretrained(
            DRAFT, (256, 256), 200, 16, ("vit-b-32",), 4, "pretrained models, small and quick: knows the world"
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
