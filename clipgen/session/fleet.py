"""A batch that many workers share: hands out its lines, makes lost ones again, and reports in one place."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence

from clipgen.session.batch import Asked
from clipgen.session.options import Listener
from clipgen.session.workers import Executor, Lost, Report, Share
from clipgen.util.interrupts import Stop, held_back

TRIES = 3
"""How many workers a line may cost before it counts as failed."""
LAST_SECONDS = 60.0
"""How long workers may take to keep what they have, once they were asked to stop."""
BEAT = 0.5
"""Seconds between two looks at whether a stop was asked for."""
KEEPING = "stopping all workers with their pictures so far; Ctrl-C again ends at once"


class Fleet:
    """Hands the lines of a batch to the workers of an executor, and records what was skipped and what failed."""

    def __init__(self, executor: Executor, listener: Listener, stop: Stop) -> None:
        self.skipped: list[str] = []
        self.failed: list[dict[str, object]] = []
        self._executor, self._listener, self._stop = executor, listener, stop
        self._waiting: deque[Share] = deque()
        self._running: dict[int, Share] = {}
        self._tries: Counter[Share] = Counter()
        self._over = 0
        self._shown = ""
        self._deadline: float | None = None

    def make_all(self, lines: Sequence[Asked]) -> None:
        """Have the pictures of all lines made; errors of single ones are reported and recorded, not raised."""
        size = max(min(self._executor.at_once, -(-len(lines) // self._executor.count)), 1)  # so that all have some
        self._waiting.extend(tuple(lines[k : k + size]) for k in range(0, len(lines), size))
        try:
            with held_back(self._stop, KEEPING):
                while self._is_going_on():
                    self._hand_out(len(lines))
                    for worker, outcome in self._executor.wait(BEAT):
                        self._take(worker, outcome)
        finally:
            self._listener.idle()
            self._executor.close()

    def _is_going_on(self) -> bool:
        """Whether there is something to wait for; after a stop the workers have a while to report."""
        if not self._stop.asked:
            return bool(self._running or self._waiting)
        if self._deadline is None:
            self._deadline = time.monotonic() + LAST_SECONDS
            self._executor.stop()
        return bool(self._running) and time.monotonic() < self._deadline

    def _hand_out(self, total: int) -> None:
        idle = [number for number in range(self._executor.count) if number not in self._running]
        for worker in idle[: 0 if self._stop.asked else len(self._waiting)]:
            self._running[worker] = self._waiting.popleft()
            self._executor.give(worker, self._running[worker])
        shown = f"{self._over} of {total} lines done, {len(self._running)} being made"
        if shown != self._shown:
            self._shown = shown
            self._listener.stage(shown)

    def _take(self, worker: int, outcome: Report | Lost) -> None:
        share = self._running.pop(worker)
        if isinstance(outcome, Lost):
            self._lose(share, outcome.reason)
            return
        self._over += len(share)
        for name, told in outcome.events:
            getattr(self._listener, name)(*told)
        self.skipped += outcome.skipped
        self.failed += outcome.failed

    def _lose(self, share: Share, reason: str) -> None:
        """Make a lost share again until it has cost too many workers, and then its lines one by one."""
        self._tries[share] += 1
        if self._tries[share] < TRIES:
            self._listener.note(f"line {share[0].number}: {reason}; it is made again")
            self._waiting.appendleft(share)
            return
        if len(share) > 1:
            self._waiting.extendleft((line,) for line in reversed(share))
            return
        self._over += 1
        said = f"{reason}, {TRIES} times"
        self.failed.append({"line": share[0].number, "error": said})
        self._listener.error(f"error: line {share[0].number}: {said}")
