"""Pictures that are sent: decoded at once, kept as clean PNG, refused if they are anything else."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from web_clients import Client, png, server

from clipgen.config.prompts import parse_prompts
from clipgen.util.images import MAX_PIXELS
from clipgen.web import uploads
from clipgen.web.options import PIXELS
from clipgen.web.requests import read_prompts
from clipgen.web.uploads import Uploads


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with server(tmp_path / "outputs", starts=False) as client:
        yield client


def send(client: Client, content: bytes, name: str = "photo.png") -> object:
    return client.http.post("/api/uploads", content=content, headers={"X-Filename": name})


def bomb(width: int, height: int, row: int = 0) -> bytes:
    """A PNG of few bytes that says it has this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(row or 1000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_only_pixels_are_kept(client: Client) -> None:
    info = PngInfo()
    info.add_text("Comment", "my home address")
    sent = png(Image.new("RGB", (30, 20), "teal"), pnginfo=info)
    made = send(client, sent, "My%20photo%20%E2%9C%93.jpg").json()  # type: ignore[attr-defined]
    assert (made["width"], made["height"]) == (30, 20)
    kept = client.get(made["url"])
    assert kept.headers["content-type"] == "image/png"
    assert b"address" not in kept.content
    assert Image.open(io.BytesIO(kept.content)).getpixel((3, 3)) == (0, 128, 128)
    assert client.queue.uploads.get(made["id"]).path.name == "my-photo.png"


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_other_formats_are_taken(client: Client, kind: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "teal").save(file, format=kind)
    assert send(client, file.getvalue()).status_code == 201  # type: ignore[attr-defined]


def test_transparent_parts_are_kept_as_they_say_what_a_mask_is(client: Client) -> None:
    made = client.upload(Image.new("RGBA", (30, 20), (9, 9, 9, 100)))
    assert Image.open(io.BytesIO(client.get(made["url"]).content)).mode == "RGBA"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        bomb(60_000, 60_000),
        bomb(1, 4_000_000_000),
        bomb(7000, 7000, 100_000),
        png(Image.new("RGB", (300, 300), "red"))[:-200],
    ],
    ids=["empty", "text", "svg", "postscript", "bomb", "long bomb", "short of data", "cut off"],
)
def test_what_is_no_picture_is_refused(client: Client, content: bytes) -> None:
    answer = send(client, content)
    assert answer.status_code == 400  # type: ignore[attr-defined]
    assert answer.json()["error"].startswith("the picture 'photo.png' ")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["../../etc/passwd", "..%2f..%2fx", "a" * 5000, "%00", "", "con.png", "%ff%fe"])
def test_names_are_harmless(client: Client, name: str) -> None:
    made = send(client, png(Image.new("RGB", (8, 8))), name).json()  # type: ignore[attr-defined]
    path = client.queue.uploads.get(made["id"]).path
    assert path.parent.name == made["id"]
    assert path.name.replace("-", "").removesuffix(".png").isalnum()


def test_the_page_is_told_the_limits_that_hold(client: Client) -> None:
    limits = client.get("/api/options").json()["limits"]
    assert limits == {"upload_bytes": uploads.MAX_BYTES, "pixels": MAX_PIXELS}
    assert PIXELS == MAX_PIXELS


def test_old_pictures_make_room_unless_a_job_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_KEPT", 4 * len(png(Image.new("RGB", (9, 9)), compress_level=1)))
    needed: list[str] = []
    kept = Uploads(lambda: needed)
    first = kept.add(png(Image.new("RGB", (9, 9))), "")
    needed.append(first.id)
    later = [kept.add(png(Image.new("RGB", (9, 9))), "") for _ in range(6)]
    assert [each.path.exists() for each in (first, *later)] == [True, False, False, False, True, True, True]
    kept.close()
    assert not first.path.exists()


def test_a_full_disk_is_said_in_one_line(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    answer = send(client, png(Image.new("RGB", (8, 8))))
    assert answer.status_code == 507  # type: ignore[attr-defined]
    assert "No space left on device" in answer.json()["error"]  # type: ignore[attr-defined]


def test_a_recipe_without_a_picture_of_clipgen_is_refused(client: Client) -> None:
    for content in (b"", b"junk", png(Image.new("RGB", (8, 8)))):
        answer = client.http.post("/api/recipes", content=content)
        assert answer.status_code == 400
        assert "/tmp" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("prompt", "negative", "typed"),
    [
        ("a cat", None, "a cat"),
        ("a cat:2|fog", " ", "a cat:2|fog"),
        ("a cat", "fog", "a cat|fog:-0.5"),
        ("a cat", "fog:2|text:-0.25", "a cat|fog:-2|text:-0.25"),
        ("a cat ^ a dog", "fog", "a cat|fog:-0.5 ^ a dog|fog:-0.5"),
    ],
)
def test_a_negative_prompt_is_one_that_pushes_away(prompt: str, negative: str | None, typed: str) -> None:
    assert read_prompts(prompt, negative) == parse_prompts(typed)
