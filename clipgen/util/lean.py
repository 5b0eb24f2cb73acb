"""Quicker imports: a library that only mentions torch's compiler need not load it. Torch-free."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


@contextmanager
def without_compiler() -> Iterator[None]:
    """Import libraries inside the block without loading torch's compiler, a third of the time that all imports take.

    torchvision and timm load it only to exclude some of their functions from being compiled, which concerns programs
    that compile. After the block it can be loaded as ever. Does nothing if it is loaded already.
    """
    if COMPILER in sys.modules:
        yield
        return
    stand_ins = {COMPILER: ModuleType(COMPILER), f"{COMPILER}.utils": ModuleType(f"{COMPILER}.utils")}
    stand_ins[COMPILER].__dict__.update(__path__=[], disable=_unchanged)
    stand_ins[f"{COMPILER}.utils"].__dict__.update(is_compile_supported=lambda _device: False)
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)
        if torch := sys.modules.get("torch"):
            torch.__dict__.pop("_dynamo", None)


def _unchanged(function: Callable[..., Any] | None = None, *_: object, **__: object) -> Callable[..., Any]:
    """Return a function as it is; called without one, as a decorator with arguments, return that decorator."""
    return (lambda decorated: decorated) if function is None else function
