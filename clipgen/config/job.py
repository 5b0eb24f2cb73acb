"""A job: what was asked for, as one frozen, validated value with a JSON round trip. Torch-free."""

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from clipgen.config.checks import check_choice, check_whole, checked_number, checked_path, checked_record, load_json
from clipgen.config.courses import check_cross_fade, checked_cutouts, checked_rates, checked_scenes
from clipgen.config.edits import AROUND, FEATHER, NOWHERE, OVERLAY_EVERY, EditSettings, OverlaySettings, parse_extension
from clipgen.config.latents import FIELDS as LATENT
from clipgen.config.latents import check_latent
from clipgen.config.loss_settings import checked_losses
from clipgen.config.motion import MotionSettings
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.perceptor_names import checked_guides, checked_judges
from clipgen.config.preset import AUTO, DEFAULT_BACKEND, MAX_SIDE, Size
from clipgen.config.presets import BACKENDS, PRESETS
from clipgen.config.priors import FIELDS as OF_PRIOR
from clipgen.config.priors import check_prior
from clipgen.config.prompts import (
    MAX_WEIGHT,
    Prompt,
    check_prompts,
    prompt_from_record,
    prompt_record,
    scenes_in,
    spell_prompts,
)
from clipgen.config.settings import OPTIMIZERS, PRECISIONS
from clipgen.config.targets import APART, TargetSettings, check_blend, checked_targets
from clipgen.config.tokens import TokenSettings, check_start
from clipgen.config.upscales import check_asked
from clipgen.errors import UsageError
from clipgen.util.html import table
from clipgen.util.text import quoted
from clipgen.weights.registry import check_name

MAX_STEPS = 100_000
MAX_SEED = 2**63 - 1

_LISTS = ("clips", "classifiers", "judges", "losses", "targets", "at")
_LATER = (
    *_LISTS,
    *("network", "start", "precision", "init_noise", "tile", "first_cutouts", "motion", "cross_fade"),
    *("blend", "templates", "mask", "extend", "feather", "inside", "overlay", "overlay_every", "init_tokens"),
    *("recipe", "optimizer", "upscale", "upscaler"),
    *LATENT,
    *OF_PRIOR,
)
"""Fields that a record omits when they are unset, so that it reads the same with and without them."""


@dataclass(frozen=True)
class Job:
    """What was asked for; `clipgen.config.resolve` fills in the fields that are None or empty."""

    prompts: tuple[Prompt, ...]
    backend: str | None = None
    """The generator; None for the preset's."""
    preset: str = AUTO
    size: Size | None = None
    """Width and height in pixels."""
    steps: int | None = None
    seed: int = 0
    lr: float | str | None = None
    """A number, or the text of one that changes over the run, such as "0.1..0.02" or "0.1@0,0.02@200"."""
    cutouts: int | str | None = None
    """Likewise, if it has keyframes."""
    init: str | None = None
    """Path of the init image."""
    init_weight: float | None = None
    """How strongly the picture is held to the init image; None for the preset's default."""
    clips: tuple[str, ...] = ()
    """Names of the guiding CLIPs, see `clipgen.weights.registry`, each with an optional weight, "clip/rn50:0.5"; empty
    for the preset's."""
    classifiers: tuple[str, ...] = ()
    """Likewise of guiding classifiers."""
    judges: tuple[str, ...] = ()
    """Names of CLIPs and classifiers that rank candidates and do not guide; empty for the preset's."""
    network: str | None = None
    """Name of the generator's network; None for the preset's."""
    start: str | None = None
    """Where the latent begins, one of STARTS; None for the default of the preset and the init image."""
    precision: str | None = None
    """One of PRECISIONS; None for the preset's, where the device computes in it."""
    init_noise: float | None = None
    """Standard deviation of the noise that is added to the init image where the latent begins, from 0 to 1."""
    first_cutouts: int | None = None
    """Cutouts in the first step, from which they rise to `cutouts`; None for always as many."""
    tile: bool = False
    """Whether opposite edges are to fit together."""
    motion: MotionSettings | None = None
    """How the picture moves during the run; a mapping of its fields is taken, too."""
    losses: tuple[str, ...] = ()
    """Losses beside the preset's, or in place of those of the same name, see `TypedLoss.parse`."""
    at: tuple[str, ...] = ()
    """Where each scene begins, see `Place`; empty for scenes as long as the prompts say."""
    cross_fade: str | None = None
    """Over which part of the run scenes fade into each other, see `Place`; None for not at all."""
    targets: tuple[str, ...] = ()
    """What the picture is compared with beside the texts, see `TargetSettings.parse`."""
    blend: str | None = None
    """How the texts are joined, one of BLENDS; None for each being a target of its own."""
    templates: bool = False
    """Whether each text is a label, whose target is its mean over the templates of zero-shot classification."""
    mask: str | None = None
    """The part of the init image that may change: an image file, white there, or one of PLACES."""
    extend: str | None = None
    """Pixels that are added to the init image: "LEFT,TOP,RIGHT,BOTTOM"."""
    feather: float | None = None
    """Width of the soft edge of that part, as a fraction of the shorter side."""
    inside: str | None = None
    """What the run begins with there, one of INSIDE."""
    overlay: str | None = None
    """An image file that is laid over the picture every few steps, where it is not transparent."""
    overlay_every: int | None = None
    """How many steps; None for OVERLAY_EVERY."""
    init_tokens: str | None = None
    """Path of the tokens that the latent begins at, a .npy file."""
    token_noise: float | None = None
    """See `SequenceSettings`, as for the next two; None for the preset's."""
    token_ema: float | None = None
    token_reset: int | None = None
    recipe: str | None = None
    """The loop of another program in place of the preset's, one of PEER_RECIPES."""
    optimizer: str | None = None
    """One of OPTIMIZERS; None for that of the preset or the recipe."""
    levels: int | None = None
    """Number of resolutions that the latent is a sum of; None for the preset's."""
    coarse_to_fine: float | None = None
    """Width of the bump of the learning rate that goes over them, see `GeneratorSettings`; None for the preset's."""
    strokes: int | None = None
    """How many strokes the picture is drawn in; None for the preset's number."""
    stroke_width: str | None = None
    """How wide strokes are where they begin, in pixels, and how wide they get, see `read_widths`."""
    prior: str | None = None
    """Name of the prior's network; None for the preset's."""
    proposals: int | None = None
    """How a prior proposes the start, see `PriorSettings`, as for the next four; None for the preset's."""
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    guidance_scale: float | None = None
    upscale: int | None = None
    upscaler: str | None = None

    def __post_init__(self) -> None:
        check_prompts(self.prompts, alone=not self.targets)
        if self.backend is not None:
            check_choice("--backend", self.backend, BACKENDS)
        check_choice("--preset", self.preset, (AUTO, *PRESETS))
        if self.size is not None:
            object.__setattr__(self, "size", checked_size(self.size))
        check_whole("--seed", self.seed, 0, MAX_SEED)
        if self.steps is not None:
            check_whole("--steps", self.steps, 1, MAX_STEPS)
        if self.cutouts is not None:
            object.__setattr__(self, "cutouts", checked_cutouts(self.cutouts))
        if self.first_cutouts is not None:
            most = self.cutouts if isinstance(self.cutouts, int) else 1
            check_whole("the first number of --cutouts", self.first_cutouts, 1, most)
        if self.lr is not None:
            object.__setattr__(self, "lr", checked_rates(self.lr))
        if self.init is not None:
            object.__setattr__(self, "init", checked_path("--init", self.init, "an image file"))
        if self.init_tokens is not None:
            tokens = checked_path("--init-tokens", self.init_tokens, "a .npy file")
            object.__setattr__(self, "init_tokens", tokens)
        self._check_init_numbers()
        object.__setattr__(self, "coarse_to_fine", check_latent(self))
        object.__setattr__(self, "clips", checked_guides("--clip", "clip", self.clips))
        object.__setattr__(self, "classifiers", checked_guides("--perceptor", "classifier", self.classifiers))
        object.__setattr__(self, "judges", checked_judges(self.judges))
        if self.network is not None:
            backend = self.backend or DEFAULT_BACKEND
            check_name(f"--{backend}", self.network, backend)
        check_start(self.start, self.init, self.init_tokens)
        check_prior(self)
        check_asked(self.upscale, self.upscaler)
        for name, choices in (("precision", PRECISIONS), ("recipe", tuple(PEER_RECIPES)), ("optimizer", OPTIMIZERS)):
            if getattr(self, name) is not None:
                check_choice(f"--{name}", getattr(self, name), choices)
        for name in ("tile", "templates"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"--{name} must be true or false, got {quoted(getattr(self, name))}")
        object.__setattr__(self, "motion", MotionSettings.of(self.motion))
        object.__setattr__(self, "losses", checked_losses(self.losses, has_init=self.can_be_held))
        object.__setattr__(self, "targets", checked_targets(self.targets))
        check_blend(self.blend or APART, self.prompts, self.target_rows, has_init=self.init is not None)
        self._check_edit()
        if self.overlay_rows == () and self.overlay_every is not None:
            raise UsageError(f"--overlay-every {self.overlay_every} needs an overlay; add --overlay FILE")
        object.__setattr__(self, "at", checked_scenes(self.at, len(scenes_in(self.prompts))))
        if self.cross_fade is not None:
            check_cross_fade(self.cross_fade, len(scenes_in(self.prompts)))

    def _check_edit(self) -> None:
        given = [f"--{name}" for name in ("mask", "extend", "feather", "inside") if getattr(self, name) is not None]
        if given and self.init is None:
            raise UsageError(f"{given[0]} needs an init image; add --init FILE")
        if self.edit is None and given:
            raise UsageError(f"{given[0]} is about a mask; add --mask FILE")

    @property
    def edit(self) -> EditSettings | None:
        """The edit of the init image; None for none. Raises UsageError."""
        if self.mask is None and self.extend is None:
            return None
        sides = NOWHERE if self.extend is None else parse_extension(self.extend)
        feather = FEATHER if self.feather is None else self.feather
        return EditSettings(self.mask or "", "", sides, feather, self.inside or AROUND)

    @property
    def overlay_rows(self) -> tuple[OverlaySettings, ...]:
        """The overlay, if there is one. Raises UsageError."""
        every = OVERLAY_EVERY if self.overlay_every is None else self.overlay_every
        return () if self.overlay is None else (OverlaySettings(self.overlay, every),)

    @property
    def token_rows(self) -> tuple[TokenSettings, ...]:
        """The tokens that the latent begins at, if there are any."""
        return () if self.init_tokens is None else (TokenSettings(self.init_tokens),)

    @property
    def can_be_held(self) -> bool:
        """Whether the latent begins at something that the picture can be held to."""
        return self.init is not None or self.init_tokens is not None

    @property
    def target_rows(self) -> tuple[TargetSettings, ...]:
        """The targets beside the texts."""
        return tuple(map(TargetSettings.parse, self.targets))

    def _check_init_numbers(self) -> None:
        for name, most in (("init_weight", MAX_WEIGHT), ("init_noise", 1.0)):
            value, flag = getattr(self, name), f"--{name.replace('_', '-')}"
            if value is None:
                continue
            object.__setattr__(self, name, checked_number(flag, value, 0.0, most))
            if value and not (self.can_be_held if name == "init_weight" else self.init):
                raise UsageError(f"{flag} {value:g} needs an init image; add --init FILE")

    @property
    def text(self) -> str:
        """The prompt as it is typed: `parse_prompts(job.text) == job.prompts`."""
        return spell_prompts(self.prompts)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a table of what was asked for."""
        asked = {each.name: value for each in fields(self) if (value := getattr(self, each.name)) != each.default}
        size = {} if self.size is None else {"size": "x".join(map(str, self.size))}
        return table({**asked, "prompts": self.text, **size})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        record = asdict(self)
        record["size"] = None if self.size is None else list(self.size)
        record["prompts"] = list(map(prompt_record, self.prompts))
        record |= {name: list(record[name]) for name in _LISTS}
        return {name: value for name, value in record.items() if _is_set(value) or name not in _LATER}

    @classmethod
    def from_dict(cls, record: object) -> Self:
        """Return the job of an untrusted record; raises UsageError unless `to_dict` could have made it."""
        values = checked_record("job", record, {field.name for field in fields(cls)})
        prompts = values.get("prompts")
        if not isinstance(prompts, list):
            raise UsageError(f"job: prompts must be a list, got {quoted(prompts)}")
        return cls(**{**values, "prompts": tuple(map(prompt_from_record, prompts))})

    def to_json(self) -> str:
        """Return one line of ASCII JSON."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the job that `to_json` wrote; raises UsageError for anything else."""
        return cls.from_dict(load_json("job", text))


def _is_set(value: object) -> bool:
    return bool(value) or (value == 0 and value is not False)


def parse_size(text: str) -> Size:
    """Parse "384x256" as width and height; a single number is a square. Raises UsageError."""
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:[xX*\u00d7]\s*([0-9]{1,9})\s*)?(?:px)?\s*", text)
    if match is None:
        raise UsageError(f"--size must look like 256x256 (width x height), got {quoted(text)}")
    return checked_size((int(match[1]), int(match[2] or match[1])))


def checked_size(size: object) -> Size:
    """Return (width, height); raises UsageError unless they are two integers from 1 to MAX_SIDE."""
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise UsageError(f"--size must be a width and a height, got {quoted(size)}")
    for name, side in zip(("width", "height"), size, strict=True):
        check_whole(f"the {name} of --size", side, 1, MAX_SIDE)
    return size[0], size[1]
