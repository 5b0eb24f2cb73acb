"""How a finished picture is enlarged. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from clipgen.config.checks import check_whole
from clipgen.config.settings import check_model
from clipgen.errors import UsageError
from clipgen.util.text import quoted
from clipgen.weights import registry
from clipgen.weights.upscaler_records import BY_FACTOR, KIND

if TYPE_CHECKING:
    from clipgen.config.job import Job
    from clipgen.config.plan import Plan

FACTORS = (1, 2, 4)
LANCZOS = "lanczos"
"""Stands for no network, in `--upscaler`."""
MAX_PIXELS = 50_000_000
"""Of a picture that was enlarged: as many as clipgen reads of any picture."""
PACKAGE = "spandrel"
"""What knows the networks."""


@dataclass(frozen=True)
class UpscaleSettings:
    """How often as wide and as high a finished picture becomes, and by which network."""

    factor: int
    network: str = ""
    """Its name; empty for Lanczos."""

    def __post_init__(self) -> None:
        check_factor(self.factor)
        if self.network:
            check_model("--upscaler", self.network)
            if not self.network.startswith(f"{KIND}/"):
                raise UsageError(f"--upscaler {quoted(self.network)} is no network that enlarges pictures")


def check_factor(factor: object) -> None:
    """Raise a UsageError unless a picture can be enlarged by a factor; 1 is for not at all."""
    if factor not in FACTORS or isinstance(factor, bool):
        raise UsageError(f"--upscale must be 2 or 4, or 1 for not at all, got {quoted(factor)}")


def check_asked(factor: int | None, upscaler: str | None) -> None:
    """Raise a UsageError unless what a job asks for is possible."""
    if factor is not None:
        check_factor(factor)
    if upscaler is None:
        return
    if factor in (None, 1):
        raise UsageError(f"--upscaler {upscaler} is for --upscale; add --upscale 4")
    if upscaler != LANCZOS:
        registry.check_name("--upscaler", upscaler, KIND)


def check_rows(rows: tuple[UpscaleSettings, ...], size: tuple[int, int]) -> None:
    """Raise a UsageError unless a picture of `size` can be enlarged like this."""
    check_whole("plan: the number of upscales", len(rows), 0, 1)
    for row in rows:
        width, height = (side * row.factor for side in size)
        if width * height > MAX_PIXELS:
            raise UsageError(
                f"--upscale {row.factor} of {size[0]}x{size[1]} is {width}x{height}, more than {MAX_PIXELS:,} pixels; "
                "use a smaller --size or --upscale"
            )


def final_size(plan: Plan) -> tuple[int, int]:
    """Return width and height of the finished picture."""
    factor = plan.upscale[0].factor if plan.upscale else 1
    return plan.size[0] * factor, plan.size[1] * factor


def upscale_of(job: Job) -> tuple[tuple[UpscaleSettings, ...], list[str]]:
    """Return how a job's picture is to be enlarged, and a note if that is not by a network that was named.

    Without a name it is the recorded network of the factor, if it is here, else Lanczos.
    """
    factor, named = job.upscale or 1, job.upscaler
    if factor == 1:
        return (), []
    if named is not None:
        return (UpscaleSettings(factor, "" if named == LANCZOS else named),), []
    usual = BY_FACTOR[factor]
    has_package, has_file = find_spec(PACKAGE) is not None, not registry.missing([usual])
    if has_package and has_file:
        return (UpscaleSettings(factor, usual),), [f"--upscale {factor}: by {usual}, which is installed"]
    steps = [] if has_package else ['pip install "clipgen[upscale]"']
    steps += [] if has_file else [f"clipgen models pull {usual}"]
    note = f"--upscale {factor}: by Lanczos, which adds no detail; for a network that does: {' && '.join(steps)}"
    return (UpscaleSettings(factor),), [note]


def asked_of(rows: tuple[UpscaleSettings, ...]) -> dict[str, Any]:
    """Return the fields of a job that ask for what a plan has."""
    return {"upscale": row.factor, "upscaler": row.network or LANCZOS} if (row := next(iter(rows), None)) else {}


def named(job: Job) -> tuple[str, ...]:
    """Return the network that a job names to enlarge its picture, if it does."""
    return (job.upscaler,) if job.upscaler and job.upscaler != LANCZOS else ()
