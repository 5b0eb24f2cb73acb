"""Presets: named bundles of models and defaults, and how a job is completed from one. Torch-free."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, TypeVar

from clipgen.errors import UsageError, unknown_value

if TYPE_CHECKING:
    from torch import Tensor

    from clipgen.job import Job

AUTO = "auto"

MAX_ASPECT = 8.0
"""Largest ratio of the sides that is taken over from an init image."""

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
    """Name for `clipgen.weights.find`."""
    stride: int
    """Pixels per latent cell of these weights."""
    steps: int
    lr: float
    cutouts: int
    optimizer: str = "adam"
    """One of `clipgen.optim.RULES`."""
    prior_weight: float = 1.0
    """Of the prior's term in the loss, where the preset has a prior."""
    stop: float = -math.inf
    """Of prompts that pull and name none. Where they pull towards texts themselves, not towards pictures imagined of
    them, somewhat nearer than true pictures come is near enough: nearer still is no better, only louder."""
    small_until: float = 0.0
    """Progress up to which a picture that starts at noise is made at half the size, in a quarter of the time: its cells
    are then larger parts of it, so that it is laid out and divided more boldly."""
    insistence: float = 0.0
    """At the last step, rising evenly to it: how much harder a text pulls the farther it is from its stop, see
    `clipgen.losses.prompt_loss`. So what is hard to draw is drawn all the same, when what is easy is long done."""


@dataclass(frozen=True)
class PerceptorSettings:
    """A perceptor that guides, and the part of the run in which it does, from `since` to `until` in [0, 1]."""

    weights: str
    """Name for `clipgen.weights.find`."""
    since: float = 0.0
    until: float = 1.0

    def guides(self, progress: float) -> bool:
        """Whether it guides at a progress in [0, 1]; the one that guides to the end also sees the final picture."""
        return self.since <= progress < self.until or progress == self.until == 1.0


@dataclass(frozen=True)
class PriorSettings:
    """A prior over pictures, and the noise through which it looks at them.

    One that can be told texts is told those of the prompt that pull, as the preset's first perceptor reads them.
    """

    weights: str
    """Name for `clipgen.weights.find`."""
    noise: tuple[float, float]
    """Its standard deviation at the first step and at the last, for pixels in [-1, 1]; geometric in between."""
    scale: float = 1.0
    """How far it goes beyond what a text changes for it, where it can be told texts: 1 is no farther."""
    init_noise: float | None = None
    """In place of the noise at the first step where a picture starts at an init image: what that shows only through
    more noise is replaced (SDEdit, Meng et al., 2022, section 3)."""

    def starting_at_image(self) -> Self:
        """Return these settings for a picture that starts at an init image."""
        return self if self.init_noise is None else replace(self, noise=(self.init_noise, self.noise[1]))

    def sigma(self, progress: Progress) -> Progress:
        """Return the standard deviation at a progress in [0, 1], a number or a tensor of them."""
        first, last = self.noise
        sigma: Progress = first * (last / first) ** progress
        return sigma


@dataclass(frozen=True)
class EmbeddingPriorSettings:
    """A prior over the vectors of pictures as the preset's perceptors see them: texts pull towards what it draws."""

    weights: str
    """Name for `clipgen.weights.find`."""
    scale: float = 1.0
    """How far it goes beyond what a text changes for it: 1 is no farther."""
    candidates: int = 32
    """How many it draws of a text, for the one to be taken that it doubts least."""
    init_noise: float = 4.0
    """Through how much noise it sees an init image, in units of the vectors' spread: what shows through is kept."""
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
    prior: PriorSettings | None = None
    embedding_prior: EmbeddingPriorSettings | None = None
    size: Size = (256, 256)
    max_pixels: int = 2048 * 2048
    smoothness: float = 0.0
    """Weight of the total variation of the picture in the loss."""
    views: CutoutSettings = CutoutSettings()


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="starter",
            summary="small models that ship inside the package: offline, fast on a CPU, knows the drawn world",
            perceptors=(PerceptorSettings("starter/clip"), PerceptorSettings("starter/clip-fine")),
            generators={
                "vqgan": GeneratorDefaults(
                    "starter/vqgan",
                    8,
                    200,
                    0.11,
                    3,
                    optimizer="normalised",
                    prior_weight=1.0,
                    stop=0.0,
                    insistence=12.0,
                    small_until=0.5,
                ),
                "dvae": GeneratorDefaults("starter/dvae", 16, 160, 0.25, 3, prior_weight=1.7),
            },
            prior=PriorSettings("starter/prior-text", noise=(8.0, 0.2), scale=3.0, init_noise=1.0),
            embedding_prior=EmbeddingPriorSettings("starter/embedding-prior", scale=4.0),
            views=CutoutSettings(share_plain=0.0, share_whole=1.0),
        ),
    )
}

BACKENDS: tuple[str, ...] = tuple(dict.fromkeys(name for preset in PRESETS.values() for name in preset.generators))


def choose(name: str) -> tuple[Preset, str | None]:
    """Return the preset of that name; for "auto" the one that suits this machine, with the reason as text."""
    if name == AUTO:
        return PRESETS["starter"], "preset starter: its models ship with clipgen, so it runs everywhere"
    if name not in PRESETS:
        raise unknown_value("--preset", name, (AUTO, *PRESETS))
    return PRESETS[name], None


def resolve(job: Job, init_size: Size | None = None) -> tuple[Job, list[str]]:
    """Fill in every default of a job and fit its size to the latent grid.

    `init_size` is the size of the init image, which gives the shape of the picture where the job names no size.
    Returns the completed job and, one line each, what was decided on the user's behalf.
    Resolving a resolved job changes nothing.
    """
    preset, reason = choose(job.preset)
    if job.backend not in preset.generators:
        raise unknown_value(f"--backend of preset {preset.name}", job.backend, preset.generators)
    defaults = preset.generators[job.backend]
    size, size_notes = _resolve_size(job, preset, defaults.stride, init_size)
    resolved = replace(
        job,
        preset=preset.name,
        size=size,
        steps=defaults.steps if job.steps is None else job.steps,
        lr=defaults.lr if job.lr is None else job.lr,
        cutouts=defaults.cutouts if job.cutouts is None else job.cutouts,
    )
    return resolved, [*([reason] if reason else []), *_prompt_notes(job), *size_notes]


def _resolve_size(job: Job, preset: Preset, stride: int, init_size: Size | None) -> tuple[Size, list[str]]:
    """Return the size on the latent grid, and what to say about it."""
    wanted = job.size or (preset.size if init_size is None else _same_area(preset.size, init_size))
    if min(wanted) < stride:
        raise UsageError(
            f"--size {_text(wanted)} is smaller than one latent cell of {job.backend}; use at least {stride}x{stride}"
        )
    size = _to_grid(wanted[0], stride), _to_grid(wanted[1], stride)
    if size[0] * size[1] > preset.max_pixels:
        side = math.isqrt(preset.max_pixels)
        raise UsageError(
            f"--size {_text(wanted)} is too large for preset {preset.name}; "
            f"use at most {preset.max_pixels} pixels, such as {side}x{side}"
        )
    if job.size is None and init_size is not None:
        return size, [f"size {_text(size)}, from the shape of the init image"]
    if size != wanted:
        note = (
            f"size {_text(wanted)} rounded to {_text(size)}: {job.backend} draws in cells of {stride}x{stride} pixels"
        )
        return size, [note]
    return size, []


def _same_area(area_of: Size, shape_of: Size) -> Size:
    """Return a size with the area of one and the aspect ratio of the other, as far as that is no thin strip."""
    area = area_of[0] * area_of[1]
    aspect = min(max(shape_of[0] / shape_of[1], 1 / MAX_ASPECT), MAX_ASPECT)
    return round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))


def _to_grid(side: int, stride: int) -> int:
    """Return the nearest multiple of the stride, at least one."""
    return max(round(side / stride), 1) * stride


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _prompt_notes(job: Job) -> list[str]:
    """Say how a text such as "a ratio of 16:9" was read."""
    return [
        f'reading "{prompt.text}" with weight {prompt.weight:g}; '
        f'to keep the colon as text write "{prompt.text}:{prompt.weight:g}:1:-inf"'
        for prompt in job.prompts
        if prompt.weight != 1.0 and re.search(r"(^|\s)\d+$", prompt.text)
    ]


def half(size: Size, stride: int) -> Size:
    """Return half of a size on the grid of `stride`, at least one cell."""
    width, height = (max(side // 2 // stride, 1) * stride for side in size)
    return width, height


def square(pixels: int, stride: int) -> str:
    """Spell the largest square on the grid of `stride` that has no more pixels, at least one cell."""
    side = max(math.isqrt(pixels) // stride, 1) * stride
    return f"{side}x{side}"
