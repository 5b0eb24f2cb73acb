"""Contact sheets: many pictures on one, with labels along the edges or below each. Needs Pillow alone."""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from clipgen.outputs.picture_file import write_marked
from clipgen.outputs.xmp import joined_source
from clipgen.util.files import replacing, reserved
from clipgen.util.text import one_line

SIDE = 256
"""Longer side of a cell in pixels, unless there are many."""
SMALL, SMALLEST = 128, 64
"""Smaller pictures are enlarged to the first; many cells are reduced to no less than the second."""
MAX_PIXELS = 16_000_000
"""Of all cells together."""
MAX_ACROSS = 8192
"""Pixels of a row or a column of cells."""
MARGIN, GAP = 16, 8
TITLE_SIZE, LABEL_SIZE = 20, 15
MAX_ROW_LABEL = 200
"""Width of the labels on the left."""
MIN_WIDTH = 320
"""So that there is room for a title."""
LINES, ROW_LINES = 2, 4
"""Lines of a title, a caption or a label above a column, and of a label on the left."""
MAX_TEXT = 500
INK, PALE, PAPER = "#222222", "#eeeeee", "white"
FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf", "NotoSansCJK-Regular.ttc", "Arial Unicode.ttf")
"""Fonts that systems have, for texts with letters that the one inside Pillow lacks."""
MISSING = "\U0010ffff"
"""A character that no font has."""
SOFTWARE = "clipgen sheet"
"""By which a contact sheet is known: the text chunk "Software" of its file."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def cell_side(columns: int, rows: int) -> int:
    """Return the longer side of a cell, in pixels, on a sheet of so many."""
    fitting = min(int((MAX_PIXELS / (columns * rows)) ** 0.5), MAX_ACROSS // max(columns, rows))
    return min(SIDE, max(fitting, SMALLEST))


def fitted(image: Image.Image, side: int = SIDE) -> Image.Image:
    """Return an image scaled so that its longer side is at most `side`, and at least SMALL if that is no more."""
    longer = max(image.size)
    if longer <= side:
        factor = max(min(-(-SMALL // longer), side // longer), 1)
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    scaled = (max(round(each * side / longer), 1) for each in image.size)
    return image.resize((next(scaled), next(scaled)), Image.Resampling.LANCZOS)


def contact_sheet(
    images: Sequence[Image.Image | None],
    columns: int,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    title: str = "",
    *,
    captions: Sequence[str] = (),
    side: int | None = None,
) -> Image.Image:
    """Return a sheet of RGB images, row by row; a cell without one stays empty and says so.

    row_labels, column_labels: one for each row or column, or none. captions: one below each image, or none. Long ones
    are wrapped, and end in an ellipsis. side: longer side of a cell in pixels; by default as `cell_side` has it.
    """
    longest = side or cell_side(columns, -(-len(images) // columns))
    cells = [image and fitted(image, longest) for image in images]
    labels = {"rows": row_labels, "columns": column_labels, "captions": captions, "title": [title]}
    fonts = _fonts(text for texts in labels.values() for text in texts)
    return _Sheet(cells, columns, labels, fonts).drawn()


def write_sheet(
    sheet: Image.Image, folder: Path, stem: str, title: str, flag: str = "-o", *, sources: Iterable[str] = ()
) -> Path:
    """Write a sheet as `stem`.png, or under a number if that is taken by anything but the same sheet; returns its path.

    sources: the DigitalSourceType of each picture on it. Raises UsageError, which names `flag`, or OSError.
    """
    same = next((path for path in _sheets(folder, stem) if _is_same(path, sheet)), None)
    if same is not None:
        return same
    with reserved(folder, stem, (".png",), flag) as paths:
        with replacing(paths[".png"]) as partial:
            title = one_line(title, MAX_TEXT)
            write_marked(partial, sheet, joined_source([*sources]), Software=SOFTWARE, Title=title)
        return paths[".png"]


def is_sheet(path: Path) -> bool:
    """Tell whether a file is a contact sheet."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=("PNG",)) as image:
            return image.info.get("Software") == SOFTWARE
    except Exception:  # decoders raise all kinds of exceptions on damaged files
        return False


def _sheets(folder: Path, stem: str) -> list[Path]:
    """Return the contact sheets named `stem`, or `stem` and a number."""
    numbered = (path for path in folder.glob("*.png") if path.stem.removeprefix(stem).removeprefix("-").isdigit())
    return [path for path in (folder / f"{stem}.png", *sorted(numbered)) if path.is_file() and is_sheet(path)]


def _is_same(path: Path, sheet: Image.Image) -> bool:
    """Tell whether a contact sheet has exactly these pixels."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return image.size == sheet.size and image.mode == sheet.mode and image.tobytes() == sheet.tobytes()
    except Exception:  # as above
        return False


@dataclass(frozen=True)
class _Fonts:
    label: Font
    title: Font


class _Sheet:
    """Measures and draws a sheet; its labels are wrapped already, and those on the left have their own width."""

    def __init__(
        self, cells: Sequence[Image.Image | None], columns: int, labels: Mapping[str, Sequence[str]], fonts: _Fonts
    ) -> None:
        self._cells, self._columns, self._font = cells, columns, fonts.label
        there = [cell for cell in cells if cell is not None]
        self._width = max((cell.width for cell in there), default=SMALL)
        self._beside = [_wrapped(text, fonts.label, MAX_ROW_LABEL, ROW_LINES) for text in labels["rows"]]
        self._above = [_wrapped(text, fonts.label, self._width, LINES) for text in labels["columns"]]
        self._below = [_wrapped(text, fonts.label, self._width, LINES) for text in labels["captions"]]
        self._left = MARGIN + (_text_width(self._beside, fonts.label) + GAP if any(self._beside) else 0)
        across = self._left + columns * (self._width + GAP) - GAP + MARGIN
        self._across = max(across, MIN_WIDTH)
        [title] = labels["title"]
        heading = _wrapped(title, fonts.title, self._across - 2 * MARGIN, LINES)
        self._top = MARGIN + (_text_height([heading], fonts.title) + GAP if heading else 0)
        self._top += _text_height(self._above, fonts.label) + GAP if any(self._above) else 0
        self._heights = self._row_heights()
        caption = _text_height(self._below, fonts.label) + GAP if any(self._below) else 0
        self._tops = list(accumulate((height + GAP + caption for height in self._heights), initial=self._top))
        self._sheet = Image.new("RGB", (self._across, self._tops[-1] - GAP + MARGIN), PAPER)
        self._ink = ImageDraw.Draw(self._sheet)
        self._ink.multiline_text((MARGIN, MARGIN), heading, INK, fonts.title)

    def drawn(self) -> Image.Image:
        """Return the sheet."""
        for row, text in enumerate(self._beside):
            self._write(self._left - GAP, self._tops[row] + self._heights[row] / 2, text, "rm")
        for column, text in enumerate(self._above):
            self._write(self._place(column)[0] + self._width / 2, self._top - GAP, text, "md")
        for number, cell in enumerate(self._cells):
            self._put(cell, *self._place(number))
        for number, text in enumerate(self._below):
            x, y, height = self._place(number)
            self._write(x + self._width / 2, y + height + GAP // 2, text, "ma")
        return self._sheet

    def _row_heights(self) -> list[int]:
        """Return the height of each row of cells: that of its highest image."""
        there = [cell.height if cell else 0 for cell in self._cells]
        rows = [there[start : start + self._columns] for start in range(0, len(there), self._columns)]
        return [max(row) or max(there) or SMALL for row in rows]

    def _place(self, number: int) -> tuple[int, int, int]:
        """Return the upper left corner of a cell, and its height."""
        row, column = divmod(number, self._columns)
        return self._left + column * (self._width + GAP), self._tops[row], self._heights[row]

    def _put(self, cell: Image.Image | None, x: int, y: int, height: int) -> None:
        """Put an image in the middle of its cell."""
        if cell is not None:
            self._sheet.paste(cell, (x + (self._width - cell.width) // 2, y + (height - cell.height) // 2))
            return
        self._ink.rectangle((x, y, x + self._width - 1, y + height - 1), PALE)
        self._write(x + self._width / 2, y + height / 2, "not made", "mm")

    def _write(self, x: float, y: float, text: str, anchor: str) -> None:
        """Write a label at a place; anchor: which part of it is there, as Pillow has it."""
        align = "right" if anchor.startswith("r") else "center"
        self._ink.multiline_text((x, y), text, INK, self._font, anchor, align=align)


def _wrapped(text: str, font: Font, width: int, most: int) -> str:
    """Return a text in up to `most` lines that are no wider than `width`; what is left out becomes an ellipsis."""
    rest, lines = one_line(text, MAX_TEXT), list[str]()
    while rest and len(lines) < most:
        fits = _fitting(rest, font, width)
        if fits == len(rest):
            return "\n".join([*lines, rest])
        if len(lines) + 1 == most:
            short = rest[: _fitting(rest, font, width - int(font.getlength("…")))].rstrip()
            return "\n".join([*lines, f"{short}…"])
        cut = rest.rfind(" ", 1, fits + 1)
        end = cut if cut > 0 else max(fits, 1)
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return "\n".join(lines)


def _fitting(text: str, font: Font, width: float) -> int:
    """Return how many characters of a text fit into a width."""
    return bisect_right(range(1, len(text) + 1), width, key=lambda count: font.getlength(text[:count]))


def _text_width(texts: Iterable[str], font: Font) -> int:
    return int(max((font.getlength(line) for text in texts for line in text.split("\n")), default=0)) + 1


def _text_height(texts: Iterable[str], font: Font) -> int:
    """Return the height of the highest of some texts."""
    ink = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    return int(max((ink.multiline_textbbox((0, 0), text, font)[3] for text in texts), default=0)) + 1


def _fonts(texts: Iterable[str]) -> _Fonts:
    """Return the fonts for some texts: those inside Pillow, or ones of the system that have more of the letters."""
    letters = set("".join(texts)) - {"\n", " "}
    for name in [None, *FONTS]:
        try:
            found = [_font(name, size) for size in (LABEL_SIZE, TITLE_SIZE)]
        except OSError:  # this system has none of this name
            continue
        if all(_has(found[0], letter) for letter in letters):
            return _Fonts(*found)
    return _Fonts(_font(None, LABEL_SIZE), _font(None, TITLE_SIZE))


def _font(name: str | None, size: int) -> Font:
    return ImageFont.load_default(size) if name is None else ImageFont.truetype(name, size)


def _has(font: Font, letter: str) -> bool:
    """Tell whether a font has a letter: it draws all others as one and the same box."""
    return bytes(font.getmask(letter)) != bytes(font.getmask(MISSING))
