"""Where in a file a network lies: found by the ends of its tensors' names, whatever stands before them.

Users save networks in many ways: alone, in the checkpoint of a training, inside another network, beside their moving
averages (EMA). All of these only put something in front of the names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipgen.errors import UsageError
from clipgen.util.text import one_line, quoted

MAX_PLACES = 16
"""Where networks of one kind may begin in a file; each that is tried takes time."""
MAX_SHOWN = 3
"""How many names or groups of names are shown."""
AVERAGED = re.compile(r"(^|[._-])(ema|averaged?|shadow)([._-]|$)", re.IGNORECASE)
"""In the path of a network: it is the moving average of another."""
FLAT_AVERAGES = "model_ema."
"""Before the averages that latent diffusion keeps of a network, inside it, with the dots taken out of their names."""
ASIDE = "cond_stage_model"
"""In the path of a network of taming-transformers or latent diffusion that draws nothing: it encodes a condition."""


@dataclass(frozen=True)
class Place:
    """Tensors in a file that may be a network.

    path: what the file has before their names. tensors: by the names after that. averaged: whether they are the EMA
    copy of another network.
    """

    path: str
    tensors: Mapping[str, Tensor]
    averaged: bool

    @property
    def shown(self) -> str:
        """Where it is, for users."""
        return f"at {quoted(self.path)}" if self.path else "at its top level"


def places(tensors: Mapping[str, Tensor], anchors: Iterable[str], file: str) -> list[Place]:
    """Return where networks may begin that have a tensor of one of these names, in the order of the file.

    Raises UsageError, which names the file, if there are more than `MAX_PLACES`.
    """
    ends = tuple(anchors)
    found: dict[str, None] = {}
    for name in tensors:
        for end in ends:
            path = name.removesuffix(end)
            if path != name and (not path or path.endswith(".")):
                found.setdefault(path)
    if len(found) > MAX_PLACES:
        raise UsageError(f"{file} holds more than {MAX_PLACES} networks; save the one that you mean alone")
    plain = [Place(path, _inside(tensors, path), AVERAGED.search(path) is not None) for path in found]
    return plain + [copy for place in plain if (copy := _flat_average(place, ends))]


def _inside(tensors: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    return {name.removeprefix(path): value for name, value in tensors.items() if name.startswith(path)}


def _flat_average(place: Place, anchors: Sequence[str]) -> Place | None:
    """Return the EMA copy that latent diffusion keeps inside a network; None if there is none."""
    if not any(FLAT_AVERAGES + end.replace(".", "") in place.tensors for end in anchors):
        return None
    flat = {name: FLAT_AVERAGES + name.replace(".", "") for name in place.tensors}
    copies = {name: place.tensors[other] for name, other in flat.items() if other in place.tensors}
    return Place(place.path + FLAT_AVERAGES, copies, averaged=True)


def choose(fitting: Sequence[Place], file: str, *, averaged: bool) -> Place:
    """Return the one network that is meant among those that fit.

    averaged: the EMA copy, not what it is an average of. Raises UsageError if there is none of that sort, or several
    that differ.
    """
    wanted = [place for place in fitting if place.averaged == averaged]
    if averaged and not wanted:
        raise UsageError(f"--ema: {file} has no EMA copy of the network, only the one {fitting[0].shown}; leave it out")
    found = wanted or list(fitting)
    found = [place for place in found if ASIDE not in place.path] or found
    if any(not _equal(found[0], other) for other in found[1:]):
        shown = ", ".join(place.shown.removeprefix("at ") for place in found[: MAX_SHOWN + 1])
        raise UsageError(f"{file} holds {len(found)} networks that fit, at {shown}; save the one that you mean alone")
    return found[0]


def _equal(one: Place, other: Place) -> bool:
    """Tell whether two networks that fit are the same, as of a module that is saved under two names."""
    pairs = ((value, other.tensors.get(name)) for name, value in one.tensors.items())
    return all(twin is None or torch.equal(value, twin) for value, twin in pairs)


def what_was_taken(place: Place, kind: str, left: Iterable[str]) -> str:
    """Say what was taken from where, and what was left. left: names of the file's other tensors."""
    groups = Counter(_group(name, place.path) for name in left)
    shown = ", ".join(f"{one_line(name, 40)} {count}" for name, count in groups.most_common(MAX_SHOWN))
    more = ", ..." if len(groups) > MAX_SHOWN else ""
    rest = f"; left {sum(groups.values())} other tensors ({shown}{more})" if groups else ""
    return f"took the {'EMA copy of the ' if place.averaged else ''}{kind} {place.shown}{rest}"


def _group(name: str, path: str) -> str:
    """Return the part of a name that tells what it belongs to: the first that differs from the network's path."""
    parts, before = name.split("."), path.split(".")
    same = next((at for at, (one, other) in enumerate(zip(parts, before, strict=False)) if one != other), 0)
    return ".".join(parts[: same + 1])
