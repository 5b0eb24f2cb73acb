"""What the routes do: each takes a call and returns plain JSON values, or an answer of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from starlette.responses import FileResponse, Response

from clipgen.cli.info import recipe_lines
from clipgen.config.checks import check_whole, checked_record, load_json
from clipgen.config.job import MAX_STEPS
from clipgen.config.prompts import Prompt
from clipgen.errors import UsageError
from clipgen.session.planning import random_seed
from clipgen.util.text import quoted
from clipgen.web.failures import NotFoundError
from clipgen.web.gallery import Gallery, small_jpeg
from clipgen.web.job import PAUSED, STOPPED
from clipgen.web.jobs import Queue
from clipgen.web.needs import CHOICES, check_here, needs
from clipgen.web.options import described
from clipgen.web.recipes import replanner_of, request_of
from clipgen.web.requests import Planned, Planner, Request, planner_of
from clipgen.web.watching import MAX_SIDE
from clipgen.weights.fetch import is_offline

if TYPE_CHECKING:
    from clipgen.outputs.metadata import Recipe

STATIC = Path(__file__).parent / "static"
MAX_VARIATIONS = 16
FOREVER = "private, max-age=31536000, immutable"


@dataclass(frozen=True)
class Call:
    """A request of HTTP, as far as handlers need it."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    filename: str = ""

    def json(self, *names: str) -> dict[str, Any]:
        """Return the body, a JSON object that has no other keys than these; raises UsageError."""
        try:
            text = self.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError("the body is not UTF-8") from error
        return checked_record("the body", load_json("the body", text or "{}"), set(names))

    def number(self, name: str, usual: int) -> int:
        """Return a whole number of the query; raises UsageError."""
        text = self.query.get(name, str(usual))
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise UsageError(f"{name} must be a whole number, got {quoted(text)}")
        return int(text)


class Site:
    """What is served: one queue, and the gallery of its folder."""

    def __init__(self, queue: Queue, static: Path = STATIC) -> None:
        self.queue = queue
        self.gallery = Gallery(queue.folder)
        self._assets = {path.name: path for path in static.glob("*.*")}

    def page(self, _call: Call) -> Response:
        return self._asset("index.html")

    def asset(self, call: Call) -> Response:
        return self._asset(call.path["name"])

    def _asset(self, name: str) -> Response:
        if name not in self._assets:
            raise NotFoundError("there is no such file")
        return FileResponse(self._assets[name])

    def options(self, _call: Call) -> dict[str, Any]:
        return described()

    def weights(self, call: Call) -> dict[str, Any]:
        rows = needs({name: call.query[name] for name in CHOICES if name in call.query}, self.queue.device)
        return {
            "offline": is_offline(),
            "presets": [each.to_dict() for each in rows],
            "download": self.queue.downloads.describe(),
        }

    def download(self, call: Call) -> dict[str, Any]:
        asked = call.json(*CHOICES)
        if not asked.get("preset"):
            raise UsageError("preset must be named")
        return self.queue.downloads.start(asked)

    def stop_download(self, _call: Call) -> dict[str, Any]:
        return self.queue.downloads.stop()

    def add_upload(self, call: Call) -> dict[str, Any]:
        made = self.queue.uploads.add(call.body, unquote(call.filename)[-255:])
        return {"id": made.id, "width": made.width, "height": made.height, "url": f"/api/uploads/{made.id}"}

    def upload(self, call: Call) -> Response:
        path = self.queue.uploads.get(call.path["id"]).path
        return FileResponse(path, media_type="image/png", headers={"cache-control": FOREVER})

    def read_recipe(self, call: Call) -> dict[str, Any]:
        recipe = _recipe_in(call.body)
        request, notes = request_of(recipe.plan, recipe.init_sha256, self.queue.uploads)
        name = unquote(call.filename)[-255:]
        return {"request": request.to_dict(), "name": name, "text": _readable(name, recipe), "notes": notes}

    def jobs(self, _call: Call) -> list[dict[str, Any]]:
        return self.queue.all()

    def add_job(self, call: Call) -> dict[str, Any]:
        request = Request.read(call.json(*Request.__dataclass_fields__))
        return self._add(request, planner_of(request, self.queue.uploads, self.queue.device))

    def job(self, call: Call) -> dict[str, Any]:
        job = self.queue.get(call.path["id"])
        return {**self.queue.describe(job), "scores": [list(pair) for pair in job.progress.scores]}

    def stop(self, call: Call) -> dict[str, Any]:
        return self.queue.describe(self.queue.halt(call.path["id"], STOPPED))

    def pause(self, call: Call) -> dict[str, Any]:
        return self.queue.describe(self.queue.halt(call.path["id"], PAUSED))

    def resume(self, call: Call) -> dict[str, Any]:
        return self.queue.describe(self.queue.resume(call.path["id"]))

    def extend(self, call: Call) -> dict[str, Any]:
        steps = call.json("steps").get("steps", 100)
        check_whole("steps", steps, 1, MAX_STEPS)
        return self.queue.describe(self.queue.extend(call.path["id"], steps))

    def change_prompt(self, call: Call) -> dict[str, Any]:
        prompt = call.json("prompt").get("prompt")
        if not isinstance(prompt, str):
            raise UsageError(f"prompt must be text, got {quoted(prompt)}")
        return self.queue.describe(self.queue.change_prompt(call.path["id"], prompt))

    def forget(self, call: Call) -> dict[str, Any]:
        self.queue.forget(call.path["id"])
        return {"id": call.path["id"]}

    def frame(self, call: Call) -> Response:
        job = self.queue.get(call.path["id"])
        content = job.progress.jpeg()
        if not content and job.files:
            content = small_jpeg(job.files[0], MAX_SIDE)
        if not content:
            raise NotFoundError("there is no frame yet")
        return Response(content, media_type="image/jpeg", headers={"cache-control": "no-store"})

    def gallery_page(self, call: Call) -> dict[str, Any]:
        return self.gallery.page(call.query.get("q", ""), call.number("offset", 0), call.number("limit", 60))

    def gallery_item(self, call: Call) -> dict[str, Any]:
        item, shown = self.gallery.get(call.path["id"])
        if item.recipe is None:
            return {**shown, "request": None, "recipe": ""}
        request, notes = request_of(item.recipe.plan, item.recipe.init_sha256, self.queue.uploads)
        return {**shown, "request": request.to_dict(), "recipe": _readable(item.path.name, item.recipe), "notes": notes}

    def replay(self, call: Call) -> list[dict[str, Any]]:
        return [self._again(self._recipe(call))]

    def variations(self, call: Call) -> list[dict[str, Any]]:
        count = call.json("count").get("count", 4)
        check_whole("count", count, 1, MAX_VARIATIONS)
        recipe = self._recipe(call)
        return [self._again(recipe, seed=random_seed()) for _ in range(count)]

    def thumb(self, call: Call) -> Response:
        content = self.gallery.thumb(call.path["id"])
        return Response(content, media_type="image/jpeg", headers={"cache-control": FOREVER})

    def file(self, call: Call) -> Response:
        path = self.gallery.file(call.path["id"], call.path["name"])
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(path.name)}"}
        return FileResponse(path, headers=headers if call.query.get("download") == "1" else None)

    def _recipe(self, call: Call) -> Recipe:
        item, _ = self.gallery.get(call.path["id"])
        if item.recipe is None:
            raise UsageError(f"{quoted(item.path.name)} has no recipe to make it again from")
        return item.recipe

    def _again(self, recipe: Recipe, **changes: Any) -> dict[str, Any]:
        queue = self.queue
        request, _ = request_of(recipe.plan, recipe.init_sha256, queue.uploads)
        return self._add(request, replanner_of(recipe, queue.uploads, queue.device, **changes))

    def _add(self, request: Request, plan: Planner) -> dict[str, Any]:
        """Put a job into the queue, unless its models are not on this machine."""
        queue = self.queue

        def checked(prompts: tuple[Prompt, ...] | None) -> Planned:
            planned = plan(prompts)
            check_here(planned[0], request.settings, queue.downloads.coming, queue.device)
            return planned

        return queue.describe(queue.add(request, checked))


def _recipe_in(content: bytes) -> Recipe:
    """Return the recipe in the content of a picture file. Raises UsageError."""
    import tempfile

    from clipgen.outputs.metadata import read_recipe

    with tempfile.TemporaryDirectory(prefix="clipgen-recipe-") as folder:
        path = Path(folder) / "picture.png"
        path.write_bytes(content)
        try:
            return read_recipe(path)
        except UsageError as error:
            raise UsageError(str(error).replace(repr(str(path)), "this picture")) from error


def _readable(name: str, recipe: Recipe) -> str:
    return "\n".join(recipe_lines(Path(name or "PICTURE.png"), recipe))
