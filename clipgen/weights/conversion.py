"""Conversion of other programs' checkpoints to clipgen's own: the tensors of the network alone, in float32.

Most of what the files hold is the state of a training, and lies beside the network. Inside it every tensor must match
the network that the config describes: one too many is a sign of another architecture.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clipgen.errors import ClipgenError, WeightsMissingError
from clipgen.util.text import one_line, quoted
from clipgen.weights import Checkpoint
from clipgen.weights.finding import Place, choose, places, what_was_taken
from clipgen.weights.foreign import Tensors, read_foreign
from clipgen.weights.kinds import builder
from clipgen.weights.layouts import LAYOUTS, Layout

COUNTS = ("layers", "num_res_blocks", "n_blk_per_group", "ch_mult", "space_to_depth")
"""The keys of a config that decide how many layers a network has, or how many channels."""
LAYERS = ("layers", "num_res_blocks", "n_blk_per_group")
"""Those of `COUNTS` that are numbers of layers: of the whole, or of each of the levels in `ch_mult`."""
MAX_COUNT = 256
HALVES = ("encoder.", "decoder.")
"""Begins the names of what is saved apart."""
ODD_TENSOR = re.compile("_rebuild_|_reconstruct")
"""In the class of what is a tensor in another form: sparse, quantised, of numpy."""
PLAIN_PATHS = ("", "state_dict.", "model.")
"""Where a network lies in files that hold nothing else; to say so would tell nobody anything."""
MAX_REASON = 120
"""Characters of an error that are shown."""


Configured = Callable[[Mapping[str, Tensor]], dict[str, Any]]
"""Takes the tensors of what may be a network, by their names in it, and returns its config. Raises UsageError."""


@dataclass(frozen=True)
class Network:
    """A network found in other programs' files, or what is nearest to one.

    place: its tensors, under the network's names. expected: the state dict of the network, without content.
    files: with its halves, in the order of HALVES. left: the names of the files' other tensors.
    wrong: why it does not fit, "" if it does. faults: how many tensors do not.
    """

    kind: str
    files: tuple[Path, ...]
    place: Place
    config: dict[str, Any]
    expected: Mapping[str, Tensor]
    left: tuple[str, ...] = ()
    wrong: str = ""
    faults: int = 0
    has_average: bool = False
    """Whether the file has an EMA copy, too, which was not taken."""

    @property
    def note(self) -> str:
        """What was taken from where, and what was left; "" if that is as expected."""
        if not self.left and not self.place.averaged and self.place.path in PLAIN_PATHS:
            return ""
        more = "; --ema takes its EMA copy instead" if self.has_average else ""
        taken = what_was_taken(self.place, LAYOUTS[self.kind].called, self.left)
        return f"{_named(self.files)}: {taken}{more}"

    def checkpoint(self) -> Checkpoint:
        """Copy the tensors, in the types of the network. Raises ClipgenError unless all of them are finite."""
        tensors = _copied(self.place.tensors, self.expected, _named(self.files))
        return Checkpoint(self.kind, self.config, tensors, {"converted_from": [_identity(path) for path in self.files]})


def convert(files: Path | Sequence[Path], kind: str, config: dict[str, Any], *, averaged: bool = False) -> Checkpoint:
    """Read a network from another program's file, or from the files of its parts.

    kind: a key of `LAYOUTS`. config: what the network is built from. averaged: take the EMA copy. The recipe of the
    result names the files with their sizes and sha256. Raises ClipgenError if a file cannot be read, or does not match
    the config.
    """
    paths = [files] if isinstance(files, Path) else files
    return find_network(paths, kind, config, averaged=averaged).checkpoint()


def find_network(
    files: Sequence[Path],
    kind: str,
    config: dict[str, Any] | Configured,
    check: Configured | None = None,
    *,
    averaged: bool = False,
) -> Network:
    """Find the network of a kind in other programs' files, wherever in them it lies.

    config: what the network is built from, or what tells it by the tensors; then `check` may refuse some. averaged:
    take the EMA copy. Raises ClipgenError if a file cannot be read, and if there is no network that fits, or more than
    one.
    """
    names = _named(files)
    read = [(path, read_foreign(path)) for path in files]
    count = sum(len(tensors) for _, tensors in read)
    known = _expected(kind, config, names, count) if isinstance(config, dict) else {}
    configured = config if callable(config) else check or (lambda _: config)
    layout = LAYOUTS[kind]
    if layout.anchors and len(read) == 1:
        [(_, tensors)] = read
        anchors = (*layout.anchors, *sorted(known, key=len)[-1:])
        found = places(tensors, anchors, names) or [Place("", tensors, averaged=False)]
    else:
        place, files, tensors = _joined(read, layout, averaged=averaged)
        found = [place]
    tried = [_tried(place, kind, tuple(files), configured, known, tensors) for place in found]
    fitting = [network for network in tried if not network.wrong]
    if not fitting:
        nearest = min(tried, key=lambda network: network.faults)
        raise ClipgenError(nearest.wrong + _unread(nearest.place, tensors))
    chosen = choose([network.place for network in fitting], names, averaged=averaged)
    copies = any(network.place.averaged for network in fitting)
    found_one = next(network for network in fitting if network.place is chosen)
    return replace(found_one, has_average=copies and not chosen.averaged)


def _joined(
    read: Sequence[tuple[Path, Tensors]], layout: Layout, *, averaged: bool
) -> tuple[Place, list[Path], Tensors]:
    """Put encoder and decoder together, from one file or two in any order; returns the files of these, too."""
    names = _named([path for path, _ in read])
    halves: dict[str, list[tuple[Path, Place]]] = {part: [] for part in HALVES}
    for path, tensors in read:
        for place in places(tensors, layout.halves, path.name):
            halves[HALVES[layout.is_decoder(place.tensors)]].append((path, place))
    if lacking := [part.removesuffix(".") for part, some in halves.items() if not some]:
        raise ClipgenError(
            f"{names} has no {layout.called} in it: there is no {' and no '.join(lacking)}; it takes both"
        )
    chosen = {part: choose([place for _, place in some], names, averaged=averaged) for part, some in halves.items()}
    files = [next(path for path, place in halves[part] if place is chosen[part]) for part in HALVES]
    whole = Tensors({part + name: value for part, place in chosen.items() for name, value in place.tensors.items()})
    return Place("", whole, averaged), list(dict.fromkeys(files)), whole


def _tried(
    place: Place,
    kind: str,
    files: tuple[Path, ...],
    configured: Configured,
    known: Mapping[str, Tensor],
    tensors: Tensors,
) -> Network:
    """Return the network that may lie at a place, with what is wrong with it. tensors: all in the file."""
    layout, names = LAYOUTS[kind], _named(files)
    try:
        config = configured(place.tensors)
        expected = known or _expected(kind, config, names, len(tensors))
    except WeightsMissingError:
        raise
    except ClipgenError as error:
        return Network(kind, files, place, {}, {}, wrong=str(error), faults=len(tensors) + 1)
    found = layout.renamed(place.tensors, expected) if layout.renamed else dict(place.tensors)
    roots = {name.split(".")[0] for name in expected}
    left = {name for name in found.keys() - expected.keys() if name.endswith(layout.left)} if layout.left else set()
    left |= {name for name in found if name.split(".")[0] not in roots}
    inside = {name: _as_scalar(value, expected.get(name)) for name, value in found.items() if name not in left}
    wrong = _differences(inside, expected)
    beside = [name for name in tensors if not name.startswith(place.path)]
    rest = (*beside, *(place.path + name for name in sorted(left - {*layout.repeated})))
    network = Network(kind, files, replace(place, tensors=inside), config, expected, rest)
    if not wrong:
        return network
    where = f" {place.shown}" if place.path else ""
    reason = f"tensors of {names}{where}: {_summed(wrong)}; choose the config or architecture that belongs to the file"
    return replace(network, wrong=reason, faults=sum(map(len, wrong.values())))


def _unread(place: Place, tensors: Tensors) -> str:
    """Say which part of a network that does not fit is saved as something else than a plain tensor, if any is."""
    odd = (name for name, what in tensors.others.items() if name.startswith(place.path) and ODD_TENSOR.search(what))
    name = next(odd, None)
    return (
        f"; {quoted(name)} in it is no plain tensor but made by {tensors.others[name]}, save it as one" if name else ""
    )


def _as_scalar(value: Tensor, expected: Tensor | None) -> Tensor:
    """Return a single number without the dimensions that some programs give it; other tensors as they are."""
    return value.reshape(()) if expected is not None and not expected.ndim and value.numel() == 1 else value


def check_against_config(checkpoint: Checkpoint, path: Path) -> Checkpoint:
    """Return a checkpoint read from a file in clipgen's own format, whoever wrote it, if it matches its config.

    The recipe of the result names the file with its size and sha256. Raises ClipgenError if tensors do not match.
    """
    expected = _expected(checkpoint.kind, checkpoint.config, path.name, len(checkpoint.tensors))
    if wrong := _differences(checkpoint.tensors, expected):
        raise ClipgenError(f"tensors of {path.name}: {_summed(wrong)}; its config is of another network")
    tensors = _copied(checkpoint.tensors, expected, path.name)
    return Checkpoint(checkpoint.kind, checkpoint.config, tensors, {"converted_from": [_identity(path)]})


def _expected(kind: str, config: dict[str, Any], names: str, count: int) -> dict[str, Tensor]:
    """Return the state dict of the network of a config, as tensors without content on the meta device.

    count: of the tensors in the file, without which no layer is built.
    """
    try:
        _check_counts(config)
        if _layers(config) > count:
            raise ValueError(f"it has {_layers(config)} layers, and the file {count} tensors")
        with torch.device("meta"):
            return builder(kind)(config).state_dict()
    except ClipgenError:
        raise
    except Exception as error:  # a network may fail in any way on numbers from a stranger
        reason = one_line(repr(error), MAX_REASON)
        raise ClipgenError(f"the config for {names} describes no network: {reason}; compare it with another") from error


def _check_counts(config: Mapping[str, Any]) -> None:
    """Raise ValueError for a config with more layers than any network has, before they are built."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            _check_counts(value)
        elif name in COUNTS:
            counts = [*value, len(value)] if isinstance(value, list) else [value]
            if not all(isinstance(count, int) and 0 < count <= MAX_COUNT for count in counts):
                raise ValueError(f"{name} is {value}")


def _layers(config: Mapping[str, Any]) -> int:
    """Return how many layers the network of a config has at least; those of parts count together."""
    own = [sum(value) if isinstance(value, list) else value for name, value in config.items() if name in LAYERS]
    if isinstance(config.get("ch_mult"), list):
        own.append(len(config["ch_mult"]))
    return (prod(own) if own else 0) + sum(_layers(part) for part in config.values() if isinstance(part, Mapping))


def _differences(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Return the tensors that do not match by what is wrong with them; empty if all do."""
    wrong = {
        "missing": sorted(expected.keys() - found.keys()),
        "unknown": sorted(found.keys() - expected.keys()),
        "of another shape": _misshapen(found, expected),
    }
    return {fault: names for fault, names in wrong.items() if names}


def _summed(wrong: Mapping[str, Sequence[str]]) -> str:
    """Return differences as text: "3 missing (a, b, c), 1 unknown (d)"."""
    return "; ".join(
        f"{len(some)} {fault} ({', '.join(some[:3])}{', ...' if len(some) > 3 else ''})"
        for fault, some in wrong.items()
    )


def _copied(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], names: str) -> dict[str, Tensor]:
    """Copy the tensors in the types expected. Raises ClipgenError unless all numbers are finite."""
    for name in expected:
        if found[name].is_floating_point() and not found[name].isfinite().all():
            raise ClipgenError(f"{names} is damaged: {name} has values that are not finite; fetch it again")
    copies = {name: torch.empty(value.shape, dtype=value.dtype) for name, value in expected.items()}
    return {name: copy.copy_(found[name]) for name, copy in copies.items()}


def _misshapen(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """Describe the tensors that differ in shape, or in whether they are whole or floating-point numbers."""
    return [
        f"{name}: {'x'.join(map(str, found[name].shape))} {str(found[name].dtype).removeprefix('torch.')}"
        for name, value in expected.items()
        if name in found
        and (found[name].shape != value.shape or found[name].is_floating_point() != value.is_floating_point())
    ]


def _named(files: Sequence[Path]) -> str:
    return " and ".join(path.name for path in files)


def _identity(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}
