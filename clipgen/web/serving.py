"""The server: the application on a socket, and the queue behind it, until Ctrl-C."""

from __future__ import annotations

import re
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from clipgen.errors import UsageError
from clipgen.util.files import make_folder
from clipgen.web.app import make_app
from clipgen.web.guard import is_loopback
from clipgen.web.jobs import Queue

BACKLOG = 128


class Server(uvicorn.Server):
    """Ends the streams of events before it waits for all answers to be sent."""

    def __init__(self, config: uvicorn.Config, queue: Queue, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._queue, self._ready = queue, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self._queue.start()
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all connections."""
        self._queue.hub.close()
        await super().shutdown(sockets)


def serve(
    folder: Path,
    host: str,
    port: int,
    *,
    say: Callable[[str], None],
    token: str = "",
    device: str = "auto",
    opens: bool = False,
) -> None:
    """Serve until Ctrl-C; the picture that is being made then is kept, and can be resumed.

    Beyond loopback a token is needed; one is made up if none is given. Raises UsageError if the address is taken.
    """
    if token and not re.fullmatch(r"[A-Za-z0-9._~-]{8,128}", token):
        raise UsageError("--token must be 8 to 128 letters, digits and . _ ~ - without anything else")
    make_folder(folder)
    token = token or ("" if is_loopback(host) else secrets.token_urlsafe(16))
    listening = _listen(host, port)
    address = _address(host, listening.getsockname()[1], token)
    queue = Queue(folder, device)

    def ready() -> None:
        say(f"clipgen is at {address} and writes to {folder}; Ctrl-C ends it")
        if opens:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    app = make_app(queue, host, token)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2, ws="none"
    )
    try:
        Server(config, queue, ready).run([listening])
    finally:
        listening.close()
        if waiting := queue.close():
            say(f"{waiting} in the queue; clipgen web offers {'it' if waiting == 1 else 'them'} when it starts again")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"--host {host} --port {port} cannot be used ({reason}); try --port {port + 1}") from error


def _address(host: str, port: int, token: str) -> str:
    shown = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)  # noqa: S104
    name = f"[{shown}]" if ":" in shown else shown
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
