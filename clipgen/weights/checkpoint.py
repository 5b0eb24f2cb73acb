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
from clipgen.naming import replacing
from clipgen.weights.shelf import STARTER, network_path

Built = TypeVar("Built", bound=nn.Module)


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
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        config, recipe = json.loads(header["config"]), json.loads(header.get("recipe", "{}"))
        kind = header["kind"]
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ClipgenError(f"{path.name} is not a clipgen checkpoint: {error}") from error
    return Checkpoint(kind, config, {name: _single(value) for name, value in tensors.items()}, recipe)


def build(checkpoint: Checkpoint, kind: str, make: Callable[[dict[str, Any]], Built]) -> Built:
    """What `make` builds of a checkpoint's config, with the weights in it.

    Raises ClipgenError if the checkpoint is not of that kind.
    """
    if checkpoint.kind != kind:
        raise ClipgenError(f"a checkpoint of kind '{checkpoint.kind}' is no {kind.replace('-', ' ')}")
    module = make(checkpoint.config)
    module.load_state_dict(checkpoint.tensors)
    return module


def write(path: Path, checkpoint: Checkpoint, half: bool = False) -> None:
    """Write a checkpoint atomically; `half` stores floating tensors as float16."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()}
    if half:
        tensors = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    header = {
        "kind": checkpoint.kind,
        "config": json.dumps(checkpoint.config),
        "recipe": json.dumps(checkpoint.recipe),
    }
    with replacing(path) as partial:
        save_file(tensors, partial, metadata=header)


def _single(value: Tensor) -> Tensor:
    return value.to(torch.float32) if value.is_floating_point() else value
