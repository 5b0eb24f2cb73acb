"""A plan: a run with every setting filled in, so that a replay does not depend on later presets. Torch-free."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from clipgen.config.checks import check_choice, check_whole, checked_number, load_json
from clipgen.config.courses import MAX_CUTOUTS, checked_rate
from clipgen.config.edits import EditSettings, OverlaySettings
from clipgen.config.job import MAX_SEED, MAX_STEPS, checked_size
from clipgen.config.keyframes import Keyframes
from clipgen.config.loss_settings import LossSettings
from clipgen.config.losses import kind_of_loss
from clipgen.config.motion import MotionSettings
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.preset import INIT, STARTS, TOKENS, Size
from clipgen.config.presets import BACKENDS, PRESETS
from clipgen.config.priors import PROPOSING, PriorSettings
from clipgen.config.prompts import Prompt, check_prompts, prompt_from_record, prompt_record, scenes_in, spell_prompts
from clipgen.config.records import added_later, read_fields
from clipgen.config.schedules import ALWAYS, Schedule
from clipgen.config.sequences import check_sequence
from clipgen.config.settings import (
    FP32,
    PRECISIONS,
    CutoutSettings,
    GeneratorSettings,
    ModelHash,
    PerceptorSettings,
    UnclipSettings,
    check_model,
)
from clipgen.config.strokes import check_drawn
from clipgen.config.targets import APART, CHANGE, MAX_TARGETS, TARGET_KINDS, TargetSettings, check_blend
from clipgen.config.tokens import TokenSettings
from clipgen.config.upscales import UpscaleSettings
from clipgen.config.upscales import check_rows as check_upscale
from clipgen.errors import UsageError
from clipgen.util.text import quoted

MAX_PIXELS = 2048 * 2048
MAX_PARTS = 16
"""Maximum number of losses, of perceptors, of judges and of models."""


@dataclass(frozen=True)
class Plan:
    """Everything that determines the picture of one run; nothing is left open."""

    prompts: tuple[Prompt, ...]
    seed: int
    size: Size
    """Width and height in pixels, multiples of the generator's stride."""
    steps: int
    backend: str
    preset: str
    """Where the settings came from; it is never looked up again."""
    generator: GeneratorSettings
    perceptors: tuple[PerceptorSettings, ...]
    cutouts: int
    """Number of cutouts in each step."""
    augmentations: CutoutSettings
    lr: float
    lr_schedule: Schedule
    """Factor on the learning rate over the run."""
    losses: tuple[LossSettings, ...]
    start: str
    """Where the latent begins, one of STARTS."""
    init: str
    """Path of the init image; empty without one."""
    unclip: tuple[UnclipSettings, ...]
    """The unCLIP that proposes the start; at most one."""
    judges: tuple[str, ...]
    """Names of the CLIPs that rank pictures; if empty, the guiding CLIPs do."""
    models: tuple[ModelHash, ...]
    readings: tuple[tuple[str, ...], ...] = added_later(())
    """For each perceptor, what it takes of the text of each prompt, "" for nothing; empty if all take whole texts."""
    init_noise: float = added_later(0.0)
    """Standard deviation of the noise that is added to the init image where the latent begins."""
    cutout_schedule: Schedule = added_later(ALWAYS)  # noqa: RUF009 - it returns a field
    """Factor on the number of cutouts over the run, above 0 and at most 1."""
    tile: bool = added_later(False)
    """Whether opposite edges are to fit together."""
    precision: str = added_later(FP32)
    """What the bulk of the networks computes in, one of PRECISIONS."""
    cross_fade: float = added_later(0.0)
    """The part of the run, around each change of scene, in which the scenes fade into each other."""
    targets: tuple[TargetSettings, ...] = added_later(())
    """What the picture is compared with beside the texts."""
    blend: str = added_later(APART)
    """How the texts are joined, one of BLENDS."""
    templates: bool = added_later(False)
    """Whether each text is a label, whose target is its mean over the templates of zero-shot classification."""
    edit: tuple[EditSettings, ...] = added_later(())
    """Which part of the init image may change; at most one, and the whole picture without one."""
    overlay: tuple[OverlaySettings, ...] = added_later(())
    """What is laid over the picture every few steps; at most one."""
    motion: tuple[MotionSettings, ...] = added_later(())
    """How the picture moves during the run; at most one, and none with an unCLIP, which enlarges a still picture."""
    init_tokens: tuple[TokenSettings, ...] = added_later(())
    """The tokens that the latent begins at; at most one grid."""
    recipe: str = added_later("")
    """The recipe whose loop this was, one of PEER_RECIPES; empty for none. It is never looked up again."""
    prior: tuple[PriorSettings, ...] = added_later(())
    """The prior that proposes codes to start at; at most one."""
    upscale: tuple[UpscaleSettings, ...] = added_later(())
    """How the finished picture is enlarged; at most one."""

    def __post_init__(self) -> None:
        check_prompts(self.prompts, alone=not self.targets)
        check_whole("--seed", self.seed, 0, MAX_SEED)
        check_whole("--steps", self.steps, 1, MAX_STEPS)
        check_whole("--cutouts", self.cutouts, 1, MAX_CUTOUTS)
        check_choice("--backend", self.backend, BACKENDS)
        check_choice("--preset", self.preset, tuple(PRESETS))
        check_choice("--start", self.start, STARTS)
        check_choice("--precision", self.precision, PRECISIONS)
        check_choice("--recipe", self.recipe, ("", *PEER_RECIPES))
        object.__setattr__(self, "lr", checked_rate(self.lr))
        object.__setattr__(self, "init_noise", checked_number("--init-noise", self.init_noise, 0.0, 1.0))
        object.__setattr__(self, "size", checked_size(self.size))
        check_size(self.size, self.generator.stride, self.backend)
        check_sequence(self.generator, self.backend, self.size)
        for name in ("perceptors", "losses", "judges", "models"):
            check_whole(f"plan: the number of {name}", len(getattr(self, name)), 0, MAX_PARTS)
        alone = bool(self.motion or self.augmentations.groups or self.generator.latent)
        check_whole("plan: the number of unclip", len(self.unclip), 0, 0 if alone else 1)
        check_whole("plan: the number of priors", len(self.prior), 0, int(self.start in PROPOSING))
        check_whole("plan: the number of motion", len(self.motion), 0, 1)
        check_upscale(self.upscale, self.size)
        check_whole("plan: the number of edits", len(self.edit), 0, 1)
        check_whole("plan: the number of overlays", len(self.overlay), 0, 1)
        check_whole("plan: the number of token grids", len(self.init_tokens), 0, 1)
        check_whole("plan: the number of targets", len(self.targets), 0, MAX_TARGETS)
        check_blend(self.blend, self.prompts, self.targets, has_init=bool(self.init))
        check_whole("plan: the number of perceptors", len(self.perceptors), 1, MAX_PARTS)
        for judge in self.judges:
            check_model("a judge", judge)
            if judge in [row.weights for row in self.perceptors]:
                raise UsageError(f"plan: {judge} cannot be both guide and judge")
        begins_at = self.start == INIT or (self.start in PROPOSING and bool(self.init)), self.start == TOKENS
        if begins_at != (bool(self.init), bool(self.init_tokens)):
            raise UsageError("plan: a run starts at an init image or at tokens if it has them, and only then")
        if self.edit and not self.init:
            raise UsageError("plan: an edit needs an init image")
        changed = ["--mask" if row.mask else "--extend" for row in self.edit]
        changed += [name for name, rows in (("--overlay", self.overlay), ("a camera", self.motion)) if rows]
        check_drawn(self.backend, len(self.generator.strokes), changed)
        for share in self.cutout_schedule.values:
            checked_number("plan: the share of the cutouts", share, 0.0, 1.0)
        object.__setattr__(self, "cross_fade", checked_number("--cross-fade", self.cross_fade, 0.0, 1.0))
        self._check_scenes()
        self._check_parts()
        self._check_readings()

    def cutouts_at(self, progress: float) -> int:
        """Return the number of cutouts at a progress in [0, 1]."""
        return max(round(self.cutouts * self.cutout_schedule.at(progress)), 1)

    def _check_scenes(self) -> None:
        """Raise a UsageError unless scenes are longer than they fade, and weights count in progress."""
        for prompt in self.prompts:
            if isinstance(prompt.schedule, Keyframes):
                raise UsageError(
                    f"plan: the weight of {quoted(prompt.text)} must count in percent, got {prompt.schedule}"
                )
        scenes = scenes_in(self.prompts)
        shortest = min(until - since for since, until in scenes) if len(scenes) > 1 else 0.0
        if self.cross_fade > shortest + 1e-9:
            raise UsageError(
                f"--cross-fade of {100 * self.cross_fade:.3g}% is longer than the shortest scene, "
                f"{100 * shortest:.3g}% of the run; give less"
            )

    def _check_parts(self) -> None:
        """Raise a UsageError unless there is something to go by in every step."""
        losses = [row.name for row in self.losses]
        if not losses or len(set(losses)) < len(losses):
            raise UsageError(
                f"plan: losses must be at least one, and each named once, got {', '.join(losses) or 'none'}"
            )
        for name in losses:
            kind = kind_of_loss("a loss", name)
            if kind.backend not in ("", self.backend):
                raise UsageError(f"--loss {name} goes with --backend {kind.backend}, not with {self.backend}")
            needed = kind.guide
            if needed and needed not in [row.weights for row in self.perceptors]:
                raise UsageError(f"--loss {name} goes by {needed}, which does not guide; add --clip {needed}")
        gaps = [0.0, 1.0, *(row.until for row in self.perceptors)]  # where one may begin
        if not all(any(row.guides(progress) for row in self.perceptors) for progress in gaps):
            raise UsageError("plan: a perceptor must guide at every moment of the run, and at its end")
        whole = all((row.since, row.until) == (0.0, 1.0) for row in self.perceptors)
        if self.unclip and not (whole and "prompt" in losses):
            raise UsageError(
                "plan: with an unCLIP there must be the loss prompt, and all perceptors guide all the time"
            )

    def _check_readings(self) -> None:
        if not self.readings:
            return
        fits = len(self.readings) == len(self.perceptors) and all(
            len(row) == len(self.prompts) for row in self.readings
        )
        if not (fits and all(any(row) for row in self.readings)):
            raise UsageError("plan: readings must hold a text for each prompt, by perceptor, and none may take nothing")

    def texts_of(self, perceptor: int) -> tuple[str, ...]:
        """Return what the perceptor of this index takes of the text of each prompt; "" for nothing."""
        return self.readings[perceptor] if self.readings else tuple(prompt.text for prompt in self.prompts)

    @property
    def text(self) -> str:
        """The prompt as it is typed: `parse_prompts(plan.text) == plan.prompts`, but for where scenes of --at begin."""
        return spell_prompts(self.prompts)

    @property
    def to_propose(self) -> tuple[Prompt, ...]:
        """The prompts of which an unCLIP draws a picture; of a change, what it is to become."""
        return tuple(prompt for prompt in self.prompts if self.blend != CHANGE or prompt.weight > 0)

    @property
    def proposing(self) -> tuple[UnclipSettings | PriorSettings, ...]:
        """What proposes where the run begins; at most one."""
        return (*self.unclip, *self.prior)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files beside the init image."""
        targets = (row.detail for row in self.targets if row.is_file)
        masks = (row.mask for row in self.edit if row.is_file)
        tokens = (row.file for row in self.init_tokens)
        return (*targets, *masks, *(row.file for row in self.overlay), *tokens)

    @property
    def published(self) -> Self:
        """The plan with the names of its files alone, without their folders."""
        targets = tuple(row.published for row in self.targets)
        edit = tuple(row.published for row in self.edit)
        overlay = tuple(row.published for row in self.overlay)
        tokens = tuple(row.published for row in self.init_tokens)
        name = Path(self.init).name
        return replace(self, init=name, targets=targets, edit=edit, overlay=overlay, init_tokens=tokens)

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of all networks that the run needs."""
        proposing = (name for row in self.proposing for name in row.networks)
        heads = (kind_of_loss("a loss", row.name).network for row in self.losses)
        others = (TARGET_KINDS[row.kind].network for row in self.targets)
        guides = (row.weights for row in self.perceptors)
        names = (self.generator.weights, *guides, *proposing, *heads, *others, *(row.network for row in self.upscale))
        return tuple(dict.fromkeys(filter(None, names)))

    def weight_of(self, loss: str) -> float:
        """Return the weight of a loss at the start of the run; 0 if it is not used."""
        return next((row.weight.start for row in self.losses if row.name == loss), 0.0)

    def with_loss(self, name: str, weight: float) -> Self:
        """Return the plan with this constant weight for a loss, or without the loss if the weight is 0."""
        others = tuple(row for row in self.losses if row.name != name)
        return replace(self, losses=(*others, LossSettings(name, Schedule.constant(weight))) if weight else others)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        record = asdict(self)
        record["prompts"] = list(map(prompt_record, self.prompts))
        return record

    @classmethod
    def from_dict(cls, record: object) -> Self:
        """Return the plan of an untrusted record; raises UsageError unless `to_dict` could have made it."""
        return read_fields(cls, record, "plan", {Prompt: prompt_from_record})

    def to_json(self) -> str:
        """Return one line of ASCII JSON."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the plan that `to_json` wrote; raises UsageError for anything else."""
        return cls.from_dict(load_json("plan", text))


def check_size(size: Size, stride: int, backend: str) -> None:
    """Raise a UsageError unless a size is a multiple of `stride` and has at most MAX_PIXELS pixels."""
    if any(side % stride for side in size):
        raise UsageError(
            f"--size {spell(size)} is not on the grid of {backend}, whose cells have {stride} pixels a side"
        )
    if size[0] * size[1] > MAX_PIXELS:
        raise UsageError(f"--size {spell(size)} is too large; use at most {MAX_PIXELS} pixels, such as 2048x2048")


def spell(size: Size) -> str:
    """Format a size as it is typed, such as 256x256."""
    return f"{size[0]}x{size[1]}"
