"""What a picture is compared with beside its texts, and how texts are joined. Torch-free."""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from clipgen.config.checks import check_choice, checked_number
from clipgen.config.keyframes import read_schedule
from clipgen.config.prompts import MAX_WEIGHT, Prompt, parse_prompts
from clipgen.config.records import added_later
from clipgen.config.schedules import Schedule
from clipgen.errors import UsageError, unknown_value
from clipgen.util.text import quoted

IMAGE, WHOLE, NOISE, EMBEDDING, REGION, STYLE = "image", "whole-image", "noise", "embedding", "region", "style"
NEVER = -MAX_WEIGHT
"""A stop that is never reached."""
MAX_TARGETS = 32
MAX_VECTOR = 1536
"""Maximum length of an embedding."""
PLACES: dict[str, tuple[float, float, float, float]] = {
    "left": (0.0, 0.0, 0.5, 1.0),
    "right": (0.5, 0.0, 1.0, 1.0),
    "top": (0.0, 0.0, 1.0, 0.5),
    "bottom": (0.0, 0.5, 1.0, 1.0),
    "centre": (0.25, 0.25, 0.75, 0.75),
}
"""By name: left, top, right and bottom of a part of a picture, as fractions of its sides."""

MORPH_SINCE, MORPH_UNTIL = 0.25, 0.9
"""The progress from which to which a morph moves: first the picture composes itself, and at last it settles."""

APART, MIX, SUM, CHANGE, MORPH = "apart", "mix", "sum", "change", "morph"
BLENDS: dict[str, str] = {
    APART: "each text is a target of its own",
    MIX: "the great-circle interpolation of two texts is the target",
    SUM: "the sum of the texts and whole images, each times its weight, is the target",
    CHANGE: "the init image, turned by the difference of two texts, is the target",
    MORPH: "the target moves from one text to another on a great circle over the run",
}
"""By name: how texts become targets."""


@dataclass(frozen=True)
class TargetKind:
    """A kind of target, as users see it."""

    flag: str
    metavar: str
    usual: float
    """The weight if none is typed."""
    is_file: Callable[[str], bool]
    """Whether a detail names a file."""
    network: str = ""
    """Name of a network that it needs beside those that guide; empty for none."""


TARGET_KINDS: dict[str, TargetKind] = {
    IMAGE: TargetKind("--image-prompt", "FILE[:WEIGHT[:STOP]]", 1.0, lambda _detail: True),
    WHOLE: TargetKind("--target-image", "FILE[:WEIGHT[:STOP]]", 1.0, lambda _detail: True),
    NOISE: TargetKind("--noise-prompt", "SEED[:WEIGHT[:STOP]]", 0.1, lambda _detail: False),
    EMBEDDING: TargetKind("--embedding", "FILE[:WEIGHT[:STOP]]", 1.0, lambda _detail: False),
    REGION: TargetKind("--region", "PLACE|FILE:TEXT[:WEIGHT[:STOP]]", 1.0, lambda detail: detail not in PLACES),
    STYLE: TargetKind("--style-image", "FILE[:WEIGHT]", 1.0, lambda _detail: True, "classifier/efficientnet-lite0"),
}
"""By name."""


@dataclass(frozen=True)
class TargetSettings:
    """A target beside the texts of the prompt, which counts all the time."""

    kind: str
    """One of TARGET_KINDS."""
    detail: str
    """The file of an image, the seed of noise, the numbers of an embedding, or the place or mask of a region."""
    weight: Schedule
    """Negative ones push away."""
    stop: float = NEVER
    """As of a `Prompt`."""
    text: str = ""
    """What a region is to show."""
    sha256: str = added_later("")
    """Of the file, once it was read."""

    def __post_init__(self) -> None:
        check_choice("a target", self.kind, tuple(TARGET_KINDS))
        flag = TARGET_KINDS[self.kind].flag
        for value in self.weight.values:
            checked_number(f"the weight of {flag}", value, -MAX_WEIGHT, MAX_WEIGHT)
        object.__setattr__(self, "stop", checked_number(f"the stop of {flag}", self.stop, NEVER, MAX_WEIGHT))
        if not self.detail or "\0" in self.detail or not re.fullmatch("[0-9a-f]{64}|", self.sha256):
            raise UsageError(f"{flag} must name a file, a seed or a place, got {quoted(self.detail)}")
        if self.kind == NOISE and not re.fullmatch("[0-9]{1,18}", self.detail):
            raise UsageError(f"{flag} must be a seed, a whole number, got {quoted(self.detail)}")
        if self.kind == EMBEDDING:
            embedding_of(self.detail)
        if self.kind == STYLE and (min(self.weight.values) < 0 or self.stop != NEVER):
            raise UsageError(
                f"{flag} takes a weight of at least 0 and no stop, got {quoted(str(self).partition(':')[2])}"
            )
        if self.kind == REGION:
            object.__setattr__(self, "text", Prompt(self.text).text)

    @classmethod
    def parse(cls, spelled: str) -> Self:
        """Return the target of "KIND:DETAIL[:WEIGHT[:STOP]]", for a region "region:PLACE:TEXT...". Raises UsageError.

        The weight 1..0 falls from 1 to 0 over the run.
        """
        kind, _, rest = spelled.partition(":")
        check_choice("a target", kind, tuple(TARGET_KINDS))
        row, text = TARGET_KINDS[kind], ""
        rest, weight, stop = split_numbers(rest)
        if kind == REGION:
            place, colon, text = rest.partition(":")
            rest, text = place.strip(), text.strip()
            if not colon or not text:
                raise UsageError(
                    f'{row.flag} must be {row.metavar}, as in --region left:"a tree", got {quoted(spelled[7:])}'
                )
        return cls(kind, rest, weight or Schedule.constant(row.usual), NEVER if stop is None else stop, text)

    def __str__(self) -> str:
        """Return the spelling that `parse` reads back as this target."""
        parts = [self.kind, self.detail, *([self.text] if self.text else []), str(self.weight)]
        return ":".join([*parts, *([] if self.stop == NEVER else [repr(self.stop)])])

    @property
    def typed(self) -> str:
        """The option that asks for this target, and its value."""
        return f"{TARGET_KINDS[self.kind].flag} {quoted(str(self).partition(':')[2])}"

    @property
    def is_file(self) -> bool:
        """Whether it needs an image file."""
        return TARGET_KINDS[self.kind].is_file(self.detail)

    @property
    def published(self) -> Self:
        """The target without the folder of its file."""
        if not self.is_file:
            return self
        return type(self)(self.kind, Path(self.detail).name, self.weight, self.stop, self.text, self.sha256)


def split_numbers(text: str) -> tuple[str, Schedule | None, float | None]:
    """Split "FILE:WEIGHT:STOP" from the right; what is no number belongs to the file."""
    last = (pieces := text.rsplit(":", 2))[-1]
    if len(pieces) == 1 or (schedule := _schedule(last)) is None:
        return text.strip(), None, None
    if len(pieces) == 3 and (weight := _schedule(pieces[1])) is not None and schedule.kind == "constant":
        return pieces[0].strip(), weight, schedule.start
    return text.rpartition(":")[0].strip(), schedule, None


def _schedule(text: str) -> Schedule | None:
    found = read_schedule(text, "the weight of a target")
    return None if found is None else found.over(None, "the weight of a target")


def checked_targets(targets: object) -> tuple[str, ...]:
    """Return targets as they are spelled in full. Raises UsageError."""
    if not isinstance(targets, list | tuple) or not all(isinstance(text, str) for text in targets):
        raise UsageError(f"targets must be a list of texts such as image:cat.jpg:0.5, got {quoted(targets)}")
    if len(targets) > MAX_TARGETS:
        raise UsageError(f"a picture can have up to {MAX_TARGETS} targets beside its texts, got {len(targets)}")
    return tuple(str(TargetSettings.parse(text)) for text in targets)


def embedding_text(numbers: Sequence[float]) -> str:
    """Return an embedding as text, without losing digits of float32. Raises UsageError if it is none."""
    if not 1 < len(numbers) <= MAX_VECTOR:
        raise UsageError(f"an embedding has 2 to {MAX_VECTOR} numbers, got {len(numbers)}")
    if not all(map(math.isfinite, numbers)) or not any(numbers):
        raise UsageError("an embedding must have finite numbers that are not all 0")
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def embedding_of(text: str) -> tuple[float, ...]:
    """Return the numbers that `embedding_text` wrote; raises UsageError for anything else."""
    try:
        packed = base64.b64decode(text, validate=True)
        numbers = struct.unpack(f"<{len(packed) // 4}f", packed)
    except (binascii.Error, ValueError, struct.error) as error:
        raise UsageError("a target embedding is not as clipgen writes it; give the file again") from error
    embedding_text(numbers)
    return numbers


def check_blend(blend: object, prompts: Sequence[Prompt], targets: Sequence[TargetSettings], *, has_init: bool) -> None:
    """Raise a UsageError unless the texts of a prompt can be joined like this."""
    if blend not in BLENDS or not isinstance(blend, str):
        raise unknown_value("how texts are joined", blend, BLENDS)
    if blend == APART:
        return
    flag = f"--{blend}"
    if any(prompt.span != (0.0, 1.0) for prompt in prompts):
        raise UsageError(f"{flag} joins the texts of one scene, and the prompt has several; leave out one or the other")
    if blend in (MIX, CHANGE, MORPH) and len(prompts) != 2:
        raise UsageError(f"{flag} takes two texts, got {len(prompts)}")
    if blend == CHANGE and not has_init:
        raise UsageError(f"{flag} needs an init image; add --init FILE")
    if blend == SUM and len(prompts) + sum(row.kind == WHOLE for row in targets) < 2:
        raise UsageError(f'{flag} needs several texts, as in clipgen "a king|a man:-1|a woman" {flag}')


def mixed(first: str, second: str, share: object) -> tuple[Prompt, ...]:
    """Return the prompts of a mixture, whose share of the second text is from 0 to 1. Raises UsageError."""
    try:
        part = checked_number("the share of --mix", float(str(share)), 0.0, 1.0)
    except ValueError as error:
        raise UsageError(f"the share of --mix must be a number from 0 to 1, got {quoted(share)}") from error
    return Prompt(plain_text(first, "--mix"), 1.0 - part), Prompt(plain_text(second, "--mix"), part)


def morph_share(progress: float) -> float:
    """Return how far a morph has come at a progress in [0, 1], from 0 to 1."""
    return min(max((progress - MORPH_SINCE) / (MORPH_UNTIL - MORPH_SINCE), 0.0), 1.0)


def changed(before: str, after: str) -> tuple[Prompt, ...]:
    """Return the prompts of a change from one text to another. Raises UsageError."""
    return Prompt(plain_text(after, "--change")), Prompt(plain_text(before, "--change"), -1.0)


def plain_text(text: str, flag: str) -> str:
    """Return a text that is alone and has no weight. Raises UsageError."""
    first, *others = parse_prompts(text)
    if others or first.weight != 1.0:
        raise UsageError(f"{flag} takes plain texts, without weights or |, got {quoted(text)}")
    return first.text
