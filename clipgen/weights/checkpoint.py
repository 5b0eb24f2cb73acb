"""clipgen's own weight files: safetensors whose header has the network's kind, its config and its training recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from clipgen.errors import ClipgenError, UsageError, WeightsMissingError
from clipgen.util.files import replacing
from clipgen.weights.registry import STARTER, network_path

Built = TypeVar("Built", bound=nn.Module)

SCALE = "|scale"
"""Ends the name of the factors by which the rows of an 8-bit matrix are to be multiplied."""
BYTE, TINY = 127, 1e-7
"""The largest 8-bit value, and the least factor: a row of zeros has no other."""


@dataclass(frozen=True)
class Checkpoint:
    """The content of a weight file.

    kind: which network it is for, mostly a key of `clipgen.weights.kinds.KINDS`.
    config: what that network is built from, JSON values only.
    tensors: its state dict.
    recipe: how it was trained (command, seed, steps, metrics) or from which files it was converted; JSON values only.
    """

    kind: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    recipe: dict[str, Any] = field(default_factory=dict)


def find(name: str) -> Path:
    """Return the path of a weight file: of a starter network, "starter/clip", or else `name` itself is a path.

    Raises WeightsMissingError if there is no such file.
    """
    path = network_path(name) if name.startswith(STARTER) else Path(name)
    if not path.is_file():
        raise WeightsMissingError(f"the weights '{name}' are missing: there is no file {path.name}; reinstall clipgen")
    return path


def read(path: Path) -> Checkpoint:
    """Read a weight file; floating-point tensors come as float32. Raises ClipgenError if clipgen did not write it."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = _unpacked({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (not a mapping)
        config, recipe = json.loads(header["config"]), json.loads(header.get("recipe", "{}"))
        kind = header["kind"]
        if not (isinstance(config, dict) and isinstance(recipe, dict)):
            raise ValueError("its config or its recipe is no object")
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise ClipgenError(f"{path.name} is not a clipgen checkpoint: {error}") from error
    return Checkpoint(kind, config, tensors, recipe)


def build(checkpoint: Checkpoint, kind: str, make: Callable[[dict[str, Any]], Built]) -> Built:
    """Build a network with the weights of a checkpoint.

    kind: what the checkpoint must be. make: builds the network from a config. Raises UsageError if the checkpoint is
    of another kind, ClipgenError if it does not fit the network as this version of clipgen has it.
    """
    if checkpoint.kind != kind:
        raise UsageError(f"a checkpoint of kind '{checkpoint.kind}' is no {kind.replace('-', ' ')}")
    module = make(checkpoint.config)
    try:
        module.load_state_dict(checkpoint.tensors)
    except RuntimeError as error:
        name = kind.replace("-", " ")
        raise ClipgenError(f"this {name} is of another version of clipgen: train it again, or reinstall") from error
    return module


def write(path: Path, checkpoint: Checkpoint, bits: int = 32) -> None:
    """Write a weight file atomically, with floating-point tensors in 32, 16 or 8 bits a value.

    With 8 bits, each row of a tensor of two or more dimensions is stored as whole numbers within ±127 and one 16-bit
    factor; tensors of fewer dimensions are stored with 16 bits.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()}
    if bits < 32:
        tensors = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    if bits == 8:
        tensors = _packed(tensors)
    header = {
        "kind": checkpoint.kind,
        "config": json.dumps(checkpoint.config),
        "recipe": json.dumps(checkpoint.recipe),
    }
    with replacing(path) as partial:
        save_file(tensors, partial, metadata=header)
        _sort_metadata(partial)


def _sort_metadata(path: Path) -> None:
    """Sort the metadata in a file's header, which safetensors writes in a random order: equal contents, equal files."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        file.seek(8)
        file.write(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length))


def _packed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    packed = dict(tensors)
    for name, value in tensors.items():
        if value.is_floating_point() and value.ndim > 1:
            rows = value.float().flatten(1)
            scale = (rows.abs().amax(1, keepdim=True) / BYTE).clamp(min=TINY).half()
            packed[name] = (rows / scale.float()).round().clamp(-BYTE, BYTE).to(torch.int8).view(value.shape)
            packed[name + SCALE] = scale
    return packed


def _unpacked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Undo `_packed`, and convert floating-point tensors to float32."""
    unpacked = {name: _single(value) for name, value in tensors.items() if not name.endswith(SCALE)}
    for name, scale in tensors.items():
        if name.endswith(SCALE):
            value = unpacked[name := name.removesuffix(SCALE)]
            if value.ndim < 2 or scale.shape != (len(value), 1) or value.is_complex():
                raise ValueError(f"the factors of {name} do not fit")
            unpacked[name] = (value.float().flatten(1) * scale.float()).view(value.shape)
    return unpacked


def _single(value: Tensor) -> Tensor:
    return value.to(torch.float32) if value.is_floating_point() else value
