"""The interface as its document says it, and what a thousand random requests do to it: nothing."""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import install
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from PIL import Image
from web_clients import Client, png, server

from clipgen.session.arguments import Settings
from clipgen.web.openapi import STATES, document
from clipgen.web.options import FIELDS, FILM_TIMING, described, read_settings
from clipgen.web.routes import EVENTS_PATH, ROUTES

COUNT = int(os.environ.get("CLIPGEN_FUZZ", 1000))
NASTY = (
    "",
    "\0",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "a" * 3000,
    "\ud800",
    "%2e%2e",
    "null",
    "-1",
    "1e999",
    "🦊",
    "{}",
)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    install(monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    with server(Path("outputs")) as client:
        yield client


def check(name: str, value: object) -> None:
    """Raise unless a value is what the document says of a schema."""
    kept = document()["components"]
    Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": kept}).validate(value)


def test_the_document_is_valid_and_has_every_route(client: Client) -> None:
    served = client.get("/openapi.json").json()
    assert served == document()
    validate(served)
    assert {(route.method.lower(), route.path) for route in ROUTES} | {("get", EVENTS_PATH)} == {
        (method, path) for path, methods in served["paths"].items() for method in methods
    }


def test_answers_are_what_the_document_says(client: Client) -> None:
    check("Options", client.get("/api/options").json())
    sent = client.upload(Image.new("RGB", (20, 20), "red"))
    check("Upload", sent)
    made = client.make("red", image_prompts=[{"upload": sent["id"]}], films=["gif"])
    check("Job", made)
    assert made["state"] in STATES
    done = client.wait(made["id"])
    check("JobWithScores", done)
    check("Page", client.get("/api/gallery").json())
    check("ItemWithRecipe", client.get(f"/api/gallery/{done['picture']}").json())
    picture = Path("outputs", done["files"][0]["name"]).read_bytes()
    recipe = client.http.post("/api/recipes", content=picture, headers={"X-Filename": "red-1.png"}).json()
    check("Recipe", recipe)
    assert recipe["request"]["image_prompts"] == [{"upload": sent["id"], "weight": 1.0}]
    check("Error", client.get("/api/jobs/none").json())


def test_a_request_that_a_recipe_gives_makes_the_same_plan(client: Client) -> None:
    made = client.wait(
        client.make("red:2", negative="blue", cutouts="2..6", tile=True, losses="palette:5:red,blue")["id"]
    )
    request = client.get(f"/api/gallery/{made['picture']}").json()["request"]
    assert (request["prompt"], request["negative"]) == ("red:2", "blue:0.5")
    again = client.wait(client.post("/api/jobs", request).json()["id"])
    first, second = (Path("outputs", each["files"][0]["name"]).read_bytes() for each in (made, again))
    assert first == second


def test_fields_are_settings_of_generate_and_have_the_texts_of_the_command_line() -> None:
    fields = described()["fields"]
    assert [row["name"] for row in fields] == list(FIELDS)
    assert set(FIELDS) - set(FILM_TIMING) <= set(Settings.__annotations__)
    for row in fields:
        assert row["help"]
        assert row["label"]
        assert bool(row["choices"]) == (row["type"] == "choice")


def test_values_of_forms_are_read() -> None:
    assert read_settings({"steps": 5.0, "seed": None, "size": "", "tile": False, "lr": 0.1}) == {
        "steps": 5,
        "tile": False,
        "lr": "0.1",
    }


class Fuzz:
    """Makes up requests: some that are nearly right, some that are not."""

    def __init__(self, client: Client, seed: int) -> None:
        self.draw = random.Random(seed)
        self.client = client
        self.ids = ["none", *NASTY]

    def text(self) -> Any:
        return self.draw.choice(
            ("red", "blue|red:-1", "red ^ blue", *NASTY, None, 7, -1.5, True, [], {}, [[]], 10**400)
        )

    def value(self, name: str) -> Any:
        row = FIELDS[name]
        near = [row.low, row.high, *row.choices, "48x32", "0.1..0.2", "2@0,4@50%", 1, 0.5]
        return self.draw.choice([*near, self.text()])

    def request(self) -> Any:
        names = self.draw.sample(list(FIELDS), self.draw.randrange(5))
        settings = {"preset": "starter", "steps": 2, "size": "16x16", "cutouts": "2"} | {
            name: self.value(name) for name in names
        }
        if self.draw.random() < 0.3:
            return {
                "prompt": self.draw.choice(("red", "blue|red:-1", "red ^ blue")),
                "settings": {**settings, "backend": "vqgan"},
            }
        record = {"prompt": self.text(), "settings": settings}
        for name in ("negative", "init", "mask", "films", "image_prompts", "extra"):
            if self.draw.random() < 0.2:
                record[name] = self.draw.choice([self.text(), self.draw.choice(self.ids), ["gif"], [{"upload": "0"}]])
        return self.draw.choice([record, record, record, self.text()])

    def body(self, route: Any) -> bytes:
        kinds: list[Any] = [
            self.request(),
            {"steps": self.value("steps")},
            {"prompt": self.text()},
            {"count": self.text()},
        ]
        if route.path == "/api/jobs":
            kinds = kinds[:1]
        plain = json.dumps(self.draw.choice(kinds)).encode("utf-8", "replace")
        junk = self.draw.randbytes(self.draw.randrange(200))
        picture = png(Image.new("RGB", (9, 9)))
        broken = picture[: self.draw.randrange(len(picture))]
        if route.path == "/api/jobs" and self.draw.random() < 0.5:
            return plain
        choices = [picture, broken, junk] if route.limit > 10**6 else [plain, plain, plain, junk, plain[:-1]]
        return self.draw.choice(choices) if route.takes or self.draw.random() < 0.1 else b""

    def send(self) -> Any:
        route = self.draw.choice(ROUTES)
        path = route.path
        for part in ("{id}", "{name}"):
            path = path.replace(part, self.quoted(self.draw.choice(self.ids)))
        query = {name: self.quoted(str(self.text())[:50]) for name in route.queries if self.draw.random() < 0.5}
        headers = {"X-Filename": self.quoted(str(self.text())[:300])}
        return self.client.http.request(route.method, path, content=self.body(route), params=query, headers=headers)

    def quoted(self, text: str) -> str:
        from urllib.parse import quote

        return quote(text.encode("utf-8", "surrogatepass"), safe="" if self.draw.random() < 0.5 else "/")


def test_a_thousand_random_requests_end_in_answers_and_leave_nothing_elsewhere(client: Client, tmp_path: Path) -> None:
    fuzz = Fuzz(client, 1)
    statuses: dict[int, int] = {}
    for number in range(COUNT):
        answer = fuzz.send()
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert answer.status_code < 500, (answer.request.method, str(answer.request.url), answer.text)
        if answer.status_code >= 400 and answer.request.method != "HEAD":
            assert "\n" not in answer.json()["error"]
        if answer.status_code == 201:
            made = answer.json()
            fuzz.ids += [each["id"] for each in (made if isinstance(made, list) else [made])]
        if number % 100 == 0:
            fuzz.ids += [item["id"] for item in client.get("/api/gallery").json()["items"]]
    assert statuses.keys() >= {200, 201, 400, 404}, statuses
    for job in client.get("/api/jobs").json():
        client.post(f"/api/jobs/{job['id']}/stop")
    client.queue.close()
    assert len(list(Path("outputs").glob("*.png"))) > 3
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
    assert {path.suffix for path in Path("outputs").iterdir()} <= {".png", ".gif", ".svg", ".clipgen", ".mp4"}
