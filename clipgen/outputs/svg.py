"""The drawing of a run as an SVG file beside its picture, written atomically."""

from collections.abc import Callable
from os import SEEK_END
from pathlib import Path

from clipgen.core.contracts import Outcome, Step
from clipgen.generators.vector import Drawing, DrawnStep
from clipgen.outputs.picture import Sign, reason_of, sign_file
from clipgen.outputs.xmp import packet
from clipgen.util.files import replacing

END = b"</svg>\n"


class SvgSink:
    """Writes the last drawing of a run to `path`, even if the run was interrupted.

    claim: as for `PictureSink`; source: the DigitalSourceType that the drawing is to have, empty for none.
    A file that cannot be written costs nothing else: `problem` then says why.
    """

    def __init__(
        self,
        path: Path,
        claim: Callable[[Path, Path], None] = lambda _partial, _path: None,
        source: str = "",
    ) -> None:
        self.path = path
        self.problem: str | None = None
        self.signed: Sign | None = None
        """Signs the file of the last drawing."""
        self._claim = claim
        self._about = packet(source).decode()
        self._last: Drawing | None = None

    def on_step(self, step: Step) -> None:
        self._last = drawn_in(step)

    def keep(self, _done: int) -> None:
        """Write the drawing so far, in case the run is killed."""
        if self._last is not None:
            self._write(self._last)

    def close(self, outcome: Outcome) -> None:
        if self._last is not None and outcome is not Outcome.FAILED:
            self._write(self._last, self.signed)

    def _write(self, drawing: Drawing, signed: Sign | None = None) -> None:
        self.problem = None
        try:
            with replacing(self.path) as partial:
                partial.write_text(drawing.svg(self._about), encoding="utf-8")
                if reason := sign_file(partial, signed):
                    self.problem = f"the drawing {self.path} is not signed: {reason}"
                self._claim(partial, self.path)
        except Exception as error:  # whatever it is, it is no reason to lose the picture
            self.problem = f"the drawing {self.path} was not written: {reason_of(error)}"


def drawn_in(step: Step) -> Drawing | None:
    """Return the drawing of a step; None if its generator makes none."""
    return step.drawing if isinstance(step, DrawnStep) else None


def is_whole_svg(path: Path) -> bool:
    """Tell whether a file is there and ends as a drawing does."""
    try:
        with path.open("rb") as file:
            file.seek(-len(END), SEEK_END)
            return file.read() == END
    except OSError:
        return False
