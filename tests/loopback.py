"""A web server on this machine that does as it is told: cut, lie, stall, redirect. It keeps the requests it got."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from clipgen.weights.cache import Cache
from clipgen.weights.fetch import Fetcher
from clipgen.weights.records import Record

HOST = "127.0.0.1"
CONTENT = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(256)) * 5  # 40,960 bytes
HALF = len(CONTENT) // 2
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGE = (b"<!DOCTYPE html><title>Gone</title>" + b" " * len(CONTENT))[: len(CONTENT)]
OTHER = bytes(reversed(CONTENT))


@dataclass(frozen=True)
class Asked:
    """A request: path, and which part of the file."""

    path: str
    range: str | None = None
    if_range: str | None = None


class Answer(BaseHTTPRequestHandler):
    """One request, answered by the behaviour that its path has."""

    protocol_version = "HTTP/1.1"
    server: "LoopbackServer"

    def do_GET(self) -> None:
        asked = Asked(self.path, self.headers["Range"], self.headers["If-Range"])
        self.server.log.append(asked)
        self.close_connection = True
        self.server.routes.get(self.path, missing)(self)

    def say(self, status: int, body: bytes = b"", **headers: object) -> None:
        """Send an answer; the length is right unless given, and left out if None."""
        self.send_response(status)
        headers = {"Content_Length": len(body), "Content_Type": "application/octet-stream", **headers}
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_args: object) -> None:
        pass


Behaviour = Callable[[Answer], None]


def missing(answer: Answer) -> None:
    answer.say(404, b"no such file")


def says(status: int, body: bytes = b"", **headers: object) -> Behaviour:
    """Always send the same."""
    return lambda answer: answer.say(status, body, **headers)


def unknown_length(content: bytes) -> Behaviour:
    """Send a body that ends with the connection."""
    return says(200, content, Content_Length=None, Connection="close")


def serves(content: bytes, etag: str | None = '"1"') -> Behaviour:
    """Behave well: whole, or the range that was asked for if the tag still holds."""

    def behave(answer: Answer) -> None:
        asked = answer.server.log[-1]
        if asked.range and asked.if_range in (None, etag):
            start = int(asked.range.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                answer.say(416, Content_Range=f"bytes */{len(content)}")
                return
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            answer.say(206, content[start:], Content_Range=span, ETag=etag)
        else:
            answer.say(200, content, ETag=etag)

    return behave


def cuts(content: bytes, at: int, etag: str | None = '"1"') -> Behaviour:
    """Promise everything, and break off."""
    return lambda answer: answer.say(200, content[:at], Content_Length=len(content), ETag=etag)


def drips(content: bytes, count: int) -> Behaviour:
    """Give so many bytes an answer, from where it was asked, and break off."""

    def behave(answer: Answer) -> None:
        asked = answer.server.log[-1]
        start = int((asked.range or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        status, more = (206, {"Content_Range": span}) if start else (200, {})
        answer.say(status, content[start : start + count], Content_Length=len(content) - start, **more)

    return behave


def dribbles(content: bytes, at: int, gate: threading.Event, pause: float = 0.02) -> Behaviour:
    """Send up to some byte at once, then a byte now and then, and the rest once an event is set."""

    def behave(answer: Answer) -> None:
        start = int((answer.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        status, more = (206, {"Content_Range": span}) if start else (200, {})
        done = max(at, start)
        try:
            answer.say(status, content[start:done], Content_Length=len(content) - start, **more)
            while not gate.wait(pause) and done < len(content):
                answer.wfile.write(content[done : done + 1])
                done += 1
            answer.wfile.write(content[done:])
        except OSError:  # it has heard enough
            pass

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behave differently each time; the last one stays."""
    left = list(behaviours)
    return lambda answer: (left.pop(0) if len(left) > 1 else left[0])(answer)


@dataclass
class Files:
    """What a record of a test needs: the server, the content, and how to name it."""

    server: "LoopbackServer"
    content: bytes
    sha256: str

    def record(self, *paths: str, **changes: object) -> Record:
        fields = {"size": len(self.content), "sha256": self.sha256, **changes}
        mirrors = tuple(path if ":" in path else f"{self.server.address}{path}" for path in paths)
        summary = "a file of a test"
        return Record(
            "vqgan/tiny", "vqgan", "tiny.ckpt", fields["size"], fields["sha256"], mirrors, "none", {}, summary
        )  # type: ignore[arg-type]


class LoopbackServer(ThreadingHTTPServer):
    """Runs while it is open; `routes` says what each path does, `log` what was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__((HOST, 0), Answer)
        self.routes: dict[str, Behaviour] = {}
        self.log: list[Asked] = []
        self.scheme = "http"

    @property
    def address(self) -> str:
        return f"{self.scheme}://{HOST}:{self.server_address[1]}"

    def handle_error(self, *_args: object) -> None:
        """Say nothing of a client that has gone away; that is what some tests do."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_args: object) -> None:
        self.shutdown()
        self.server_close()


def fetcher(cache: Cache, **changes: Any) -> Fetcher:
    """Make a fetcher that does not pause between tries. Tests of servers that fall silent set less patience."""
    settings: dict[str, Any] = {"stall_seconds": 60.0, "pause_seconds": 0.0, "retries": 2, "allow_http_to": (HOST,)}
    return Fetcher(cache, **{**settings, **changes})


def left(cache: Cache) -> list[str]:
    """Names of all files but the locks."""
    return sorted(path.name for path in cache.folder.rglob("*") if path.is_file() and path.parent.name != ".locks")
