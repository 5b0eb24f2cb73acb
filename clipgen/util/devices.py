"""The torch device that `--device` selects on this machine, and what differs between kinds of devices."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clipgen.errors import UsageError, unknown_value

if TYPE_CHECKING:
    import torch

FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"
"""The variable that lets torch compute on the CPU what it lacks on Apple's GPUs."""

if sys.platform == "darwin" and "torch" not in sys.modules:  # torch reads it once, when it is imported
    os.environ.setdefault(FALLBACK, "1")


def pick_device(text: str) -> str:
    """Return the torch device that `text` selects: auto, cpu, cuda, cuda:N or mps; UsageError if there is none.

    auto: a GPU of CUDA, else Apple's, else the CPU.
    """
    wish = re.fullmatch(r"auto|cpu|mps(?::0)?|cuda(?::([0-9]{1,3}))?", text)
    if wish is None:
        raise unknown_value("--device", text, ("auto", "cpu", "cuda", "cuda:0", "mps"))
    if text == "cpu":
        return text
    gpus = _cuda_count()
    if text == "auto":
        return "cuda" if gpus else "mps" if has_mps() else "cpu"
    if text.startswith("mps"):
        if not has_mps():
            raise UsageError(
                f"--device {text}: torch finds no GPU of Apple's on this machine; use --device cpu or --device auto"
            )
        return "mps"
    if not gpus:
        raise UsageError(f"--device {text}: torch finds no GPU on this machine; use --device cpu or --device auto")
    if int(wish[1] or 0) >= gpus:
        raise UsageError(f"--device {text}: this machine has only cuda:0 to cuda:{gpus - 1}")
    return text


def gpu_count() -> int:
    """Return the number of GPUs that torch can use."""
    return _cuda_count() or int(has_mps())


def has_mps() -> bool:
    """Tell whether torch can use a GPU of Apple's."""
    import torch

    return torch.backends.mps.is_available()


def computes_bf16(text: str) -> bool:
    """Tell whether the device that `text` selects, as for `pick_device`, multiplies matrices of bfloat16 at speed."""
    import torch

    device = torch.device(pick_device(text))
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        return any(has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name)
    return False


def fallback_note(device: torch.device) -> str | None:
    """Return what users of a device should know of operations that it lacks; None if there is nothing."""
    if device.type != "mps":
        return None
    if os.environ.get(FALLBACK) == "1":
        return "device mps: what torch lacks on Apple's GPUs is computed on the CPU"
    return f"device mps: if torch lacks an operation, set {FALLBACK}=1 before Python starts, or use --device cpu"


@contextmanager
def tensor_float_32(allowed: bool) -> Iterator[None]:
    """Allow, or not, CUDA's products of float32 to round their factors to TF32 inside the block."""
    import torch

    kinds: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [kind.allow_tf32 for kind in kinds]
    try:
        for kind in kinds:
            kind.allow_tf32 = allowed
        yield
    finally:
        for kind, value in zip(kinds, before, strict=True):
            kind.allow_tf32 = value


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def release_memory(device: torch.device) -> None:
    """Give back memory of a device that torch holds without using it."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def free_memory(device: torch.device) -> int | None:
    """Return the free bytes of a GPU's memory; None for the CPU."""
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return max(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory(), 0)
    return None


def in_single(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Return the module, with 64-bit numbers made 32-bit ones for a device without these."""
    import torch

    if device.type == "mps":
        for value in (*module.parameters(), *module.buffers()):
            if value.dtype is torch.float64:
                value.data = value.data.float()
    return module


def _cuda_count() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
