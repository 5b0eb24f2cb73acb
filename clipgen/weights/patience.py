"""HTTP connections whose answers must come in time: their head as a whole, and each piece of their body."""

from __future__ import annotations

import socket
import time
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, Request


class SlowError(TimeoutError):
    """Bytes came, but too few; the message says what is not there."""


class _TimedReader(RawIOBase):
    """What a socket receives, up to a deadline. Without one a byte now and then would keep the reader for ever."""

    def __init__(self, raw: RawIOBase, connection: socket.socket, seconds: float) -> None:
        self._raw, self._connection, self._stall = raw, connection, connection.gettimeout()
        self.allow(seconds, f"its answer did not begin within {seconds:g} s")

    def allow(self, seconds: float, late: str) -> None:
        """Set the deadline, so many seconds from now. late: what the SlowError after it says."""
        self._deadline, self._late = time.monotonic() + seconds, late

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise SlowError(self._late)
        stall = left if self._stall is None else min(self._stall, left)
        self._connection.settimeout(stall)
        try:
            return self._raw.readinto(buffer)
        except TimeoutError as error:
            raise SlowError(self._late) if stall == left else error from error

    def close(self) -> None:
        self._raw.close()
        super().close()


class TimedResponse(HTTPResponse):
    """A response whose head must be here after so many seconds, interim responses such as 100 Continue included."""

    def __init__(self, connection: socket.socket, *args: Any, head_seconds: float, **settings: Any) -> None:
        super().__init__(connection, *args, **settings)
        raw: Any = self.fp.detach()
        self.timed = _TimedReader(raw, connection, head_seconds)
        self.fp = BufferedReader(self.timed)

    def read_some(self, size: int, seconds: float) -> bytes:
        """Return what has arrived, at most `size` bytes; none at the end. Raises TimeoutError after `seconds`."""
        self.timed.allow(seconds, f"not a byte came for {seconds:g} s")
        return self.read1(size)


def _connect(kind: type[HTTPConnection], head_seconds: float, *args: Any, **settings: Any) -> HTTPConnection:
    connection = kind(*args, **settings)
    connection.response_class = partial(TimedResponse, head_seconds=head_seconds)  # type: ignore[assignment]
    return connection


class TimedHTTPHandler(HTTPHandler):
    """urllib's handler of http, with responses that must come in time."""

    def __init__(self, head_seconds: float) -> None:
        super().__init__()
        self._head_seconds = head_seconds

    def http_open(self, request: Request) -> HTTPResponse:
        opened = partial(_connect, HTTPConnection, self._head_seconds)
        return self.do_open(opened, request)


class TimedHTTPSHandler(HTTPSHandler):
    """urllib's handler of https, with responses that must come in time."""

    def __init__(self, head_seconds: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._head_seconds, self._settings = head_seconds, settings

    def https_open(self, request: Request) -> HTTPResponse:
        opened = partial(_connect, HTTPSConnection, self._head_seconds)
        return self.do_open(opened, request, **self._settings)
