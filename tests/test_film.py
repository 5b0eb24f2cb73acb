"""Films play everywhere, hold first and last frame, and can fail without harming the run."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from clipgen.config.films import FPS, SECONDS
from clipgen.core.contracts import Outcome, Step
from clipgen.outputs import ffmpeg
from clipgen.outputs.film import FORMATS, HOLD_SECONDS, FilmSink, schedule

SIZE = (64, 48)


def step_at(index: int, total: int, size: tuple[int, int] = SIZE) -> Step:
    """From black at the start to white at the end."""
    zero = torch.zeros(())
    image = torch.full((3, size[1], size[0]), index / total)
    return Step(index=index, total=total, loss=zero, score=zero, terms={}, draw=lambda: image)


def film(path: Path, total: int, *, stop: int | None = None, outcome: Outcome = Outcome.FINISHED) -> FilmSink:
    sink = FilmSink(path)
    for index in range((total if stop is None else stop) + 1):
        sink.on_step(step_at(index, total))
    sink.close(outcome)
    return sink


@given(st.integers(1, 20_000), st.sampled_from(list(FORMATS)))
def test_the_schedule_is_bounded_even_and_keeps_both_ends(total: int, suffix: str) -> None:
    plan = schedule(total, suffix)
    steps = sorted(plan.steps)
    gaps = np.diff(steps)
    assert steps[0] == 0
    assert steps[-1] == total
    assert len(steps) == min(total + 1, SECONDS * FPS[suffix])
    assert gaps.max() - gaps.min() <= 1
    if total >= 50:
        assert 6 <= len(steps) / plan.fps <= 10


@pytest.mark.parametrize("suffix", sorted(FORMATS))
@pytest.mark.parametrize("total", [2, 60])
def test_a_film_holds_all_frames_and_the_last_for_a_while(tmp_path: Path, suffix: str, total: int) -> None:
    path = tmp_path / f"film{suffix}"
    assert film(path, total).problem is None
    if suffix in (".mp4", ".webm"):
        frames = decode(path)
        plan = schedule(total, suffix)
        assert frames.shape == (len(plan.steps) + HOLD_SECONDS * plan.fps, SIZE[1], SIZE[0], 3)
        assert f" {plan.fps} fps" in probe(path)
        assert frames[0].mean() < 8
        assert frames[-1].mean() > 247
        assert (np.diff(frames.mean((1, 2, 3))) > -1).all()
    else:
        with Image.open(path) as image:
            means = [np.asarray(frame.convert("RGB")).mean() for frame in ImageSequence.Iterator(image)]
            assert image.info["loop"] == 0
            assert image.size == SIZE
        assert means[0] < 8
        assert means[-1] > 247
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def decode(path: Path, size: tuple[int, int] = SIZE) -> np.ndarray:
    """All frames of a film of that size, in time, as (N, H, W, 3)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(path)]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0], 3).astype(float)


def probe(path: Path) -> str:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_mp4_is_the_kind_that_every_player_knows(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    film(path, 4)
    description = probe(path)
    assert "Video: h264" in description
    assert "yuv420p(tv, bt709" in description
    assert path.read_bytes().index(b"moov") < path.read_bytes().index(b"mdat")


def test_odd_sizes_become_even(tmp_path: Path) -> None:
    sink = FilmSink(tmp_path / "film.mp4")
    sink.on_step(step_at(0, 1, (65, 49)))
    sink.close(Outcome.FINISHED)
    assert sink.problem is None
    assert "yuv420p" in probe(sink.path)
    assert " 64x48" in probe(sink.path)


def test_large_pictures_become_small_gifs(tmp_path: Path) -> None:
    sink = FilmSink(tmp_path / "film.gif")
    sink.on_step(step_at(0, 1, (960, 480)))
    sink.close(Outcome.FINISHED)
    with Image.open(sink.path) as image:
        assert image.size == (480, 240)


def test_colours_survive(tmp_path: Path) -> None:
    image = torch.tensor([0.9, 0.2, 0.1]).view(3, 1, 1).expand(3, 48, 64)
    zero = torch.zeros(())
    for suffix in FORMATS:
        sink = FilmSink(tmp_path / f"film{suffix}")
        sink.on_step(Step(index=0, total=1, loss=zero, score=zero, terms={}, draw=lambda: image))
        sink.close(Outcome.FINISHED)
        assert np.abs(decode(sink.path).mean((0, 1, 2)) / 255 - [0.9, 0.2, 0.1]).max() < 0.03, suffix


def test_an_interrupted_film_ends_with_what_was_reached(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    film(path, 1000, stop=501, outcome=Outcome.INTERRUPTED)
    frames = decode(path)
    assert 501 not in schedule(1000, ".mp4").steps
    assert frames[-1].mean() / 255 == pytest.approx(0.501, abs=0.02)


@pytest.mark.parametrize("stop", [-1, 3])
def test_a_failed_run_or_one_without_a_step_leaves_no_film(tmp_path: Path, stop: int) -> None:
    film(tmp_path / "film.mp4", 10, stop=stop, outcome=Outcome.FAILED if stop > 0 else Outcome.INTERRUPTED)
    assert list(tmp_path.iterdir()) == []


def write_program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("echo 'No space left on device' >&2; exit 1", "No space left on device"),
        ("cat > /dev/null; echo 'last words' >&2; exit 3", "last words"),
        ("cat > /dev/null; exit 3", "ffmpeg ended with status 3"),
        ("head -c 20000 > /dev/null; kill -9 $$", "[Errno 32] Broken pipe"),
    ],
)
def test_a_failing_ffmpeg_is_reported_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    fake = write_program(tmp_path / "ffmpeg", program)
    monkeypatch.setattr(ffmpeg, "_program", lambda: fake)
    sink = film(tmp_path / "film.mp4", 60)
    assert sink.problem == f"the film {tmp_path / 'film.mp4'} was not written: {reason}"
    assert [file.name for file in tmp_path.iterdir()] == ["ffmpeg"]


def test_a_run_does_not_wait_for_the_encoding_of_its_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = tmp_path / "go-on"
    fake = write_program(
        tmp_path / "ffmpeg", f"while [ ! -e '{go_on}' ]; do sleep .02; done; cat > '{tmp_path / 'received'}'"
    )
    monkeypatch.setattr(ffmpeg, "_program", lambda: fake)
    frames = [bytes([number]) * (1 << 20) for number in range(ffmpeg.QUEUED)]  # far more than fits into a pipe
    with ffmpeg.Encoder((), (), tmp_path / "film") as encoder:
        for frame in frames:
            encoder.write(frame)  # while nothing reads
        go_on.touch()
        encoder.finish()
    assert (tmp_path / "received").read_bytes() == b"".join(frames)


def test_a_missing_ffmpeg_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise RuntimeError("no exe")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    sink = film(tmp_path / "film.gif", 3)
    assert sink.problem is not None
    assert sink.problem.endswith("no ffmpeg program was found")


def test_an_ffmpeg_that_is_stopped_while_it_is_tried_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries, find = [], imageio_ffmpeg.get_ffmpeg_exe

    def stopped_at_first() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("no exe")
        return find()

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", stopped_at_first)
    assert film(tmp_path / "film.gif", 3).problem is None


def test_a_name_cannot_become_a_command_or_an_option(tmp_path: Path) -> None:
    path = tmp_path / "-y; touch pwned %d.mp4"
    assert film(path, 2).problem is None
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_folder_cannot_become_an_option_or_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (Path("-y"), Path("http:x")):
        folder.mkdir()
        assert film(folder / "film.mp4", 2).problem is None
        assert [file.name for file in folder.iterdir()] == ["film.mp4"]
