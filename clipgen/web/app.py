"""The application: routes to handlers, errors to one line of JSON, and the stream of events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp

from clipgen.errors import ClipgenError
from clipgen.util.text import readable_bytes
from clipgen.web.downloads import KIND
from clipgen.web.failures import TooLargeError, status_of
from clipgen.web.guard import Guard
from clipgen.web.handlers import Call, Site
from clipgen.web.jobs import Queue
from clipgen.web.openapi import document
from clipgen.web.routes import EVENTS, EVENTS_PATH, ROUTES, Route

Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(queue: Queue, host: str = "127.0.0.1", token: str = "") -> ASGIApp:
    """Return the application for one queue.

    host: what the server listens on. token: what every request must bring along; "" for none.
    """
    site = Site(queue)

    async def events(_request: Request) -> Response:
        return _events(queue)

    async def openapi(_request: Request) -> Response:
        return JSONResponse(document())

    routes = [
        *(StarletteRoute(each.path, _endpoint(each, site), methods=[each.method]) for each in ROUTES),
        StarletteRoute(EVENTS_PATH, events),
        StarletteRoute("/openapi.json", openapi),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refused, Exception: _failed})
    return Guard(app, host, token)


def _endpoint(route: Route, site: Site) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request, route.limit)
            name = request.headers.get("x-filename", "")
            call = Call(request.path_params, request.query_params, body, name)
            answer = await run_in_threadpool(route.handler, site, call)
        except (ClipgenError, OSError, MemoryError) as error:
            return JSONResponse({"error": _line(error)}, status_of(error))
        return answer if isinstance(answer, Response) else JSONResponse(answer, route.status)

    return endpoint


def _line(error: Exception) -> str:
    if isinstance(error, ClipgenError):
        return str(error)
    if isinstance(error, OSError):
        return f"the server cannot read or write its files ({error.strerror or error}); make room on its disk"
    return "the server has not enough memory for this"


async def _body(request: Request, limit: int) -> bytes:
    """Return the body, read no further than its limit; raises TooLargeError."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > limit:
            least = f"up to {readable_bytes(limit)}" if limit else "no body"
            raise TooLargeError(f"the body is too large; this takes {least}")
    return bytes(content)


def _events(queue: Queue) -> Response:
    if not queue.hub.has_room:
        return JSONResponse({"error": "too many tabs are open"}, 503)

    async def stream() -> AsyncIterator[str]:
        watcher = queue.hub.add()  # here, as a stream that never begins does not end either
        try:
            for job in await run_in_threadpool(queue.all):
                watcher.tell("job", job["id"], json.dumps(job))
            if download := queue.downloads.describe():
                watcher.tell(KIND, "", json.dumps(download))
            yield "retry: 2000\n\n"
            async for text in watcher.stream():
                yield text
        finally:
            queue.hub.remove(watcher)

    return StreamingResponse(stream(), media_type=EVENTS, headers={"cache-control": "no-store"})


async def _refused(_request: Request, error: Exception) -> Response:
    """Answer what no route takes."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    lines = {404: "there is no such address", 405: "this address does not take this method"}
    return JSONResponse({"error": lines.get(status, str(error))}, status)


async def _failed(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(ClipgenError(f"unexpected {type(error).__name__}: {error}"))}, 500)
