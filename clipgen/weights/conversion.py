"""Conversion of other programs' checkpoints to clipgen's own: the tensors of the network alone, in float32.

Most of what the published files hold is the state of a training. `LAYOUTS` says what to drop; the rest must match the
network that the config describes, tensor by tensor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clipgen.errors import ClipgenError
from clipgen.util.text import one_line
from clipgen.weights import Checkpoint
from clipgen.weights.foreign import read_foreign
from clipgen.weights.kinds import builder
from clipgen.weights.timm_models import as_timm

COUNTS = ("layers", "num_res_blocks", "n_blk_per_group", "ch_mult", "space_to_depth")
"""The keys of a config that decide how many layers a network has, or how many channels."""
LAYERS = ("layers", "num_res_blocks", "n_blk_per_group")
"""Those of `COUNTS` that are numbers of layers: of the whole, or of each of the levels in `ch_mult`."""
MAX_COUNT = 256
MAX_REASON = 120
"""Characters of an error that are shown."""


@dataclass(frozen=True)
class Layout:
    """How the tensors of one kind of network are named in published files.

    parts: for each file in order, the prefix that the names of its tensors get in the network.
    wrapper: a prefix of the network's tensors, to be removed; a file may have it or not.
    dropped: prefixes of tensors that belong to the training, or repeat the config.
    renamed: takes the tensors and the network's state dict, and returns the tensors under that one's names.
    """

    parts: tuple[str, ...] = ("",)
    wrapper: str = ""
    dropped: tuple[str, ...] = ()
    renamed: Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], dict[str, Tensor]] | None = None


LAYOUTS: dict[str, Layout] = {
    # A transformer of taming-transformers contains the VQGAN whose codes it predicts, and that one its losses.
    "vqgan": Layout(
        wrapper="first_stage_model.",
        dropped=("loss.", "model_ema.", "transformer.", "cond_stage_model.", "permuter."),
    ),
    # dall_e saves two modules, each in a file.
    "dvae": Layout(parts=("encoder.", "decoder.")),
    # OpenAI's archives hold parts of the config as tensors, open_clip's an attention mask that it computes anyway.
    # `DistributedDataParallel` puts a network into `module.`.
    "clip": Layout(
        wrapper="module.",
        dropped=("input_resolution", "context_length", "vocab_size", "attn_mask"),
    ),
    "classifier": Layout(wrapper="module.", renamed=as_timm),
}


def convert(files: Path | Sequence[Path], kind: str, config: dict[str, Any]) -> Checkpoint:
    """Read a network from another program's file, or from its files in the order of `Layout.parts`.

    kind: a key of `LAYOUTS`. config: what the network is built from. The recipe of the result names the files with
    their sizes and sha256. Raises ClipgenError if a file cannot be read, or does not match the config.
    """
    layout, paths = LAYOUTS[kind], [files] if isinstance(files, Path) else list(files)
    if len(paths) != len(layout.parts):
        raise ClipgenError(f"a {kind} comes in {len(layout.parts)} files, got {len(paths)}")
    found: dict[str, Tensor] = {}
    for path, part in zip(paths, layout.parts, strict=True):
        found |= {part + name: value for name, value in network_tensors(read_foreign(path), kind).items()}
    names = " and ".join(path.name for path in paths)
    expected = _expected(kind, config, names, len(found))
    tensors = _matched(layout.renamed(found, expected) if layout.renamed else found, expected, names)
    return Checkpoint(kind, config, tensors, {"converted_from": [_identity(path) for path in paths]})


def check_against_config(checkpoint: Checkpoint, path: Path) -> Checkpoint:
    """Return a checkpoint read from a file in clipgen's own format, whoever wrote it, if it matches its config.

    The recipe of the result names the file with its size and sha256. Raises ClipgenError if tensors do not match.
    """
    tensors = _matched(
        checkpoint.tensors, _expected(checkpoint.kind, checkpoint.config, path.name, len(checkpoint.tensors)), path.name
    )
    return Checkpoint(checkpoint.kind, checkpoint.config, tensors, {"converted_from": [_identity(path)]})


def network_tensors(state: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Return the tensors of a published state dict that belong to the network, under the names that it has for them.

    What the layout of the kind drops is dropped inside the wrapper and beside it. A tensor beside the wrapper gets a
    name that no network has, lest it replace one inside.
    """
    wrapper, dropped = LAYOUTS[kind].wrapper, LAYOUTS[kind].dropped
    found = {name: value for name, value in state.items() if not name.startswith(dropped)}
    if wrapper and any(name.startswith(wrapper) for name in state):
        found = {
            name.removeprefix(wrapper) if name.startswith(wrapper) else f"{name} beside {wrapper}": value
            for name, value in found.items()
        }
    return {name: value for name, value in found.items() if not name.startswith(dropped)}


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


def _matched(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], names: str) -> dict[str, Tensor]:
    """Copy the tensors in the types expected. Raises ClipgenError unless names and shapes match and all is finite."""
    wrong = [
        f"{len(some)} {fault} ({', '.join(some[:3])}{', ...' if len(some) > 3 else ''})"
        for fault, some in (
            ("missing", sorted(expected.keys() - found.keys())),
            ("unknown", sorted(found.keys() - expected.keys())),
            ("of another shape", _misshapen(found, expected)),
        )
        if some
    ]
    if wrong:
        raise ClipgenError(
            f"tensors of {names}: {'; '.join(wrong)}; choose the config or architecture that belongs to the file"
        )
    for name, value in found.items():
        if value.is_floating_point() and not value.isfinite().all():
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


def _identity(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}
