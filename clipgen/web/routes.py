"""The table of routes: what the server answers, what the OpenAPI document says, and what the tests ask. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clipgen.web.handlers import Call, Site
from clipgen.web.needs import CHOICES
from clipgen.web.uploads import MAX_BYTES

MAX_JSON = 1_000_000
Handler = Callable[[Site, Call], Any]


@dataclass(frozen=True)
class Route:
    """One operation."""

    method: str
    path: str
    handler: Handler
    summary: str
    answers: str = ""
    """The name of a schema, or the type of another medium than JSON; "" for any object."""
    takes: str = ""
    """Likewise of the body; "" for none."""
    status: int = 200
    queries: tuple[str, ...] = ()

    @property
    def limit(self) -> int:
        """The most bytes that its body may have."""
        return 0 if not self.takes else MAX_BYTES if self.takes == BYTES else MAX_JSON


BYTES, JPEG, PNG, HTML, ANY, EVENTS = (
    "application/octet-stream",
    "image/jpeg",
    "image/png",
    "text/html",
    "*/*",
    "text/event-stream",
)
EVENTS_PATH = "/api/events"
ROUTES = (
    Route("GET", "/", Site.page, "the page", HTML),
    Route("GET", "/static/{name}", Site.asset, "a file of the page", ANY),
    Route("GET", "/api/options", Site.options, "presets, generators and settings", "Options"),
    Route("GET", "/api/weights", Site.weights, "what presets need that is not here", "Weights", queries=CHOICES[1:]),
    Route("POST", "/api/weights", Site.download, "download what a preset needs", "Download", "Choice", 202),
    Route("POST", "/api/weights/stop", Site.stop_download, "stop; what has arrived is kept", "Download"),
    Route("POST", "/api/uploads", Site.add_upload, "send a picture", "Upload", BYTES, 201),
    Route("GET", "/api/uploads/{id}", Site.upload, "a picture that was sent", PNG),
    Route("POST", "/api/recipes", Site.read_recipe, "read the recipe in a picture", "Recipe", BYTES),
    Route("GET", "/api/jobs", Site.jobs, "all jobs", "[Job]"),
    Route("POST", "/api/jobs", Site.add_job, "ask for a picture", "Job", "Request", 201),
    Route("GET", "/api/jobs/{id}", Site.job, "a job and its scores", "JobWithScores"),
    Route("DELETE", "/api/jobs/{id}", Site.forget, "forget a job that is over; files stay", "Removed"),
    Route("POST", "/api/jobs/{id}/stop", Site.stop, "end a job with the picture so far", "Job"),
    Route("POST", "/api/jobs/{id}/pause", Site.pause, "let the next job run first", "Job"),
    Route("POST", "/api/jobs/{id}/resume", Site.resume, "go on with a job that was stopped", "Job"),
    Route("POST", "/api/jobs/{id}/extend", Site.extend, "make more steps", "Job", "More"),
    Route("POST", "/api/jobs/{id}/prompt", Site.change_prompt, "go on with another prompt", "Job", "NewPrompt"),
    Route("GET", "/api/jobs/{id}/frame.jpg", Site.frame, "the newest frame", JPEG, queries=("v",)),
    Route("GET", "/api/gallery", Site.gallery_page, "pictures, newest first", "Page", queries=("q", "offset", "limit")),
    Route("GET", "/api/gallery/{id}", Site.gallery_item, "a picture and its recipe", "ItemWithRecipe"),
    Route("POST", "/api/gallery/{id}/replay", Site.replay, "make a picture again", "[Job]", status=201),
    Route("POST", "/api/gallery/{id}/variations", Site.variations, "the same with other seeds", "[Job]", "Count", 201),
    Route("GET", "/api/gallery/{id}/thumb.jpg", Site.thumb, "a small picture", JPEG, queries=("v",)),
    Route("GET", "/files/{id}/{name}", Site.file, "a picture, a film or a drawing", ANY, queries=("download",)),
)
"""All but the events and the document itself, in the order in which they are matched."""
