"""Pictures in a terminal: every character cell shows two pixels, one above the other."""

from rich.style import Style
from rich.text import Text
from torch import Tensor
from torch.nn import functional as F

# A cell is about twice as high as it is wide, so that its two halves are square pixels.
UPPER_HALF = "▀"


def half_blocks(image: Tensor, columns: int) -> Text:
    """Render an image (3, H, W) in [0, 1] as text, `columns` characters wide, at its own aspect ratio."""
    height, width = image.shape[-2:]
    rows = max(round(columns * height / width / 2), 1)
    small = F.interpolate(image[None].detach().float(), size=(2 * rows, columns), mode="area")[0]
    pixels = (small.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).tolist()
    lines = (_line(upper, lower) for upper, lower in zip(pixels[0::2], pixels[1::2], strict=True))
    return Text("\n").join(lines)


def _line(upper: list[list[int]], lower: list[list[int]]) -> Text:
    """Render two rows of RGB pixels as one row of characters."""
    line = Text(no_wrap=True)
    for above, below in zip(upper, lower, strict=True):
        line.append(UPPER_HALF, Style(color=_hex(above), bgcolor=_hex(below)))
    return line


def _hex(rgb: list[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
