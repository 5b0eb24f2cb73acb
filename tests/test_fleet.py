"""A batch that workers share: every line is made once, whatever becomes of the workers."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import Cli

from clipgen.cli.sharing import SharingOptions
from clipgen.errors import UsageError
from clipgen.session.batch import Asked
from clipgen.session.fleet import TRIES, Fleet
from clipgen.session.options import Listener
from clipgen.session.workers import Lost, Report, Share
from clipgen.util.interrupts import Stop


class Hands:
    """An executor whose workers make a share in one look, unless a line of it kills them as often as it says."""

    def __init__(self, count: int, at_once: int = 1, deadly: dict[int, int] | None = None) -> None:
        self.count, self.at_once = count, at_once
        self.deadly = dict(deadly or {})
        self.busy: dict[int, Share] = {}
        self.made: list[int] = []
        self.most = 0
        self.stopped = self.closed = 0

    def give(self, worker: int, share: Share) -> None:
        assert worker not in self.busy
        self.busy[worker] = share
        self.most = max(self.most, len(self.busy))

    def wait(self, seconds: float) -> Sequence[tuple[int, Report | Lost]]:
        worker, share = self.busy.popitem()
        for line in share:
            if self.deadly.get(line.number, 0):
                self.deadly[line.number] -= 1
                return [(worker, Lost("a worker was killed"))]
        self.made += [line.number for line in share]
        return [(worker, Report([("note", (f"made {line.text}",)) for line in share]))]

    def stop(self) -> None:
        self.stopped += 1

    def close(self) -> None:
        self.closed += 1


def asked(count: int) -> list[Asked]:
    return [Asked(number, f"line {number}", f"[{number}/{count}]") for number in range(1, count + 1)]


@pytest.mark.parametrize(("workers", "at_once", "lines"), list(itertools.product((1, 2, 5), (1, 3), (0, 1, 7))))
def test_every_line_is_made_once(workers: int, at_once: int, lines: int) -> None:
    said: list[str] = []
    hands = Hands(workers, at_once)
    fleet = Fleet(hands, Listener(note=said.append), Stop())
    fleet.make_all(asked(lines))
    assert sorted(hands.made) == list(range(1, lines + 1))
    assert sorted(said) == sorted(f"made line {number}" for number in hands.made)
    assert hands.most <= workers
    assert (hands.stopped, hands.closed, fleet.failed) == (0, 1, [])


def test_a_line_that_is_lost_with_its_worker_is_made_again() -> None:
    said: list[str] = []
    hands = Hands(2, deadly={3: TRIES - 1})
    fleet = Fleet(hands, Listener(note=said.append), Stop())
    fleet.make_all(asked(5))
    assert sorted(hands.made) == [1, 2, 3, 4, 5]
    assert said.count("line 3: a worker was killed; it is made again") == TRIES - 1
    assert fleet.failed == []


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_a_line_that_kills_every_worker_costs_itself_only(at_once: int) -> None:
    errors: list[str] = []
    hands = Hands(2, at_once, deadly={2: 1000})
    fleet = Fleet(hands, Listener(error=errors.append), Stop())
    fleet.make_all(asked(5))
    assert sorted(hands.made) == [1, 3, 4, 5]
    assert fleet.failed == [{"line": 2, "error": f"a worker was killed, {TRIES} times"}]
    assert errors == [f"error: line 2: a worker was killed, {TRIES} times"]


def test_a_stop_is_passed_on_once_and_nothing_more_is_begun() -> None:
    stop = Stop()
    hands = Hands(2)
    fleet = Fleet(hands, Listener(note=lambda _line: stop.ask()), stop)
    fleet.make_all(asked(9))
    assert len(hands.made) == 2
    assert (hands.stopped, hands.closed) == (1, 1)


def test_workers_are_ended_if_handing_out_fails() -> None:
    hands = Hands(1)
    hands.give = lambda *_: (_ for _ in ()).throw(OSError("no process can be started"))  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no process"):
        Fleet(hands, Listener(), Stop()).make_all(asked(3))
    assert hands.closed == 1


@pytest.mark.parametrize("workers", [0, -1, 1000])
def test_a_number_of_workers_that_cannot_be_is_refused(cli: Cli, workers: int) -> None:
    with pytest.raises(UsageError, match="--workers"):
        SharingOptions(workers=workers)
    Path("prompts.txt").write_text("red\n")
    refused = cli("batch", "prompts.txt", "--workers", str(workers))
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
