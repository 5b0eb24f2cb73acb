"""The workers of a batch: each makes shares of its lines, in a process of its own, here or on another machine.

Only plain values cross: a job as JSON, lines of text, paths, and what was said. A share that is lost with its worker
can be made again: finished pictures are recognised, and unfinished ones continue from their saved states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from clipgen.config.job import Job
from clipgen.engine.inputs import Inputs
from clipgen.session.batch import Asked, Batch
from clipgen.session.options import Listener, OutputOptions

Share = tuple[Asked, ...]
"""Lines that one worker makes together."""


@dataclass(frozen=True)
class Setup:
    """What all workers of a batch have in common."""

    job: str
    """As JSON: what is the same for all lines."""
    inputs: Inputs
    folder: Path
    options: OutputOptions
    together: int
    """Maximum number of pictures that a worker makes in lockstep."""
    threads: int
    """Threads of a worker on the CPU; 0 leaves the choice to PyTorch."""


@dataclass
class Report:
    """What became of a share."""

    events: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    """In order: the name of a callback of `Listener`, and what it received."""
    skipped: list[str] = field(default_factory=list)
    failed: list[dict[str, object]] = field(default_factory=list)


@dataclass(frozen=True)
class Lost:
    """A share was lost with its worker."""

    reason: str


class Executor(Protocol):
    """Workers that make shares, at some place."""

    count: int
    """How many there are, numbered from 0; one that is lost is replaced under its number."""
    at_once: int
    """Lines that a worker is given at a time: on a GPU as many as it makes in lockstep, on a CPU one."""

    def give(self, worker: int, share: Share) -> None:
        """Give a share to a worker that has none."""

    def wait(self, seconds: float) -> Sequence[tuple[int, Report | Lost]]:
        """Return what has become of shares, by worker; waits up to so many seconds for the first."""

    def stop(self) -> None:
        """Ask all workers to keep what they have and to report."""

    def close(self) -> None:
        """End all workers."""


class Worker:
    """Makes shares one after the other, with the models kept between them."""

    def __init__(self, setup: Setup, device: str) -> None:
        """device: as for `--device`."""
        import torch

        from clipgen.session.session import Session

        if setup.threads:
            torch.set_num_threads(setup.threads)
        self._setup, self._device = setup, device
        self._report = Report()
        said = {name: self._recorder(name) for name in ("note", "error", "saved")}
        self._listener = Listener(**said)
        self._session = Session(device, options=setup.options, listener=self._listener)

    def make(self, share: Share) -> Report:
        """Make the pictures of a share; errors of single lines are in the report."""
        setup, self._report = self._setup, Report()
        batch = Batch(
            self._session,
            Job.from_json(setup.job),
            setup.inputs,
            setup.folder,
            setup.options,
            self._listener,
            device=self._device,
            together=setup.together,
        )
        batch.make_all(share)
        self._report.skipped, self._report.failed = batch.skipped, batch.failed
        return self._report

    def stop(self) -> None:
        """Keep the pictures so far, and make no more; can be called from any thread."""
        self._session.stop.ask()

    def _recorder(self, name: str) -> Any:
        return lambda *told: self._report.events.append((name, told))
