"""CLIP-guided text-to-image: `clipgen.generate("a cat").image`. Importing this package loads no model code."""

from typing import TYPE_CHECKING, Any

from clipgen.config.job import Job
from clipgen.errors import ClipgenError

if TYPE_CHECKING:
    from clipgen.session.api import generate

__all__ = ["ClipgenError", "Job", "__version__", "generate"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load `generate`, and with it torch, when it is first asked for."""
    if name != "generate":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from clipgen.session.api import generate

    return generate
