"""The film of a run, as MP4, WebM, GIF or APNG: frames go to disk during the run and become the film at its end."""

import contextlib
import io
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

from torch import Tensor

from clipgen.config.films import SECONDS, USUAL, Timing
from clipgen.config.motion import MotionSettings
from clipgen.core.contracts import Outcome, Step
from clipgen.outputs.ffmpeg import Encoder
from clipgen.outputs.film_marks import comment_of, mark_film
from clipgen.outputs.footage import PNG_STREAM, Digests, Footage, LostFramesError
from clipgen.outputs.picture import Sign, reason_of, sign_file
from clipgen.steering.camera import on_the_way
from clipgen.util.files import partial_path, publish
from clipgen.util.images import to_pil

MOVING_SECONDS = 12
"""The most for a moving run, whose every step is a frame if there is time: a camera has to glide."""
HOLD_SECONDS = 1
SLOWEST = 4
"""Pictures a second in a film of a run of few steps, unless its length is asked for."""

# GIF files get large, so they have a smaller size and fewer frames. palettegen keeps every distinct colour that it
# meets: reduced to 16 bits, which 256 colours cannot show anyway, it takes a second instead of a minute. The palette is
# made from whole frames: made from the changes between frames, it misses the colours of the last. It is made first and
# for itself, as ffmpeg would otherwise keep all frames in memory until it has seen the last.
_GIF_SIDE = 480
_SMALL = (
    f"scale=w='min({_GIF_SIDE},iw)':h='min({_GIF_SIDE},ih)':force_original_aspect_ratio=decrease:flags=lanczos,"
    "format=rgb565le,format=rgb24"
)
_PALETTE = ("-vf", f"{_SMALL},palettegen=stats_mode=full", "-c:v", "png", "-f", "image2", "-update", "1")
_DITHERED = f"[0:v]{_SMALL}[frames];[frames][1:v]paletteuse=dither=bayer:bayer_scale=3:diff_mode=rectangle"
# Without an explicit matrix, ffmpeg converts by BT.601 and players assume BT.709, which shifts the colours.
_YUV = "crop=trunc(iw/2)*2:trunc(ih/2)*2,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
_BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
# In this mode VP9 takes as long as H.264 does, and a third of what it takes otherwise, for larger files. Rows in
# parallel would make the file depend on the number of threads; columns do not. "bitexact" leaves out random numbers.
_VP9 = ("-c:v", "libvpx-vp9", "-crf", "24", "-b:v", "0", "-deadline", "realtime", "-cpu-used", "5")
_VP9_PARTS = ("-row-mt", "0", "-tile-columns", "2", "-fflags", "+bitexact")
_APNG = ("-vf", "setsar=1", "-c:v", "apng", "-pred", "mixed", "-compression_level", "3", "-plays", "0", "-f", "apng")


@dataclass(frozen=True)
class Format:
    """How ffmpeg encodes one kind of film."""

    arguments: tuple[str, ...]
    palette: tuple[str, ...] = ()
    """How it makes the palette, if there is one, which is then the second input."""


FORMATS = {
    ".mp4": Format(("-vf", _YUV, "-c:v", "libx264", "-crf", "18", *_BT709, "-movflags", "+faststart")),
    ".webm": Format(("-vf", f"{_YUV},setparams=color_primaries=bt709:color_trc=bt709", *_VP9, *_VP9_PARTS, *_BT709)),
    ".gif": Format(("-lavfi", _DITHERED, "-loop", "0"), _PALETTE),
    ".apng": Format(_APNG),
}
"""By suffix, as in `FPS`."""


@dataclass(frozen=True)
class Schedule:
    """Which steps of a run become frames, and how fast they are shown."""

    steps: frozenset[int]
    pace: Fraction
    """How many of these steps are shown in a second."""
    fps: Fraction
    """The frame rate; where it is higher than the pace, frames are repeated."""


@cache
def schedule(total: int, suffix: str, timing: Timing = USUAL) -> Schedule:
    """Spread the frames of a film evenly over steps 0 to `total`, both included.

    A frame rate or a length that was asked for is kept, however few steps there are.
    """
    top, wanted = timing.fps_of(suffix), timing.frames_of(suffix)
    count = min(total + 1, wanted)
    if count == wanted:
        pace = Fraction(top)
    elif timing.seconds:
        pace = Fraction(count) / Fraction(timing.seconds).limit_denominator(1000)
    else:
        pace = Fraction(max(min(round(count / SECONDS), top), min(top, SLOWEST)))
    return Schedule(
        steps=frozenset(round(frame * total / max(count - 1, 1)) for frame in range(count)),
        pace=pace,
        fps=pace if timing.fps is None else Fraction(top),
    )


@cache
def moving_schedule(total: int, suffix: str, timing: Timing = USUAL) -> Schedule:
    """Take every step from 0 to `total`, or every other, every third ..., for at most `MOVING_SECONDS`.

    A frame rate or a length that was asked for is kept.
    """
    top = timing.fps_of(suffix)
    apart = max(-(-total // round((timing.seconds or MOVING_SECONDS) * top)), 1)
    steps = frozenset(range(0, total + 1, apart))
    pace = Fraction(max(min(round(len(steps) / SECONDS), top), min(top, SLOWEST)))
    if timing.seconds:
        pace = min(Fraction(len(steps)) / Fraction(timing.seconds).limit_denominator(1000), Fraction(top))
    return Schedule(steps, pace, fps=pace if timing.fps is None else Fraction(top))


class FilmSink:
    """Writes the film of a run to `path`, whose suffix selects the format.

    `timing` is what the film is asked to have; it begins at the progress `since` of the run.

    `footage` is a folder, owned by the caller, for the frames. With it, a run that was stopped and resumed, however
    often, gives the same film as one that was not: a resumed run passes the same folder and, as `done`, the number of
    updates after which it continues. Without it, the frames go to a temporary folder, and the film of a resumed run
    begins where that run began. `motion` is that of the run, if it has one: frames show how far the camera has come.

    `on_stage` receives what is done in the end, which takes a moment. `digests` are as for `Footage`; a film whose
    frames could not be kept is noted there, too, so that no resumed run takes the others for all. `claim` is as for
    `PictureSink`; `source` is the DigitalSourceType that the film is to have, empty for none. `signed` signs its file.

    A film that cannot be written never harms the run: `problem` then says why, and nothing is left at `path`, unless
    only its signature failed.
    """

    def __init__(
        self,
        path: Path,
        footage: Path | None = None,
        done: int = 0,
        on_stage: Callable[[str], None] = lambda _stage: None,
        *,
        motion: MotionSettings | None = None,
        since: float = 0.0,
        timing: Timing = USUAL,
        digests: Digests | None = None,
        claim: Callable[[Path, Path], None] = lambda _partial, _path: None,
        source: str = "",
        signed: Sign | None = None,
    ) -> None:
        self.path = path
        self.problem: str | None = None
        self.is_lost = False
        """Whether the `problem` is that frames are lost, so that no resumed run can write the film either."""
        self._on_stage, self._claim, self._source, self._signed = on_stage, claim, source, signed
        self._kind = path.suffix.removeprefix(".")
        self._timing, self._digests, self._motion, self._since = timing, digests, motion, since
        self._partial = partial_path(path)
        self._format = FORMATS[path.suffix]
        self._last: Step | None = None
        self._filmed = -1
        self._private: tempfile.TemporaryDirectory[str] | None = None
        self._footage: Footage | None = None
        if footage is not None:
            self._attempt(lambda: self._open(footage, done))

    def on_step(self, step: Step) -> None:
        self._film_last()
        self._last = step

    def keep(self, done: int) -> None:
        """Save the frames before index `done` to disk.

        Call this when the state after `done` updates is complete, just before it is saved: if the process is killed in
        between, the run continues from the state before, and the frames since then are made again.
        """
        if self._last is not None and self._last.index < done:
            self._film_last()
        self._attempt(self._keep)
        if self.problem is not None:
            self._note_loss()

    def close(self, outcome: Outcome) -> None:
        try:
            if (last := self._last) is not None and outcome is not Outcome.FAILED:
                self._on_stage(f"writing {self.path.name}")
                self._attempt(self._keep)
                self._attempt(lambda: self._publish(last))
        finally:
            self._clear()

    def _attempt(self, act: Callable[[], None]) -> None:
        """Call `act` unless there is a `problem` already; any error becomes one."""
        if self.problem is not None:
            return
        try:
            act()
        except Exception as error:  # whatever it is, it is no reason to lose the picture
            reason = error if isinstance(error, OSError) else reason_of(error)
            self.problem = f"the film {self.path} was not written: {reason}"
            if isinstance(error, LostFramesError):
                self._note_loss()

    def _note_loss(self) -> None:
        """Note that frames are missing from what is kept, which resumed runs continue from."""
        self.is_lost = True
        if self._digests is not None:
            self._digests[lost_mark(self._kind)] = ""

    def _open(self, folder: Path, done: int) -> None:
        if self._digests is not None and lost_mark(self._kind) in self._digests:
            raise LostFramesError("its frames could not be kept when the run was stopped")
        self._footage = Footage(folder, self._kind, done, self._digests)

    def _film_last(self) -> None:
        """Add the last step to the footage, if it is due.

        This waits for the next step: the step at which a run is stopped shows its final picture, which the resumed run
        does not pass through.
        """
        step = self._last
        if step is None or step.index <= self._filmed:
            return
        if step.index - self._first(step) in self._schedule(step).steps:
            self._attempt(lambda: self._film(step))

    def _film(self, step: Step) -> None:
        if self._footage is None:
            self._private = tempfile.TemporaryDirectory(prefix="clipgen-", ignore_cleanup_errors=True)
            self._footage = Footage(Path(self._private.name), self._kind)
        self._footage.add(step.index, to_pil(self._seen(step)))
        self._filmed = step.index

    def _seen(self, step: Step, *, is_last: bool = False) -> Tensor:
        """Return the frame (3, H, W) of a step; pictures move before their steps, but for the last one."""
        if self._motion is None:
            return step.image
        since = step.index % self._motion.every
        if is_last and step.index and not since:
            since = self._motion.every
        return on_the_way(step.image, self._motion, since / self._motion.every)

    def _keep(self) -> None:
        if self._footage is not None:
            self._footage.keep()

    def _schedule(self, step: Step) -> Schedule:
        spread = moving_schedule if self._motion else schedule
        return spread(step.total - self._first(step), self.path.suffix, self._timing)

    def _first(self, step: Step) -> int:
        return round(self._since * step.total)

    def _publish(self, last: Step) -> None:
        """Write the film of all footage, holding the `last` step for a while at its end."""
        form, inputs = self._format, tuple[str, ...]()
        with tempfile.TemporaryDirectory(prefix="clipgen-", ignore_cleanup_errors=True) as folder:
            if form.palette:
                palette = Path(folder) / "palette.png"
                self._encode(last, form.palette, palette)
                inputs = ("-i", f"file:{palette}")
            said = comment_of(self.path.suffix, self._source)
            self._encode(last, (*inputs, *form.arguments, *said), self._partial)
            mark_film(self._partial, self.path.suffix, self._source)
        if reason := sign_file(self._partial, self._signed):
            self.problem = f"the film {self.path} is not signed: {reason}"
        self._claim(self._partial, self.path)
        publish(self._partial, self.path)

    def _encode(self, last: Step, target: tuple[str, ...], path: Path) -> None:
        """Pass all footage and the `last` step through ffmpeg to `path`."""
        plan = self._schedule(last)
        repeated = ("-r", str(plan.fps)) if plan.fps > plan.pace else ()
        with Encoder((*PNG_STREAM, "-r", str(plan.pace)), (*target, *repeated), path) as encoder:
            for part in self._footage.read() if self._footage else ():
                encoder.write(part)
            held = math.ceil(HOLD_SECONDS * plan.pace) + (self._filmed != last.index)
            encoder.write(_png(self._seen(last, is_last=True)), held)
            encoder.finish()

    def _clear(self) -> None:
        """Remove everything but the film, and the footage that a resumed run continues from."""
        if self._footage is not None:
            self._footage.close()
        if self._private is not None:
            self._private.cleanup()
        with contextlib.suppress(OSError):  # published, or its folder is gone or forbidden
            self._partial.unlink()


def lost_mark(kind: str) -> str:
    """Return the key in `Digests` under which a film of this kind is noted as lost."""
    return f"{kind}-lost"


def _png(image: Tensor) -> bytes:
    """Encode an image (3, H, W) in [0, 1] as a PNG file."""
    file = io.BytesIO()
    to_pil(image).save(file, "PNG")
    return file.getvalue()
