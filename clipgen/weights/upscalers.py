"""Networks that enlarge pictures, from any file whose architecture spandrel knows, by their tensors alone.

Files are read by clipgen's own readers, which run nothing that is in them; spandrel gets the tensors and tells the
architecture by their names and shapes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from clipgen.errors import ClipgenError, UsageError
from clipgen.util.text import one_line, quoted
from clipgen.weights.cache import sha256_of
from clipgen.weights.checkpoint import Checkpoint
from clipgen.weights.foreign import read_foreign
from clipgen.weights.upscaler_records import KIND

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

WRAPPERS = ("params_ema.", "params-ema.", "params.", "model_state_dict.", "state_dict.", "module.", "netG.")
"""Where a network lies in a file, the best first: its moving averages are what is meant to be used."""
OTHER_WRAPPERS = ("model.", "net.")
"""Likewise; but these also begin the names inside some networks."""
MAX_VALUES = 500_000_000
"""Numbers in a network: ten times as many as the largest that are published have."""
SLACK = 1 << 20
MAX_REASON = 200


def convert_upscaler(path: Path) -> Checkpoint:
    """Read the tensors of a network that enlarges pictures, in float32. Raises ClipgenError."""
    tensors = _inner(read_foreign(path), WRAPPERS)
    floats = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    if not floats or sum(tensor.numel() for tensor in floats.values()) > MAX_VALUES:
        raise ClipgenError(f"{path.name} has no network in it, or one of more than {MAX_VALUES:,} numbers")
    copies = {name: tensor.to(torch.float32).contiguous().clone() for name, tensor in floats.items()}
    for name, tensor in copies.items():
        if not tensor.isfinite().all():
            raise ClipgenError(f"{path.name} is damaged: {quoted(name)} has numbers that are not finite")
    _check_numbers(copies, path.name)
    identity = {"file": path.name, "size": path.stat().st_size, "sha256": sha256_of(path)}
    return Checkpoint(KIND, {}, copies, {"converted_from": [identity]})


def build_upscaler(tensors: Mapping[str, Tensor], name: str) -> ImageModelDescriptor:
    """Return what spandrel makes of tensors, on the CPU, in float32. Raises UsageError, which calls the network `name`.

    That is a network from RGB to RGB that enlarges.
    """
    try:
        from spandrel import ImageModelDescriptor, ModelLoader
    except ImportError as error:
        raise UsageError(
            f'--upscaler {name} needs spandrel, which is not installed; use pip install "clipgen[upscale]", or '
            "--upscaler lanczos"
        ) from error
    try:
        with _bounded(sum(tensor.numel() for tensor in tensors.values())):
            found = ModelLoader("cpu").load_from_state_dict(_known(tensors))
    except Exception as error:  # whatever a file makes of an architecture
        reason = one_line(str(error), MAX_REASON) or type(error).__name__
        raise UsageError(f"--upscaler {name} is no network that spandrel knows: {reason}") from error
    channels = (getattr(found, "input_channels", 0), getattr(found, "output_channels", 0))
    if not isinstance(found, ImageModelDescriptor) or channels != (3, 3) or found.scale < 2:
        raise UsageError(
            f"--upscaler {name} is a network for something else than enlarging pictures; name a Real-ESRGAN, say"
        )
    found.model.eval().requires_grad_(False)
    return found


def _known(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the tensors under names that spandrel knows an architecture by, if it does."""
    from spandrel import MAIN_REGISTRY

    inner = _inner(tensors, OTHER_WRAPPERS)
    for state in (dict(tensors), inner):
        if any(each.architecture.detect(state) for each in MAIN_REGISTRY.architectures()):
            return state
    return dict(tensors)


def _inner(tensors: Mapping[str, Tensor], wrappers: tuple[str, ...]) -> dict[str, Tensor]:
    """Return the tensors below the names of `wrappers`, without these."""
    found = dict(tensors)
    for wrapper in wrappers:
        inside = {name.removeprefix(wrapper): each for name, each in found.items() if name.startswith(wrapper)}
        found = inside or found
    return found


def _check_numbers(tensors: Mapping[str, Tensor], name: str) -> None:
    """Raise ClipgenError if a tensor is called the millionth of a few: architectures build what the highest says."""
    highest = max((int(part) for key in tensors for part in re.findall(r"\d{1,18}", key)), default=0)
    if highest > len(tensors) + 16:
        raise ClipgenError(f"{name} is damaged: it has {len(tensors)} tensors, and one is called number {highest}")


@contextmanager
def _bounded(values: int) -> Iterator[None]:
    """Raise ClipgenError as soon as this thread has built modules of twice as many numbers as the file has."""
    built, here = 0, threading.get_ident()

    def count(_module: nn.Module, _name: str, parameter: Tensor | None) -> None:
        nonlocal built
        if parameter is None or threading.get_ident() != here:
            return
        built += parameter.numel()
        if built > 2 * values + SLACK:
            raise ClipgenError("its tensors are only a small part of the network that their names promise")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()
