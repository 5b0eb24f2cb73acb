"""The progress of a download on stderr: a bar in a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from clipgen.printable import readable_bytes

LINE_SECONDS = 10.0
LINE_SHARE = 0.1

Report = Callable[[int, int | None], None]


@contextmanager
def download_progress(label: str, stream: TextIO) -> Iterator[Report]:
    """Show the bytes that are reported until the end; nothing moves where `stream` is no terminal."""
    console = Console(file=stream)
    if not stream.isatty() or console.is_dumb_terminal:
        yield PlainDownload(label, stream)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class PlainDownload:
    """One line at the start, then whenever a tenth of the file or ten seconds have passed."""

    def __init__(self, label: str, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._label, self._stream, self._clock = label, stream, clock
        self._next_done = 0.0
        self._next_time = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        """Say how many bytes are here, if that is worth a line."""
        if done < self._next_done and self._clock() < self._next_time and done != total:
            return
        self._next_time = self._clock() + LINE_SECONDS
        self._next_done = done + LINE_SHARE * total if total else float("inf")
        of_all = f" of {readable_bytes(total)}, {100 * done / total:.0f} %" if total else ""
        self._stream.write(f"{self._label}: {readable_bytes(done)}{of_all}\n")
        self._stream.flush()
