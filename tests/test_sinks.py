"""The picture is written whole or not at all; progress says what happens and rarely asks the device."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.core.contracts import Outcome, Sink, Step
from clipgen.errors import ClipgenError
from clipgen.outputs import metadata
from clipgen.outputs.png import PngSink
from clipgen.outputs.preview import half_blocks
from clipgen.outputs.progress import LiveProgress, PlainProgress, progress_sink
from clipgen.util import files as naming

PLAN = resolve(Job(parse_prompts("a cat"), steps=100, size=(32, 16)))[0]


class CountedNumber:
    """Stands for a scalar on a device and counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0

    def __float__(self) -> float:
        self.reads += 1
        return 0.25


class Clock:
    """Time that goes on by itself, a fixed amount with each step of a run."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def step_at(index: int, total: int = 100, number: object = 0.25, image: Tensor | None = None) -> Step:
    picture = torch.full((3, 16, 32), index / total) if image is None else image
    return Step(index=index, total=total, loss=number, score=number, terms={}, draw=lambda: picture)  # type: ignore[arg-type]


def play(sink: Sink, clock: Clock, seconds: float, number: object = 0.25) -> None:
    """A run of 100 steps that lasts so many seconds."""
    for index in range(101):
        sink.on_step(step_at(index, number=number))
        clock.now += seconds / 100
    sink.close(Outcome.FINISHED)


@pytest.mark.parametrize("outcome", [Outcome.FINISHED, Outcome.INTERRUPTED])
def test_png_has_the_last_picture_and_its_recipe(tmp_path: Path, outcome: Outcome) -> None:
    sink = PngSink(tmp_path / "a.png", PLAN)
    sink.on_step(step_at(0))
    sink.on_step(step_at(60))
    sink.close(outcome)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (32, 16)
        assert np.asarray(image).tolist() == np.full((16, 32, 3), 153).tolist()
    record = metadata.read(tmp_path / "a.png")
    assert record is not None
    assert (record["outcome"], record["steps_done"], record["clip_score"]) == (outcome.value, 60, 0.25)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_no_png_of_a_failed_run_or_of_no_step(tmp_path: Path) -> None:
    failed = PngSink(tmp_path / "a.png", PLAN)
    failed.on_step(step_at(1))
    failed.close(Outcome.FAILED)
    PngSink(tmp_path / "b.png", PLAN).close(Outcome.INTERRUPTED)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file_and_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(partial: Path, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(naming, "publish", full)
    (tmp_path / "a.png").write_text("old")
    sink = PngSink(tmp_path / "a.png", PLAN)
    sink.on_step(step_at(1))
    with pytest.raises(ClipgenError, match=r"the picture .*a\.png could not be written: No space left on device"):
        sink.close(Outcome.FINISHED)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.png", "old")]


def test_the_init_image_may_go_while_the_run_lasts(tmp_path: Path) -> None:
    init = tmp_path / "init.png"
    init.write_bytes(b"pixels")
    sink = PngSink(tmp_path / "a.png", resolve(Job(parse_prompts("a cat"), init=str(init)))[0])
    init.unlink()
    sink.on_step(step_at(1))
    sink.close(Outcome.FINISHED)
    assert (tmp_path / "a.png").exists()


@pytest.mark.parametrize(("seconds", "least", "most"), [(1, 10, 12), (1000, 90, 110)])
def test_plain_progress_is_a_line_each_tenth_or_ten_seconds(seconds: float, least: int, most: int) -> None:
    stream, clock = io.StringIO(), Clock()
    play(PlainProgress("a cat", stream, clock), clock, seconds)
    lines = stream.getvalue().splitlines()
    assert least <= len(lines) <= most
    assert lines[0].startswith("a cat: 0/100")
    assert lines[-1].startswith("a cat: 100/100  loss 0.2500  score 0.250")
    assert "\x1b" not in stream.getvalue()


def test_progress_knows_speed_and_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    play(PlainProgress("a cat", stream, clock), clock, seconds=200)
    assert "50/100  loss 0.2500  score 0.250  0.50 steps/s  0:01:40 left" in stream.getvalue()
    assert stream.getvalue().endswith("0.50 steps/s  in 0:03:20\n")


def test_plain_progress_says_how_a_run_ended_early() -> None:
    stream = io.StringIO()
    sink = PlainProgress("a cat", stream)
    sink.on_step(step_at(3))
    sink.close(Outcome.INTERRUPTED)
    assert stream.getvalue().splitlines()[-1] == "a cat: interrupted"


def terminal(**settings: object) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=100, height=40, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["plain", "live"])
def test_the_device_is_asked_a_few_times_a_second_at_most(kind: str) -> None:
    number, clock = CountedNumber(), Clock()
    sink = PlainProgress("a", io.StringIO(), clock) if kind == "plain" else LiveProgress("a", terminal(), clock)
    play(sink, clock, seconds=2, number=number)
    assert 4 <= number.reads <= 2 * 11


def test_live_progress_draws_the_picture_and_the_numbers() -> None:
    console = terminal()
    clock = Clock()
    play(LiveProgress("[red]a cat[/red]", console, clock), clock, seconds=2)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "▀" in text
    assert "100/100" in text
    assert "[red]a cat[/red]" in text


def test_a_terminal_without_colours_gets_numbers_only() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=100)
    clock = Clock()
    play(LiveProgress("a cat", console, clock), clock, seconds=1)
    assert "▀" not in console.file.getvalue()  # type: ignore[attr-defined]
    assert "100/100" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_pipe_never_gets_cursor_codes_even_with_forced_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(progress_sink("a cat", io.StringIO()), PlainProgress)


@pytest.mark.parametrize(("term", "kind"), [("xterm-256color", LiveProgress), ("dumb", PlainProgress)])
def test_a_terminal_gets_live_progress_if_it_can_move(monkeypatch: pytest.MonkeyPatch, term: str, kind: type) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", term)
    assert isinstance(progress_sink("a cat", stream), kind)


def test_half_blocks_show_each_pixel_where_it_is() -> None:
    image = torch.zeros(3, 4, 4)
    image[0, :2, :2] = 1.0  # red, top left
    image[2, 2:, 2:] = 1.0  # blue, bottom right
    text = half_blocks(image, columns=4)
    styles = [str(span.style) for span in text.spans]
    assert text.plain == "▀▀▀▀\n▀▀▀▀"
    assert styles == ["#ff0000 on #ff0000"] * 2 + ["#000000 on #000000"] * 4 + ["#0000ff on #0000ff"] * 2


@pytest.mark.parametrize(("height", "width", "rows"), [(64, 64, 10), (128, 64, 20), (8, 512, 1)])
def test_half_blocks_keep_the_aspect_ratio(height: int, width: int, rows: int) -> None:
    lines = half_blocks(torch.rand(3, height, width), columns=20).plain.splitlines()
    assert len(lines) == rows
    assert {len(line) for line in lines} == {20}


@pytest.mark.parametrize("size", [(16, 512), (64, 64), (256, 64), (512, 16)])
def test_the_live_picture_fits_the_window(size: tuple[int, int]) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=60, height=12)
    sink = LiveProgress("a cat", console)
    sink.on_step(step_at(0, image=torch.rand(3, *size)))
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    sink.close(Outcome.FINISHED)
    assert ("▀" in drawn) == (size[0] < 32 * size[1])
    assert len(drawn.splitlines()) < console.height
