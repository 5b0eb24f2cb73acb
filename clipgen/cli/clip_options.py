"""The options of commands that judge pictures by CLIPs, and the loading of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from clipgen.cli.model_options import ModelOptions, split_weight
from clipgen.cli.option_groups import only, redeclared
from clipgen.cli.report import Notes
from clipgen.config.perceptor_names import BEST_CLIPS, STARTER_CLIPS
from clipgen.errors import UsageError
from clipgen.util.text import quoted

if TYPE_CHECKING:
    from clipgen.judge.zero_shot import Member

_USUAL = "the best published one that is here, else starter/judge"

JudgingModels = Annotated[
    ModelOptions,
    only("clip", "clip_weights", "ema"),
    redeclared(
        clip={
            "text": "A CLIP that judges; repeat it to average several. ViT-B-32, another name from `clipgen models "
            f"list`, {', '.join(STARTER_CLIPS)}, or hf-hub:OWNER/NAME. :NUMBER after it is its weight in the average.",
            "default": _USUAL,
        },
        ema={"text": "Take the moving averages of the weights (EMA) from your own files, which hold both."},
    ),
]


@dataclass(frozen=True)
class Asked:
    """A CLIP by the name of its weights, and how much it counts."""

    name: str
    weight: float = 1.0


def asked_clips(models: ModelOptions, notes: Notes) -> list[Asked]:
    """Return the CLIPs that the options name, or the best that is here, with a note. Raises UsageError."""
    if models.ema and not models.clip_weights:
        raise UsageError("--ema chooses among the weights in a file of yours; add --clip-weights FILE")
    if not models.clip and not models.clip_weights:
        return [_usual(notes)]
    found = list(_named(models))
    notes.say(models.notes)
    names = [each.name for each in found]
    if twice := [first for first, second in pairwise(sorted(names)) if first == second]:
        raise UsageError(f"--clip {twice[0]} is given twice; name it once, with a weight, as in --clip {twice[0]}:2")
    return found


def _usual(notes: Notes) -> Asked:
    from clipgen.weights.registry import is_ready

    for name in BEST_CLIPS:
        if is_ready(name):
            notes.note(f"judged by {name}: the best published CLIP that is installed")
            return Asked(name)
    judge = STARTER_CLIPS[0]
    notes.note(
        f"judged by {judge}, which knows drawn pictures alone: no published CLIP is installed; get one with: "
        "clipgen models pull ViT-B-32"
    )
    return Asked(judge)


def _named(models: ModelOptions) -> Iterator[Asked]:
    names = models.clip or []
    starter = [name for name in names if split_weight(name, "--clip")[0] in STARTER_CLIPS]
    if starter and models.clip_weights:
        raise UsageError(f"--clip {starter[0]} has weights of its own; leave out --clip-weights, or that --clip")
    if starter and len(starter) < len(names):
        for name in names:
            yield from [_weighed(name)] if name in starter else _own([name], models)
    else:
        yield from map(_weighed, starter) if starter else _own(names, models)


def _own(names: list[str], models: ModelOptions) -> Iterator[Asked]:
    """Yield the CLIPs that run, too, could guide with."""
    options = ModelOptions(clip=names, clip_weights=models.clip_weights, ema=models.ema)
    yield from map(_weighed, options.job_fields("pixels").get("clips", ()))
    models.notes.extend(options.notes)


def _weighed(text: str) -> Asked:
    name, weight = split_weight(text, "--clip")
    return Asked(name, float(weight.removeprefix(":") or 1))


def load_clips(asked: Sequence[Asked], device: str) -> list[Member]:
    """Load CLIPs. Raises WeightsMissingError, which says how to get them, if any is not here."""
    import torch

    from clipgen.engine.models import perceptor_of
    from clipgen.judge.zero_shot import Member
    from clipgen.util.devices import in_single, pick_device

    place = torch.device(pick_device(device))
    members = []
    for each in asked:
        perceptor = perceptor_of(each.name).eval().requires_grad_(False)
        in_single(perceptor, place)
        members.append(Member(each.name, perceptor.to(place), each.weight))
    return members


def note_long_texts(members: Sequence[Member], texts: Sequence[str], notes: Notes, *, templates: bool = False) -> None:
    """Say which texts a CLIP does not read to their end."""
    from clipgen.judge.zero_shot import too_long

    for member in members:
        if cut := too_long(member.perceptor, texts, templates):
            more = f" and {len(cut) - 1:,} more" if cut[1:] else ""
            length = member.perceptor.tokenizer.context_length
            notes.note(
                f"{member.name} reads {length} tokens at most: it does not see the end of {quoted(cut[0])}{more}"
            )
