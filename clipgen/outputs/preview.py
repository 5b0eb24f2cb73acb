"""Pictures in a terminal: by its graphics, or in blocks, of which each shows two pixels, one above the other."""

from __future__ import annotations

from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import ControlType, Segment, Segments
from rich.style import Style
from torch import Tensor
from torch.nn import functional as F

from clipgen.outputs.graphics import Box, drawing
from clipgen.util.images import to_pil

# A cell is about twice as high as it is wide, so that its two halves are square pixels.
UPPER_HALF = "▀"


def half_blocks(image: Tensor, columns: int) -> Segments:
    """Render an image (3, H, W) in [0, 1] as characters, `columns` wide, at its own aspect ratio.

    They are segments, as a text of as many styles takes long to render, and is rendered several times a second.
    """
    height, width = image.shape[-2:]
    rows = max(round(columns * height / width / 2), 1)
    small = F.interpolate(image[None].detach().float(), size=(2 * rows, columns), mode="area")[0]
    pixels = (small.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).tolist()
    lines = (_line(upper, lower) for upper, lower in zip(pixels[0::2], pixels[1::2], strict=True))
    return Segments([each for line in lines for each in (*line, Segment.line())])


class Painted:
    """An image (3, H, W) in [0, 1] that a protocol of graphics draws above some lines.

    The place is filled with spaces first, and the picture drawn from below, when all lines are there, so that nothing
    scrolls. To the display it is text of no width.
    """

    def __init__(self, kind: str, image: Tensor, columns: int, cell: tuple[int, int], number: int) -> None:
        """kind, number: as for `drawing`. cell: width and height of a character cell in pixels."""
        height, width = image.shape[-2:]
        self._box = Box(columns, max(round(columns * cell[0] / cell[1] * height / width), 1), cell)
        self._drawing = drawing(kind, to_pil(image), self._box, number)
        self._is_drawn = False

    def above(self, lines: RenderableType) -> RenderableType:
        """Return the picture with lines below it."""
        return _Above(self, lines)

    def render(self, console: Console, options: ConsoleOptions, below: RenderableType) -> RenderResult:
        """Yield the place of the picture, the lines, and what draws the picture, if there is room for all."""
        lines = console.render_lines(below, options, pad=False)
        columns, rows = self._box.columns, self._box.rows
        fits = columns <= options.max_width and rows + len(lines) < console.height
        for _ in range(rows if fits else 0):
            yield Segment(" " * columns)
            yield Segment.line()
        for number, line in enumerate(lines, 1):
            yield from line
            if number == len(lines):
                drawn = self._drawn_from(rows + number - 1) if fits else self._drawing.gone
                yield Segment(drawn, None, [(ControlType.CURSOR_UP, 0)])
            yield Segment.line()

    def _drawn_from(self, below: int) -> str:
        """Return what draws the picture from a line below its first, and brings the cursor back."""
        text = self._drawing.again if self._is_drawn else self._drawing.first
        self._is_drawn = True
        return f"\x1b7\x1b[{below}A\r{text}\x1b8"


class _Above:
    def __init__(self, picture: Painted, lines: RenderableType) -> None:
        self._picture, self._lines = picture, lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return self._picture.render(console, options, self._lines)


def _line(upper: list[list[int]], lower: list[list[int]]) -> list[Segment]:
    """Render two rows of RGB pixels as one row of characters."""
    styles = (
        Style.from_color(Color.from_rgb(*above), Color.from_rgb(*below))
        for above, below in zip(upper, lower, strict=True)
    )
    return [Segment(UPPER_HALF, style) for style in styles]
