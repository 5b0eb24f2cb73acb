"""Pictures in a terminal: each character cell shows two pixels."""

import pytest
import torch
from rich.segment import Segments

from clipgen.outputs.preview import half_blocks


def plain(drawn: Segments) -> str:
    return "".join(segment.text for segment in drawn.segments)


def test_half_blocks_show_each_pixel_where_it_is() -> None:
    image = torch.zeros(3, 4, 4)
    image[0, :2, :2] = 1.0  # red, top left
    image[2, 2:, 2:] = 1.0  # blue, bottom right
    drawn = half_blocks(image, columns=4)
    styles = [str(segment.style) for segment in drawn.segments if segment.style]
    assert plain(drawn) == "▀▀▀▀\n▀▀▀▀\n"
    assert styles == ["#ff0000 on #ff0000"] * 2 + ["#000000 on #000000"] * 4 + ["#0000ff on #0000ff"] * 2


@pytest.mark.parametrize(("height", "width", "rows"), [(64, 64, 10), (128, 64, 20), (8, 512, 1)])
def test_half_blocks_keep_the_aspect_ratio(height: int, width: int, rows: int) -> None:
    lines = plain(half_blocks(torch.rand(3, height, width), columns=20)).splitlines()
    assert len(lines) == rows
    assert {len(line) for line in lines} == {20}
