"""CLIP-guided text-to-image: `clipgen.generate("a cat").save("cat.png")`. Importing the package loads no model code."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # as typing has it, whose import takes longer than that of the rest, and Ctrl-C would show it
    from typing import Any

    from clipgen.config.job import Job
    from clipgen.errors import ClipgenError
    from clipgen.session.api import Progress, Result, Settings, Step, generate

__all__ = ["ClipgenError", "Job", "Progress", "Result", "Settings", "Step", "__version__", "generate"]
__version__ = "0.1.0"


_PLACES = {"ClipgenError": "clipgen.errors", "Job": "clipgen.config.job"}


def __getattr__(name: str) -> Any:
    """Load what is public when it is first asked for; `generate` and its types load torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES.get(name, "clipgen.session.api")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
