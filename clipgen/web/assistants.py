"""Tools for assistants (Model Context Protocol): the same queue as the page's, over stdin and stdout."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from anyio.to_thread import run_sync
from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError

from clipgen import __version__
from clipgen.errors import ClipgenError
from clipgen.util.files import make_folder
from clipgen.web.gallery import small_jpeg
from clipgen.web.job import FAILED, OPEN, STOPPED, WebJob
from clipgen.web.jobs import Queue
from clipgen.web.requests import Request, planner_of

INSTRUCTIONS = (
    "clipgen turns a sentence into a picture on this machine. `start` returns a job at once; `result` waits for its "
    "picture, which takes from seconds to minutes, and returns the path of the PNG and a small preview."
)
PREVIEW_SIDE = 256
MAX_WAIT = 600
POLL_SECONDS = 0.1
SHOWN = ("id", "state", "stage", "prompt", "step", "total", "score", "position", "seed", "error", "notes")
Answer = list[str | Image]
Given = TypeVar("Given")


class Tools:
    """What an assistant can do with one queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def start(
        self,
        prompt: str,
        negative: str = "",
        preset: str = "auto",
        backend: str = "",
        size: str = "",
        steps: int = 0,
        seed: int | None = None,
        films: list[str] | None = None,
    ) -> Answer:
        """Begin a picture of a sentence; returns the job, whose id the other tools take.

        prompt: what to draw, as in "a red boat at sunset"; weights as in "a cat:2|fog:-0.5". negative: what it is not
        to show. preset: auto, starter, photo, quick, draft, standard or best. backend: vqgan, dvae, kl, titok, pixels
        or strokes. size: as in "256x256". Empty and 0 stand for the preset's own. films: some of mp4, webm, gif, apng.
        """
        settings = {"preset": preset, "backend": backend, "size": size, "steps": steps or None, "seed": seed}
        record = {"prompt": prompt, "negative": negative, "settings": settings, "films": films or []}

        def add() -> WebJob:
            queue = self._queue
            request = Request.read(record)
            return queue.add(request, planner_of(request, queue.uploads, queue.device))

        return self._shown(await _attempt(add))

    async def status(self, job: str) -> Answer:
        """Tell how far a job is, with a small preview of the picture so far."""
        return await _attempt(lambda: self._with_preview(self._queue.get(job)))

    async def result(self, job: str, wait_seconds: float = 60) -> Answer:
        """Wait for a job up to so many seconds; returns the paths of its files and a preview, if it is over by then."""

        def wait() -> Answer:
            found = self._queue.get(job)
            end = time.monotonic() + min(max(wait_seconds, 0), MAX_WAIT)
            while found.state in OPEN and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
            return self._with_preview(found)

        return await _attempt(wait)

    async def cancel(self, job: str) -> Answer:
        """Stop a job; the picture so far is kept."""
        return self._shown(await _attempt(lambda: self._queue.halt(job, STOPPED)))

    async def jobs(self) -> Answer:
        """List all jobs of this session, and runs that were left unfinished in the folder."""
        return [json.dumps([_summary(each, []) for each in await _attempt(self._queue.all)])]

    def _shown(self, job: WebJob) -> Answer:
        return [json.dumps(_summary(self._queue.describe(job), job.files))]

    def _with_preview(self, job: WebJob) -> Answer:
        written = [each for each in job.files if each.exists()]
        over = job.state not in OPEN and written
        small = small_jpeg(written[0], PREVIEW_SIDE) if over else job.progress.jpeg()
        return [*self._shown(job), *([Image(data=small, format="jpeg")] if small and job.state != FAILED else [])]


def _summary(job: dict[str, Any], files: list[Path]) -> dict[str, Any]:
    paths = {"path": str(files[0].absolute()), "files": [str(each.absolute()) for each in files]} if files else {}
    return {name: job[name] for name in SHOWN} | paths


async def _attempt(act: Callable[[], Given]) -> Given:
    """Do something in a thread; an error of clipgen is the answer, in one line."""
    try:
        return await run_sync(act)
    except (ClipgenError, OSError) as error:
        raise ToolError(str(error)) from error


def make_server(queue: Queue) -> MCPServer:
    """Return the server of the tools for one queue."""
    tools, server = Tools(queue), MCPServer("clipgen", version=__version__, instructions=INSTRUCTIONS)
    for name, tool in (
        ("start", tools.start),
        ("status", tools.status),
        ("result", tools.result),
        ("cancel", tools.cancel),
        ("list", tools.jobs),
    ):
        server.tool(name, structured_output=False)(tool)
    return server


def serve(folder: Path, device: str = "auto") -> None:
    """Answer an assistant on stdin and stdout until it hangs up; the picture that is being made then is kept."""
    make_folder(folder)
    queue = Queue(folder, device)
    queue.start()
    try:
        make_server(queue).run("stdio")
    finally:
        queue.close()
