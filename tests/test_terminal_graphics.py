"""Pictures by the graphics of a terminal: what is drawn, where, and that nothing else on the screen changes."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import Cli
from PIL import Image
from rich.console import Console
from screen import Screen, sixel_image
from test_progress import Clock, step_at
from torch import Tensor

from clipgen.core.contracts import Outcome
from clipgen.outputs.graphics import Box, drawing
from clipgen.outputs.progress import LiveProgress
from clipgen.outputs.sparkline import LEVELS, sparkline
from clipgen.outputs.terminal import BLOCKS, ITERM, KITTY, OFF, SIXEL

KINDS = (KITTY, ITERM, SIXEL)


def smooth(height: int = 60, width: int = 80) -> Tensor:
    """A picture (3, H, W) whose corners differ."""
    down, across = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)[None]
    return torch.stack([down.expand(height, width), across.expand(height, width), 0 * down * across])


def difference(one: Image.Image, other: Image.Image) -> float:
    pair = [np.asarray(each.convert("RGB").resize((40, 40)), float) for each in (one, other)]
    return float(np.abs(pair[0] - pair[1]).mean())


def original(image: Tensor) -> Image.Image:
    return Image.fromarray((image * 255).byte().permute(1, 2, 0).numpy())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("box", [Box(20, 8, (8, 16)), Box(3, 1, (7, 13)), Box(1, 1, (1, 6)), Box(40, 40, (8, 16))])
def test_a_picture_arrives_as_it_was(kind: str, box: Box) -> None:
    screen, picture = Screen(height=48), original(smooth())
    screen.feed(drawing(kind, picture, box, 7).first)
    [shown] = screen.pictures
    assert (shown.row, shown.column) == (0, 0)
    assert shown.columns == box.columns
    assert 0 < shown.rows <= box.rows
    if box.columns > 1:
        assert difference(shown.image, picture) < 12


@pytest.mark.skipif(not shutil.which("sixel2png"), reason="needs sixel2png of libsixel")
def test_libsixel_reads_the_same_picture(tmp_path: Path) -> None:
    text = drawing(SIXEL, original(smooth()), Box(40, 15, (8, 16)), 1).first
    (tmp_path / "a.six").write_text(text)
    subprocess.run(["sixel2png", "-i", "a.six", "-o", "a.png"], cwd=tmp_path, check=True)
    with Image.open(tmp_path / "a.png") as read:
        mine = sixel_image(text.removeprefix("\x1bP").removesuffix("\x1b\\"))
        assert read.size == mine.size
        assert np.abs(np.asarray(read.convert("RGB"), int) - np.asarray(mine, int)).max() <= 2


def test_a_sixel_picture_has_whole_bands_only() -> None:
    for cell in range(6, 30):
        shown = sixel_image(drawing(SIXEL, original(smooth()), Box(4, 1, (8, cell)), 1).first[2:-2])
        assert shown.height % 6 == 0
        assert shown.height <= cell


class Window:
    """A live display in a terminal, whose window can be changed."""

    def __init__(self, kind: str, width: int = 60, height: int = 20) -> None:
        self.clock, self.stream, self.screen = Clock(), io.StringIO(), Screen(width, height)
        self.console = Console(
            file=self.stream, force_terminal=True, color_system="truecolor", width=width, height=height
        )
        self.progress = LiveProgress(self.console, self.clock, preview=kind)

    def look(self) -> Screen:
        self.screen.feed(self.stream.getvalue().replace("\n", "\r\n"))
        self.stream.seek(0)
        self.stream.truncate()
        return self.screen

    def step(self, index: int, image: Tensor | None = None, total: int = 10) -> Screen:
        self.progress.on_step(step_at(index, total, 0.1 * index, smooth() if image is None else image))
        self.clock.now += 1
        if self.progress._live:
            self.progress._live.refresh()  # as its thread does, sooner or later
        return self.look()


@pytest.mark.parametrize("start", [0, 3, 19])
@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_is_above_the_lines_wherever_the_display_begins(kind: str, start: int) -> None:
    window = Window(kind)
    window.stream.write("$ clipgen\n" * start)
    window.progress.begin("a cat")
    for index in range(11):
        screen = window.step(index)
    window.progress.close(Outcome.FINISHED)
    screen = window.look()
    text, shown = screen.text, screen.pictures[-1]
    first = next(number for number, line in enumerate(text) if line == "a cat")
    assert shown.row + shown.rows in (first, first - 1)  # Sixel may end a row earlier, as it has whole bands only
    assert shown.column == 0
    assert not any(text[shown.row : shown.row + shown.rows])
    assert "10/10" in text[first + 1]
    assert sum(line == "a cat" for line in text) == 1
    assert sum("$ clipgen" in line for line in text) == min(start, shown.row)
    assert difference(shown.image, original(smooth())) < 12
    assert screen.column == 0
    assert screen.row == min(first + 3, screen.height - 1)


def test_kitty_gets_each_picture_once_and_then_moves_it() -> None:
    window = Window(KITTY)
    window.progress.begin("a cat")
    window.step(0)
    for _ in range(5):
        window.progress._live.refresh()  # type: ignore[union-attr]
    screen = window.look()
    assert (screen.sent, len(screen.pictures)) == (1, 1)
    screen = window.step(1, 1 - smooth())
    assert (screen.sent, len(screen.pictures)) == (2, 1)
    first = screen.pictures[0]
    window.progress.close(Outcome.FINISHED)
    window.progress.begin("a dog")  # whose picture is another one, and leaves this where it is
    screen = window.step(0)
    assert screen.pictures[0].image is first.image
    assert len(screen.pictures) == 2
    window.progress.close(Outcome.FINISHED)


@pytest.mark.parametrize("kind", [*KINDS, BLOCKS])
@pytest.mark.parametrize(("width", "height"), [(9, 30), (60, 5), (30, 6), (1, 1), (200, 60)])
def test_a_window_that_changes_breaks_no_line(kind: str, width: int, height: int) -> None:
    window = Window(kind)
    window.progress.begin("a cat with a long name that is longer than the window")
    for index in range(10):
        window.step(index)
        if index == 4:
            window.console.size = (width, height)  # type: ignore[assignment]
            window.screen = Screen(width, height, kept=window.screen.kept)
            window.progress._live.refresh()  # type: ignore[union-attr]
    screen = window.look()
    window.progress.close(Outcome.FINISHED)
    drawn = window.console.render_lines(window.progress._draw(), pad=False)
    assert all(sum(segment.cell_length for segment in line) <= max(width, 4) for line in drawn)
    for shown in screen.pictures[-1:]:
        assert shown.columns <= width
        assert shown.rows < height


@pytest.mark.parametrize("kind", [*KINDS, BLOCKS, OFF])
def test_no_picture_where_there_is_no_room_or_none_is_wanted(kind: str) -> None:
    window = Window(kind, height=4 if kind != OFF else 20)
    window.progress.begin("a cat")
    screen = window.step(0)
    window.progress.close(Outcome.FINISHED)
    assert not screen.pictures
    assert "▀" not in "".join(screen.text)
    assert any("0/10" in line for line in screen.text)


def test_showing_takes_a_small_part_of_the_time_of_a_fast_run() -> None:
    window, slow = Window(SIXEL), 0.5
    window.progress.begin("a cat")
    drawn = []

    class Slow:
        shape = (3, 60, 80)

        def __getattr__(self, name: str) -> object:
            drawn.append(window.clock.now)
            window.clock.now += slow
            return getattr(smooth(), name)

    for index in range(1000):
        window.progress.on_step(step_at(index, 1000, 0.5, Slow()))  # type: ignore[arg-type]
        window.clock.now += 0.1
    window.progress.close(Outcome.FINISHED)
    assert len(drawn) * slow < 0.1 * window.clock.now


def test_the_score_is_drawn_as_a_line() -> None:
    window = Window(OFF, width=80)
    window.progress.begin("a cat")
    lines = [next(line for line in window.step(index).text if f"{index}/10" in line) for index in range(11)]
    window.progress.close(Outcome.FINISHED)
    curves = [re.sub(f"[^{LEVELS}]", "", line) for line in lines]
    assert [len(each) for each in curves] == [0, *range(2, 12)]
    assert curves[-1] == "".join(sorted(curves[-1]))
    assert curves[-1][0] + curves[-1][-1] == LEVELS[0] + LEVELS[-1]


@pytest.mark.parametrize(
    ("values", "width", "shown"),
    [
        ([], 8, ""),
        ([1.0], 8, "▁"),
        ([2, 2, 2], 8, "▁▁▁"),
        ([0, 7], 8, "▁█"),
        (range(8), 8, LEVELS),
        (range(16), 8, LEVELS),
        ([0, float("nan"), float("inf"), 1], 8, "▁█"),
        ([3, 1], 0, ""),
        ([3, 1], -5, ""),
    ],
)
def test_a_sparkline_has_the_shape_of_the_numbers(values: list[float], width: int, shown: str) -> None:
    assert sparkline(values, width) == shown


def test_the_command_line_refuses_what_is_no_preview(cli: Cli) -> None:
    done = cli("red", "--preview", "siksel")
    assert done.exit_code == 2
    assert "--preview must be one of auto, blocks, iterm, kitty, off, sixel, got 'siksel'" in done.stderr
    assert "did you mean sixel?" in done.stderr
