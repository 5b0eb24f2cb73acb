"""Downloads for the command line: files that a run needs and that are missing, with progress on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from clipgen.cli.asking import agreed, can_ask
from clipgen.cli.failures import say
from clipgen.cli.report import Notes
from clipgen.config.choice import networks_of, requested_networks
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.preset import STANDARD
from clipgen.util.text import readable_bytes
from clipgen.weights import registry
from clipgen.weights.records import describe_sizes

if TYPE_CHECKING:
    from clipgen.weights.fetch import Fetcher
    from clipgen.weights.records import Record

LINE_SECONDS = 10.0
LINE_SHARE = 0.1

Report = Callable[[int, int | None], None]


def offered_preset(job: Job, *, offline: bool, notes: Notes) -> str | None:
    """Ask whether to download the models for a GPU; returns their preset if the user agrees.

    If nobody can answer, they are only mentioned.
    """
    missing = registry.missing(networks_of(replace(job, preset=STANDARD)))
    if notes.quiet or any(record.sha256 is None for record in missing):
        return None
    size = describe_sizes(missing)
    if offline or not can_ask():
        notes.note(f"this machine has a GPU: --preset {STANDARD} knows the world, after a download of {size}")
        return None
    return STANDARD if agreed(f"This machine has a GPU. Download the models of preset {STANDARD}, {size}?") else None


def fetch_missing(plan: Plan, typed: Job | None, *, offline: bool, notes: Notes) -> bool:
    """Download the missing weights of a plan, but only for models that the user has named.

    Tells whether other files came than the plan names, with the same weights: its hashes must be taken again.
    Weights without a published hash are not downloaded until the user has trusted them once. Raises
    WeightsMissingError, with the command that gets them, if anything is still missing.
    """
    from clipgen.weights.cache import Cache
    from clipgen.weights.fetch import Fetcher

    judges = typed.judges if typed else ()
    cache, asked = Cache(), (*requested_networks(typed), *judges) if typed else ()
    needed = (*plan.networks, *judges)
    for record in registry.missing([name for name in needed if name not in asked], cache):
        cache.find(record)
    missing = registry.missing(needed, cache)
    for record in missing:
        if cache.expected_sha256(record) is None:
            cache.find(record)
    if missing:
        notes.note(f"{len(missing)} files must be downloaded first, {describe_sizes(missing)}")
    fetcher = Fetcher(cache, offline=offline, note=notes.note)
    return missing != [pull_any(fetcher, record, quiet=notes.quiet)[0] for record in missing]


def pull_any(
    fetcher: "Fetcher", record: "Record", *, trust: bool = False, quiet: bool = False
) -> "tuple[Record, Path]":
    """Download a file, or else another with the same weights; after Ctrl-C, a partial download is kept.

    Returns the record of the file that came, and its path.
    """
    from clipgen.weights import pulling

    try:
        return pulling.pull_any(fetcher, record, lambda form: pull_one(fetcher, form, trust=trust, quiet=quiet))
    except KeyboardInterrupt:
        say("what has arrived is kept; run the same command again to continue")
        raise


def pull_one(fetcher: "Fetcher", record: "Record", *, trust: bool, quiet: bool) -> Path:
    """Download one file, showing its progress unless `quiet`."""
    if quiet or sys.stderr is None:  # None: the shell closed it
        return fetcher.fetch(record, trust_on_first_use=trust)
    with download_progress(record.name, sys.stderr) as report:
        return fetcher.fetch(record, report, trust_on_first_use=trust)


@contextmanager
def download_progress(label: str, stream: TextIO) -> Iterator[Report]:
    """Show the reported bytes, as a live bar only if `stream` is a terminal."""
    console = Console(file=stream)
    if not stream.isatty() or console.is_dumb_terminal:
        yield PlainDownload(label, stream)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class PlainDownload:
    """Prints one line at the start, then whenever a tenth of the file or ten seconds have passed."""

    def __init__(self, label: str, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._label, self._stream, self._clock = label, stream, clock
        self._next_done = 0.0
        self._next_time = 0.0

    def __call__(self, done: int, total: int | None) -> None:
        """Print how many bytes have arrived, if a line is due."""
        if done < self._next_done and self._clock() < self._next_time and done != total:
            return
        self._next_time = self._clock() + LINE_SECONDS
        self._next_done = done + LINE_SHARE * total if total else float("inf")
        of_all = f" of {readable_bytes(total)}, {100 * done / total:.0f} %" if total else ""
        self._stream.write(f"{self._label}: {readable_bytes(done)}{of_all}\n")
        self._stream.flush()
