"""A film that draws the picture of a run stroke by stroke, in place of the steps of the run."""

import tempfile
from pathlib import Path

from clipgen.core.contracts import Outcome, Step
from clipgen.outputs.film import FilmSink, Schedule, schedule
from clipgen.outputs.footage import Footage
from clipgen.outputs.svg import drawn_in
from clipgen.util.images import to_pil


class StrokeFilmSink(FilmSink):
    """Writes to `path` a film of the last drawing: at first blank paper, and then ever more of its strokes.

    All frames are made at the end, so that a resumed run needs none of those before.
    """

    def close(self, outcome: Outcome) -> None:
        if self._last is not None and outcome is not Outcome.FAILED:
            self._on_stage(f"writing {self.path.name}")
            self._attempt(self._draw)
        super().close(outcome)

    def _film_last(self) -> None:
        """Do nothing: no step is a frame."""

    def _draw(self) -> None:
        drawing = None if self._last is None else drawn_in(self._last)
        if drawing is None or self._last is None:
            raise OSError("the picture was not drawn in strokes")
        self._private = tempfile.TemporaryDirectory(prefix="clipgen-", ignore_cleanup_errors=True)
        self._footage = Footage(Path(self._private.name), self._kind)
        for count in sorted(self._schedule(self._last).steps):
            self._footage.add(count, to_pil(drawing.image(count)))
        self._filmed = self._last.index

    def _schedule(self, step: Step) -> Schedule:
        drawing = drawn_in(step)
        return schedule(0 if drawing is None else len(drawing), self.path.suffix, self._timing)
