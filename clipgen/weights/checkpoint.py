"""Checkpoints as data: tensors, the config that builds their network, the recipe that trained them, in one file."""

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

from clipgen.errors import ClipgenError, WeightsMissingError
from clipgen.util.files import replacing
from clipgen.weights.registry import STARTER, network_path

Built = TypeVar("Built", bound=nn.Module)

SCALE = "|scale"
"""Ends the name of what the rows of an 8-bit matrix are to be multiplied by."""
BYTE, TINY = 127, 1e-7


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds.

    kind: which network it builds ("clip", "vqgan", "dvae", "feature-prior", "sketcher", "painter").
    config: the arguments of that network, JSON values only.
    tensors: its state dict.
    recipe: how it was trained (command, seed, steps, metrics), JSON values only.
    """

    kind: str
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    recipe: dict[str, Any] = field(default_factory=dict)


def find(name: str) -> Path:
    """The file of the weights called `name`: "starter/clip" inside the package, or else a path.

    Raises WeightsMissingError if there is no such file.
    """
    path = network_path(name) if name.startswith(STARTER) else Path(name)
    if not path.is_file():
        raise WeightsMissingError(f"the weights '{name}' are missing: there is no file {path.name}; reinstall clipgen")
    return path


def read(path: Path) -> Checkpoint:
    """Read a checkpoint; tensors come as float32. Raises ClipgenError if the file is not one of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = _unpacked({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 (not a mapping)
        config, recipe = json.loads(header["config"]), json.loads(header.get("recipe", "{}"))
        kind = header["kind"]
    except (SafetensorError, KeyError, RuntimeError, json.JSONDecodeError) as error:
        raise ClipgenError(f"{path.name} is not a clipgen checkpoint: {error}") from error
    return Checkpoint(kind, config, tensors, recipe)


def build(checkpoint: Checkpoint, kind: str, make: Callable[[dict[str, Any]], Built]) -> Built:
    """What `make` builds of a checkpoint's config, with the weights in it.

    Raises ClipgenError if the checkpoint is not of that kind, or of another version of it.
    """
    if checkpoint.kind != kind:
        raise ClipgenError(f"a checkpoint of kind '{checkpoint.kind}' is no {kind.replace('-', ' ')}")
    module = make(checkpoint.config)
    try:
        module.load_state_dict(checkpoint.tensors)
    except RuntimeError as error:
        name = kind.replace("-", " ")
        raise ClipgenError(f"this {name} is of another version of clipgen: train it again, or reinstall") from error
    return module


def write(path: Path, checkpoint: Checkpoint, bits: int = 32) -> None:
    """Write a checkpoint atomically, its floating tensors in 32, 16 or 8 bits a number.

    In 8 bits each row of a matrix is stored as whole numbers within ±127 and one number that they are to be multiplied
    by; all that has a single dimension keeps 16 bits.
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
    """Tensors as they were packed or not, those of floating numbers in float32."""
    unpacked = {name: _single(value) for name, value in tensors.items() if not name.endswith(SCALE)}
    for name, scale in tensors.items():
        if name.endswith(SCALE):
            value = unpacked[name := name.removesuffix(SCALE)]
            unpacked[name] = (value.float().flatten(1) * scale.float()).view(value.shape)
    return unpacked


def _single(value: Tensor) -> Tensor:
    return value.to(torch.float32) if value.is_floating_point() else value
