"""The loops of other programs, each a row of PEER_RECIPES: guides and networks stay those of the preset. Torch-free.

What a row says ends up in the plan, and is not looked up again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from clipgen.config.augmentations import (
    ALTERNATING,
    CROPS,
    GREY,
    POOLED,
    SHAPED,
    WINDOWS,
    AugmentationSettings,
    CutoutGroup,
)
from clipgen.config.levels import EVERY_FOURTH, HALVED
from clipgen.config.preset import CODES, INIT, NOISE, PATTERNS, TOKENS, GeneratorDefaults, Guidance
from clipgen.config.schedules import Schedule
from clipgen.config.settings import COSINE, SAMPLED, SPHERICAL, CutoutSettings, GeneratorSettings, PerceptorSettings
from clipgen.errors import UsageError

_ANYWHERE = (CODES, NOISE, INIT, *PATTERNS, TOKENS)


@dataclass(frozen=True)
class PeerRecipe:
    """The loop of another program."""

    summary: str
    backends: tuple[str, ...]
    """Those that it fits, the usual one first."""
    augmentations: CutoutSettings
    lr: float
    steps: int
    cutouts: int
    optimizer: str = "torch-adam"
    starts: tuple[str, ...] = _ANYWHERE
    """Where it can begin, the usual start first."""
    distance: str = SPHERICAL
    """How CLIPs measure, one of DISTANCES."""
    resolutions: str = HALVED
    tanh: bool = False
    latent: str = ""
    banned: str = ""
    """As in the settings of a generator, for a codebook of `codes` codes."""
    codes: int = 0
    pixel_noise: float = 0.0
    drop_at: float = 1.0
    """Progress after which the learning rate falls to a tenth, and the optimiser forgets its moments."""
    hold_scale: float = 0.5
    """The weight of the latent's mean squared distance from the init image when `--init-weight` is 1; 0 by default."""
    adds_up: bool = False
    """Whether the losses of several perceptors are summed, not averaged."""

    def seen_by(self, rows: Sequence[PerceptorSettings]) -> tuple[PerceptorSettings, ...]:
        """Return perceptors that measure as this loop does."""
        return tuple(replace(row, distance=self.distance) for row in rows)

    def of(self, guidance: Guidance) -> Guidance:
        """Return this loop with the networks of a preset's settings."""
        usual = guidance.generators
        return Guidance({name: self._of(usual[name]) for name in self.backends if name in usual}, self.augmentations)

    def _of(self, usual: GeneratorDefaults) -> GeneratorDefaults:
        settings = GeneratorSettings(
            usual.weights,
            usual.settings.stride,
            levels=1,
            optimizer=self.optimizer,
            resolutions=self.resolutions,
            tanh=self.tanh,
            sequence=usual.settings.sequence,
            latent=self.latent,
            banned=self.banned,
            pixel_noise=self.pixel_noise,
        )
        return GeneratorDefaults(settings, self.steps, self.lr, self.cutouts)

    def timed(self, settings: GeneratorSettings, steps: int) -> tuple[GeneratorSettings, Schedule]:
        """Return the settings and the factor on the learning rate of a run of so many steps."""
        last = int(self.drop_at * (steps - 1))  # the last step at the full rate
        if last + 1 >= steps:
            return settings, Schedule.constant(1.0)
        points = ((last / steps, 1.0), ((last + 0.5) / steps, 0.1))
        return replace(settings, restart_at=((last + 1) / steps,)), Schedule.keyframes(points)


_NERDYRODENT = CutoutSettings(
    noise=0.1,
    groups=(
        CutoutGroup(
            1.0,
            POOLED,
            (
                # Kornia reads their single number, translate=0.1, as (0, 0.1): pictures move up and down alone.
                AugmentationSettings("affine", 0.7, (15.0, 0.0, 0.1, 5.0)),
                AugmentationSettings("perspective", 0.7, (0.7,)),
                AugmentationSettings("jitter", 0.7, (0.1, 0.1, 0.1, 0.1)),
                AugmentationSettings("erasing", 0.7, (0.1, 0.4, 0.3, 1 / 0.3)),
            ),
        ),
    ),
)
_CROWSON = CutoutSettings(noise=0.0, groups=(CutoutGroup(1.0, CROPS),))
"""Crops alone, without any augmentation."""
_TOKENOPT = CutoutSettings(noise=0.0, groups=(CutoutGroup(1.0, WINDOWS, (AugmentationSettings("mirror", 0.5, ()),)),))
_DAS = CutoutSettings(
    share_plain=0.0,
    share_whole=0.0,
    min_scale=2 / 3,
    max_scale=2 / 3,
    degrees=0.0,
    shear=0.0,
    perspective=0.0,
    jitter=0.0,
    noise=0.2,
    least_noise=1.0,
)
"""Windows of 224 of 336 pixels: shifts by up to 56."""
_COLOUR = AugmentationSettings("jitter", 0.8, (0.0, 0.0, 0.1, 0.1))
_PIXRAY = CutoutSettings(
    noise=0.1,
    groups=(
        CutoutGroup(
            0.6,
            SHAPED,
            (
                AugmentationSettings("perspective", 0.7, (0.4,), ALTERNATING),
                AugmentationSettings("resized-crop", 1.0, (0.25, 0.95, 0.85, 1.2)),
                _COLOUR,
            ),
        ),
        CutoutGroup(
            1.0,
            SHAPED,
            (
                AugmentationSettings("shrunk", 1.0, (0.95, 0.9), GREY),
                AugmentationSettings("perspective", 0.7, (0.2,), GREY),
                _COLOUR,
            ),
        ),
    ),
    rescaled=True,
)
# Codes of DALL-E's dVAE that the notebook never samples; its author found that they look broken.
_BANNED = (
    "2,3,6,85,136,151,185,192,376,385,412,430,509,548,555,564,576,579,582,608,630,688,713,748,766,798,800,801,816,855,"
    "862,864,867,917,950,977,991,1001,1022,1052,1054,1072,1098,1102,1116,1120,1122,1128,1146,1152,1161,1175,1192,1222,"
    "1240,1268,1278,1325,1355,1369,1373,1388,1399,1419,1480,1496,1510,1517,1526,1568,1574,1701,1723,1745,1763,1772,"
    "1807,1828,1867,1877,1901,1904,1906,1910,1918,1920,1921,1936,1966,1975,1985,2025,2035,2044,2045,2084,2097,2125,"
    "2147,2176,2191,2241,2245,2321,2322,2334,2335,2355,2367,2437,2480,2503,2588,2623,2636,2651,2664,2666,2674,2689,"
    "2695,2718,2739,2758,2767,2776,2822,2827,2828,2841,2845,2864,2873,2899,3015,3018,3033,3042,3080,3088,3094,3110,"
    "3137,3147,3157,3182,3204,3234,3246,3281,3344,3354,3357,3365,3395,3400,3409,3431,3450,3498,3525,3547,3556,3569,"
    "3596,3618,3630,3640,3655,3727,3735,3758,3787,3796,3818,3856,3889,3905,3906,3917,3928,3929,3931,3935,3961,4023,"
    "4057,4063,4068,4098,4102,4122,4133,4163,4185,4246,4250,4254,4320,4324,4351,4371,4376,4380,4403,4404,4414,4417,"
    "4458,4463,4470,4555,4557,4558,4564,4567,4587,4603,4612,4638,4650,4669,4711,4757,4761,4787,4828,4865,4886,4908,"
    "4910,4954,4956,4989,5002,5025,5030,5032,5084,5087,5136,5190,5212,5221,5271,5296,5316,5349,5388,5414,5437,5441,"
    "5488,5502,5607,5616,5656,5665,5776,5789,5823,5854,5879,5900,5966,5996,6026,6028,6032,6050,6051,6079,6084,6115,"
    "6127,6173,6178,6213,6250,6302,6324,6341,6347,6379,6390,6402,6432,6446,6455,6491,6512,6542,6584,6597,6629,6644,"
    "6658,6702,6711,6718,6725,6772,6779,6874,6888,6916,6942,7050,7069,7100,7114,7126,7128,7204,7228,7268,7288,7310,"
    "7331,7335,7338,7341,7348,7368,7385,7403,7458,7471,7513,7550,7553,7555,7558,7579,7597,7632,7635,7641,7669,7678,"
    "7731,7774,7789,7802,7809,7813,7832,7862,7878,7904,7927,7937,7943,7947,8024,8042,8051,8104,8130,8161,8169,8180,8182"
)

PEER_RECIPES: dict[str, PeerRecipe] = {
    "nerdyrodent": PeerRecipe(
        "VQGAN-CLIP by nerdyrodent: pooled whole pictures, augmented", ("vqgan",), _NERDYRODENT, 0.1, 500, 32
    ),
    "eleuther": PeerRecipe(
        "the notebook VQGAN+CLIP, z+quantize method: plain crops", ("vqgan",), _CROWSON, 0.05, 500, 64
    ),
    "codebook-sampling": PeerRecipe(
        "the notebook VQGAN+CLIP, codebook sampling method: a code is drawn for each cell in each step",
        ("vqgan",),
        _CROWSON,
        0.05,
        500,
        64,
        starts=(NOISE,),
        latent=SAMPLED,
    ),
    "dvae-notebook": PeerRecipe(
        "the notebook OpenAI dVAE+CLIP: the same with DALL-E's dVAE, whose pixels are drawn, too",
        ("dvae",),
        _CROWSON,
        0.05,
        500,
        64,
        starts=(NOISE, INIT, *PATTERNS),
        latent=SAMPLED,
        banned=_BANNED,
        codes=8192,
        pixel_noise=1.0,
    ),
    "pixray": PeerRecipe(
        "pixray's VQGAN drawer: close and wide views",
        ("vqgan",),
        _PIXRAY,
        0.2,
        250,
        30,
        starts=("perlin", CODES, NOISE, INIT, "gradient", "snow", TOKENS),
        drop_at=0.75,
        adds_up=True,
    ),
    "tokenopt": PeerRecipe(
        "TokenOpt: crops and mirror images of a TiTok's pictures",
        ("titok",),
        _TOKENOPT,
        0.1,
        600,
        8,
        starts=(CODES, NOISE, INIT, *PATTERNS, TOKENS),
        hold_scale=1.0,
        distance=COSINE,
    ),
    "das": PeerRecipe(
        "Direct Ascent Synthesis: pixels as a sum over resolutions",
        ("pixels",),
        _DAS,
        0.1,
        100,
        16,
        optimizer="momentum",
        starts=(NOISE, INIT, *PATTERNS),
        resolutions=EVERY_FOURTH,
        tanh=True,
        distance=COSINE,
    ),
}
"""By name. The notebooks, by Katherine Crowson, run until they are stopped; here they have as many steps as
nerdyrodent's program. Two of them use AdamW without weight decay, which is Adam."""


def with_recipe(recipe: str | None, guidance: Guidance) -> Guidance:
    """Return the settings of a preset, with the loop of a recipe if there is one."""
    return PEER_RECIPES[recipe].of(guidance) if recipe else guidance


def named_optimizer(recipe: str, optimizer: str) -> str | None:
    """Return the optimiser of a plan if it has to be named, as it is neither its recipe's nor one of the presets'."""
    usual = (PEER_RECIPES[recipe].optimizer,) if recipe else ("adam", "normalised")
    return None if optimizer in usual else optimizer


def check_backend(recipe: str, backend: str) -> None:
    """Raise a UsageError unless a recipe fits a backend."""
    fitting = PEER_RECIPES[recipe].backends
    if backend not in fitting:
        raise UsageError(f"--recipe {recipe} does not fit --backend {backend}; use --backend {' or '.join(fitting)}")


def check_start(recipe: str, start: str) -> None:
    """Raise a UsageError unless a recipe can begin there."""
    starts = PEER_RECIPES[recipe].starts
    if start not in starts:
        raise UsageError(f"--recipe {recipe} cannot start at {start}; leave that out, or use --start {starts[0]}")
