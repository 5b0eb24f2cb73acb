"""The frames of a film, stored losslessly on disk while its run lasts or until it is resumed."""

import contextlib
import hashlib
import re
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from PIL.Image import Image

from clipgen.outputs.ffmpeg import Encoder
from clipgen.util.files import publish
from clipgen.util.regular import open_regular, sha256_of

# Concatenated PNG images: segments can be joined byte by byte, each image is exact, and at this compression level they
# are written as fast as lossless H.264 and are hardly larger. In a video container each segment has its own timestamps.
PNG_STREAM = ("-f", "png_pipe")
_AS_PNG_STREAM = ("-c:v", "png", "-compression_level", "1", "-pred", "paeth", "-f", "image2pipe")

SEGMENT = re.compile(r"([a-z0-9]+)-([0-9]{6,12})\.pngs")
"""Names of segments: their kind, and the index of their first frame."""
MAX_SEGMENT = 1 << 36
_CHUNK = 1 << 20

Digests = MutableMapping[str, str]
"""The SHA-256 of each segment, by name."""


class LostFramesError(OSError):
    """Frames of a film are missing or damaged, so that it can no longer be made."""


class Footage:
    """Segments of the film of one `kind` in `folder`, each a file named by the index of its first frame.

    Segments from index `done` on are deleted: a resumed run makes them again. A file with the name of a segment is
    complete; the one being written has another name. Every failure is an `OSError`.

    digests: those of the segments before `done`, to which this adds its own; files that are not in it are ignored. None
    for a folder of which none were recorded: whatever segments it has are taken. Raises LostFramesError if one of them
    is not as it was.
    """

    def __init__(self, folder: Path, kind: str, done: int = 0, digests: Digests | None = None) -> None:
        self._folder = folder
        self._kind = kind
        self._unfinished = folder / f"{kind}.unfinished"
        self._encoder: Encoder | None = None
        self._first = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._delete_from(done)
        self._digests = self._found() if digests is None else digests
        for name in self.segments():
            self._check(name)

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
        name, digest = f"{self._kind}-{self._first:06d}.pngs", sha256_of(self._unfinished, MAX_SEGMENT)
        publish(self._unfinished, self._folder / name)
        self._digests[name] = digest
        self._encoder.stop()
        self._encoder = None

    def segments(self) -> list[str]:
        """List the names of the saved segments, in the order of their frames."""
        mine = (name for name in self._digests if _parts(name)[0] == self._kind)
        return sorted(mine, key=lambda name: _parts(name)[1])

    def read(self) -> Iterator[bytes]:
        """Yield the bytes of all segments; raises LostFramesError if one is not as it was when it was saved."""
        for name in self.segments():
            yield from self._read(name)

    def close(self) -> None:
        """Discard the frames that were added and not kept."""
        if self._encoder is not None:
            self._encoder.stop()
            self._encoder = None
        with contextlib.suppress(OSError):
            self._unfinished.unlink(missing_ok=True)

    def _check(self, name: str) -> None:
        for _ in self._read(name):
            pass

    def _read(self, name: str) -> Iterator[bytes]:
        digest = hashlib.sha256()
        try:
            with open_regular(self._folder / name, MAX_SEGMENT) as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    yield chunk
        except OSError as error:
            raise LostFramesError(f"its frames in {self._folder / name} are lost: {error.strerror}") from error
        if digest.hexdigest() != self._digests[name]:
            raise LostFramesError(f"its frames in {self._folder / name} are damaged")

    def _delete_from(self, done: int) -> None:
        self._unfinished.unlink(missing_ok=True)
        for segment in self._folder.iterdir():
            kind, first = _parts(segment.name)
            if kind == self._kind and first >= done:
                segment.unlink()

    def _found(self) -> Digests:
        names = [path.name for path in self._folder.iterdir() if _parts(path.name)[0] == self._kind]
        return {name: sha256_of(self._folder / name, MAX_SEGMENT) for name in names}


def _parts(name: str) -> tuple[str, int]:
    """Return kind and first index of a segment; no kind if it has not the name of one."""
    match = SEGMENT.fullmatch(name)
    return (match[1], int(match[2])) if match else ("", -1)
