"""What a browser asks for, as data, and the plan that it means. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from clipgen.config.checks import checked_number, checked_record
from clipgen.config.films import FPS, Timing
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.prompts import MAX_WEIGHT, Prompt, parse_prompts, scenes_in
from clipgen.config.targets import IMAGE, MAX_TARGETS
from clipgen.errors import UsageError
from clipgen.session.options import OutputOptions
from clipgen.session.planning import plan_job, random_seed
from clipgen.util.text import quoted
from clipgen.web.options import FILM_TIMING, read_settings
from clipgen.web.uploads import Uploads

if TYPE_CHECKING:
    from clipgen.engine.inputs import Inputs

Planned = tuple[Plan, "Inputs", list[str]]
Planner = Callable[[tuple[Prompt, ...] | None], Planned]
"""Plans a picture; takes other texts in place of its own."""

NEGATIVE = -0.5
"""The weight of a negative prompt without one."""


@dataclass(frozen=True)
class ImagePrompt:
    """A picture to be like."""

    upload: str
    weight: float = 1.0


@dataclass(frozen=True)
class Request:
    """What a job is to make. Raises UsageError unless its parts have the right form."""

    prompt: str = ""
    negative: str | None = None
    image_prompts: tuple[ImagePrompt, ...] = ()
    init: str | None = None
    """The id of an upload, as `mask`."""
    mask: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the page, as they were sent."""
    films: tuple[str, ...] = ()
    """"mp4", "gif" and the like."""

    @classmethod
    def read(cls, record: object) -> Request:
        """Return the request of an untrusted record. Raises UsageError."""
        values = checked_record("request", record, {each.name for each in fields(cls)})
        for name in ("prompt", "negative", "init", "mask"):
            if not isinstance(values.get(name), str | None):
                raise UsageError(f"{name} must be text, got {quoted(values[name])}")
        images, films = values.get("image_prompts") or [], values.get("films") or []
        if not isinstance(images, list) or len(images) > MAX_TARGETS:
            raise UsageError(f"image_prompts must be a list of up to {MAX_TARGETS}, got {quoted(images)}")
        if not isinstance(films, list) or not all(isinstance(each, str) and f".{each}" in FPS for each in films):
            kinds = ", ".join(each.removeprefix(".") for each in FPS)
            raise UsageError(f"films must be a list of some of {kinds}, got {quoted(films)}")
        settings = values.get("settings") or {}
        read_settings(settings)
        return cls(
            values.get("prompt") or "",
            values.get("negative") or None,
            tuple(map(_image_prompt, images)),
            values.get("init") or None,
            values.get("mask") or None,
            dict(settings),
            tuple(dict.fromkeys(films)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        images = [{"upload": each.upload, "weight": each.weight} for each in self.image_prompts]
        return {
            "prompt": self.prompt,
            "negative": self.negative,
            "image_prompts": images,
            "init": self.init,
            "mask": self.mask,
            "settings": dict(self.settings),
            "films": list(self.films),
        }

    @property
    def uploads(self) -> list[str]:
        """The ids of the uploads that it needs."""
        return [each for each in (self.init, self.mask, *(one.upload for one in self.image_prompts)) if each]

    @property
    def written(self) -> OutputOptions:
        """What its run writes; the state is kept, to go on from the finished picture. Raises UsageError."""
        timed = {name: value for name, value in read_settings(self.settings).items() if name in FILM_TIMING}
        films = tuple(f".{each}" for each in self.films)
        timing = Timing(timed.get("fps"), timed.get("film_length")) if films else Timing()
        return OutputOptions(films=films, timing=timing, keep_state=True)


def _image_prompt(record: object) -> ImagePrompt:
    values = checked_record("image prompt", record, {"upload", "weight"})
    if not isinstance(values.get("upload"), str):
        raise UsageError(f"image prompt: upload must be the id of an upload, got {quoted(values.get('upload'))}")
    weight = values.get("weight")
    return ImagePrompt(
        values["upload"],
        1.0 if weight is None else checked_number("the weight of an image prompt", weight, -MAX_WEIGHT, MAX_WEIGHT),
    )


def planner_of(request: Request, uploads: Uploads, device: str) -> Planner:
    """Return what plans a request; it has the same seed every time."""
    return partial(_planned, request, uploads, device, random_seed())


def _planned(
    request: Request, uploads: Uploads, device: str, seed: int, prompts: tuple[Prompt, ...] | None = None
) -> Planned:
    from clipgen.session.arguments import job_fields, named_after_parameters

    settings = {name: value for name, value in read_settings(request.settings).items() if name not in FILM_TIMING}
    with named_after_parameters():
        asked, _ = job_fields(settings)
        images = [(uploads.get(each.upload).path, each.weight) for each in request.image_prompts]
        asked["targets"] = tuple(f"{IMAGE}:{path}:{weight!r}" for path, weight in images)
        for name in ("init", "mask"):
            if upload := getattr(request, name):
                asked[name] = str(uploads.get(upload).path)
        title = images[0][0].stem if images else ""
        asked["prompts"] = prompts or read_prompts(request.prompt, request.negative, title)
        try:
            plan, inputs, notes = plan_job(Job(**{"seed": seed, **asked}), device)
        except UsageError as error:
            raise UsageError(uploads.without_folders(str(error))) from error
        return plan, inputs, list(map(uploads.without_folders, notes))


def read_prompts(prompt: str, negative: str | None, title: str = "") -> tuple[Prompt, ...]:
    """Return the texts of a prompt and of what the picture is not to show. Raises UsageError.

    title: what the picture is called if pictures stand for a prompt that is empty.
    """
    wanted = (Prompt(title, 0.0),) if title and not prompt.strip() else parse_prompts(prompt)
    if not (negative or "").strip():
        return wanted
    spans = scenes_in(wanted)
    avoided = [_pushing(one) for one in parse_prompts(negative or "")]
    if any(one.span != (0.0, 1.0) for one in avoided):
        raise UsageError('the negative prompt cannot have scenes; leave out " ^ "')
    return tuple(
        one
        for span in spans
        for one in (
            *(each for each in wanted if each.span == span),
            *(replace(each, since=span[0], until=span[1]) for each in avoided),
        )
    )


def _pushing(prompt: Prompt) -> Prompt:
    if prompt.schedule or prompt.weight < 0:
        return prompt
    return replace(prompt, weight=NEGATIVE if prompt.weight == 1.0 else -prompt.weight)
