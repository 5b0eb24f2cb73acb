"""The arguments of `clipgen.generate`: their types, and what Python users mean by them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, TypedDict

from numpy.typing import ArrayLike
from PIL import Image

from clipgen.config.courses import parse_cutouts, parse_rate
from clipgen.config.job import Job, parse_size
from clipgen.config.losses import OF_PICTURE
from clipgen.config.motion import MotionSettings
from clipgen.config.plan import Plan
from clipgen.config.presets import BACKENDS
from clipgen.config.prompts import Prompt, parse_prompts
from clipgen.config.stories import begins_at_once, with_scenes
from clipgen.engine.inputs import Inputs
from clipgen.errors import ClipgenError, UsageError, unknown_value
from clipgen.session.own_preset import is_folder, own_fields
from clipgen.util.images import load_image, upright_rgb
from clipgen.util.text import quoted
from clipgen.util.tokens import TokenGrid


class Settings(TypedDict, total=False):
    """What can be set of a picture; what is left out, or None, gets the default of the preset."""

    backend: str | None
    """The image generator: "vqgan", "dvae", "kl", "titok", "pixels" or "strokes"."""
    preset: str
    """The models and their settings: "auto", "starter", "photo", "quick", "draft", "standard", "best", or the path of a
    folder that `clipgen train` made."""
    size: tuple[int, int] | str | int | None
    """Width and height in pixels: (384, 256) or "384x256"; a single number is a square."""
    steps: int | None
    """Optimisation steps; more take longer and follow the prompt more closely."""
    seed: int | None
    """The same seed gives the same picture; random if left out, and then in `result.plan.seed`."""
    lr: float | str | None
    """Learning rate: how far each step moves the latent. "0.1..0.02" or "0.1@0,0.02@50%" changes over the run."""
    cutouts: int | str | None
    """Cutouts of the image that CLIP sees in each step; "4..16" or "4@0,16@50%" changes over the run."""
    first_cutouts: int | None
    """Cutouts in the first step, from which they rise to `cutouts`."""
    init: str | os.PathLike[str] | Image.Image | None
    """Start from this image: a path, or an image of Pillow, which a recipe names "image"."""
    init_weight: float | None
    """How strongly the picture is held to the init image: 0 lets go of it, more keeps more of it."""
    init_noise: float | None
    """Noise that is added to the init image where the latent begins, from 0 to 1."""
    strokes: int | None
    """How many strokes draw the picture, with the backend "strokes"."""
    stroke_width: str | None
    """How wide they begin, in pixels: "3"; "3,20" also says how wide they may get."""
    tile: bool
    """Whether opposite edges are to fit together."""
    motion: MotionSettings | Mapping[str, Any] | None
    """How the picture moves during the run: {"zoom": 1.02}, with pan, rotate, border and every."""
    clips: str | Sequence[str]
    """Guiding CLIPs instead of the preset's: names of `clipgen models list`, each with an optional ":WEIGHT"."""
    classifiers: str | Sequence[str]
    """Guiding classifiers, likewise."""
    judges: str | Sequence[str]
    """CLIPs and classifiers that rank candidates and do not guide, likewise; "starter/judge" is one."""
    network: str | None
    """The generator's network instead of the preset's: a name of `clipgen models list`."""
    start: str | None
    """Where the latent begins: "noise", "unclip", "prior", "init", "perlin", "gradient", "snow" or "codes"."""
    prior: str | None
    """The network that proposes tokens with start="prior" instead of the preset's: its name."""
    proposals: int | None
    """With start="prior": grids of tokens that are drawn for the picture, of which CLIP chooses one."""
    temperature: float | None
    """For these: below 1 the likely tokens are drawn more often, at 0 always the likeliest."""
    top_k: int | None
    """For these: draw only so many of the likeliest; 0 for all."""
    top_p: float | None
    """For these: draw only the likeliest whose probabilities add up to this."""
    guidance_scale: float | None
    """For these: how much more they follow the prompt than without one; 1 is no classifier-free guidance."""
    levels: int | None
    """Resolutions that the latent of "vqgan", "dvae" or "pixels" is a sum of."""
    coarse_to_fine: float | None
    """Width, in levels, of the bump of the learning rate that goes from the coarse of these to the fine, such as 1.5; 0
    moves all of them all the time."""
    precision: str | None
    """What the bulk of the networks computes in: "fp32", or "bf16" where the device computes in it."""
    losses: str | Sequence[str]
    """What the picture is to have beside the prompt: "palette:5:navy,gold", or several; see `clipgen losses`."""
    targets: Sequence[str]
    """What the picture is compared with beside the texts: "image:photo.jpg:0.5", "whole-image:...", "noise:7:0.1",
    "region:left:a tree", "style:..." or "embedding:..." as `clipgen.session.embeddings.with_embedding` returns it."""
    blend: str | None
    """How texts are joined: "mix" and "change" take two texts, "sum" several; left out, each is a target."""
    templates: bool
    """Whether texts are labels, to be averaged over templates."""
    mask: str | None
    """The part of the init image that may change: "left", "right", "top", "bottom", "centre" or an image file."""
    extend: str | None
    """Pixels to add to the init image: "LEFT,TOP,RIGHT,BOTTOM"."""
    feather: float | None
    """Width of the mask's soft edge, as a fraction of the shorter side."""
    inside: str | None
    """What the run begins with inside the mask: "around" or "init"."""
    overlay: str | None
    """An image file that is laid over the picture every few steps, where it is not transparent."""
    overlay_every: int | None
    """How many steps."""
    init_tokens: str | os.PathLike[str] | ArrayLike | None
    """Start from these tokens: a .npy file, or an array, tensor or nested lists, which a recipe names "array"."""
    token_noise: float | None
    """Of a TiTok: noise that its tokens get in the first step, and ever less up to two thirds of the run."""
    token_ema: float | None
    """Of a TiTok: decay of the moving average of the tokens that is the final picture; 0 for the last tokens."""
    token_reset: int | None
    """Of a TiTok, with a mask: steps between two encodings of the edited picture; 0 for never."""
    at: Sequence[tuple[int | float | str, str]]
    """Scenes that begin at chosen steps or parts of the run: [(200, "autumn"), ("75%", "winter")]."""
    cross_fade: int | float | str | None
    """Over how many steps, or which part of the run, each scene fades into the next: 20 or "10%"."""
    recipe: str | None
    """The loop of another program: "nerdyrodent", "eleuther", "codebook-sampling", "dvae-notebook" or "pixray"."""
    optimizer: str | None
    """What moves the latent along its gradient: "adam", "adamw", "radam" or another of `--optimizer`."""
    upscale: int | None
    """Enlarge the finished picture: 2 or 4 times as wide and high."""
    upscaler: str | None
    """By which network: a name of `clipgen models list`, or "lanczos"; left out, the recorded one, if it is here."""
    prompts: str | tuple[Prompt, ...]
    """Another prompt for a Job or a Plan."""


COLOURS = 8
"""How many colours are taken from a picture."""
_OWN = ("device", "sinks", "stop", "progress", "on_step", "film", "candidates")
_SPELLED_OTHERWISE = {
    "clip": "clips",
    "judge": "judges",
    "loss": "losses",
    "perceptor": "classifiers",
    **dict.fromkeys(BACKENDS, "network"),
}
_FLAG = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?: ([A-Z]+)\b)?")


def job_fields(settings: Mapping[str, Any], prompt: str | Job | Plan = "") -> tuple[dict[str, Any], Inputs]:
    """Return the fields of a job that settings mean beside a prompt, and the init image or tokens that are objects.

    Raises UsageError.
    """
    for name in settings:
        if name not in Settings.__annotations__:
            raise unknown_value("a setting of generate", name, {*Settings.__annotations__, *_OWN})
    fields = {name: _plain(value) for name, value in settings.items() if value is not None or name != "seed"}
    size = fields.get("size")
    if isinstance(size, str | int) and not isinstance(size, bool):
        fields["size"] = parse_size(str(size))
    for name in ("clips", "classifiers", "judges", "losses", "targets"):
        if isinstance(fields.get(name), str):
            fields[name] = (fields[name],)
    fields = _timed(fields, prompt)
    if isinstance(fields.get("prompts"), str):
        fields["prompts"] = parse_prompts(fields["prompts"])
    fields |= {"losses": tuple(map(with_colours, fields["losses"]))} if fields.get("losses") else {}
    if is_folder(fields.get("preset")):
        fields = own_fields(fields["preset"], fields)
    image, tokens = fields.get("init"), fields.get("init_tokens")
    named: dict[str, str] = {}
    given = Inputs()
    if isinstance(image, Image.Image):
        named, given = {"init": "image"}, Inputs(upright_rgb(image))
    if tokens is not None and not isinstance(tokens, str | os.PathLike):
        named |= {"init_tokens": "array"}
        given = replace(given, tokens=TokenGrid.of(tokens, "--init-tokens"))
    return fields | named, given


def _timed(fields: dict[str, Any], prompt: str | Job | Plan) -> dict[str, Any]:
    """Return fields with what changes over the run as a job has it. Raises UsageError."""
    if isinstance(fields.get("lr"), str):
        fields["lr"] = parse_rate(fields["lr"])
    if isinstance(fields.get("cutouts"), str):
        fields |= parse_cutouts(fields["cutouts"])
    if isinstance(fields.get("cross_fade"), int | float):
        fields["cross_fade"] = str(fields["cross_fade"])
    scenes = [_scene(pair) for pair in fields.pop("at", None) or ()]
    if not scenes:
        return fields | ({"at": ()} if "prompts" in fields else {})  # which are those of other prompts
    usual = prompt if isinstance(prompt, str) else "" if begins_at_once(scenes) else prompt.text
    text, places = with_scenes(fields.get("prompts") or usual, scenes)
    return {**fields, "prompts": text, "at": places}


def _scene(pair: object) -> tuple[str, str]:
    if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[1], str):
        raise UsageError(f'--at must be pairs of a place and a text, as in [(200, "autumn")], got {quoted(pair)}')
    return str(pair[0]), pair[1]


def with_colours(loss: str) -> str:
    """Return a loss with the colours of a picture in place of its name: "palette:5:@sunset.jpg". Raises UsageError."""
    before, at, file = loss.partition(OF_PICTURE)
    if not at:
        return loss
    image, _ = load_image(file, "--loss")
    return f"{before}:{','.join(_main_colours(image, COLOURS))}"


def _main_colours(image: Image.Image, count: int) -> list[str]:
    """Return up to so many colours of an RGB image, "#rrggbb", that stand for most of it (median cut)."""
    palette = image.quantize(count, Image.Quantize.MEDIANCUT).getpalette() or []
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in zip(*[iter(palette)] * 3, strict=True)]


def check_prompt(prompt: object) -> None:
    """Raise a UsageError unless the prompt is a text, a Job or a Plan."""
    if isinstance(prompt, str | Job | Plan):
        return
    way_out = ""
    if isinstance(prompt, Sequence):
        way_out = '; call generate once for each picture, or join texts of one picture: "a cat|fog"'
    raise UsageError(f'the prompt must be a text such as "a cat", a Job or a Plan, got {quoted(prompt)}{way_out}')


@contextmanager
def named_after_parameters() -> Iterator[None]:
    """Raise errors that name parameters where those of the command line name flags."""
    try:
        yield
    except ClipgenError as error:
        error.args = (as_parameters(str(error)),)
        raise


def as_parameters(message: str) -> str:
    """Replace the flags of a message by parameters: "--lr 0 ...; add --init FILE" by "lr 0 ...; add init=FILE"."""

    def parameter(found: re.Match[str]) -> str:
        flag, value = found.groups()
        name = _SPELLED_OTHERWISE.get(flag, flag.replace("-", "_"))
        if name not in Settings.__annotations__ and name not in _OWN:
            return found[0]
        return f"{name}={value}" if value else name

    return _FLAG.sub(parameter, message)


def _plain(value: object) -> Any:
    """Return a number of numpy as that of Python, in sequences, too; anything else as it is."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    return value
