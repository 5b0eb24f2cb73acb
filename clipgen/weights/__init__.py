"""Weights: their files, the published ones to download, a user's own to import. Importing this loads no torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipgen.weights.checkpoint import Checkpoint, build, find, read, write

__all__ = ["Checkpoint", "build", "find", "read", "write"]


def __getattr__(name: str) -> Any:
    """Load the reader of checkpoints, and with it torch, when a part of it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("clipgen.weights.checkpoint"), name)
