"""Checkpoints of other programs as clipgen's own: only what a network needs, under its names, in float32.

Most of what the authors published is the state of their training. What is left out stands in `SOURCES`, and the rest
must be the network that the config describes, tensor by tensor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from clipgen.errors import ClipgenError
from clipgen.generators.networks import DVAENetwork, VQGANNetwork
from clipgen.perceptors.clip import Perceptor
from clipgen.util.text import one_line
from clipgen.weights import Checkpoint
from clipgen.weights.foreign import read_foreign

COUNTS = ("layers", "num_res_blocks", "n_blk_per_group", "ch_mult", "space_to_depth")
"""Arguments that say how many parts a network has, or how many pixels are one of its own."""
MAX_COUNT = 256
MAX_REASON = 120


@dataclass(frozen=True)
class Source:
    """How the files of one kind of network are laid out.

    make: builds the network of a config.
    parts: the prefix that the names of each file get, in the order of the files.
    wrapper: prefix of the names that are kept, where any has it; it is taken off.
    dropped: what names begin with that belong to the training, or repeat the config.
    """

    make: Callable[[dict[str, Any]], nn.Module]
    parts: tuple[str, ...] = ("",)
    wrapper: str = ""
    dropped: tuple[str, ...] = ()


SOURCES: dict[str, Source] = {
    # A transformer of taming holds the VQGAN whose codes it writes, and that its losses, as a plain VQGAN does.
    "vqgan": Source(
        VQGANNetwork,
        wrapper="first_stage_model.",
        dropped=("loss.", "model_ema.", "transformer.", "cond_stage_model.", "permuter."),
    ),
    # Saved by dall_e as two modules.
    "dvae": Source(DVAENetwork, parts=("encoder.", "decoder.")),
    # OpenAI's archives hold the config as tensors, and those of open_clip a mask that it makes itself. What was trained
    # on several GPUs is a network inside `module.`.
    "clip": Source(
        lambda config: Perceptor(config).clip,
        wrapper="module.",
        dropped=("input_resolution", "context_length", "vocab_size", "attn_mask"),
    ),
}


def convert(files: Path | Sequence[Path], kind: str, config: dict[str, Any]) -> Checkpoint:
    """Read a network of a kind in `SOURCES` from its file, or its files in the order of the parts.

    config: the arguments of the network. The recipe names the files with their sizes and sha256. Raises ClipgenError
    if they cannot be read, or are not exactly what the config describes.
    """
    source, paths = SOURCES[kind], [files] if isinstance(files, Path) else list(files)
    if len(paths) != len(source.parts):
        raise ClipgenError(f"a {kind} comes in {len(source.parts)} files, got {len(paths)}")
    found: dict[str, Tensor] = {}
    for path, part in zip(paths, source.parts, strict=True):
        found |= {part + name: value for name, value in useful(read_foreign(path), source).items()}
    names = " and ".join(path.name for path in paths)
    tensors = _matched(found, _expected(source, config, names), names)
    return Checkpoint(kind, config, tensors, {"converted_from": [_identity(path) for path in paths]})


def checked(checkpoint: Checkpoint, path: Path) -> Checkpoint:
    """Return a checkpoint of clipgen's own kind, which may come from a stranger, if it is what its config describes.

    Raises ClipgenError if not. The recipe names the file with its size and sha256.
    """
    tensors = _matched(checkpoint.tensors, _expected(SOURCES[checkpoint.kind], checkpoint.config, path.name), path.name)
    return Checkpoint(checkpoint.kind, checkpoint.config, tensors, {"converted_from": [_identity(path)]})


def useful(state: dict[str, Tensor], source: Source) -> dict[str, Tensor]:
    """Leave out what a source drops, inside its wrapper and outside; what else is outside gets no network's name."""
    wrapper = source.wrapper
    if wrapper and any(name.startswith(wrapper) for name in state):
        state = {name: value for name, value in state.items() if not name.startswith(source.dropped)}
        state = {
            name.removeprefix(wrapper) if name.startswith(wrapper) else f"{name} beside {wrapper}": value
            for name, value in state.items()
        }
    return {name: value for name, value in state.items() if not name.startswith(source.dropped)}


def _expected(source: Source, config: dict[str, Any], names: str) -> dict[str, Tensor]:
    """The state dict of a network, as tensors without content."""
    try:
        _check_counts(config)
        with torch.device("meta"):
            return source.make(config).state_dict()
    except ClipgenError:
        raise
    except Exception as error:  # whatever a network stumbles on that is built of a stranger's numbers
        reason = one_line(repr(error), MAX_REASON)
        raise ClipgenError(f"the config for {names} describes no network: {reason}; compare it with another") from error


def _check_counts(config: Mapping[str, Any]) -> None:
    """Refuse a config of more layers than any network has, before they are built."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            _check_counts(value)
        elif name in COUNTS:
            counts = [*value, len(value)] if isinstance(value, list) else [value]
            if not all(isinstance(count, int) and 0 < count <= MAX_COUNT for count in counts):
                raise ValueError(f"{name} is {value}")


def _matched(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], names: str) -> dict[str, Tensor]:
    """Copies of the tensors found, in the types expected. Raises ClipgenError unless names and shapes are the same."""
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
        raise ClipgenError(f"tensors of {names}: {'; '.join(wrong)}; choose the config that belongs to the file")
    for name, value in found.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ClipgenError(f"{names} is damaged: {name} has values that are not finite; fetch it again")
    copies = {name: torch.empty(value.shape, dtype=value.dtype) for name, value in expected.items()}
    return {name: copy.copy_(found[name]) for name, copy in copies.items()}


def _misshapen(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """Which tensors have another shape, or are whole numbers where others are expected, and which they have."""
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
