"""The film of a run, H.264 or GIF: frames are streamed to ffmpeg as they are made, none is kept."""

import contextlib
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, cast

import imageio_ffmpeg
from torch import Tensor

from clipgen.images import to_pil
from clipgen.naming import partial_path, publish
from clipgen.sinks.base import Outcome, Step

FILM_SECONDS = 8
HOLD_SECONDS = 1

# GIF files are large, so they are smaller and have fewer frames. ffmpeg remembers every distinct colour that it meets:
# thinned out to 16 bits, which 256 colours cannot show anyway, it takes a second and not a minute. The palette is made
# from whole frames: made from what changes between frames, it misses the colours of the last.
_GIF_SIDE = 480
_PALETTE = (
    f"scale=w='min({_GIF_SIDE},iw)':h='min({_GIF_SIDE},ih)':force_original_aspect_ratio=decrease:flags=lanczos,"
    "format=rgb565le,format=rgb24,split[frames][copy];[copy]palettegen=stats_mode=full[palette];"
    "[frames][palette]paletteuse=dither=bayer:bayer_scale=3:diff_mode=rectangle"
)
# Without the explicit matrix ffmpeg converts by BT.601 and players assume BT.709, which shifts the colours.
_YUV = "crop=trunc(iw/2)*2:trunc(ih/2)*2,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
_BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
_NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # there on Windows only, which needs it


@dataclass(frozen=True)
class Format:
    """How ffmpeg writes one kind of film."""

    max_fps: int
    arguments: tuple[str, ...]


FORMATS = {
    ".mp4": Format(30, ("-vf", _YUV, "-c:v", "libx264", "-crf", "18", *_BT709, "-movflags", "+faststart")),
    ".gif": Format(15, ("-vf", _PALETTE, "-loop", "0")),
}


@dataclass(frozen=True)
class Schedule:
    """Which steps of a run become frames, and how fast they are shown."""

    steps: frozenset[int]
    fps: int


@cache
def schedule(total: int, max_fps: int) -> Schedule:
    """Spread the frames of about `FILM_SECONDS` evenly over steps 0 to `total`, both included."""
    count = min(total + 1, FILM_SECONDS * max_fps)
    last = max(count - 1, 1)
    return Schedule(
        steps=frozenset(round(frame * total / last) for frame in range(count)),
        fps=max(min(round(count / FILM_SECONDS), max_fps), 4),
    )


class FilmSink:
    """Writes the film of a run to `path`, whose suffix picks the format.

    A film that cannot be written never harms the run: `problem` then says why, and nothing is left at `path`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem: str | None = None
        self._partial = partial_path(path)
        self._format = FORMATS[path.suffix]
        self._encoder: _Encoder | None = None
        self._last: Step | None = None
        self._written = -1

    def on_step(self, step: Step) -> None:
        self._last = step
        if step.index in schedule(step.total, self._format.max_fps).steps:
            self._write(step)

    def close(self, outcome: Outcome) -> None:
        try:
            if self._last is not None and outcome is not Outcome.FAILED:
                self._hold(self._last)
                self._finish()
        finally:
            if self._encoder is not None:
                self._encoder.stop()
            self._partial.unlink(missing_ok=True)

    def _hold(self, step: Step) -> None:
        """Show the last picture for a while; it may not have been due as a frame."""
        fps = schedule(step.total, self._format.max_fps).fps
        self._write(step, HOLD_SECONDS * fps + (self._written != step.index))

    def _write(self, step: Step, copies: int = 1) -> None:
        if self.problem is not None:
            return
        try:
            self._encoder = self._encoder or self._start(step)
            self._encoder.write(frame_bytes(step.image), copies)
            self._written = step.index
        except OSError as error:
            self._fail(error)

    def _start(self, step: Step) -> "_Encoder":
        height, width = step.image.shape[-2:]
        fps = schedule(step.total, self._format.max_fps).fps
        return _Encoder(self._partial, width, height, fps, self._format)

    def _finish(self) -> None:
        if self.problem is not None or self._encoder is None:
            return
        try:
            self._encoder.finish()
            publish(self._partial, self.path)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        reason = (self._encoder.complaint() if self._encoder else "") or str(error)
        self.problem = f"the film {self.path} was not written: {reason}"


def frame_bytes(image: Tensor) -> bytes:
    """Turn the first picture of `image` (B 3 H W, [0, 1]) into rows of 8-bit RGB."""
    return to_pil(image[0]).tobytes()


class _Encoder:
    """A running ffmpeg that reads raw frames from a pipe. Every failure surfaces as an `OSError`."""

    def __init__(self, path: Path, width: int, height: int, fps: int, form: Format) -> None:
        source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-")
        command = [_ffmpeg(), "-loglevel", "error", "-nostdin", "-y", *source, "-an", *form.arguments, str(path)]
        with contextlib.ExitStack() as on_error:
            self._complaints = on_error.enter_context(tempfile.TemporaryFile())
            # A group of its own, so that Ctrl-C reaches only Python, which then ends the film properly.
            self._process = subprocess.Popen(  # noqa: S603 - a fixed program and an argument list, no shell
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                process_group=0,
                creationflags=_NEW_GROUP,
            )
            on_error.pop_all()
        self._pipe = cast(IO[bytes], self._process.stdin)

    def write(self, frame: bytes, copies: int) -> None:
        for _ in range(copies):
            self._pipe.write(frame)

    def finish(self) -> None:
        """Wait until the file is complete; `OSError` where ffmpeg says that it is not."""
        self._pipe.close()
        status = self._process.wait()
        if status != 0:
            raise OSError(f"ffmpeg ended with status {status}")

    def complaint(self) -> str:
        """Return the last line that ffmpeg wrote about its failure, or nothing."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)  # its last words may still be on the way
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def stop(self) -> None:
        """End ffmpeg, if it still runs, and let go of all that belongs to it."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        with contextlib.suppress(OSError):
            self._pipe.close()
        self._complaints.close()


def _ffmpeg() -> str:
    """Find the ffmpeg program that comes with imageio-ffmpeg."""
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise OSError("no ffmpeg program was found") from error
