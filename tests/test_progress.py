"""Progress says what is done, and for how long, in every phase; it rarely asks the device, and never ends a run."""

import io
import sys

import pytest
import torch
from rich.console import Console
from torch import Tensor

from clipgen.core.contracts import Outcome, Sink, Step
from clipgen.engine.forecast import Phase
from clipgen.outputs.progress import LINE_SECONDS, LiveProgress, PlainProgress, progress_on, progress_sink


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


@pytest.mark.parametrize(("seconds", "least", "most"), [(1, 10, 12), (1000, 90, 110)])
def test_plain_progress_is_a_line_each_tenth_or_ten_seconds(seconds: float, least: int, most: int) -> None:
    stream, clock = io.StringIO(), Clock()
    play(PlainProgress(stream, clock).begin("a cat"), clock, seconds)
    lines = stream.getvalue().splitlines()
    assert least <= len(lines) <= most
    assert lines[0].startswith("a cat: 0/100")
    assert lines[-1].startswith("a cat: 100/100  loss 0.2500  score 0.250")
    assert "\x1b" not in stream.getvalue()


def test_progress_knows_speed_and_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    play(PlainProgress(stream, clock).begin("a cat"), clock, seconds=200)
    assert "50/100  loss 0.2500  score 0.250  0.50 steps/s  0:01:40 left" in stream.getvalue()
    assert stream.getvalue().endswith("0.50 steps/s  in 0:03:20\n")


def test_plain_progress_says_how_a_run_ended_early() -> None:
    stream = io.StringIO()
    sink = PlainProgress(stream).begin("a cat")
    sink.on_step(step_at(3))
    sink.close(Outcome.INTERRUPTED)
    assert stream.getvalue().splitlines()[-1] == "a cat: interrupted"


def terminal(**settings: object) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=100, height=40, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["plain", "live"])
def test_the_device_is_asked_a_few_times_a_second_at_most(kind: str) -> None:
    number, clock = CountedNumber(), Clock()
    sink = PlainProgress(io.StringIO(), clock) if kind == "plain" else LiveProgress(terminal(), clock)
    play(sink, clock, seconds=2, number=number)
    assert 4 <= number.reads <= 2 * 11


def test_live_progress_draws_the_picture_and_the_numbers() -> None:
    console = terminal()
    clock = Clock()
    play(LiveProgress(console, clock).begin("[red]a cat[/red]"), clock, seconds=2)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "▀" in text
    assert "100/100" in text
    assert "[red]a cat[/red]" in text


def test_a_terminal_without_colours_gets_numbers_only() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=100)
    clock = Clock()
    play(LiveProgress(console, clock).begin("a cat"), clock, seconds=1)
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


@pytest.mark.parametrize("size", [(16, 512), (64, 64), (256, 64), (512, 16)])
def test_the_live_picture_fits_the_window(size: tuple[int, int]) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=60, height=12)
    sink = LiveProgress(console).begin("a cat")
    sink.on_step(step_at(0, image=torch.rand(3, *size)))
    drawn = console.render_lines(sink._draw(), pad=False)
    sink.close(Outcome.FINISHED)
    assert any("▀" in segment.text for line in drawn for segment in line) == (size[0] < 32 * size[1])
    assert len(drawn) < console.height


PHASES = [
    Phase("preparing", 1),
    Phase("decoding", 20),
    Phase("guiding", 10, (0, 10)),
    Phase("upsampling", 8),
    Phase("guiding", 20, (10, 20)),
    Phase("writing", 5),
]


def play_all(progress: PlainProgress | LiveProgress, clock: Clock) -> None:
    """All phases of a run of 20 steps, each as long as it is expected to be."""
    progress.stage("loading the models")
    clock.now += 3
    progress.expect(PHASES)
    progress.begin("a cat")
    clock.now += 1
    progress.stage("decoding 32 candidates")
    clock.now += 20
    for index in range(21):
        if index == 10:
            progress.stage("upsampling with 4 candidates")
            clock.now += 8
        progress.on_step(step_at(index, 20))
        clock.now += (1 if index < 10 else 2) if index < 20 else 0
    progress.stage("writing a-cat.mp4")
    clock.now += 5
    progress.close(Outcome.FINISHED)


def test_plain_lines_name_each_phase_with_the_time_left_in_all() -> None:
    stream, clock = io.StringIO(), Clock()
    play_all(PlainProgress(stream, clock), clock)
    lines = stream.getvalue().splitlines()
    phases = [line for line in lines if "loss" not in line]
    assert phases == [
        "loading the models",
        "a cat: decoding 32 candidates  0:01:03 left",
        "a cat: upsampling with 4 candidates  0:00:33 left",
        "a cat: writing a-cat.mp4  0:00:05 left",
    ]
    assert lines[2].endswith("0:00:43 left")
    assert next(line for line in lines if "20/20" in line).endswith("in 0:01:02")


def test_a_long_phase_gets_a_line_every_ten_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)
    progress.stage("loading PyTorch", brief=True)
    progress.rest()
    assert stream.getvalue() == ""
    for _ in range(35):
        clock.now += 1
        progress.beat()
    assert stream.getvalue().splitlines() == [
        f"still loading PyTorch, 0:00:{seconds:.0f} so far" for seconds in (LINE_SECONDS, 20, 30)
    ]


def test_plain_progress_beats_by_itself_until_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipgen.outputs.progress.BEAT_SECONDS", 0.001)
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)
    progress.stage("loading")
    thread = progress._thread
    clock.now = 2 * LINE_SECONDS
    while "still loading" not in stream.getvalue():
        assert thread is not None
        thread.join(0.01)
    progress.rest()
    assert thread is not None
    thread.join(30)
    assert not thread.is_alive()


def test_live_progress_shows_phase_picture_and_time_left() -> None:
    clock, console = Clock(), terminal()
    progress = LiveProgress(console, clock)
    play_all(progress, clock)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for shown in ("loading the models, 0:00:00", "decoding 32 candidates", "0:01:03 left", "upsampling", "writing"):
        assert shown in text
    assert text.rstrip().endswith("\x1b[?25h")  # the cursor is back
    assert "in 0:01:07" in text


def test_what_has_no_picture_yet_leaves_nothing_behind_in_a_terminal() -> None:
    console = terminal()
    progress = LiveProgress(console, Clock())
    progress.stage("loading PyTorch")
    progress.rest()
    assert console.file.getvalue().endswith("\x1b[2K")  # type: ignore[attr-defined]


@pytest.mark.parametrize("setting", ["NO_COLOR", "latin-1"])
def test_no_blocks_where_colours_are_unwanted_or_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "latin-1" if setting == "latin-1" else "utf-8")
    monkeypatch.setattr(stream, "isatty", lambda: True)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if setting == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    progress = progress_on(stream)
    assert isinstance(progress, LiveProgress)
    play(progress.begin("a cat"), Clock(), seconds=1)
    assert "▀".encode() not in raw.getvalue()
    assert b"100/100" in raw.getvalue()


class Broken(io.StringIO):
    """A stream whose reader is gone."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("terminal", [False, True])
def test_a_display_that_nobody_reads_ends_no_run(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    play(progress_sink("a cat", Broken(terminal)), Clock(), seconds=1)
    closed = io.StringIO()
    closed.close()
    play(progress_sink("a cat", closed), Clock(), seconds=1)


def test_lines_of_others_go_above_a_live_display(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stderr", stream)
    progress = progress_on(stream, redirect=True)
    progress.stage("loading the models")
    sys.stderr.write("a note\n")
    progress.rest()
    assert sys.stderr is stream
    after = stream.getvalue().split("a note")[1]
    assert "loading the models" in after


def test_no_line_is_wider_than_a_narrow_window() -> None:
    file, clock = io.StringIO(), Clock()
    console = Console(file=file, force_terminal=True, color_system="truecolor", width=24, height=12)
    progress = LiveProgress(console, clock)
    progress.expect(PHASES)
    progress.begin("a city in the style of a painter with a long name")
    progress.stage("decoding 32 candidates with a description that is long")
    drawn = console.render_lines(progress._draw(), pad=False)
    assert len(drawn) == 3
    progress.on_step(step_at(3, 20))
    drawn = console.render_lines(progress._draw(), pad=False)
    progress.close(Outcome.FINISHED)
    assert len(drawn) <= 11
    assert all(sum(segment.cell_length for segment in line) <= 24 for line in drawn)
