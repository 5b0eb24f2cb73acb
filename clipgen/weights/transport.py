"""HTTPS GET requests for downloads, and errors by what helps against them."""

from __future__ import annotations

import ssl
import string
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import cast
from urllib.error import URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, UnknownHandler

from clipgen import __version__
from clipgen.weights.patience import SlowError, TimedHTTPHandler, TimedHTTPSHandler, TimedResponse

MAX_REDIRECTS = 5
_MOVED = {301, 302, 303, 307, 308}
_TEMPORARY = {408, 425, 429}


class TransferError(Exception):
    """Why a request to a mirror did not give the file; each subclass says what to do next."""


class MirrorError(TransferError):
    """The mirror will not give the file however often it is asked: try the next one."""


class TemporaryError(TransferError):
    """The mirror may give the file later: ask again."""


class UnreachableError(TemporaryError):
    """There was no connection at all."""


class RestartError(TransferError):
    """The part that has arrived cannot be continued: download the file from the start."""


class Transport:
    """Makes GET requests over HTTPS, through the proxy that the environment names.

    stall_seconds: how long a server may send nothing. head_seconds: how long the head of its answer may take.
    allow_http_to: hosts that may be asked without TLS; for tests with a server on this machine.
    """

    def __init__(self, stall_seconds: float, head_seconds: float, allow_http_to: Collection[str] = ()) -> None:
        self._stall_seconds = stall_seconds
        self._allow_http_to = allow_http_to
        # urllib's default handlers would also open files and FTP, and follow redirects to them.
        self._opener = OpenerDirector()
        https = TimedHTTPSHandler(head_seconds, context=ssl.create_default_context())
        handlers = [ProxyHandler(), https, UnknownHandler()]
        for handler in [*handlers, *([TimedHTTPHandler(head_seconds)] if allow_http_to else [])]:
            self._opener.add_handler(handler)

    @contextmanager
    def get(self, address: str, headers: Mapping[str, str]) -> Iterator[TimedResponse]:
        """Request an address and open the response, of status 200, 206 or 416. Raises TransferError otherwise."""
        with self._errors_translated():
            response = self._follow(address, headers)
        with response:
            yield response

    def read(self, response: TimedResponse, size: int) -> bytes:
        """Return what has arrived of a response, at most `size` bytes; none at its end. Raises TransferError."""
        with self._errors_translated():
            return response.read_some(size, self._stall_seconds)

    def _follow(self, address: str, headers: Mapping[str, str]) -> TimedResponse:
        for _ in range(MAX_REDIRECTS + 1):
            self._check(address)
            sent = {"User-Agent": f"clipgen/{__version__}", "Accept-Encoding": "identity", **headers}
            request = Request(address, headers=sent)  # noqa: S310 - checked above, for each redirect
            response = cast(TimedResponse, self._opener.open(request, timeout=self._stall_seconds))
            if response.status not in _MOVED:
                return _checked(response)
            response.close()
            # Some servers send it in Latin-1 and with spaces.
            target = quote(response.headers.get("Location", ""), encoding="iso-8859-1", safe=string.punctuation)
            if not target:
                raise MirrorError("it redirects to nowhere")
            address = urljoin(address, target)
        raise MirrorError(f"it redirects more than {MAX_REDIRECTS} times")

    def _check(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme == "https" and parts.hostname:
            return
        if not (parts.scheme == "http" and parts.hostname in self._allow_http_to):
            raise MirrorError(f"it leads to {parts.scheme}://{parts.hostname or ''}, and only https is safe")

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise MirrorError(f"its certificate is not valid ({reason.verify_message})") from error
            if isinstance(reason, SlowError):
                raise TemporaryError(str(reason)) from error
            if isinstance(reason, TimeoutError):
                raise TemporaryError(f"not a byte came for {self._stall_seconds:g} s") from error
            if isinstance(error, ValueError):
                raise MirrorError(f"its answer makes no sense ({error})") from error
            if isinstance(error, URLError):
                raise UnreachableError(f"it cannot be reached ({reason})") from error
            raise TemporaryError(f"the connection broke ({reason or type(error).__name__})") from error


def _checked(response: TimedResponse) -> TimedResponse:
    """Return a response that a download can use. Raises TransferError for any other, and closes it."""
    status = response.status
    encoding = response.headers.get("Content-Encoding", "identity")
    if status in (200, 206, 416) and encoding == "identity":
        return response
    response.close()
    if status in _TEMPORARY or status >= 500:
        raise TemporaryError(f"it answers {status} {response.reason}")
    if status in (200, 206, 416):
        raise MirrorError(f"it sends the file compressed ({encoding}), unasked")
    raise MirrorError(f"it answers {status} {response.reason}")
