"""The last picture of a run as a file with its own recipe, written atomically."""

import contextlib
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL.Image import Image
from torch import Tensor

from clipgen.config.plan import Plan
from clipgen.config.saving import AS_PNG, Saving
from clipgen.core.contracts import Outcome, Step
from clipgen.errors import ClipgenError
from clipgen.outputs.metadata import describe_plan, describe_run
from clipgen.outputs.picture_file import write_picture
from clipgen.util.files import replacing, slug
from clipgen.util.images import to_pil

Sign = Callable[[bytes], bytes]
"""Returns a file with a signature; it may raise anything."""


class PictureSink:
    """Writes the last picture of the run of `plan` to `path`, even if the run was interrupted.

    described: the result of `describe_plan`, for a plan whose init image may have moved.
    saving: the format of the file, and what it says of the picture.
    claim: called with the complete file and `path`, which it is about to replace; raises OSError if it must not.
    """

    def __init__(
        self,
        path: Path,
        plan: Plan,
        *,
        described: dict[str, Any] | None = None,
        saving: Saving = AS_PNG,
        claim: Callable[[Path, Path], None] = lambda _partial, _path: None,
    ) -> None:
        self.path = path
        self.record: dict[str, Any] = {}
        """The plan and the outcome; empty until the last picture stands at `path`."""
        self.finish: Callable[[Image], Image] = lambda image: image
        """Makes the picture of a finished run out of what was drawn; it may raise anything."""
        self.signed: Sign | None = None
        """Signs the file of the last picture."""
        self.problem: str | None = None
        """Why the last picture could not be written."""
        self._claim = claim
        self._plan = plan
        self._saving = saving
        # Read now, as the init image may change or disappear during the run.
        self._described = described or describe_plan(plan)
        self._last: Step | None = None

    def on_step(self, step: Step) -> None:
        self._last = step

    def close(self, outcome: Outcome) -> None:
        """Write the picture; raises ClipgenError if the file cannot be written."""
        if self._last is None or outcome is Outcome.FAILED:
            return
        image = to_pil(self._last.image)
        if outcome is Outcome.FINISHED:
            image, outcome = self._finished(image)
        try:
            self.record = self._publish(image, self._last, outcome, sign=True)
        except Exception as error:  # whatever it is, the picture may still be saved elsewhere, and costs no other one
            reason, place = reason_of(error), self._save_elsewhere(image, self._last, outcome)
            self.problem = f"the picture {self.path} could not be written: {reason}{place}"
            raise ClipgenError(self.problem) from error
        if self.problem:
            raise ClipgenError(self.problem)

    def keep(self, _done: int) -> None:
        """Write the picture so far, in case the run is killed. Raises OSError."""
        if self._last is not None:
            self._publish(to_pil(self._last.image), self._last, Outcome.INTERRUPTED)

    def _finished(self, image: Image) -> tuple[Image, Outcome]:
        """Return the finished picture; if it cannot be finished, what was drawn, which a resumed run can finish."""
        try:
            return self.finish(image), Outcome.FINISHED
        except Exception as error:  # such as no memory
            self.problem = f"the picture {self.path} is as it was drawn, not enlarged: {reason_of(error)}"
            return image, Outcome.INTERRUPTED

    def _publish(self, image: Image, step: Step, outcome: Outcome, *, sign: bool = False) -> dict[str, Any]:
        """Write the picture at `path`, and return its record."""
        with replacing(self.path) as partial:
            record = self._write(partial, image, step, outcome)
            if sign and (reason := sign_file(partial, self.signed)):
                self.problem = f"the picture {self.path} is not signed: {reason}"
            self._claim(partial, self.path)
        return record

    def _save_elsewhere(self, image: Image, step: Step, outcome: Outcome) -> str:
        """Save the picture in the folder for temporary files; returns the end of the error message that says where."""
        place = None
        try:
            descriptor, name = tempfile.mkstemp(prefix=f"{slug(self.path.stem)}-", suffix=self.path.suffix)
            os.close(descriptor)
            place = Path(name)
            self._write(place, image, step, outcome)
            return f"; it is saved as {place}"
        except Exception:
            if place is not None:
                with contextlib.suppress(OSError):
                    place.unlink()
            return ""

    def _write(self, path: Path, image: Image, step: Step, outcome: Outcome) -> dict[str, Any]:
        record = record_of(self._described, self._plan, step, outcome)
        write_picture(path, image, self._plan, record, self._saving)
        return record


def record_of(described: dict[str, Any], plan: Plan, step: Step, outcome: Outcome) -> dict[str, Any]:
    """Return the record of the picture of `plan` that ended at `step`; described: the result of `describe_plan`."""
    return describe_run(
        described,
        outcome=outcome,
        steps_done=step.index,
        score=_number(step.score),
        loss=_number(step.loss),
        cutouts_at_once=step.cutouts_at_once if step.cutouts_at_once < plan.cutouts else None,
    )


def reason_of(error: Exception) -> str:
    """Return why something could not be written, in a few words; an error that nobody expects is named by its type."""
    if isinstance(error, OSError):
        return str(error.strerror or error)
    return ": ".join(filter(None, (type(error).__name__, str(error))))


def sign_file(path: Path, signed: Sign | None) -> str:
    """Have a file signed; returns why that failed, and then it stays as it is. Raises OSError."""
    if signed is None:
        return ""
    plain = path.read_bytes()
    try:
        made = signed(plain)
    except Exception as error:  # such as a certificate that has expired meanwhile
        return reason_of(error)
    path.write_bytes(made)
    return ""


def _number(value: Tensor) -> float:
    """Return a number that JSON can hold: 0 if the run diverged."""
    number = float(value)
    return number if math.isfinite(number) else 0.0
