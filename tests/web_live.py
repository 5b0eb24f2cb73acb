"""The page's server on a port of this machine, for tests that need a real connection."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from clipgen.web.app import make_app
from clipgen.web.jobs import Queue
from clipgen.web.serving import Server


@contextmanager
def live(folder: Path) -> Iterator[tuple[Queue, int]]:
    """Serve a folder; yields the queue and the port."""
    queue, ready = Queue(folder, "cpu"), threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    config = uvicorn.Config(make_app(queue), log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=2)
    running = Server(config, queue, ready.set)
    thread = threading.Thread(target=running.run, args=([listening],))
    thread.start()
    assert ready.wait(30)
    try:
        yield queue, port
    finally:
        running.should_exit = True
        thread.join(20)
        listening.close()
        queue.close()
        assert not thread.is_alive()


class Tab:
    """One open stream of events."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._connection.request("GET", "/api/events")
        self._answer = self._connection.getresponse()
        assert self._answer.headers["content-type"].startswith("text/event-stream")

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield events as they come, until the stream ends."""
        kind = ""
        while line := self._answer.readline().decode():
            name, _, value = line.strip().partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield kind, json.loads(value)

    def close(self) -> None:
        """Go away without a word, as a closed tab does."""
        if self._connection.sock:
            self._connection.sock.close()
        self._answer.close()


def ask(port: int, method: str, path: str, record: object = None) -> Any:
    """Send a request; returns the JSON of the answer, or its bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, None if record is None else json.dumps(record))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status < 300, content
    return json.loads(content) if answer.headers["content-type"] == "application/json" else content


def until(found: Any, seconds: float = 20) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.02)
