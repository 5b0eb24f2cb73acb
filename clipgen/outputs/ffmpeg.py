"""A running ffmpeg: bytes go in and a file comes out, or the other way; every failure is an `OSError`."""

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
FORMATS = "mov,matroska,avi,gif,apng,mpegts,mpeg,flv,asf,ogg"
"""What ffmpeg reads of films of other people: no playlists, which name other files, and no texts."""
_READING = ("-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS)
PATIENCE = 60
"""Seconds that ffmpeg may take to say what a film is."""
_NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # exists on Windows only, which needs it


class Encoder:
    """Encodes bytes in the format `source` to the file `path` in the format `target`, both as ffmpeg arguments.

    A thread feeds ffmpeg, so that a run does not wait for the encoding of its frames. As a context manager it ends
    ffmpeg on exit, whatever happened. Every failure is an `OSError` with the message of ffmpeg.

    sound: a film of which the first sound, if it has any, is taken along, in the format that `target` names.
    """

    def __init__(self, source: Sequence[str], target: Sequence[str], path: Path, *, sound: Path | None = None) -> None:
        # Without "file:" a path could be taken for an option or, with a colon in it, for a protocol.
        other = ["-an"] if sound is None else [*_READING, "-i", f"file:{sound}", "-map", "0:v", "-map", "1:a:0?"]
        files = [*source, "-i", "-", *other, *target, f"file:{path}"]
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
        return _last_line(self._complaints)


def describe(path: Path) -> str:
    """Return what ffmpeg says about a film, or why it is none. Raises OSError."""
    command = [_program(), "-hide_banner", "-nostdin", *_READING, "-i", f"file:{path}"]
    try:
        found = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise OSError(f"ffmpeg did not answer within {PATIENCE} seconds") from error
    return found.stderr.decode("utf-8", "replace")


def read(path: Path, target: Sequence[str], size: int) -> Iterator[bytes]:
    """Yield what ffmpeg makes of the film `path` in the format `target`, in pieces of `size` bytes, the last shorter.

    Only one piece is in memory. Raises OSError.
    """
    command = [_program(), "-loglevel", "error", "-nostdin", *_READING, "-i", f"file:{path}", *target, "-"]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603 - as above
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            process_group=0,
            creationflags=_NEW_GROUP,
        )
        pipe = cast(IO[bytes], process.stdout)
        try:
            while piece := pipe.read(size):
                yield piece
            if process.wait() != 0:
                raise OSError(_last_line(complaints) or f"ffmpeg ended with status {process.returncode}")
        finally:
            process.kill()
            process.wait()
            pipe.close()


def _last_line(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = complaints.read().decode("utf-8", "replace").strip().splitlines()
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
