"""CLIP-guided text-to-image: `clipgen.generate("a cat").save("cat.png")`. Importing the package loads no model code."""

from typing import TYPE_CHECKING, Any

from clipgen.config.job import Job
from clipgen.errors import ClipgenError

if TYPE_CHECKING:
    from clipgen.session.api import Result, Settings, generate

__all__ = ["ClipgenError", "Job", "Result", "Settings", "__version__", "generate"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load `generate` and its types, and with them torch, when they are first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from clipgen.session import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
