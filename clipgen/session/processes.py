"""Workers of a batch as processes of this machine."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from clipgen.session.workers import Lost, Report, Setup, Share, Worker
from clipgen.util.interrupts import end_at_once

STOP = "stop"
PATIENCE = 10.0
"""Seconds that workers have to end once there is nothing left for them to do."""


class Processes:
    """An executor with one process for each of some devices; on a CPU they share its cores."""

    def __init__(self, setup: Setup, devices: Sequence[str]) -> None:
        self.count = len(devices)
        self.at_once = 1 if "cpu" in devices else setup.together
        self._setup, self._devices = setup, devices
        self._context = multiprocessing.get_context("spawn")  # a fork would inherit threads and a GPU's state
        self._workers: dict[int, tuple[BaseProcess, Connection]] = {}

    def give(self, worker: int, share: Share) -> None:
        """Give a share to a worker, which is started if it is not there."""
        if worker not in self._workers:
            self._workers[worker] = self._started(self._devices[worker])
        try:
            self._workers[worker][1].send(share)
        except OSError:  # it has ended; `wait` reports so
            return

    def wait(self, seconds: float) -> list[tuple[int, Report | Lost]]:
        """Return the reports that have come in, and which workers are gone."""
        numbers = {connection: number for number, (_, connection) in self._workers.items()}
        ready = [one for one in wait(list(numbers), seconds) if isinstance(one, Connection)]
        return [(numbers[one], self._heard(numbers[one], one)) for one in ready]

    def stop(self) -> None:
        """Have all workers keep the pictures so far."""
        for _, connection in self._workers.values():
            connection.send(STOP)

    def close(self) -> None:
        """End all workers; those that do not end by themselves are killed."""
        for process, connection in self._workers.values():
            connection.close()
            process.join(PATIENCE)
            process.kill()
            process.join()
        self._workers.clear()

    def _started(self, device: str) -> tuple[BaseProcess, Connection]:
        here, there = self._context.Pipe()
        process = self._context.Process(target=serve, args=(there, self._setup, device), daemon=True)
        process.start()
        there.close()  # so that the end of either process is heard by the other
        return process, here

    def _heard(self, number: int, connection: Connection) -> Report | Lost:
        try:
            heard: Report | Lost = connection.recv()
        except (EOFError, OSError):
            process, _ = self._workers.pop(number)
            process.join()
            code = process.exitcode or 0
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            return Lost(f"a worker {how}")
        return heard


def serve(connection: Connection, setup: Setup, device: str) -> None:
    """Make the shares that come in until the process that sends them closes the connection, or is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the process that shares out decides
    signal.signal(signal.SIGTERM, end_at_once)
    worker = Worker(setup, device)
    shares: queue.Queue[Share | None] = queue.Queue()

    def listen() -> None:
        try:
            while True:
                heard = connection.recv()
                if heard == STOP:
                    worker.stop()
                else:
                    shares.put(heard)
        except (EOFError, OSError):
            worker.stop()
            shares.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while (share := shares.get()) is not None:
        connection.send(worker.make(share))
