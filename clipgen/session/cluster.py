"""Workers of a batch on the machines of a Ray cluster, one for each GPU or for some CPUs."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from clipgen.errors import ClipgenError, UsageError
from clipgen.session.workers import Lost, Report, Setup, Share, Worker

AUTO = "auto"
_TEMPORARY = "clipgen-temporary"
"""A resource by which a cluster is recognised that another batch has started for itself."""


def connect(address: str) -> Any:
    """Return Ray, connected to the cluster at an address, or with "auto" to the one of this machine, or a new one.

    A new one ends with this process, so that others do not join it. Raises UsageError if Ray is not installed,
    ClipgenError if there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # which would be sent to Ray's makers
    try:
        import ray
    except ImportError as error:
        raise UsageError('--ray needs Ray, which is not installed; use pip install "clipgen[ray]"') from error
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address != AUTO or not _joined(ray, quiet):
            new: dict[str, Any] = {"address": "local", "include_dashboard": False, "resources": {_TEMPORARY: 1}}
            ray.init(**(new if address == AUTO else {"address": address}), **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise ClipgenError(f"--ray {address}: no cluster was found there: {error}") from error
    ray._private.worker.print_to_stdstream = _say_nothing
    return ray


def _say_nothing(*_: Any, **__: Any) -> None:
    """Stand in for what prints the messages of a cluster on stdout, where only results belong; losses are reported."""


def _joined(ray: Any, quiet: dict[str, Any]) -> bool:
    """Connect to a cluster that runs on this machine, and tell whether there was one that will stay."""
    try:
        ray.init(address=AUTO, **quiet)
    except ConnectionError:
        return False
    if _TEMPORARY in ray.cluster_resources():
        ray.shutdown()
        return False
    return True


class Cluster:
    """An executor of Ray actors.

    workers: how many; 0 means one for each GPU or, without any, one for each machine.
    """

    def __init__(self, ray: Any, setup: Setup, device: str, workers: int = 0) -> None:
        """device: as for `--device`, on the machines of the cluster."""
        self._ray, self._device = ray, device
        has = ray.cluster_resources()
        gpus = 0 if device == "cpu" else int(has.get("GPU", 0))
        alive = sum(bool(node["Alive"]) for node in ray.nodes())
        self.count = workers or gpus or alive
        self.at_once = setup.together if gpus else 1
        cores = max(int(has.get("CPU", 1) / self.count), 1)
        self._setup = setup if gpus else replace(setup, threads=cores)
        shared = {"num_gpus": min(gpus / self.count, 1.0)} if gpus else {}
        kind = ray.remote(num_cpus=0 if gpus else cores, max_concurrency=2, **shared)  # 2: `stop` beside `make`
        self._actor = kind(Worker)
        self._workers: dict[int, Any] = {}
        self._shares: dict[Any, int] = {}

    def give(self, worker: int, share: Share) -> None:
        """Give a share to a worker, which is started if it is not there."""
        if worker not in self._workers:
            self._workers[worker] = self._actor.remote(self._setup, self._device)
        self._shares[self._workers[worker].make.remote(share)] = worker

    def wait(self, seconds: float) -> list[tuple[int, Report | Lost]]:
        """Return the reports that have come in, and which workers are gone."""
        ready, _ = self._ray.wait(list(self._shares), timeout=seconds)
        return [self._heard(one) for one in ready]

    def stop(self) -> None:
        """Have all workers keep the pictures so far."""
        for worker in self._workers.values():
            worker.stop.remote()

    def close(self) -> None:
        """End all workers, and leave the cluster."""
        for worker in self._workers.values():
            self._ray.kill(worker)
        self._ray.shutdown()

    def _heard(self, share: Any) -> tuple[int, Report | Lost]:
        worker = self._shares.pop(share)
        try:
            return worker, self._ray.get(share)
        except self._ray.exceptions.RayError as error:
            self._workers.pop(worker)
            return worker, Lost(f"a worker was lost: {str(error).strip().splitlines()[0]}")
