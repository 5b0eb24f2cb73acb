"""A terminal for tests: what its screen shows after some output, and independent readers of pictures in it."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

_TOKEN = re.compile(
    r"\x1b_G(?P<kitty>[^\x1b]*)\x1b\\|\x1b\]1337;File=(?P<iterm>[^\x07]*)\x07|\x1bP(?P<sixel>[^\x1b]*)\x1b\\"
    r"|\x1b\[(?P<csi>[?0-9;]*)(?P<end>[A-Za-z])|\x1b(?P<single>[78\\])|(?P<text>.)",
    re.DOTALL,
)


@dataclass
class Shown:
    """A picture on the screen, and where its upper left corner is."""

    image: Image.Image
    row: int
    column: int
    columns: int
    rows: int
    number: str = ""


@dataclass
class Screen:
    """Understands what Rich and the pictures use, and refuses all else."""

    width: int = 80
    height: int = 24
    cell: tuple[int, int] = (8, 16)
    lines: list[list[str]] = field(default_factory=list)
    pictures: list[Shown] = field(default_factory=list)
    sent: int = 0
    """How many pictures were sent as a whole."""
    row: int = 0
    column: int = 0
    kept: dict[str, Image.Image] = field(default_factory=dict)
    """What was sent for Kitty, by number."""

    def __post_init__(self) -> None:
        self.lines = [[" "] * self.width for _ in range(self.height)]
        self._saved = (0, 0)
        self._parts = ""

    def feed(self, output: str) -> None:
        for found in _TOKEN.finditer(output):
            kind = found.lastgroup or ""
            if kind == "end":
                self._move(found["csi"], found["end"])
            elif kind == "kitty":
                self._kitty(found["kitty"])
            elif kind in ("iterm", "sixel"):
                self._draw(*(_iterm if kind == "iterm" else self._sixel)(found[kind]))
            elif kind == "single":
                self._saved, (self.row, self.column) = {
                    "7": ((self.row, self.column), (self.row, self.column)),
                    "8": (self._saved, self._saved),
                    "\\": (self._saved, (self.row, self.column)),
                }[found["single"]]
            else:
                self._type(found["text"])

    @property
    def text(self) -> list[str]:
        return ["".join(line).rstrip() for line in self.lines]

    def _type(self, mark: str) -> None:
        assert mark != "\x1b", "an escape sequence that this terminal does not know"
        if mark == "\r":
            self.column = 0
        elif mark == "\n":
            self._next_row()
        elif mark.isprintable():
            if self.column == self.width:
                self._next_row()
                self.column = 0
            self.lines[self.row][self.column] = mark
            self.column += 1

    def _next_row(self) -> None:
        if self.row < self.height - 1:
            self.row += 1
            return
        self.lines = [*self.lines[1:], [" "] * self.width]
        for each in self.pictures:
            each.row -= 1
        self._saved = (max(self._saved[0] - 1, 0), self._saved[1])

    def _move(self, numbers: str, end: str) -> None:
        count = int(numbers) if numbers.isdigit() else 1
        if end == "A":
            self.row = max(self.row - count, 0)
        elif end == "K":
            assert numbers == "2"
            self.lines[self.row] = [" "] * self.width
        else:
            assert end == "m" or numbers == "?25", (numbers, end)

    def _draw(self, image: Image.Image, columns: int, rows: int) -> None:
        self.pictures.append(Shown(image, self.row, self.column, columns, rows))
        self.sent += 1
        assert self.row + rows <= self.height, "this would scroll"
        self.row = min(self.row + rows, self.height - 1)  # as terminals do, below the picture

    def _kitty(self, command: str) -> None:
        head, _, payload = command.partition(";")
        keys = dict(pair.split("=") for pair in head.split(","))
        assert keys["q"] == "2"  # a terminal that answered would type into the shell
        assert len(payload) <= 4096
        if keys.get("a") == "T":
            assert not self._parts
            self._keys = keys
        if keys.get("a") == "d":
            assert keys["d"] == "i"
            self.pictures = [each for each in self.pictures if each.number != keys["i"]]
            return
        if keys.get("a") == "p":
            self._place(keys)
            return
        self._parts += payload
        if keys["m"] == "0":
            image = Image.open(io.BytesIO(base64.b64decode(self._parts, validate=True)))
            assert image.format == "PNG"
            self.kept[self._keys["i"]], self._parts = image, ""
            self.sent += 1
            self._place(self._keys)

    def _place(self, keys: dict[str, str]) -> None:
        """The cursor stays (C=1), and a placement of the same number moves."""
        assert (keys["C"], keys["p"]) == ("1", "1")
        image, columns, rows = self.kept[keys["i"]], int(keys["c"]), int(keys["r"])
        others = [each for each in self.pictures if each.number != keys["i"]]
        self.pictures = [*others, Shown(image, self.row, self.column, columns, rows, keys["i"])]

    def _sixel(self, command: str) -> tuple[Image.Image, int, int]:
        image = sixel_image(command)
        return image, -(-image.width // self.cell[0]), -(-image.height // self.cell[1])


def _iterm(command: str) -> tuple[Image.Image, int, int]:
    head, _, payload = command.partition(":")
    keys = dict(pair.split("=") for pair in head.split(";"))
    assert keys["inline"] == "1"
    return Image.open(io.BytesIO(base64.b64decode(payload, validate=True))), int(keys["width"]), int(keys["height"])


def sixel_image(command: str) -> Image.Image:
    """Decode a picture in Sixel, without what introduces and ends it (VT330/VT340 Programmer Reference, chapter 14)."""
    size = re.match(r"[0-9;]*q\"1;1;([0-9]+);([0-9]+)", command)
    assert size
    pixels = np.zeros((int(size[2]), int(size[1]), 3), np.uint8)
    colours: dict[str, list[float]] = {}
    colour, x, top = "0", 0, 0
    for found in re.finditer(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|([$-])", command[size.end() :]):
        if found[1] and found[2]:
            colours[found[1]] = [255 * int(share) / 100 for share in found.groups()[1:4]]
        elif found[1]:
            colour = found[1]
        elif found[8]:
            x, top = 0, top + 6 * (found[8] == "-")
        else:
            count, mark = int(found[5] or 1), ord(found[6] or found[7]) - 63
            for bit in range(6):
                if mark >> bit & 1:
                    pixels[top + bit, x : x + count] = colours[colour]
            x += count
    return Image.fromarray(pixels)
