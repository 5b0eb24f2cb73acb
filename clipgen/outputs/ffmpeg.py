"""A running ffmpeg: bytes go into its pipe, a file comes out, and what goes wrong is one `OSError`."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Self, cast

import imageio_ffmpeg

_NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # there on Windows only, which needs it


class Encoder:
    """Turns bytes of the kind `source` into the file `path` of the kind `target`, both as ffmpeg's arguments.

    As a context manager it ends ffmpeg on the way out, whatever happened. Every failure surfaces as an `OSError` that
    says what ffmpeg said.
    """

    def __init__(self, source: Sequence[str], target: Sequence[str], path: Path) -> None:
        # Without "file:" a folder could pass for an option or, with a colon in its name, for a protocol.
        files = [*source, "-i", "-", "-an", *target, f"file:{path}"]
        command = [_program(), "-loglevel", "error", "-nostdin", "-y", *files]
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def write(self, data: bytes, copies: int = 1) -> None:
        with self._explained():
            for _ in range(copies):
                self._pipe.write(data)

    def write_file(self, path: Path) -> None:
        with self._explained(), path.open("rb") as file:
            shutil.copyfileobj(file, self._pipe)

    def finish(self) -> None:
        """Wait until the file is complete."""
        with self._explained():
            self._pipe.close()
            status = self._process.wait()
            if status != 0:
                raise OSError(f"ffmpeg ended with status {status}")

    def stop(self) -> None:
        """End ffmpeg, if it still runs, and let go of all that belongs to it."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        with contextlib.suppress(OSError):
            self._pipe.close()
        self._complaints.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Let an error say what ffmpeg complained of, where it did: a broken pipe alone explains nothing."""
        try:
            yield
        except OSError as error:
            raise OSError(self._complaint() or str(error)) from error

    def _complaint(self) -> str:
        """Return the last line that ffmpeg wrote about its failure, or nothing."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)  # its last words may still be on the way
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""


def _program() -> str:
    """Find the ffmpeg program that comes with imageio-ffmpeg."""
    try:
        return _found()
    except RuntimeError:
        with contextlib.suppress(RuntimeError):  # it is tried by running it, and Ctrl-C may have ended just that
            return _found()
    raise OSError("no ffmpeg program was found")


def _found() -> str:
    return str(imageio_ffmpeg.get_ffmpeg_exe())
