"""A server of the page for tests: its models are the fakes, and a client asks it without a network."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.testclient import TestClient

from clipgen.web.app import make_app
from clipgen.web.jobs import Queue

ADDRESS = "http://127.0.0.1:8384"
OVER = ("done", "failed", "stopped", "paused")
SETTINGS = {"preset": "starter", "size": "48x32", "steps": 12, "cutouts": "6", "lr": "0.1", "seed": 1}


@contextmanager
def server(folder: Path, *, token: str = "", host: str = "127.0.0.1", starts: bool = True) -> Iterator["Client"]:
    """Serve a folder of outputs."""
    queue = Queue(folder, "cpu")
    if starts:
        queue.start()
    with TestClient(make_app(queue, host, token), base_url=ADDRESS, follow_redirects=False) as asking:
        try:
            yield Client(asking, queue)
        finally:
            queue.close()


class Client:
    """Asks as the page does."""

    def __init__(self, http: TestClient, queue: Queue) -> None:
        self.http, self.queue = http, queue

    def get(self, path: str, **settings: Any) -> Any:
        return self.http.get(path, **settings)

    def post(self, path: str, record: object = None, **settings: Any) -> Any:
        return self.http.post(path, **({} if record is None else {"json": record}), **settings)

    def make(self, prompt: str = "red", **settings: Any) -> dict[str, Any]:
        """Ask for a picture."""
        asked = {
            name: settings.pop(name)
            for name in ("init", "mask", "image_prompts", "films", "negative")
            if name in settings
        }
        answer = self.post("/api/jobs", {"prompt": prompt, "settings": {**SETTINGS, **settings}, **asked})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def job(self, name: str) -> dict[str, Any]:
        return dict(self.get(f"/api/jobs/{name}").json())

    def wait(self, name: str, *states: str, seconds: float = 60) -> dict[str, Any]:
        """Return a job once it has one of some states, by default those of a job that does not run."""
        end = time.monotonic() + seconds
        while (job := self.job(name))["state"] not in (states or OVER):
            assert time.monotonic() < end, job
            time.sleep(0.01)
        return job

    def wait_for_step(self, name: str, step: int) -> dict[str, Any]:
        end = time.monotonic() + 60
        while (job := self.job(name))["step"] < step:
            assert time.monotonic() < end, job
            time.sleep(0.005)
        return job

    def upload(self, image: Image.Image, name: str = "photo.png") -> dict[str, Any]:
        answer = self.http.post("/api/uploads", content=png(image), headers={"X-Filename": name})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


def png(image: Image.Image, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", **settings)
    return file.getvalue()
