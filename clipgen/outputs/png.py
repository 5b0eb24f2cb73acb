"""The picture as a PNG file that carries its own recipe, written once, at the end, in one step."""

import math
import tempfile
from pathlib import Path
from typing import Any

from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.core.contracts import Outcome, Step
from clipgen.errors import ClipgenError
from clipgen.outputs.metadata import describe_plan, describe_run, png_chunks
from clipgen.util.files import replacing
from clipgen.util.images import to_pil


class PngSink:
    """Writes the last picture of the run of `plan` to `path`, also where the run was interrupted.

    described: what `describe_plan` says of the plan, where its init image may no longer be at its place.
    Without `metadata` the file holds the pixels and nothing else.
    """

    def __init__(
        self, path: Path, plan: Plan, *, described: dict[str, Any] | None = None, metadata: bool = True
    ) -> None:
        self.path = path
        self.record: dict[str, Any] = {}
        """What was planned and what came of it; empty until the picture is written."""
        self._plan = plan
        self._metadata = metadata
        self._described = described or describe_plan(
            plan
        )  # read now: the init image may change or go while the run lasts
        self._last: Step | None = None

    def on_step(self, step: Step) -> None:
        self._last = step

    def close(self, outcome: Outcome) -> None:
        """`ClipgenError` where the file cannot be written."""
        if self._last is None or outcome is Outcome.FAILED:
            return
        try:
            self._publish(self._last, outcome)
        except OSError as error:
            reason, place = error.strerror or error, self._save_elsewhere(self._last, outcome)
            raise ClipgenError(f"the picture {self.path} could not be written: {reason}{place}") from error

    def keep(self, _done: int) -> None:
        """Write the picture as it is so far, for the case that the run is killed. Raises OSError."""
        if self._last is not None:
            self._publish(self._last, Outcome.INTERRUPTED)

    def _publish(self, step: Step, outcome: Outcome) -> None:
        with replacing(self.path) as partial:
            self._write(partial, step, outcome)

    def _save_elsewhere(self, step: Step, outcome: Outcome) -> str:
        """Save the picture among the temporary files; returns the end of a sentence that says so, if it could be."""
        try:
            with tempfile.NamedTemporaryFile(prefix=f"{self.path.stem}-", suffix=".png", delete=False) as file:
                self._write(Path(file.name), step, outcome)
            return f"; it is saved as {file.name}"
        except OSError:
            return ""

    def _write(self, path: Path, step: Step, outcome: Outcome) -> None:
        self.record = describe_run(
            self._described,
            outcome=outcome,
            steps_done=step.index,
            score=_number(step.score),
            loss=_number(step.loss),
            cutouts_at_once=step.cutouts_at_once if step.cutouts_at_once < self._plan.cutouts else None,
        )
        chunks = png_chunks(self._plan, self.record) if self._metadata else None
        to_pil(step.image).save(path, format="PNG", pnginfo=chunks)


def _number(value: Tensor) -> float:
    """A number that JSON can hold: 0 where the run diverged."""
    number = float(value)
    return number if math.isfinite(number) else 0.0
