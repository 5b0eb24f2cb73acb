"""The options with which a batch is shared among processes and machines, and the workers that they stand for."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from clipgen.cli.option_groups import Option
from clipgen.cli.options import ENGINE
from clipgen.cli.sessions import Opened
from clipgen.config.checks import check_whole
from clipgen.config.job import Job
from clipgen.util.devices import gpu_count, pick_device

if TYPE_CHECKING:
    from pathlib import Path

    from clipgen.session.workers import Executor

MAX_WORKERS = 256


@dataclass(frozen=True)
class SharingOptions:
    """Among how many workers a batch is shared, and where they are."""

    workers: Annotated[
        int | None,
        Option(
            "--workers",
            "Share the lines among this many processes: one for each GPU, or each with its part of the CPU's cores.",
            "NUMBER",
            panel=ENGINE,
            default="1; with --ray, one for each GPU of the cluster or, without any, for each machine",
        ),
    ] = None
    ray: Annotated[
        str | None,
        Option(
            "--ray",
            'Share the lines among the machines of a Ray cluster, at an address or, with "auto", the one of this '
            "machine. All must see the output folder. Needs Ray, which the extra ray of the package installs.",
            "auto|ADDRESS",
            panel=ENGINE,
        ),
    ] = None

    def __post_init__(self) -> None:
        check_whole("--workers", 1 if self.workers is None else self.workers, 1, MAX_WORKERS)

    @property
    def shares(self) -> bool:
        """Whether there are workers at all, or the process that was started makes all pictures."""
        return self.ray is not None or (self.workers or 1) > 1

    def executor(self, opened: Opened, job: Job, folder: Path, device: str, together: int) -> Executor:
        """Return the workers for the lines of a batch. Raises UsageError or ClipgenError if there can be none.

        device: as for `--device`; together: as for `--together`.
        """
        from clipgen.session.workers import Setup

        setup = Setup((opened.job or job).to_json(), opened.inputs, folder, opened.written, together, threads=0)
        if self.ray is not None:
            from clipgen.session.cluster import Cluster, connect

            return Cluster(connect(self.ray), setup, device, self.workers or 0)
        from clipgen.session.processes import Processes

        count = self.workers or 1
        return Processes(replace(setup, threads=max((os.cpu_count() or 1) // count, 1)), _devices(device, count))


def _devices(device: str, count: int) -> list[str]:
    """Return the device of each of so many workers: all GPUs in turn, unless one is named."""
    picked, gpus = pick_device(device), gpu_count()
    if picked == "cuda" and gpus > 1:
        return [f"cuda:{number % gpus}" for number in range(count)]
    return [picked] * count
