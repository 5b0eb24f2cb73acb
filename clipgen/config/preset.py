"""What a preset is: a named bundle of models and settings, as data. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clipgen.config.loss_settings import LossSettings
from clipgen.config.priors import PriorSettings
from clipgen.config.settings import FP32, CutoutSettings, GeneratorSettings, PerceptorSettings, UnclipSettings
from clipgen.config.strokes import StrokeSettings

AUTO = "auto"
STARTER, PHOTO, QUICK, DRAFT, STANDARD, BEST = "starter", "photo", "quick", "draft", "standard", "best"
OWN = "own"
LOCAL = (STARTER, PHOTO)
"""The presets whose models come with the installation, and are quick on a CPU."""
DEFAULT_BACKEND = "vqgan"
NOISE, UNCLIP, PRIOR, INIT, TOKENS, CODES = "noise", "unclip", "prior", "init", "tokens", "codes"
DALLE_MINI = "dalle-mini"
PATTERNS = ("perlin", "gradient", "snow")
"""The keys of `clipgen.steering.starts.PATTERNS`."""
LIKE_NOISE = (*PATTERNS, TOKENS, CODES)
"""The starts whose settings are those of NOISE."""
STARTS = (NOISE, UNCLIP, PRIOR, DALLE_MINI, INIT, *LIKE_NOISE)
"""Where a latent can begin."""

Size = tuple[int, int]
"""Width and height in pixels."""
MAX_SIDE = 4096


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
    prior: tuple[PriorSettings, ...] = ()
    """The prior that proposes codes to start at; at most one."""


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
    starts: Mapping[str, str] = field(default_factory=dict)
    """By backend: where its latent begins by default, if not where the preset's others do."""
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

    def start_of(self, backend: str | None) -> str:
        """Where the latent of a backend begins by default; None for the preset's own backend."""
        return self.starts.get(backend or self.backend, self.start)

    def guidance_from(self, start: str) -> Guidance | None:
        """Return the settings for a start, one of STARTS; None if the preset has none."""
        return self.guidance.get(NOISE if start in LIKE_NOISE else start)

    @property
    def moving_guidance(self) -> Guidance:
        """The settings of runs whose picture moves, wherever they start."""
        return self.moving or self.guidance[NOISE]

    @property
    def generators(self) -> Mapping[str, GeneratorDefaults]:
        """The defaults of its generators, without an init image."""
        return self.guidance[self.start].generators


PIXELS = GeneratorSettings("", stride=1, levels=6)
"""The usual latent of the pixels."""
DRAWN = GeneratorSettings("", stride=1, levels=1, strokes=(StrokeSettings.of(),))
"""The usual strokes."""
