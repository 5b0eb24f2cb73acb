"""The settings of a run's parts, each a frozen record whose values are checked. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clipgen.config.checks import check_choice, check_whole, checked_number
from clipgen.config.schedules import Schedule
from clipgen.errors import UsageError
from clipgen.util.text import quoted

OPTIMIZERS = ("adam", "normalised")
"""The keys of `clipgen.core.optim.RULES`."""
LOSSES = ("prompt", "init", "total-variation")
"""The keys of `clipgen.core.losses.LOSSES`."""
MAX_LEVELS = 16
MAX_NOISE = 100.0
MAX_SCALE = 100.0
MAX_CANDIDATES = 256


@dataclass(frozen=True)
class CutoutSettings:
    """How strongly the cutouts that the perceptors see differ from one another.

    A cutout is plain (the whole picture, unaltered), whole (the whole picture, augmented) or a crop, augmented.
    """

    share_plain: float = 0.125
    """Share of the cutouts that are plain."""
    share_whole: float = 0.25
    """Share of the cutouts that are whole."""
    min_scale: float = 0.4
    """Smallest side of a crop, as a share of the shorter side of the picture."""
    max_scale: float = 0.95
    """Largest side of a crop, as a share of the shorter side of the picture."""
    zoom: float = 0.1
    """A whole cutout is scaled by a factor within 1 ± zoom, and shifted by up to the same share of the picture."""
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
    """Mirror half of the augmented cutouts; off, because left and right can matter to a prompt."""

    def __post_init__(self) -> None:
        _check_numbers(self, ("share_plain", "share_whole", "min_scale", "max_scale"), 0.0, 1.0)
        _check_numbers(self, ("zoom", "perspective"), 0.0, 0.9)
        _check_numbers(self, ("shear", "jitter", "noise"), 0.0, MAX_SCALE)
        _check_numbers(self, ("degrees",), 0.0, 180.0)


@dataclass(frozen=True)
class GeneratorSettings:
    """How one generator's latent moves."""

    weights: str
    """Name for `clipgen.weights.loader.load`; empty for a generator without a network."""
    stride: int
    """Pixels a side of a latent cell."""
    levels: int
    """Resolutions that the latent is a sum of."""
    optimizer: str = "adam"
    """One of OPTIMIZERS."""
    small_until: float = 0.0
    """Progress up to which the picture is made at half the size, in a quarter of the time: a cell is then a larger part
    of it, so that it is composed more boldly."""
    full_lr_share: float = 1.0
    """How much of the learning rate is left when a picture that started small goes on at full size: large steps would
    wash out the finer detail that img2img has added."""
    reencode_at: tuple[float, ...] = ()
    """Progress in (0, 1) at which the latent becomes what the generator's encoder makes of the picture: an encoder that
    was trained to see through blur restores the edges of pictures that the decoder knows."""

    def __post_init__(self) -> None:
        if self.weights:
            check_model("a generator's weights", self.weights)
        check_whole("a generator's stride", self.stride, 1, 256)
        check_whole("a generator's levels", self.levels, 1, MAX_LEVELS)
        check_choice("the optimizer", self.optimizer, OPTIMIZERS)
        _check_numbers(self, ("small_until", "full_lr_share"), 0.0, 1.0)
        for progress in self.reencode_at:
            checked_number("reencode_at", progress, 0.0, 1.0)


@dataclass(frozen=True)
class PerceptorSettings:
    """A perceptor that guides, and the part of the run in which it does, from `since` to `until` in [0, 1]."""

    weights: str
    """Name for `clipgen.weights.loader.load`."""
    since: float = 0.0
    until: float = 1.0

    def __post_init__(self) -> None:
        check_model("a perceptor's weights", self.weights)
        _check_numbers(self, ("since", "until"), 0.0, 1.0)

    def guides(self, progress: float) -> bool:
        """Whether it guides at a progress in [0, 1]; the one that guides to the end also sees the final picture."""
        return self.since <= progress < self.until or progress == self.until == 1.0


@dataclass(frozen=True)
class UnclipSettings:
    """An unCLIP: a prior draws image features of the prompt, decoders make pictures of them.

    The run begins at the best picture, and the features pull at it beside the prompt.
    """

    prior: str
    """Name of the diffusion prior."""
    coarse_decoder: str
    """Name of the network that draws a blurred picture of features."""
    decoder: str
    """Name of the diffusion decoder."""
    upsampler: str
    """Name of the diffusion decoder for twice the size."""
    autoencoder: str
    """Name of the VQGAN whose latents the decoders draw."""
    guidance_scale: float = 1.0
    """Classifier-free guidance of the prior; 1 is none."""
    candidates: int = 16
    """Features drawn for a prompt, of which one is taken."""
    decoder_scale: float = 1.0
    """Classifier-free guidance of the decoder."""
    img2img_noise: float = 0.0
    """Noise, in units of the latents' spread, through which the decoder sees the picture when it grows to full size;
    0 leaves img2img and upsampling out."""
    img2img_candidates: int = 1
    """Pictures drawn then, of which one is taken."""
    upsampler_candidates: int = 1
    """Upsampled pictures drawn of that, of which one is taken."""
    upsampler_scale: float = 1.0
    """Classifier-free guidance of the upsampler."""
    text_weight: float = 0.0
    """How strongly, by their weights, the texts themselves pull beside the features."""
    init_noise: float = 4.0
    """Noise, in units of the features' spread, through which the prior sees an init image: less keeps more of it."""
    init_guidance_scale: float = 8.0
    """In place of `guidance_scale` with an init image."""

    def __post_init__(self) -> None:
        for name in self.networks:
            check_model("a network of the unCLIP", name)
        for name in ("candidates", "img2img_candidates", "upsampler_candidates"):
            check_whole(name, getattr(self, name), 1, MAX_CANDIDATES)
        scales = ("guidance_scale", "decoder_scale", "upsampler_scale", "init_guidance_scale", "text_weight")
        _check_numbers(self, scales, 0.0, MAX_SCALE)
        _check_numbers(self, ("img2img_noise", "init_noise"), 0.0, MAX_NOISE)

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of its networks."""
        return self.prior, self.coarse_decoder, self.decoder, self.upsampler, self.autoencoder


@dataclass(frozen=True)
class LossSettings:
    """A loss, one of LOSSES, and how much it counts."""

    name: str
    weight: Schedule

    def __post_init__(self) -> None:
        check_choice("a loss", self.name, LOSSES)


@dataclass(frozen=True)
class ModelHash:
    """Which weights a name meant when the plan was made."""

    name: str
    sha256: str
    """Empty where it is not known; of a network in several files those of all, with a plus between them."""

    def __post_init__(self) -> None:
        check_model("the name of a model", self.name)
        if not (isinstance(self.sha256, str) and re.fullmatch(r"[0-9a-f+]{0,300}", self.sha256)):
            raise UsageError(f"the sha256 of {self.name} must be hexadecimal digits, got {quoted(self.sha256)}")


def check_model(what: str, name: object) -> None:
    """Raise a UsageError unless it can be the name of a network: two plain words, never a path."""
    words = name.split("/") if isinstance(name, str) else []
    if len(words) != 2 or not all(_is_plain(word) for word in words):
        raise UsageError(f"{what} must be a name such as starter/clip, got {quoted(name)}")


def _is_plain(word: str) -> bool:
    return 0 < len(word) <= 100 and word.replace("-", "").replace("_", "").replace(".", "").isalnum()


def _check_numbers(settings: object, names: Sequence[str], low: float, high: float) -> None:
    for name in names:
        object.__setattr__(settings, name, checked_number(name, getattr(settings, name), low, high))
