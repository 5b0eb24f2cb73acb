"""The gallery: what lies in the folder of outputs, found and shown, and nothing beside it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import Cli, install
from PIL import Image
from test_recipe import pixels
from web_clients import Client, png, server

from clipgen.outputs.metadata import read_recipe
from clipgen.web.gallery import Gallery
from clipgen.web.names import picture_id


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    install(monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    Path("outputs").mkdir()
    with server(Path("outputs")) as client:
        yield client


def names(client: Client, **asked: object) -> list[str]:
    return [item["name"] for item in client.get("/api/gallery", params=asked).json()["items"]]


def put(name: str, when: int = 0) -> Path:
    path = Path("outputs") / name
    path.write_bytes(png(Image.new("RGB", (40, 30), "navy")))
    os.utime(path, (1_000_000 + when, 1_000_000 + when))
    return path


def test_pictures_are_shown_newest_first_and_found_by_words(client: Client) -> None:
    client.wait(client.make("red", seed=5)["id"])
    for number in range(5):
        put(f"a-blue-hill-{number}.png", number)
    assert names(client) == ["red-5.png", *(f"a-blue-hill-{number}.png" for number in range(4, -1, -1))]
    assert names(client, q="BLUE hill", limit=2) == ["a-blue-hill-4.png", "a-blue-hill-3.png"]
    assert names(client, q="blue", offset=4) == ["a-blue-hill-0.png"]
    assert names(client, q="red 5") == ["red-5.png"]
    assert names(client, q="nothing of the kind") == []
    assert client.get("/api/gallery", params={"limit": 0}).json() == {"total": 6, "items": []}
    assert client.get("/api/gallery", params={"limit": "all"}).status_code == 400


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_pictures_in_other_formats_have_their_recipe_too(client: Client, cli: Cli, suffix: str) -> None:
    put("red.png")  # of the same stem, and a picture of its own
    small = ("--preset", "starter", "--size", "48x32", "--steps", "3", "--seed", "4")
    assert cli("red", *small, "-o", f"outputs/red{suffix}").exit_code == 0
    [item] = [each for each in client.get("/api/gallery").json()["items"] if each["name"] == f"red{suffix}"]
    assert (item["prompt"], item["seed"], [each["kind"] for each in item["files"]]) == ("red", 4, [suffix[1:]])
    assert client.get(item["files"][0]["url"]).headers["content-type"] == f"image/{suffix[1:].replace('jpg', 'jpeg')}"
    read = client.post("/api/recipes", content=Path(f"outputs/red{suffix}").read_bytes()).json()
    assert read["request"]["settings"]["seed"] == 4


def test_a_picture_has_its_recipe_thumb_films_and_files(client: Client) -> None:
    made = client.wait(client.make("red", films=["gif"])["id"])
    item = client.get(f"/api/gallery/{made['picture']}").json()
    assert (item["prompt"], item["seed"], item["width"], item["height"]) == ("red", 1, 48, 32)
    assert item["request"]["settings"]["steps"] == 12
    assert item["recipe"].startswith("prompt ")
    thumb = client.get(item["thumb"])
    assert thumb.headers["content-type"] == "image/jpeg"
    for row, kind in zip(item["files"], ("image/png", "image/gif"), strict=True):
        answer = client.get(row["url"])
        assert answer.content == (Path("outputs") / row["name"]).read_bytes()
        assert answer.headers["content-type"] == kind
        assert "attachment" in client.get(row["url"], params={"download": 1}).headers["content-disposition"]
    part = client.get(item["files"][0]["url"], headers={"Range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, b"\x89PNG\r\n\x1a\n")


def test_a_replay_is_the_same_picture_and_variations_are_others(client: Client) -> None:
    made = client.wait(client.make("red", start="snow", steps=1, lr="0.001")["id"])  # no two seeds end alike
    [again] = client.post(f"/api/gallery/{made['picture']}/replay").json()
    first, second = client.post(f"/api/gallery/{made['picture']}/variations", {"count": 2}).json()
    done = [client.wait(job["id"]) for job in (again, first, second)]
    paths = [Path("outputs") / job["files"][0]["name"] for job in (made, *done)]
    assert pixels(paths[0]) == pixels(paths[1])
    assert len({pixels(path) for path in paths}) == 3
    assert read_recipe(paths[2]).plan.seed == first["seed"] != second["seed"]
    assert client.post(f"/api/gallery/{made['picture']}/variations", {"count": 99}).status_code == 400


def test_a_replay_finds_the_pictures_that_it_needs_among_what_was_sent(client: Client) -> None:
    base, mask = Image.new("RGB", (48, 32), "blue"), Image.new("L", (48, 32), 0)
    mask.paste(255, (0, 0, 24, 32))
    sent = {"init": client.upload(base)["id"], "mask": client.upload(mask, "mask.png")["id"]}
    like = [{"upload": client.upload(Image.new("RGB", (20, 20), "red"))["id"], "weight": -0.5}]
    made = client.wait(client.make("red", **sent, image_prompts=like)["id"])
    request = client.get(f"/api/gallery/{made['picture']}").json()["request"]
    assert {name: request[name] for name in ("init", "mask", "image_prompts")} == {**sent, "image_prompts": like}
    [again] = client.post(f"/api/gallery/{made['picture']}/replay").json()
    done = client.wait(again["id"])
    assert done["error"] is None
    paths = [Path("outputs") / job["files"][0]["name"] for job in (made, done)]
    assert pixels(paths[0]) == pixels(paths[1])
    with server(Path("outputs"), starts=False) as other:  # where nothing was sent
        item = other.get(f"/api/gallery/{made['picture']}").json()
        assert (item["request"]["init"], item["request"]["image_prompts"]) == (None, [])
        assert len(item["notes"]) == 3
        answer = other.post(f"/api/gallery/{made['picture']}/replay")
        assert answer.status_code == 400
        assert "load its recipe and add the file" in answer.json()["error"]


def test_a_picture_without_a_recipe_is_shown_and_cannot_be_replayed(client: Client) -> None:
    name = picture_id(put("holiday.png").name)
    item = client.get(f"/api/gallery/{name}").json()
    assert (item["request"], item["recipe"], item["seed"]) == (None, "", None)
    assert "has no recipe" in client.post(f"/api/gallery/{name}/replay").json()["error"]


def test_links_and_folders_are_no_pictures(client: Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(Image.new("RGB", (8, 8))))
    (Path("outputs") / "link.png").symlink_to(secret)
    (Path("outputs") / "folder.png").mkdir()
    (Path("outputs") / ".hidden.png").write_bytes(secret.read_bytes())
    (Path("outputs") / "empty.png").touch()
    (Path("outputs") / "text.png").write_text("no picture")
    put("real.png")
    (Path("outputs") / "real.mp4").symlink_to(secret)
    assert names(client) == ["real.png"]
    [item] = client.get("/api/gallery").json()["items"]
    assert [row["name"] for row in item["files"]] == ["real.png"]
    for name in ("link.png", "folder.png", ".hidden.png", "empty.png", "text.png"):
        assert client.get(f"/api/gallery/{picture_id(name)}").status_code == 404
    assert client.get(f"/files/{item['id']}/real.mp4").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/files/{id}/../secret.png",
        "/files/{id}/..%2fsecret.png",
        "/files/{id}/%2e%2e%2fsecret.png",
        "/files/{id}/..%5csecret.png",
        "/files/{id}/%2fetc%2fpasswd",
        "/files/{id}/real.png%00.txt",
        "/files/../../secret.png",
        "/files/..%2f..%2fetc/passwd",
        "/static/..%2fapp.py",
        "/static/%2fetc%2fpasswd",
        "/static/../app.py",
        "/api/uploads/..%2f..%2fetc%2fpasswd",
        "/api/gallery/..%2fsecret.png",
        "/api/gallery/{id}/../../../secret.png",
    ],
)
def test_no_path_leads_out_of_the_folder(client: Client, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.png").write_bytes(png(Image.new("RGB", (8, 8))))
    name = picture_id(put("real.png").name)
    answer = client.get(path.format(id=name))
    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}


def test_a_drawing_is_served_where_no_script_in_it_can_run(client: Client) -> None:
    put("real.png")
    (Path("outputs") / "real.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    answer = client.get(f"/files/{picture_id('real.png')}/real.svg")
    assert answer.status_code == 200
    assert "sandbox" in answer.headers["content-security-policy"]


def test_what_was_read_is_read_again_only_when_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("outputs").mkdir()
    read: list[str] = []
    monkeypatch.setattr(
        Image, "open", lambda file, *args, inner=Image.open, **more: (read.append(""), inner(file, *args, **more))[1]
    )
    gallery = Gallery(Path("outputs"))
    put("a.png", 1)
    assert gallery.page("", 0, 9)["total"] == 1
    before = len(read)
    assert gallery.page("", 0, 9)["total"] == 1
    assert len(read) == before
    put("a.png", 2)
    gallery.page("", 0, 9)
    assert len(read) == 2 * before
