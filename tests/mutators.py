"""Hostile material from a seed: pictures, PNG chunks, JSON texts and prompts, each a small step from a good one."""

import copy
import io
import json
import os
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

from PIL import Image, ImageCms

from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.util.text import MAX_LINE

COUNT = int(os.environ.get("CLIPGEN_FUZZ", "60"))
"""How many cases of each kind to try."""

NASTY_BYTES = [
    b"\0" * 4,
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x80\0\0\0",
    b"\0\0\0\x80",
    b"\x1b[2J",
]
NASTY_NUMBERS = [0, -1, 1, 2, 2**31 - 1, 2**31, 2**32 - 1, 65535, 60000, 12000]

ALPHABETS = [
    "abc xyz",
    "\0\x07\x1b\x7f\x85\x9b",
    "\u202a\u202e\u2066\u2069\u200e\u200f\u061c",
    "\u200b\u200c\u200d\ufeff\u2060\u00ad",
    "\u0301\u0489\u20dd\u0e31",
    "\ud800\udfff\udcff\U0010ffff\ue000\ufffe",
    "|:|:.-+0123456789einf ",
    "/\\..~$`'\";&<>*?%{}[]()!#",
    "猫犬שלוםمرحبا👩\u200d👧🏳️‍🌈ﬁﷺⅨİß",
    "\n\r\t\v\f\u2028\u2029\u3000\u00a0",
]
PHRASES = [
    "../../etc/passwd", "CON", "NUL.txt", "-rf", "--help", "$(touch pwned)", "; rm -rf ~", "a cat:1e400", "a:nan",
    "a:-inf", "a:inf", "fog:-0.5", "12:05", "\x1b[31mred\x1b]0;title\x07", "&lt;b&gt;", "%s%n{0}", "C:\\", "red",
    "|", ":",
]  # fmt: skip
NASTY_VALUES: list[Any] = [
    None, True, -1, 0, 1.5, 2**63, 10**400, float("nan"), float("inf"), "", "x" * 3000, "\x1b[31m", "\u202e", "\ud800",
    "a\0b", "../../x", [], {}, [[]], {"a": {}}, ["a"] * 100, {"text": "a cat"}, {"__class__": "os.system"},
]  # fmt: skip


def check_line(message: str) -> None:
    """An error is one printable line of bounded length; the two joiners of emoji and of some scripts may be in it."""
    assert message.replace("\u200c", "").replace("\u200d", "").isprintable(), ascii(message)
    assert 0 < len(message) <= MAX_LINE


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *extra: bytes, rows: bytes = bytes(999), depth: int = 8, colour: int = 0) -> bytes:
    """A PNG file that need not keep what its header claims; of kind `colour`, with more chunks ahead of its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(tags: dict[int, int], data: bytes = bytes(100)) -> bytes:
    """A TIFF file of plain numbers; the value -1 stands for where the data are."""
    here = 14 + 12 * len(tags)
    rows = [struct.pack("<HHII", tag, 4, 1, here if value == -1 else value) for tag, value in sorted(tags.items())]
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(rows) + bytes(4) + data


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def pictures() -> tuple[bytes, ...]:
    """Good small pictures of every format and of many kinds."""
    image = Image.radial_gradient("L").resize((12, 8)).convert("RGB")
    image.paste((200, 30, 90), (2, 2, 7, 6))
    clear = Image.merge("RGBA", (*image.split(), image.getchannel(0)))
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "maker"})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rest: dict[str, Any] = {"exif": exif, "icc_profile": profile}
    film: dict[str, Any] = {"save_all": True, "append_images": [image.rotate(180)]}
    return (
        *(encoded(image, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")),
        *(encoded(image, kind, **rest) for kind in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")),
        *(encoded(image, kind, **film) for kind in ("PNG", "WEBP", "GIF", "TIFF")),
        *(encoded(image, "TIFF", compression=name) for name in ("tiff_lzw", "jpeg", "packbits", "tiff_adobe_deflate")),
        *(encoded(image.convert(mode), "PNG") for mode in ("P", "LA", "1", "I;16")),
        *(encoded(image.convert(mode), "TIFF") for mode in ("CMYK", "F", "I")),
        encoded(clear, "PNG"),
        encoded(clear, "WEBP", lossless=True),
        encoded(image.convert("P"), "PNG", transparency=1),
        encoded(image.convert("CMYK"), "JPEG", progressive=True),
    )


def _flip(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data))]


def _overwrite(data: bytes, draw: random.Random) -> bytes:
    place, nasty = draw.randrange(len(data)), draw.choice(NASTY_BYTES)
    return data[:place] + nasty + data[place + len(nasty) :]


def _repeat(data: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(data))
    part = data[start : start + draw.randrange(1, 64)]
    return data[:start] + part * draw.choice((0, 2, 3, 50)) + data[start + len(part) :]


def _splice(data: bytes, draw: random.Random) -> bytes:
    other = draw.choice(pictures())
    return data[: draw.randrange(len(data))] + other[draw.randrange(len(other)) :]


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        found.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def _extra_chunk(draw: random.Random) -> tuple[bytes, bytes]:
    """A chunk that a hostile PNG may carry."""
    text = draw.choice((b"\x1b]0;title\x07", b"\0\0", b"x" * 5000, "猫".encode(), b"\xff\xfe", b'{"plan": 1}'))
    packed = draw.choice((zlib.compress(bytes(3_000_000)), zlib.compress(text), text))
    return draw.choice(
        [
            (b"tEXt", b"clipgen\0" + text), (b"zTXt", b"clipgen\0\0" + packed), (b"zTXt", b"clipgen\0\7" + packed),
            (b"iTXt", b"clipgen\0\1\0\0\0" + packed), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text),
            (b"iTXt", b"clipgen"), (b"iCCP", b"icc\0\0" + packed), (b"eXIf", draw.choice((text, b"II*\0" + text))),
            (b"tRNS", text[: draw.randrange(8)]), (b"PLTE", text[: draw.randrange(10)]), (b"gAMA", b"\0\0\0\0"),
            (b"acTL", struct.pack(">II", draw.choice(NASTY_NUMBERS) % 2**32, 0)), (b"fcTL", text[:26].ljust(26, b"\0")),
            (b"pHYs", bytes(9)), (b"cHRM", text[:32]), (b"IEND", b""), (b"IHDR", bytes(13)),
        ]
    )  # fmt: skip


def _edit_png(data: bytes, draw: random.Random) -> bytes:
    """Change one chunk, with its checksum made right again, so that the change gets past the first check."""
    chunks = _png_chunks(data) if data.startswith(b"\x89PNG") else []
    if len(chunks) < 2:
        return _overwrite(data, draw)
    place = draw.randrange(len(chunks))
    kind, content = chunks[place]
    what = draw.randrange(5)
    if what == 0:
        chunks.insert(draw.randrange(1, len(chunks)), _extra_chunk(draw))
    elif what == 1:
        sides = (draw.choice(NASTY_NUMBERS) % 2**32 for _ in range(2))
        header = struct.pack(">IIBB", *sides, draw.choice((1, 2, 4, 8, 16, 3)), draw.choice((0, 2, 3, 4, 6, 5)))
        chunks[0] = (b"IHDR", header + bytes((0, 0, draw.randrange(3))))
    elif what == 2:
        chunks[place] = (kind, _flip(content, draw) if content else b"x")
    elif what == 3:
        chunks.insert(draw.randrange(len(chunks)), chunks[place])
    else:
        del chunks[place]
    return data[:8] + b"".join(chunk(*each) for each in chunks)


def _edit_tiff(data: bytes, draw: random.Random) -> bytes:
    """Give one tag of a TIFF file another value, type, count or number."""
    start = struct.unpack_from("<I", data, 4)[0] if data.startswith(b"II*\0") and len(data) > 8 else len(data)
    count = struct.unpack_from("<H", data, start)[0] if start + 2 <= len(data) else 0
    place = start + 2 + 12 * draw.randrange(count or 1)
    if place + 12 > len(data):
        return _flip(data, draw)
    tag, kind, length, value = struct.unpack_from("<HHII", data, place)
    row = draw.choice(
        [
            (tag, 4, 1, draw.choice(NASTY_NUMBERS) % 2**32),
            (tag, draw.randrange(20), length, value),
            (tag, kind, draw.choice(NASTY_NUMBERS) % 2**32, value),
            (draw.choice((256, 258, 259, 262, 277, 322, 324, 330, 274, 34665)), kind, length, value),
        ]
    )
    return data[:place] + struct.pack("<HHII", *row) + data[place + 12 :]


BYTE_MUTATORS: list[Callable[[bytes, random.Random], bytes]] = [
    _flip, _cut, _overwrite, _repeat, _splice, _edit_png, _edit_png, _edit_tiff,
]  # fmt: skip


def picture(seed: int) -> bytes:
    draw = random.Random(seed)
    data = draw.choice(pictures())
    for _ in range(draw.choice((1, 1, 2))):
        data = draw.choice(BYTE_MUTATORS)(data, draw) if data else b"\x89PNG\r\n\x1a\n"
    return data


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(inner for key, child in pairs for inner in _nodes(child, (*path, key)))]


def _edit_json(record: Any, draw: random.Random) -> Any:
    *outer, last = draw.choice(_nodes(record)[1:])
    place = record
    for key in outer:
        place = place[key]
    what = draw.randrange(3)
    if what == 0:
        del place[last]
    elif what == 1 and isinstance(place, dict):
        place[draw.choice(("extra", "\x1b[2J", "", "x" * 2000, "__class__"))] = copy.deepcopy(draw.choice(NASTY_VALUES))
    else:
        place[last] = copy.deepcopy(draw.choice(NASTY_VALUES))
    return record


def json_text(seed: int, record: dict[str, Any]) -> str:
    """JSON like that of `record`, with other values in it, or no longer JSON."""
    draw = random.Random(seed)
    changed: Any = copy.deepcopy(record)
    for _ in range(draw.choice((0, 1, 1, 2))):
        changed = _edit_json(changed, draw) if changed else {}
    text = json.dumps(changed, ensure_ascii=draw.random() < 0.5)
    what = draw.randrange(8)
    if what == 0:
        text = text[: draw.randrange(len(text))]
    elif what == 1:
        place = draw.randrange(len(text))
        text = (
            text[:place] + draw.choice(("NaN", "1e999", "9" * 5000, '"', "{", "\0", "\ud800", "[" * 990)) + text[place:]
        )
    elif what == 2:
        deep = draw.choice((10, 980, 985, 988, 990, 995, 2000))
        text = text.replace("null", "[" * deep + "]" * deep, 1)
    return text


def job_record() -> dict[str, Any]:
    return Job(parse_prompts("a cat:2|fog:-0.5:-.2"), size=(64, 32), init="a.png", init_weight=0.5).to_dict()


def prompt(seed: int) -> str:
    draw = random.Random(seed)
    parts = []
    for _ in range(draw.choice((1, 2, 3, 6))):
        alphabet = draw.choice(ALPHABETS)
        run = "".join(draw.choice(alphabet) for _ in range(draw.choice((1, 3, 12))))
        parts.append(draw.choice((run, draw.choice(PHRASES), draw.choice(alphabet) * draw.choice((1, 40, 700)))))
    return draw.choice(("", " ", "|")).join(parts)
