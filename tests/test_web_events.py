"""Events: what tabs are told while pictures are made, how often, and that none of them costs the run anything."""

import asyncio
import io
import json
import math
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from fakes import install
from PIL import Image
from web_clients import SETTINGS
from web_live import Tab, ask, live, until

from clipgen.core.contracts import Outcome, Step
from clipgen.web import watching
from clipgen.web.jobs import Queue
from clipgen.web.watching import MAX_SCORES, Hub, Progress, Watcher

ZERO = torch.zeros(())


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Queue, int]]:
    install(monkeypatch.setattr)
    with live(tmp_path / "outputs") as served:
        yield served


def asked(prompt: str = "red", **settings: object) -> dict[str, object]:
    return {"prompt": prompt, "settings": {**SETTINGS, **settings}}


def step(index: int, total: int = 1000, drawn: list[int] | None = None) -> Step:
    def draw() -> torch.Tensor:
        if drawn is not None:
            drawn.append(index)
        return torch.full((3, 8, 8), index / total)

    return Step(index, total, ZERO, torch.tensor(index / total), {}, draw)


def test_a_tab_sees_a_job_from_the_queue_to_its_end(served: tuple[Queue, int]) -> None:
    _, port = served
    tab = Tab(port)
    until(lambda: served[0].hub.is_watched)
    made = ask(port, "POST", "/api/jobs", asked(steps=100_000, lr="0.0005"))
    states, steps, frames = [], [], set()
    for kind, event in tab.events():
        assert event["id"] == made["id"]
        if kind == "job":
            states.append(event["state"])
        else:
            steps.append((event["step"], time.monotonic()))
            frames.add(ask(port, "GET", f"/api/jobs/{made['id']}/frame.jpg?v={event['frame']}"))
        if kind != "job" and len(frames) == 3:
            ask(port, "POST", f"/api/jobs/{made['id']}/stop")
        if kind == "job" and event["state"] == "stopped":
            break
    short = ask(port, "POST", "/api/jobs", asked())
    assert any((event["id"], event.get("state")) == (short["id"], "done") for _, event in tab.events())
    tab.close()
    assert [state for state in states if state in ("queued", "running")][:1] != []
    assert [number for number, _ in steps] == sorted({number for number, _ in steps})
    assert len(frames) >= 3
    assert all(frame.startswith(b"\xff\xd8\xff") for frame in frames)
    pace = [later - before for (_, before), (_, later) in pairwise(steps[1:-1])]
    assert not pace or sum(pace) / len(pace) > 0.7 * watching.SECONDS


def test_tabs_that_come_later_are_told_of_all_jobs_and_of_those_that_go(served: tuple[Queue, int]) -> None:
    _, port = served
    made = [ask(port, "POST", "/api/jobs", asked(each)) for each in ("red", "blue")]
    until(lambda: all(ask(port, "GET", f"/api/jobs/{each['id']}")["state"] == "done" for each in made))
    tab = Tab(port)
    events = tab.events()
    told = [next(events), next(events)]
    assert {(kind, event["id"], event["state"]) for kind, event in told} == {("job", one["id"], "done") for one in made}
    ask(port, "DELETE", f"/api/jobs/{made[0]['id']}")
    assert next(events) == ("removed", {"id": made[0]["id"]})
    tab.close()


def test_a_job_goes_on_when_its_tab_is_closed_and_nothing_is_left_of_the_tab(served: tuple[Queue, int]) -> None:
    queue, port = served
    threads = threading.active_count()
    tabs = [Tab(port) for _ in range(10)]
    until(lambda: len(queue.hub._watchers) == 10)
    made = ask(port, "POST", "/api/jobs", asked(steps=100_000))
    until(lambda: ask(port, "GET", f"/api/jobs/{made['id']}")["step"] > 5)
    for tab in tabs:
        tab.close()
    until(lambda: not queue.hub.is_watched)
    before = ask(port, "GET", f"/api/jobs/{made['id']}")["step"]
    until(lambda: ask(port, "GET", f"/api/jobs/{made['id']}")["step"] > before)
    ask(port, "POST", f"/api/jobs/{made['id']}/stop")
    assert threading.active_count() < threads + 45  # of the pool that answers requests; tabs have no threads


def test_a_server_that_ends_closes_the_streams(tmp_path: Path) -> None:
    with live(tmp_path / "outputs") as (queue, port):
        tab = Tab(port)
        until(lambda: queue.hub.is_watched)
    assert list(tab.events()) == []
    tab.close()


def test_a_slow_tab_gets_the_newest_and_holds_nothing_else() -> None:
    async def watch() -> list[str]:
        watcher = Watcher()
        for number in range(10_000):
            watcher.tell("step", f"job {number % 3}", str(number))
        watcher.tell("removed", "job 0", "gone")
        told = []
        async for text in watcher.stream():
            told.append(text)
            if len(told) == 3:
                watcher.end()
        return told

    told = asyncio.run(watch())
    assert told == [
        "event: step\ndata: 9997\n\n",
        "event: step\ndata: 9998\n\n",
        "event: removed\ndata: gone\n\n",
    ]


def test_a_silence_is_filled_with_comments() -> None:
    async def first() -> str:
        return await anext(Watcher().stream(silence=0.01))

    assert asyncio.run(first()).startswith(":")


def test_without_watchers_nothing_is_drawn_or_sent() -> None:
    drawn: list[int] = []
    hub = Hub()
    seen = Progress(lambda: hub.tell("step", "", {"no": object()}), clock=lambda: 0.0)  # which no JSON can hold
    for index in range(1001):
        seen.on_step(step(index, drawn=drawn))
    seen.close(Outcome.FINISHED)
    assert drawn == []
    assert (seen.step, seen.total, seen.frame) == (1000, 1000, 1001)


def test_a_frame_is_drawn_once_however_many_ask_for_it() -> None:
    drawn: list[int] = []
    seen = Progress(lambda: None)
    assert seen.jpeg() == b""
    seen.on_step(step(0, drawn=drawn))
    frames = {seen.jpeg() for _ in range(5)}
    assert (len(frames), drawn) == (1, [0])
    seen.on_step(step(1000, drawn=drawn))
    seen.close(Outcome.FINISHED)
    last = seen.jpeg()  # also once the run is over
    assert Image.open(io.BytesIO(last)).getpixel((2, 2)) == (255, 255, 255)
    assert drawn == [0, 1000]


def test_the_curve_has_few_points_and_goes_on_after_a_resume() -> None:
    ticks = iter(range(10**6))
    seen = Progress(lambda: None, clock=lambda: float(next(ticks)))
    for index in range(5000):
        seen.on_step(step(index, 5000))
    assert MAX_SCORES / 4 < len(seen.scores) <= MAX_SCORES
    assert [index for index, _ in seen.scores] == sorted({index for index, _ in seen.scores})
    seen.on_step(step(2500, 5000))
    assert 2480 < seen.scores[-1][0] <= 2500


def test_numbers_that_json_does_not_have_are_left_out() -> None:
    seen = Progress(lambda: None, clock=lambda: 0.0)
    seen.on_step(step(0))
    seen.on_step(Step(1000, 1000, ZERO, torch.tensor(math.nan), {}, lambda: ZERO))
    json.dumps([seen.score, seen.scores], allow_nan=False)
    assert (seen.step, seen.score) == (1000, 0.0)
