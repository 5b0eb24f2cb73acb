"""The settings of the parts of a run, each a frozen, validated record. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clipgen.config.augmentations import CutoutGroup
from clipgen.config.checks import check_choice, check_whole, checked_number
from clipgen.config.levels import HALVED, RESOLUTIONS, check_levels, checked_width
from clipgen.config.records import added_later
from clipgen.config.sequences import SequenceSettings
from clipgen.config.strokes import StrokeSettings
from clipgen.errors import UsageError
from clipgen.util.text import quoted

FP32, BF16 = PRECISIONS = ("fp32", "bf16")
"""What the bulk of the networks computes in: single precision, or bfloat16."""
OPTIMIZERS = (
    "adam",
    "normalised",
    "sgd",
    "momentum",
    "torch-adam",
    "adamw",
    "adagrad",
    "adamax",
    "radam",
    "rmsprop",
    "diffgrad",
)
"""The keys of `clipgen.core.optim.RULES` and `clipgen.engine.rules.TORCH_RULES`."""
SAMPLED = "sampled"
LATENTS = ("", SAMPLED)
"""The keys of `clipgen.generators.LATENTS`."""
SPHERICAL, COSINE = DISTANCES = ("spherical", "cosine")
"""The keys of `clipgen.perceptors.clip.DISTANCES`."""
SOLVERS = ("heun", "dpm++2m")
"""The keys of `SOLVERS` in the sampler of the unCLIP."""
MAX_NOISE = 100.0
MAX_SCALE = 100.0
MAX_SHARE = 1000.0
MAX_FALL = 4.0
MAX_CANDIDATES = 256
MAX_GROUPS = 8


@dataclass(frozen=True)
class CutoutSettings:
    """How much the cutouts that the perceptors see vary.

    A cutout is plain (the whole picture, unaltered), whole (the whole picture, augmented) or an augmented crop.
    """

    share_plain: float = 0.125
    """Fraction of the cutouts that are plain."""
    share_whole: float = 0.25
    """Fraction of the cutouts that are whole."""
    min_scale: float = 0.4
    """Smallest side of a crop, as a fraction of the shorter side of the picture."""
    max_scale: float = 0.95
    """Largest side of a crop, as a fraction of the shorter side of the picture."""
    zoom: float = 0.1
    """A whole cutout is scaled by a factor within 1 ± zoom, and shifted by up to the same fraction of the picture."""
    degrees: float = 12.0
    """Rotation within ± degrees."""
    shear: float = 0.08
    """Horizontal shear factor within ± shear."""
    perspective: float = 0.12
    """Perspective: opposite edges differ in scale by a factor of up to (1 + p) / (1 - p)."""
    jitter: float = 0.1
    """Brightness, contrast and saturation each change by up to this fraction."""
    noise: float = 0.1
    """Upper bound of the standard deviation of the pixel noise, which is drawn uniformly from 0 to this."""
    flip: bool = False
    """Mirror half of the augmented cutouts; off, because left and right can matter to a prompt."""
    least_noise: float = added_later(0.0)
    """Lower bound of that standard deviation, as a fraction of the upper one; at 1 it is always the same."""
    groups: tuple[CutoutGroup, ...] = added_later(())
    """The cutouts of another program in place of these; of the settings above they have the noise only."""
    rescaled: bool = added_later(False)
    """Whether the cutouts of those groups are rescaled together, so that they just fill the range [0, 1]."""

    def __post_init__(self) -> None:
        check_whole("the number of groups of cutouts", len(self.groups), 0, MAX_GROUPS)
        _check_numbers(self, ("share_plain", "share_whole", "min_scale", "max_scale", "least_noise"), 0.0, 1.0)
        _check_numbers(self, ("zoom", "perspective"), 0.0, 0.9)
        _check_numbers(self, ("shear", "jitter", "noise"), 0.0, MAX_SCALE)
        _check_numbers(self, ("degrees",), 0.0, 180.0)


@dataclass(frozen=True)
class GeneratorSettings:
    """The settings of one generator and its latent."""

    weights: str
    """Name for `clipgen.weights.loader.load`; empty for a generator without a network."""
    stride: int
    """Side of a latent cell in pixels."""
    levels: int
    """Number of resolutions that the latent is a sum of."""
    optimizer: str = "adam"
    """One of OPTIMIZERS."""
    small_until: float = 0.0
    """Progress up to which the picture is optimised at half its size, in a quarter of the time; a latent cell then
    covers more of the picture, which makes the composition bolder."""
    full_lr_share: float = 1.0
    """Factor on the learning rate once a picture that started small continues at full size: large steps would wash out
    the finer detail that img2img has added."""
    reencode_at: tuple[float, ...] = ()
    """Progress values in (0, 1) at which the decoded picture is re-encoded: an encoder trained on blurred pictures
    brings sharp edges back."""

    fall: float = added_later(0.0)
    """How much less the finer of several resolutions move, see `clipgen.config.levels`; 0 means that all move alike."""
    decorrelated: bool = added_later(False)
    """Pixels only: the latent is in a space in which the colours of photographs are not correlated."""
    sequence: tuple[SequenceSettings, ...] = added_later(())
    """The sequence of tokens of a picture that is one cell; none for a grid of cells."""
    latent: str = added_later("")
    """One of LATENTS: what is optimised instead of the backend's usual latent."""
    restart_at: tuple[float, ...] = added_later(())
    """Progress values in (0, 1) at which the optimiser forgets its moments."""
    banned: str = added_later("")
    """Numbers of codes that are never sampled, with commas between them."""
    pixel_noise: float = added_later(0.0)
    """Factor on the scale of the noise that a dVAE predicts for its pixels, with which they are sampled; 0 for none."""
    coarse_to_fine: float = added_later(0.0)
    """Width, in levels, of the bump of the learning rate that goes from the coarsest of several resolutions to the
    finest during the run, see `clipgen.config.levels`; 0 for none."""
    resolutions: str = added_later(HALVED)
    """Which resolutions the latent is a sum of, one of RESOLUTIONS; others than HALVED are for pixels only, and have as
    many as fit whatever `levels` says."""
    tanh: bool = added_later(False)
    """Pixels only: the pixels are ½(1 + tanh(latent)) instead of the clamped latent."""
    strokes: tuple[StrokeSettings, ...] = added_later(())
    """Strokes only: how many there are, and how wide; exactly one."""

    def __post_init__(self) -> None:
        if self.weights:
            check_model("a generator's weights", self.weights)
        check_whole("a generator's stride", self.stride, 1, 256)
        check_levels(self.levels)
        check_choice("the optimizer", self.optimizer, OPTIMIZERS)
        _check_numbers(self, ("small_until", "full_lr_share"), 0.0, 1.0)
        check_choice("the latent", self.latent, LATENTS)
        _check_numbers(self, ("fall", "pixel_noise"), 0.0, MAX_FALL)
        if not re.fullmatch(r"([0-9]{1,6}(,[0-9]{1,6})*)?", self.banned):
            raise UsageError(f"banned must be numbers of codes with commas between them, got {quoted(self.banned)}")
        for progress in self.restart_at:
            checked_number("restart_at", progress, 0.0, 1.0)
        check_choice("the resolutions", self.resolutions, RESOLUTIONS)
        if (self.resolutions != HALVED or self.tanh) and self.weights:
            raise UsageError("plan: resolutions and tanh are those of pixels, which have no network")
        if self.decorrelated and (self.resolutions != HALVED or self.tanh):
            raise UsageError("plan: decorrelated pixels have halved resolutions and no tanh")
        object.__setattr__(self, "coarse_to_fine", checked_width(self.coarse_to_fine, self.levels))
        for progress in self.reencode_at:
            checked_number("reencode_at", progress, 0.0, 1.0)

    def cells(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the rows and columns of the latent of a picture of `size` (width, height)."""
        in_grid = size[1] // self.stride, size[0] // self.stride
        return (1, self.sequence[0].tokens) if self.sequence else in_grid


@dataclass(frozen=True)
class PerceptorSettings:
    """A guiding perceptor, and the part of the run in which it guides, from progress `since` to `until` in [0, 1]."""

    weights: str
    """Name for `clipgen.weights.loader.load`."""
    since: float = 0.0
    until: float = 1.0
    weight: float = added_later(1.0)
    """How much its loss counts beside those of the other perceptors; above 0."""
    scale: float = added_later(1.0)
    """Side of its cutouts as a fraction of the network's own; only convolutional networks take others. A network that
    was trained with larger cutouts sees coarser shapes in smaller ones, in less time."""
    distance: str = added_later(SPHERICAL)
    """How far a CLIP's cutouts are from their targets, one of DISTANCES: half the square of the angle, or 1 less the
    cosine."""

    def __post_init__(self) -> None:
        check_model("a perceptor's weights", self.weights)
        _check_numbers(self, ("since", "until"), 0.0, 1.0)
        _check_numbers(self, ("weight",), 0.0, MAX_SHARE)
        if not self.weight:
            raise UsageError(f"the weight of {self.weights} must be above 0, got 0")
        _check_numbers(self, ("scale",), 0.25, 1.0)
        check_choice("the distance of a perceptor", self.distance, DISTANCES)

    def guides(self, progress: float) -> bool:
        """Whether it guides at a progress in [0, 1]; one that guides to the end also scores the final picture."""
        return self.since <= progress < self.until or progress == self.until == 1.0


@dataclass(frozen=True)
class UnclipSettings:
    """An unCLIP (Ramesh et al., 2022, arXiv 2204.06125): a prior samples image features, decoders render them.

    The run begins at the best picture, and its features are a target beside the prompt.
    """

    prior: str
    """Name of the diffusion prior."""
    coarse_decoder: str
    """Name of the network that predicts a blurred picture from features."""
    decoder: str
    """Name of the diffusion decoder."""
    upsampler: str
    """Name of the diffusion upsampler to twice the size."""
    autoencoder: str
    """Name of the VQGAN whose latents the decoders generate."""
    guidance_scale: float = 1.0
    """Classifier-free guidance scale of the prior; 1 is no guidance."""
    candidates: int = 16
    """Features sampled for each prompt, of which one is kept."""
    decoder_scale: float = 1.0
    """Classifier-free guidance scale of the decoder."""
    img2img_noise: float = 0.0
    """Noise level, in units of the latents' standard deviation, from which img2img denoises the picture when it grows
    to full size; 0 skips img2img and upsampling."""
    img2img_candidates: int = 1
    """Pictures sampled by img2img, of which one is kept."""
    upsampler_candidates: int = 1
    """Upsampled pictures sampled from that one, of which one is kept."""
    upsampler_scale: float = 1.0
    """Classifier-free guidance scale of the upsampler."""
    text_weight: float = 0.0
    """Factor on the weights with which the texts themselves pull beside the features."""
    init_noise: float = 4.0
    """Noise level, in units of the features' standard deviation, from which the prior denoises the features of an init
    image; a lower level keeps more of it."""
    init_guidance_scale: float = 8.0
    """Replaces `guidance_scale` with an init image."""
    init_img2img_noise: float = added_later(0.0)
    """Noise level, in units of the latents' standard deviation, from which a picture is drawn over an init image, which
    the run then turns into; a lower level keeps more of the image. If 0, no picture is drawn, and the prior denoises
    the features of the image."""
    layout_guidance: float = added_later(0.0)
    """How far each step of the prior moves features towards the layout of that image, in units of their spread."""
    layout_share: float = added_later(0.0)
    """How much of the layout of coarse pictures is replaced by that of the image, from 0 to 1."""
    solver: str = added_later("heun")
    """How the diffusion models denoise, one of SOLVERS."""

    def __post_init__(self) -> None:
        for name in self.networks:
            check_model("a network of the unCLIP", name)
        for name in ("candidates", "img2img_candidates", "upsampler_candidates"):
            check_whole(name, getattr(self, name), 1, MAX_CANDIDATES)
        scales = ("guidance_scale", "decoder_scale", "upsampler_scale", "init_guidance_scale", "text_weight")
        _check_numbers(self, scales, 0.0, MAX_SCALE)
        _check_numbers(self, ("img2img_noise", "init_noise", "init_img2img_noise", "layout_guidance"), 0.0, MAX_NOISE)
        _check_numbers(self, ("layout_share",), 0.0, 1.0)
        check_choice("a solver", self.solver, SOLVERS)

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of its networks."""
        return self.prior, self.coarse_decoder, self.decoder, self.upsampler, self.autoencoder


@dataclass(frozen=True)
class ModelHash:
    """The weights that a name stood for when the plan was made."""

    name: str
    sha256: str
    """Empty if unknown; for a network in several files, the hashes of all, joined by "+"."""

    def __post_init__(self) -> None:
        check_model("the name of a model", self.name)
        if not (isinstance(self.sha256, str) and re.fullmatch(r"[0-9a-f+]{0,300}", self.sha256)):
            raise UsageError(f"the sha256 of {self.name} must be hexadecimal digits, got {quoted(self.sha256)}")


def check_model(what: str, name: object) -> None:
    """Raise a UsageError unless `name` can be the name of a network: two plain words, never a path."""
    words = name.split("/") if isinstance(name, str) else []
    if len(words) != 2 or not all(_is_plain(word) for word in words):
        raise UsageError(f"{what} must be a name such as starter/clip, got {quoted(name)}")


def _is_plain(word: str) -> bool:
    return 0 < len(word) <= 100 and word.replace("-", "").replace("_", "").replace(".", "").isalnum()


def _check_numbers(settings: object, names: Sequence[str], low: float, high: float) -> None:
    for name in names:
        object.__setattr__(settings, name, checked_number(name, getattr(settings, name), low, high))
