"""Films made anew frame by frame: order, size, sound, going on after a stop, and what is refused."""

import json
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from fakes import Cli
from PIL import Image

from clipgen.engine.optimise import optimise_together
from clipgen.errors import UsageError
from clipgen.outputs.video_source import VideoSource
from clipgen.session import restyle as module

LEVELS = (40, 90, 140, 200)
SMALL = ("--size", "48x32", "--steps", "2", "--cutouts", "2", "--preset", "starter", "-o", "out.mp4")


def ffmpeg(*args: str, given: bytes = b"") -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *args]
    subprocess.run(command, input=given, check=True)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four frames, each lighter than the one before, at 5 frames a second, with a sine for a sound."""
    path = tmp_path / "in.mp4"
    grey = b"".join(bytes([level]) * (96 * 64 * 3) for level in LEVELS)
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "96x64", "-r", "5", "-i", "-")
    sine = ("-f", "lavfi", "-i", "sine=frequency=440:duration=0.8", "-c:a", "aac")
    ffmpeg(*raw, *sine, "-c:v", "libx264", "-crf", "8", "-pix_fmt", "yuv420p", str(path), given=grey)
    return path


def frames(path: Path, size: tuple[int, int] = (48, 32)) -> list[float]:
    return [float(np.asarray(frame).mean()) for frame in VideoSource.open(path).frames(size)]


def picture(path: str) -> Image.Image:
    with Image.open(path) as opened:
        return opened.convert("RGB")


def no_blend(*args: str) -> tuple[str, ...]:
    return ("restyle", "in.mp4", "red", *SMALL, "--blend", "0", "--lr", "0.000001", *args)


def test_a_film_is_what_it_says(source: Path) -> None:
    found = VideoSource.open(source)
    assert (found.size, found.fps, found.count(), found.sound) == ((96, 64), 5, 4, "aac")
    assert frames(source) == pytest.approx(LEVELS, abs=4)
    assert [round(float(np.asarray(each).mean())) for each in found.frames((8, 8), 2)] == pytest.approx(
        LEVELS[::2], abs=4
    )
    assert found.count(2) == 2


def test_a_film_keeps_its_frames_in_order_its_rate_and_its_sound(cli: Cli, source: Path) -> None:
    done = cli(*no_blend())
    assert (done.exit_code, done.stdout) == (0, "out.mp4\n"), done.stderr
    assert "about 4 frames of 2 steps each" in done.stderr
    made = VideoSource.open(Path("out.mp4"))
    assert (made.size, made.fps, made.count(), made.sound) == ((48, 32), 5, 4, "aac")
    found = frames(Path("out.mp4"))
    assert len(found) == len(LEVELS)
    assert found == sorted(found)
    assert not Path("out-frames").exists()


def test_every_other_frame_takes_as_long(cli: Cli, source: Path) -> None:
    assert cli(*no_blend("--every", "2", "--json")).exit_code == 0
    made = VideoSource.open(Path("out.mp4"))
    assert (made.fps, len(frames(Path("out.mp4"))), made.sound) == (Fraction(5, 2), 2, "aac")


def test_a_gif_without_sound_is_a_film(cli: Cli, source: Path) -> None:
    ffmpeg("-i", str(source), "in.gif")
    done = cli("restyle", "in.gif", "red", *SMALL, "--json")
    assert done.exit_code == 0, done.stderr
    assert (json.loads(done.stdout)["frames"], json.loads(done.stdout)["path"]) == (4, "out.mp4")
    assert VideoSource.open(Path("out.mp4")).sound == ""


def test_a_frame_begins_at_a_blend_and_is_held_to_its_own(
    cli: Cli, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[Any] = []

    def watched(asked: Any, models: Any, **settings: Any) -> Any:
        tasks.extend(asked)
        return optimise_together(asked, models, **settings)

    monkeypatch.setattr(module, "optimise_together", watched)
    assert cli("restyle", "in.mp4", "red", *SMALL, "--blend", "0.5", "--keep-frames").exit_code == 0
    made = [picture(f"out-frames/frame-00000{number}.png") for number in (1, 2, 3, 4)]
    given = [task.inputs for task in tasks]
    assert given[0].begun is given[0].init
    for each, before in zip(given[1:], made, strict=False):
        assert np.array_equal(each.begun, Image.blend(each.init, before, 0.5))
    assert [float(np.asarray(each.init).mean()) for each in given] == pytest.approx(LEVELS, abs=4)
    assert cli("restyle", "in.mp4", "red", *SMALL, "--blend", "0.5").stdout == "out-2.mp4\n"


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[int]:
    calls = iter(range(100))

    def stopped(asked: Any, models: Any, **settings: Any) -> Any:
        if next(calls) == after:
            raise KeyboardInterrupt
        return optimise_together(asked, models, **settings)

    monkeypatch.setattr(module, "optimise_together", stopped)
    return calls


def test_the_same_command_goes_on_after_a_stop(cli: Cli, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("restyle", "in.mp4", "red", *SMALL, "--keep-frames")
    assert cli(*command[:-3], "-o", "whole.mp4", "--keep-frames").exit_code == 0
    interrupted(monkeypatch, 2)
    stopped = cli(*command)
    assert stopped.exit_code != 0
    assert "finished frames: 2, in out-frames; the same command again goes on from there" in stopped.stderr
    assert not Path("out.mp4").exists()
    calls = interrupted(monkeypatch, 100)
    done = cli(*command)
    assert (done.stdout, next(calls)) == ("out.mp4\n", 2)
    for number in (1, 2, 3, 4):
        name = f"frame-00000{number}.png"
        assert np.array_equal(picture(f"out-frames/{name}"), picture(f"whole-frames/{name}"))


def test_frames_of_something_else_are_left_alone(cli: Cli, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch, 1)
    cli("restyle", "in.mp4", "red", *SMALL)
    before = Path("out-frames/frame-000001.png").read_bytes()
    monkeypatch.setattr(module, "optimise_together", optimise_together)
    for other in (("--seed", "3"), ("--blend", "0.1")):
        assert cli("restyle", "in.mp4", "red", *SMALL, *other).stdout in ("out-2.mp4\n", "out-3.mp4\n")
    assert Path("out-frames/frame-000001.png").read_bytes() == before
    assert cli("restyle", "in.mp4", "red", *SMALL).stdout == "out.mp4\n"


def test_a_frame_that_was_spoilt_is_named(cli: Cli, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(monkeypatch, 1)
    cli("restyle", "in.mp4", "red", *SMALL)
    for spoil in (lambda path: Image.new("RGB", (8, 8)).save(path), lambda path: path.write_bytes(b"no PNG")):
        spoil(Path("out-frames/frame-000001.png"))
        result = cli("restyle", "in.mp4", "red", *SMALL)
        assert result.exit_code == 2
        assert "frame-000001.png is damaged" in result.stderr


def test_nothing_is_left_of_a_film_of_which_no_frame_was_made(
    cli: Cli, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(monkeypatch, 0)
    assert cli("restyle", "in.mp4", "red", *SMALL).exit_code != 0
    assert [each.name for each in Path().iterdir()] == ["in.mp4"]


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("none.mp4", (), "does not exist; check the path"),
        (".", (), "is not a file; name a film"),
        ("text.mp4", (), "is not a film that can be read"),
        ("list.m3u8", (), "is not a film that can be read"),
        ("sound.m4a", (), "has sound and no pictures"),
        ("in.mp4", ("--blend", "1.5"), "--blend must be a number from 0 to 1"),
        ("in.mp4", ("--every", "0"), "--every must be a whole number from 1"),
        ("in.mp4", ("-o", "out.avi"), "-o out.avi is not an MP4 file, and no other film is written; use -o out.mp4"),
        ("in.mp4", ("--steps", "0"), "--steps must be a whole number from 1"),
    ],
)
def test_what_cannot_be_restyled_is_refused_in_one_line(
    cli: Cli, source: Path, name: str, args: tuple[str, ...], said: str
) -> None:
    Path("text.mp4").write_text("a cat")
    Path("list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\nin.mp4\n#EXT-X-ENDLIST\n")
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", "sound.m4a")
    before = sorted(Path().iterdir())
    result = cli("restyle", name, "red", *SMALL, *args)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert sorted(Path().iterdir()) == before


def test_a_rate_of_ntsc_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "ntsc.mkv"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=32x32:rate=30000/1001:duration=0.2", str(path))
    assert VideoSource.open(path).fps == Fraction(30000, 1001)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(UsageError):
        VideoSource.open(path)
