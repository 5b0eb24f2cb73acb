"""Pictures that lie about their size, hide colours, or are not pictures: what --init makes of each."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mutators import check_line, chunk, encoded, png, tiff
from PIL import Image

from clipgen.errors import UsageError
from clipgen.util.images import load_image

RED = (255, 0, 0)
PICTURE = Image.linear_gradient("L").resize((32, 16)).convert("RGB")


def load(folder: Path, content: bytes) -> Image.Image:
    path = folder / "a.png"
    path.write_bytes(content)
    return load_image(path)[0]


def patched(kind: str, mark: bytes, offset: int, sides: bytes, **options: Any) -> bytes:
    """A picture with other sides written `offset` bytes behind the first `mark`."""
    content = encoded(Image.new("RGB", (16, 16), RED), kind, **options)
    place = content.index(mark) + offset
    return content[:place] + sides + content[place + len(sides) :]


def webp(side: int, frames: int = 1) -> bytes:
    """A WEBP file whose canvas is far larger than the picture on it."""
    inner = encoded(Image.new("RGB", (16, 16), RED), "WEBP", lossless=True)[12:]
    sides = struct.pack("<I", side - 1)[:3] * 2
    if frames > 1:
        frame = bytes(6) + struct.pack("<I", 15)[:3] * 2 + bytes(4) + inner
        inner = b"ANIM" + struct.pack("<I", 6) + bytes(6) + (b"ANMF" + struct.pack("<I", len(frame)) + frame) * frames
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes((2 * (frames > 1), 0, 0, 0)) + sides + inner
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiled(side: int, compression: int) -> bytes:
    """A TIFF file of 16 x 16 pixels in a single tile of `side`."""
    tags = {256: 16, 257: 16, 258: 8, 259: compression, 262: 1, 277: 1}
    return tiff({**tags, 322: side, 323: side, 324: -1, 325: 100})


BOMBS = {
    "png": png(12000, 12000),
    "png 9000": png(9000, 9000),
    "png with all its pixels": png(12000, 12000, rows=bytes(12000 * 12001)),
    "png 2**31": png(2**31 - 1, 2**31 - 1),
    "png text": png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(60_000_000)))),
    "png profile": png(8, 8, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(60_000_000)))),
    "gif screen": patched("GIF", b"GIF8", 6, struct.pack("<HH", 60000, 60000)),
    "gif frame": patched("GIF", b",\0\0\0\0", 5, struct.pack("<HH", 12000, 12000)),
    "webp": webp(16383),
    "webp film": webp(7500, frames=2),
    "tiff": tiff({256: 12000, 257: 12000, 258: 8, 259: 1, 262: 1, 273: -1, 278: 12000, 279: 100}),
    "tiff tiles": tiled(30000, 5),
    "tiff tiles, deflate": tiled(60000, 8),
    "bmp": patched("BMP", b"BM", 18, struct.pack("<ii", 30000, 30000)),
    "jpeg": patched("JPEG", b"\xff\xc0", 5, struct.pack(">HH", 12000, 12000)),
    "avif": patched("AVIF", b"ispe", 8, struct.pack(">II", 12000, 12000)),
}
MEASURE = """
import json, sys
from pathlib import Path
from clipgen.errors import UsageError
from clipgen.util.images import load_image
from PIL import Image

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

Image.init()
before, messages = peak(), {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        messages[path.name] = str(load_image(path))
    except UsageError as error:
        messages[path.name] = str(error)
print(json.dumps([peak() - before, messages]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
def test_bombs_are_refused_and_take_no_memory(tmp_path: Path) -> None:
    for name, content in BOMBS.items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    growth, messages = json.loads(result.stdout)
    assert growth < 50
    assert messages.keys() == BOMBS.keys()
    for name, message in messages.items():
        assert ("megapixels" in message) is (
            name not in {"png text", "png profile", "tiff tiles", "tiff tiles, deflate"}
        )
        assert message.startswith("--init ")
        check_line(message)
    assert result.stderr == ""


def test_a_bomb_is_exit_code_2_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(BOMBS["png"])
    command = [sys.executable, "-m", "clipgen", "a cat", "--init", "a.png", "-o", "made"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: --init 'a.png' has 144 megapixels, more than the 50 that are accepted; shrink it first\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_strip_without_end_is_refused(tmp_path: Path) -> None:
    for size in ((65_536, 1), (1, 10**7)):
        with pytest.raises(UsageError, match=rf"has a side of {max(size)} pixels, more than 65535; crop it first"):
            load(tmp_path, png(*size))
    load(tmp_path, encoded(Image.new("L", (65_535, 2)), "PNG"))


@pytest.mark.parametrize(
    "content",
    [
        encoded(PICTURE, "EPS"),
        b"8BPS" + bytes(100),
        b"SIMPLE  =                    T" + bytes(5000),
        b"<!doctype html><p>",
        b'<?xml version="1.0"?><svg/>',
        b"\x89PNG\r\n\x1a\n",
        b"PK\3\4" + bytes(100),
        struct.pack(">I", 24) + b"ftypisom" + bytes(100),
    ],
    ids=["eps", "psd", "fits", "html", "svg", "png of nothing", "zip", "mp4"],
)
def test_other_formats_are_refused_whatever_they_are_called(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match=r"is not one of PNG, JPEG, .*; convert it to PNG"):
        load(tmp_path, content)


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1heic", b"heix\0\0\0\0"])
def test_the_photographs_of_phones_are_named_with_a_way_out(tmp_path: Path, brands: bytes) -> None:
    with pytest.raises(UsageError, match="is a HEIC photograph, which clipgen cannot read; export it as JPEG"):
        load(tmp_path, struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(100))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_every_beginning_of_a_file_loads_or_is_refused(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content = encoded(PICTURE.resize((8, 4)), kind, **{"TIFF": {"compression": "tiff_lzw"}}.get(kind, {}))
    path, refused = tmp_path / "a", 0
    for length in range(len(content)):
        path.write_bytes(content[:length])
        try:
            load_image(path)
        except UsageError as error:
            check_line(str(error))
            refused += 1
    assert refused > 0.6 * len(content)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a\nb.png", "\x1b]0;title\x07.png", "\u202egnp.png", "a\udcff.png"])
@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("text")])
def test_strange_names_are_escaped(tmp_path: Path, name: str, make: Callable[[Path], object]) -> None:
    make(tmp_path / name)
    with pytest.raises(UsageError) as caught:
        load_image(tmp_path / name)
    check_line(str(caught.value))


def test_devices_and_forbidden_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="is not a regular file"):
        load_image("/dev/zero")
    path = tmp_path / "a.png"
    path.write_bytes(encoded(PICTURE, "PNG"))

    def forbidden(*args: object, **settings: object) -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    with pytest.raises(UsageError, match=r"--init .*a\.png.* Permission denied"):
        load_image(path)


def test_the_terminal_is_given_back_after_a_noisy_decoder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):
        load(tmp_path, tiled(16, 8))
    os.write(2, b"still here")
    assert capfd.readouterr() == ("", "still here")
