"""The frames of a film, stored losslessly on disk while its run lasts or until it is resumed."""

import contextlib
from pathlib import Path

from PIL.Image import Image

from clipgen.outputs.ffmpeg import Encoder
from clipgen.util.files import publish

# Concatenated PNG images: segments can be joined byte by byte, each image is exact, and at this compression level they
# are written as fast as lossless H.264 and are hardly larger. In a video container each segment has its own timestamps.
PNG_STREAM = ("-f", "png_pipe")
_AS_PNG_STREAM = ("-c:v", "png", "-compression_level", "1", "-pred", "paeth", "-f", "image2pipe")


class Footage:
    """Segments of the film of one `kind` in `folder`, each a file named by the index of its first frame.

    Segments from index `done` on are deleted: a resumed run makes them again. A file with the name of a segment is
    complete; the one being written has another name. Every failure is an `OSError`.
    """

    def __init__(self, folder: Path, kind: str, done: int = 0) -> None:
        self._folder = folder
        self._kind = kind
        self._unfinished = folder / f"{kind}.unfinished"
        self._encoder: Encoder | None = None
        self._first = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._delete_from(done)

    def add(self, index: int, frame: Image) -> None:
        """Add a frame, with a higher index than all before."""
        if self._encoder is None:
            size = f"{frame.width}x{frame.height}"
            source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size)
            self._encoder = Encoder(source, _AS_PNG_STREAM, self._unfinished)
            self._first = index
        self._encoder.write(frame.tobytes())

    def keep(self) -> None:
        """Save the frames added so far to disk, as a segment of their own."""
        if self._encoder is None:
            return
        self._encoder.finish()
        publish(self._unfinished, self._folder / f"{self._kind}-{self._first:06d}.pngs")
        self._encoder.stop()
        self._encoder = None

    def segments(self) -> list[Path]:
        """List the saved segments, in the order of their frames."""
        return sorted(self._folder.glob(f"{self._kind}-*.pngs"), key=_first_index)

    def close(self) -> None:
        """Discard the frames that were added and not kept."""
        if self._encoder is not None:
            self._encoder.stop()
            self._encoder = None
        with contextlib.suppress(OSError):
            self._unfinished.unlink(missing_ok=True)

    def _delete_from(self, done: int) -> None:
        self._unfinished.unlink(missing_ok=True)
        for segment in self.segments():
            if _first_index(segment) >= done:
                segment.unlink()


def _first_index(segment: Path) -> int:
    return int(segment.stem.rpartition("-")[2])
