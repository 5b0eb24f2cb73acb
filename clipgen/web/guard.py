"""Who may ask: the host, the origin and the token of each request, and the headers of each answer.

A page of another site must neither reach this server by a name that it controls (DNS rebinding) nor have the browser
send requests in its user's name (cross-site request forgery).
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "clipgen_token"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'; sandbox"
"""Of files from the folder of outputs, where anybody may have put a drawing with a script in it."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether a host to listen on can be reached from this machine only."""
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Answers requests that may not pass, and adds headers to all answers.

    host: what the server listens on. token: what each request must bring along; "" for none.
    """

    def __init__(self, app: ASGIApp, host: str, token: str = "") -> None:
        self._app, self._host, self._token = app, host, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no WebSockets here
        headers = Headers(scope=scope)
        answer = self._refusal(scope["method"], scope["path"], headers) or self._login(scope, headers)
        await (answer or self._app)(scope, receive, _with_headers(send, scope["path"]))

    def _refusal(self, method: str, path: str, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._is_own(host):
            return _error(421, "this server does not have the name that it was called by; use the address it printed")
        site = headers.get("sec-fetch-site", "none")
        is_visit = method == "GET" and path == "/" and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not is_visit:
            return _error(403, "requests from other sites are refused")
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return _error(403, "requests from other origins are refused")
        return None

    def _is_own(self, host: str) -> bool:
        """Whether the name in the Host header cannot be one that somebody else controls."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in LOOPBACK or name == self._host:
            return True
        if is_loopback(self._host):
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.lower() in (socket.gethostname().lower(), f"{socket.gethostname()}.local".lower())
        return True

    def _login(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        """Return the answer to a request without the token, or to one that brings it in the address."""
        if not self._token:
            return None
        if scope["path"] == "/" and scope["method"] == "GET":
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
            if given and self._is_token(given[0]):
                answer = RedirectResponse("/", 303)
                answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict", path="/")
                return answer
        kind, _, sent = headers.get("authorization", "").partition(" ")
        if (kind.lower() == "bearer" and self._is_token(sent)) or self._is_token(_cookie(headers.get("cookie", ""))):
            return None
        return _error(401, "the token is missing or wrong; open the address that clipgen web printed")

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token.encode())


def _cookie(text: str) -> str:
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _error(status: int, line: str) -> Response:
    return JSONResponse({"error": line}, status)


def _with_headers(send: Send, path: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["content-security-policy"] = FILE_POLICY if path.startswith("/files/") else POLICY
            if "cache-control" not in headers:
                headers["cache-control"] = "no-store" if path.startswith("/api/") else "no-cache"
        await send(message)

    return sending
