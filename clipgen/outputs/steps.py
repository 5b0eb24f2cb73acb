"""Pictures of single steps of a run, numbered, in a folder of their own."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from clipgen.config.plan import Plan
from clipgen.config.saving import AS_PNG, PNG, Saving
from clipgen.core.contracts import Outcome, Step
from clipgen.outputs.picture import reason_of, record_of
from clipgen.outputs.picture_file import write_picture
from clipgen.outputs.whole import is_whole_film
from clipgen.util.files import partial_path, publish
from clipgen.util.images import to_pil


class StepPictures:
    """Writes the picture after every `every` steps, the start and the last step included, as `folder`/000050.png.

    The step at which a run is stopped is not among them: it shows its final picture, which the resumed run does not
    pass through. A resumed run writes the others anew from where it continues.

    scratch: a folder of the same file system, owned by the caller, for files that are being written.
    described, claim: as for `PictureSink`; saving: likewise, but for the format, which is PNG.

    A picture that cannot be written costs nothing else: `problem` then says why.
    """

    def __init__(
        self,
        folder: Path,
        scratch: Path,
        plan: Plan,
        every: int,
        *,
        described: dict[str, Any],
        saving: Saving = AS_PNG,
        claim: Callable[[Path, Path], None] = lambda _partial, _path: None,
    ) -> None:
        self.folder = folder
        self.written = 0
        """How many pictures were written."""
        self._scratch, self._plan, self._every = scratch, plan, every
        self._described, self._claim = described, claim
        self._saving = replace(saving, suffix=PNG, quality=None)
        self._last: Step | None = None
        self._done = -1
        self._failed = 0
        self._reason = ""

    @property
    def problem(self) -> str | None:
        """What went wrong: how many pictures were not written, and why the first was not."""
        if not self._failed:
            return None
        if self._failed == 1:
            return f"the step picture {self._reason}"
        return f"{self._failed} step pictures were not written; {self._reason}"

    def on_step(self, step: Step) -> None:
        self._write_last()
        self._last = step

    def keep(self, done: int) -> None:
        """Write the pictures before index `done` to disk; for when this is called, see `FilmSink`."""
        if self._last is not None and self._last.index < done:
            self._write_last()

    def close(self, outcome: Outcome) -> None:
        if outcome in (Outcome.FINISHED, Outcome.DIVERGED):
            self._write_last(outcome)

    def _write_last(self, outcome: Outcome = Outcome.INTERRUPTED) -> None:
        """Write the last step that was reported, if it is due."""
        step = self._last
        if step is None or step.index <= self._done:
            return
        if outcome is Outcome.INTERRUPTED and not is_due(step.index, step.total, self._every):
            return
        self._done = step.index
        path = self.folder / name_of(step.index)
        try:
            self._write(path, step, outcome)
            self.written += 1
        except Exception as error:  # whatever it is, it is no reason to lose the picture
            self._failed += 1
            self._reason = self._reason or f"{path} was not written: {reason_of(error)}"

    def _write(self, path: Path, step: Step, outcome: Outcome) -> None:
        partial = partial_path(self._scratch / path.name)
        record = record_of(self._described, self._plan, step, outcome)
        try:
            with partial.open("xb") as file:
                write_picture(file, to_pil(step.image), self._plan, record, self._saving)
            if self.folder.is_symlink():
                raise NotADirectoryError(f"{self.folder} is a link that was put there meanwhile")
            self._claim(partial, path)
            publish(partial, path)
        finally:
            with contextlib.suppress(OSError):  # published, or the folder is gone
                partial.unlink()


def is_due(index: int, total: int, every: int) -> bool:
    """Whether a step of a run of `total` steps has a picture."""
    return index % every == 0 or index == total


def name_of(index: int) -> str:
    """Return the file name of a step's picture."""
    return f"{index:06d}.png"


def has_all_steps(folder: Path, total: int, every: int) -> bool:
    """Whether the pictures of all steps of a run that is over are there, whole."""
    return all(is_whole_film(folder / name_of(index)) for index in range(total + 1) if is_due(index, total, every))
