"""HTTPS and nothing else: one GET with redirects followed by hand, and what can go wrong with it, by what helps."""

from __future__ import annotations

import ssl
import string
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import cast
from urllib.error import URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from clipgen import __version__

MAX_REDIRECTS = 5
_MOVED = {301, 302, 303, 307, 308}
_PASSING = {408, 425, 429}


class Trouble(Exception):  # noqa: N818 - each subclass says what helps
    """Why an attempt at a mirror brought nothing."""


class Refusal(Trouble):
    """The mirror will not give the file, however often it is asked."""


class Passing(Trouble):
    """It may work in a moment."""


class Unreachable(Passing):
    """There was no connection at all."""


class Spoiled(Trouble):
    """What is here of the file cannot be continued; it may work from the start."""


class Transport:
    """Opens addresses.

    stall_seconds: how long a connection may stay silent.
    allow_http_to: hosts that may be asked without TLS; there for tests with a server on this machine.
    """

    def __init__(self, stall_seconds: float, allow_http_to: Collection[str] = ()) -> None:
        self._stall_seconds = stall_seconds
        self._allow_http_to = allow_http_to
        # Put together by hand: urllib's own set also opens files and FTP, and follows redirects to them.
        self._opener = OpenerDirector()
        handlers = [ProxyHandler(), HTTPSHandler(context=ssl.create_default_context()), UnknownHandler()]
        for handler in [*handlers, *([HTTPHandler()] if allow_http_to else [])]:
            self._opener.add_handler(handler)

    @contextmanager
    def get(self, address: str, headers: Mapping[str, str]) -> Iterator[HTTPResponse]:
        """Ask for an address and open the answer, which has the status 200, 206 or 416; else `Trouble`."""
        with self._as_trouble():
            response = self._follow(address, headers)
        with response:
            yield response

    def read(self, response: HTTPResponse, size: int) -> bytes:
        """Return what has arrived, at most `size` bytes of it; nothing at the end."""
        with self._as_trouble():
            return response.read1(size)

    def _follow(self, address: str, headers: Mapping[str, str]) -> HTTPResponse:
        for _ in range(MAX_REDIRECTS + 1):
            self._check(address)
            sent = {"User-Agent": f"clipgen/{__version__}", "Accept-Encoding": "identity", **headers}
            request = Request(address, headers=sent)  # noqa: S310 - checked above, for each redirect
            response = cast(HTTPResponse, self._opener.open(request, timeout=self._stall_seconds))
            if response.status not in _MOVED:
                return _checked(response)
            response.close()
            # Some servers send it in Latin-1 with blanks.
            target = quote(response.headers.get("Location", ""), encoding="iso-8859-1", safe=string.punctuation)
            if not target:
                raise Refusal("it redirects to nowhere")
            address = urljoin(address, target)
        raise Refusal(f"it redirects more than {MAX_REDIRECTS} times")

    def _check(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme == "https" and parts.hostname:
            return
        if not (parts.scheme == "http" and parts.hostname in self._allow_http_to):
            raise Refusal(f"it leads to {parts.scheme}://{parts.hostname or ''}, and only https is safe")

    @contextmanager
    def _as_trouble(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise Refusal(f"its certificate is not valid ({reason.verify_message})") from error
            if isinstance(reason, TimeoutError):
                raise Passing(f"not a byte came for {self._stall_seconds:g} s") from error
            if isinstance(error, ValueError):
                raise Refusal(f"its answer makes no sense ({error})") from error
            if isinstance(error, URLError):
                raise Unreachable(f"it cannot be reached ({reason})") from error
            raise Passing(f"the connection broke ({reason or type(error).__name__})") from error


def _checked(response: HTTPResponse) -> HTTPResponse:
    """Return a response that is of use."""
    status = response.status
    encoding = response.headers.get("Content-Encoding", "identity")
    if status in (200, 206, 416) and encoding == "identity":
        return response
    response.close()
    if status in _PASSING or status >= 500:
        raise Passing(f"it answers {status} {response.reason}")
    if status in (200, 206, 416):
        raise Refusal(f"it sends the file compressed ({encoding}), unasked")
    raise Refusal(f"it answers {status} {response.reason}")
