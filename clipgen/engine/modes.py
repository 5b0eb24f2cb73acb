"""A run is the same in whatever mode of torch its caller is: modes are set aside, in the thread of the run only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DRAWS = frozenset({torch.rand, torch.randn})
_FACTORIES = frozenset(
    {
        torch.arange,
        torch.as_tensor,
        torch.empty,
        torch.eye,
        torch.full,
        torch.linspace,
        torch.ones,
        torch.tensor,
        torch.zeros,
    }
)


@contextmanager
def usual_modes() -> Iterator[None]:
    """Compute with gradients, in float32 and without autocast, also inside `torch.inference_mode()` and the like."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda", "mps"):
            stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_dtype() is not torch.float32:
            stack.enter_context(_SinglePrecision())
        yield


class _SinglePrecision(TorchFunctionMode):
    """New tensors of floats are float32, whatever torch's default is, which belongs to all threads of the process."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in _DRAWS and given.get("dtype") is None:
            return func(*args, **{**given, "dtype": torch.float32})
        made = func(*args, **given)
        if func in _FACTORIES and given.get("dtype") is None and made.dtype is torch.get_default_dtype():
            return func(*args, **{**given, "dtype": torch.float32})
        return made
