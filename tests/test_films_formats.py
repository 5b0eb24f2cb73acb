"""Films as WebM and animated PNG, and the frame rate and the length that films are asked to have."""

import io
import itertools
import math
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from fakes import Cli, plan
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from test_film import probe
from test_footage import noise_at
from test_resume import SMALL, digests, stop_at

from clipgen.config.films import FPS, GIF_FPS, Timing
from clipgen.core.contracts import Outcome
from clipgen.errors import UsageError
from clipgen.outputs.film import HOLD_SECONDS, FilmSink, schedule
from clipgen.outputs.whole import is_whole_film
from clipgen.session.order import Order

ANIMATED = (".gif", ".apng")
NAME = "red-blue-0-3-1"
FILMED = (*SMALL[:-1], "3600", "--webm", "--apng", "--gif", "--fps", "5", "--film-length", "1.5")


def film(path: Path, total: int, timing: Timing = Timing()) -> Path:  # noqa: B008 - it is frozen
    sink = FilmSink(path, timing=timing)
    for index in range(total + 1):
        sink.on_step(noise_at(index, total))
    sink.close(Outcome.FINISHED)
    assert sink.problem is None
    return path


def frames_and_seconds(path: Path) -> tuple[int, float]:
    if path.suffix not in ANIMATED:
        return imageio_ffmpeg.count_frames_and_secs(str(path))  # type: ignore[no-any-return]
    with Image.open(path) as image:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
    return len(durations), sum(durations) / 1000


timings = st.builds(Timing, st.none() | st.integers(1, 60), st.none() | st.floats(0.5, 600))


@given(st.integers(1, 20_000), st.sampled_from(list(FPS)), timings)
def test_a_schedule_keeps_what_was_asked_for(total: int, suffix: str, timing: Timing) -> None:
    made = schedule(total, suffix, timing)
    assert {0, total} <= made.steps <= set(range(total + 1))
    assert made.pace <= made.fps <= timing.fps_of(suffix)
    if timing.fps:
        assert made.fps == min(timing.fps, GIF_FPS if suffix == ".gif" else 60)
    if timing.seconds:
        assert len(made.steps) / made.pace == pytest.approx(timing.seconds, abs=max(1.51 / made.fps, 0.01))


@pytest.mark.parametrize("suffix", list(FPS))
@pytest.mark.parametrize(("total", "fps", "seconds"), [(40, 10, 2.0), (4, 12, 2.0), (40, None, 0.5), (5, None, 3.0)])
def test_a_film_has_the_rate_and_the_length_that_it_is_asked_to_have(
    tmp_path: Path, suffix: str, total: int, fps: int | None, seconds: float
) -> None:
    timing = Timing(fps, seconds)
    frames, lasts = frames_and_seconds(film(tmp_path / f"film{suffix}", total, timing))
    made = schedule(total, suffix, timing)
    held = math.ceil(HOLD_SECONDS * made.pace) / made.pace
    assert lasts == pytest.approx(float(len(made.steps) / made.pace + held), abs=0.11)
    assert lasts == pytest.approx(seconds + 1, abs=0.5)
    if fps and suffix not in ANIMATED:  # of which equal frames are one that lasts longer
        assert frames / lasts == pytest.approx(fps, rel=0.05)


def test_a_gif_has_as_many_frames_a_second_as_browsers_show(tmp_path: Path) -> None:
    path = film(tmp_path / "film.gif", 100, Timing(60, 1.0))
    with Image.open(path) as image:
        assert {frame.info["duration"] for frame in itertools.islice(ImageSequence.Iterator(image), 49)} == {20}
    assert schedule(100, ".gif").fps == 13  # 101 frames in eight seconds


def test_webm_is_vp9_with_the_colours_of_bt709(tmp_path: Path) -> None:
    described = probe(film(tmp_path / "film.webm", 3))
    assert "matroska,webm" in described
    assert "Video: vp9 (Profile 0), yuv420p(tv, bt709" in described


def test_an_animated_png_is_lossless_and_loops_for_ever(tmp_path: Path) -> None:
    with Image.open(film(tmp_path / "film.apng", 5)) as image:
        assert (image.format, image.info["loop"], image.size) == ("PNG", 0, (32, 32))
        shown = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    made = [(noise_at(index, 5).image.permute(1, 2, 0) * 255).round().byte().numpy() for index in range(6)]
    for one, other in zip(shown, made, strict=False):
        assert (one == other).all()
    assert (shown[-1] == made[-1]).all()


@pytest.fixture(scope="module", params=[".webm", ".apng"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("films") / f"film{request.param}", 2, Timing(2, 1.0))


def test_no_truncated_film_is_whole(whole: Path, tmp_path: Path) -> None:
    content, path = whole.read_bytes(), tmp_path / whole.name
    assert is_whole_film(whole)
    with path.open("wb") as file:
        file.write(content)
    for size in reversed(range(len(content))):
        with path.open("r+b") as file:
            file.truncate(size)
        assert not is_whole_film(path), size


def test_what_is_put_after_or_in_place_of_a_film_is_not_whole(whole: Path, tmp_path: Path) -> None:
    content, path = whole.read_bytes(), tmp_path / whole.name
    image = io.BytesIO()
    Image.new("RGB", (4, 4)).save(image, "PNG")
    others = (content + b"\0", content + content, content[1:], b"\xff" * 99, b"\0" * 99, content[:40], b"")
    for other in (*others, image.getvalue()):
        path.write_bytes(other)
        assert not is_whole_film(path)


def test_a_webm_without_a_known_end_or_a_part_is_not_whole(tmp_path: Path) -> None:
    path = film(tmp_path / "film.webm", 2)
    content = path.read_bytes()
    start = content.index(b"\x18\x53\x80\x67") + 4
    cluster = content.index(b"\x1f\x43\xb6\x75")
    streamed = content[:start] + b"\x01" + b"\xff" * 7 + content[start + 8 :]
    renamed = content[:cluster] + b"\x1f\x43\xb6\x76" + content[cluster + 4 :]
    other = content.replace(b"webm", b"mebw", 1)
    for damaged in (streamed, renamed, other):
        assert len(damaged) == len(content)
        path.write_bytes(damaged)
        assert not is_whole_film(path)


def test_no_flipped_bit_in_an_animated_png_is_whole(tmp_path: Path) -> None:
    path = film(tmp_path / "film.apng", 2)
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), 37):
        content[place] ^= 4
        path.write_bytes(content)
        assert not is_whole_film(path), place
        content[place] ^= 4
    path.write_bytes(content)
    assert is_whole_film(path)


def test_every_kind_is_written_and_printed(cli: Cli) -> None:
    result = cli("red", "--seed", "1", *SMALL[1:5], "--video", "--webm", "--apng")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split() == [f"outputs/red-1{suffix}" for suffix in (".png", *FPS)]
    assert sorted(path.suffix for path in Path("outputs").iterdir()) == sorted([".png", *FPS])


@pytest.mark.parametrize("index", [0, 5])
def test_a_resumed_run_has_the_films_of_one_that_was_never_stopped(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, index)
        assert cli(*FILMED, "-o", "parts").exit_code == 130
    assert cli("resume", f"parts/{NAME}.png").exit_code == 0
    assert cli(*FILMED, "-o", "whole").exit_code == 0
    assert digests("parts") == digests("whole")
    assert frames_and_seconds(Path(f"parts/{NAME}.gif"))[1] == pytest.approx(2.5, abs=0.3)


def test_a_batch_knows_whole_films_of_every_kind_and_goes_on_with_those_of_its_timing_only(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("prompts.txt").write_text("red|blue:0.3\n")
    command = ("batch", "prompts.txt", *FILMED[1:])
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        assert cli(*command).exit_code == 130
        assert cli(*command, "--fps", "6").stdout.split()[0] == f"outputs/{NAME}-2.png"
    assert cli(*command).stdout.split()[0] == f"outputs/{NAME}.png"
    assert "already made" in cli(*command).stderr
    for number, suffix in enumerate((".webm", ".apng"), start=3):
        for path in Path("outputs").glob(f"*{suffix}"):
            path.write_bytes(path.read_bytes()[:-1])
        assert cli(*command).stdout.split()[0] == f"outputs/{NAME}-{number}.png"


def test_an_order_has_what_films_are_asked_to_have_and_older_ones_the_defaults() -> None:
    usual = Order.of(plan(), [".mp4"]).to_dict()
    assert not {"fps", "film_length", "every_step"} & usual.keys()
    assert Order.from_dict(usual).timing == Timing()
    asked = Order.of(plan(), [".webm"], timing=Timing(24, 2.5), every_step=50)
    again = Order.from_dict(asked.to_dict())
    assert (again.timing, again.every_step) == (Timing(24, 2.5), 50)
    assert again == asked != Order.of(plan(), [".webm"])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--fps", "24"), "--fps 24 needs a film; add --mp4"),
        (("--film-length", "2"), "--film-length 2 needs a film; add --mp4"),
        (("--mp4", "--fps", "0"), "--fps must be a whole number from 1 to 60, got 0"),
        (("--mp4", "--fps", "61"), "--fps must be a whole number from 1 to 60, got 61"),
        (("--mp4", "--fps", "fast"), "--fps must be a whole number, got 'fast'"),
        (("--gif", "--film-length", "0.4"), "--film-length must be a number from 0.5 to 600, got 0.4"),
        (("--gif", "--film-length", "nan"), "--film-length must be a number from 0.5 to 600, got nan"),
        (("--frame-rate", "24"), "use --fps NUMBER"),
        (("-o", "x.apng"), "use -o x.png, with --mp4, --webm, --gif or --apng for a film"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(cli: Cli, args: tuple[str, ...], said: str) -> None:
    result = cli("red", *args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("bad", [(0, None), (61, None), (True, None), (None, 0.1), (None, 601), (None, math.inf)])
def test_a_timing_out_of_range_is_refused(bad: tuple[int | None, float | None]) -> None:
    with pytest.raises(UsageError, match="--f"):
        Timing(*bad)


def test_the_schedules_of_old_are_those_of_today() -> None:
    for total, suffix in itertools.product((1, 10, 61, 300, 5000), (".mp4", ".gif")):
        made, most = schedule(total, suffix), FPS[suffix]
        count = min(total + 1, 8 * most)
        assert made.fps == made.pace == Fraction(max(min(round(count / 8), most), 4))
        assert made.steps == {round(frame * total / (count - 1)) for frame in range(count)}
