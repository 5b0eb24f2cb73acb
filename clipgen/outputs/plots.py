"""Plots of evaluations. They need Matplotlib, an extra of the package."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from clipgen.core.contracts import Outcome, Step
from clipgen.errors import UsageError
from clipgen.outputs.steps import is_due
from clipgen.util.files import replacing, reserved
from clipgen.util.images import to_pil

SIZE = (7.0, 4.5)
"""Width and height in inches, at DPI pixels each."""
DPI = 120
MAX_LABEL = 40
Curves = Mapping[str, Sequence[float]]


def check_matplotlib(flag: str) -> None:
    """Raise a UsageError, which names the flag and the extra, unless Matplotlib is there."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f'{flag} needs Matplotlib, which is not installed; use pip install "clipgen[plots]"'
        ) from error


class StepImages:
    """A sink that keeps the pictures of every `every`-th step, the first and the last included."""

    def __init__(self, every: int) -> None:
        self.steps: list[int] = []
        self.images: list[Image.Image] = []
        self._every = every

    def on_step(self, step: Step) -> None:
        if is_due(step.index, step.total, self._every):
            self.steps.append(step.index)
            self.images.append(to_pil(step.image))

    def close(self, outcome: Outcome) -> None:
        """Keep what is there."""


@dataclass(frozen=True)
class Quality:
    """What an evaluation reached, and in which time."""

    name: str
    seconds: float
    value: float
    low: float
    high: float


def plot_curves(
    folder: Path, stem: str, steps: Mapping[str, Sequence[int]], judge: Curves, guide: Curves, names: tuple[str, str]
) -> Path:
    """Write a plot of the scores over the steps, by prompt: solid by the judge, dashed by the guide; returns its path.

    names: of the judge and of the guide.
    """
    with _figure(folder, f"{stem}-steps") as (axes, path):
        for number, (prompt, where) in enumerate(steps.items()):
            colour = f"C{number}"
            axes.plot(where, judge[prompt], color=colour, marker=".", label=prompt[:MAX_LABEL])
            if prompt in guide:
                axes.plot(where, guide[prompt], color=colour, linestyle="--")
        axes.set(xlabel="step", ylabel="score", title=f"solid: {names[0]}" + (f"; dashed: {names[1]}" * bool(guide)))
        axes.legend(fontsize="small")
    return path


def plot_quality(folder: Path, stem: str, measure: str, found: Sequence[Quality]) -> Path:
    """Write a plot of a measure, with its intervals, over the seconds a picture, which count up logarithmically."""
    with _figure(folder, stem) as (axes, path):
        for number, each in enumerate(found):
            away = [[each.value - each.low], [each.high - each.value]]
            axes.errorbar(
                [each.seconds], [each.value], yerr=away, fmt="o", capsize=3, color=f"C{number}", label=each.name
            )
        axes.set(xlabel="seconds a picture", ylabel=measure, xscale="log")
        axes.legend(fontsize="small")
    return path


@contextlib.contextmanager
def _figure(folder: Path, stem: str) -> Iterator[tuple[Any, Path]]:
    """Yield the axes of a figure, and the path as which it is written at the end, under a number if it is taken."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    with reserved(folder, stem, (".png",)) as paths:
        yield figure.subplots(), paths[".png"]
        with replacing(paths[".png"]) as partial:
            figure.savefig(partial, format="png")
