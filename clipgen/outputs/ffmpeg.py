"""A running ffmpeg: bytes go into its pipe, a file comes out, and every failure is an `OSError`."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import IO, Self, cast

import imageio_ffmpeg

QUEUED = 4
"""How many pieces of data wait for ffmpeg at most, such as frames, before `Encoder.write` waits, too."""
_NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # exists on Windows only, which needs it


class Encoder:
    """Encodes bytes in the format `source` to the file `path` in the format `target`, both as ffmpeg arguments.

    A thread feeds ffmpeg, so that a run does not wait for the encoding of its frames. As a context manager it ends
    ffmpeg on exit, whatever happened. Every failure is an `OSError` with the message of ffmpeg.
    """

    def __init__(self, source: Sequence[str], target: Sequence[str], path: Path) -> None:
        # Without "file:" a path could be taken for an option or, with a colon in it, for a protocol.
        files = [*source, "-i", "-", "-an", *target, f"file:{path}"]
        command = [_program(), "-loglevel", "error", "-nostdin", "-y", *files]
        with contextlib.ExitStack() as on_error:
            self._complaints = on_error.enter_context(tempfile.TemporaryFile())
            # A process group of its own, so that Ctrl-C reaches only Python, which then finishes the film properly.
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
        self._waiting: Queue[bytes | None] = Queue(QUEUED)
        self._failure: OSError | None = None
        self._feeder = Thread(target=self._feed, name="ffmpeg", daemon=True)
        self._feeder.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def write(self, data: bytes, copies: int = 1) -> None:
        """Pass on data; an error may come with a later call, at the latest with `finish`."""
        for _ in range(copies):
            with self._explained():
                self._check()
            self._waiting.put(data)

    def finish(self) -> None:
        """Wait until the file is complete."""
        self._end_feeding()
        with self._explained():
            self._check()
            self._pipe.close()
            status = self._process.wait()
            if status != 0:
                raise OSError(f"ffmpeg ended with status {status}")

    def stop(self) -> None:
        """Kill ffmpeg, if it is still running, and release its resources."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._end_feeding()
        with contextlib.suppress(OSError):
            self._pipe.close()
        self._complaints.close()

    def _feed(self) -> None:
        """Write to ffmpeg what is waiting, until None; after a failure the rest is taken and dropped."""
        while (data := self._waiting.get()) is not None:
            if self._failure is None:
                try:
                    self._pipe.write(data)
                except OSError as error:
                    self._failure = error

    def _end_feeding(self) -> None:
        if self._feeder.is_alive():
            self._waiting.put(None)
            self._feeder.join()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Give errors ffmpeg's own message, if there is one: a broken pipe alone explains nothing."""
        try:
            yield
        except OSError as error:
            raise OSError(self._complaint() or str(error)) from error

    def _complaint(self) -> str:
        """Return the last line that ffmpeg wrote about its failure; empty if there is none."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)  # its last output may not have arrived yet
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""


def _program() -> str:
    """Return the path of the ffmpeg program that comes with imageio-ffmpeg."""
    try:
        return _found()
    except RuntimeError:
        with contextlib.suppress(RuntimeError):  # the search runs ffmpeg, and Ctrl-C may have killed that
            return _found()
    raise OSError("no ffmpeg program was found")


def _found() -> str:
    return str(imageio_ffmpeg.get_ffmpeg_exe())
