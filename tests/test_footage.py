"""Films survive that their run is stopped, killed and resumed: they are those of a run that never was."""

import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import clipgen
from clipgen.core.contracts import Outcome, Step
from clipgen.outputs import ffmpeg
from clipgen.outputs.film import FORMATS, FilmSink
from clipgen.outputs.footage import PNG_STREAM

KINDS = [suffix.removeprefix(".") for suffix in FORMATS]


def noise_at(index: int, total: int, *, final: bool = False) -> Step:
    """A picture that nothing but a lossless copy keeps; a final one looks otherwise than the run does on its way."""
    zero = torch.zeros(())
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(2 * index + final))
    return Step(index=index, total=total, loss=zero, score=zero, terms={}, draw=lambda: image)


def report(sinks: Iterable[FilmSink], steps: Iterable[int], total: int) -> None:
    for index in steps:
        for sink in sinks:
            sink.on_step(noise_at(index, total))


def every_kind(folder: Path, footage: Path | None = None, done: int = 0) -> list[FilmSink]:
    return [FilmSink(folder / f"film{suffix}", footage, done) for suffix in FORMATS]


def end(sinks: Iterable[FilmSink], outcome: Outcome, index: int, total: int, *, keep: bool = False) -> list[bytes]:
    """The films of a run that ends at that index, and may be saved only when its final picture was made."""
    films = []
    for sink in sinks:
        sink.on_step(noise_at(index, total, final=True))
        if keep:
            sink.keep(index)
        sink.close(outcome)
        assert sink.problem is None
        films.append(sink.path.read_bytes())
    return films


@functools.cache
def never_stopped(total: int) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        sinks = every_kind(Path(folder))
        report(sinks, range(total), total)
        return end(sinks, Outcome.FINISHED, total, total)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def frames_of(path: Path, *form: str) -> np.ndarray:
    """All frames of a film or, where ffmpeg is told its form, of a segment, as (N, 32, 32, 3)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *form, "-i", str(path)]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, 32, 32, 3)


def stopped_and_resumed(
    folder: Path, footage: Path, total: int, stops: Sequence[int], saves: Sequence[int] = (), *, late: bool = False
) -> list[bytes]:
    """The films of a run that is stopped after each of so many updates, and saved then (if late, at the very end)."""
    for begin, stop in itertools.pairwise((0, *stops)):
        sinks = every_kind(folder, footage, begin)
        play(sinks, begin, stop, total, saves if late else (*saves, stop))
        end(sinks, Outcome.INTERRUPTED, stop, total, keep=late)
    sinks = every_kind(folder, footage, stops[-1])
    play(sinks, stops[-1], total, total, saves)
    return end(sinks, Outcome.FINISHED, total, total)


def play(sinks: Sequence[FilmSink], begin: int, stop: int, total: int, saves: Sequence[int]) -> None:
    for index in range(begin, stop):
        report(sinks, [index], total)
        for sink in sinks if index + 1 in saves else ():
            sink.keep(index + 1)


@pytest.mark.parametrize(("total", "late"), [(9, False), (9, True), pytest.param(300, False, marks=pytest.mark.slow)])
def test_the_film_of_a_resumed_run_is_that_of_a_run_never_stopped(tmp_path: Path, total: int, late: bool) -> None:
    expected = never_stopped(total)
    for stop in (1, total // 2, total - 1):
        assert stopped_and_resumed(tmp_path, tmp_path / "footage", total, [stop], late=late) == expected, stop


@settings(max_examples=8, deadline=None)
@given(st.integers(2, 12), st.data())
def test_stops_and_saves_anywhere_leave_no_trace(total: int, data: st.DataObject) -> None:
    updates = st.integers(1, total - 1)
    stops = sorted(data.draw(st.sets(updates, min_size=1, max_size=2)))
    saves = data.draw(st.lists(updates, max_size=3))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        films = stopped_and_resumed(folder, folder / "footage", total, stops, saves, late=data.draw(st.booleans()))
        assert films == never_stopped(total)


def test_a_run_resumed_without_its_footage_has_another_film(tmp_path: Path) -> None:
    sinks = every_kind(tmp_path, tmp_path / "nothing there", 4)
    report(sinks, range(4, 8), 8)
    films = end(sinks, Outcome.FINISHED, 8, 8)
    assert all(film != whole for film, whole in zip(films, never_stopped(8), strict=True))


def test_the_film_of_a_stopped_run_ends_with_its_final_picture_which_the_footage_has_not(tmp_path: Path) -> None:
    sink = FilmSink(tmp_path / "film.mp4", tmp_path / "footage")
    report([sink], range(5), 8)
    end([sink], Outcome.INTERRUPTED, 5, 8)
    shown = frames_of(sink.path)[-1].mean((0, 1))
    assert np.abs(shown - 255 * noise_at(5, 8, final=True).image.mean((1, 2)).numpy()).max() < 4
    assert len(frames_of(tmp_path / "footage" / "mp4-000000.pngs", *PNG_STREAM)) == 5


KILLED = """
import os, signal
from pathlib import Path
from test_footage import every_kind, report
sinks = every_kind(Path(), Path("footage"))
report(sinks, range(5), 9)
[sink.keep(5) for sink in sinks]
report(sinks, range(5, 7), 9)
[sink.keep(7) for sink in sinks]
report(sinks, range(7, 9), 9)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def footage_of_a_killed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    paths = [str(Path(clipgen.__file__).parents[1]), str(Path(__file__).parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    run = subprocess.run([sys.executable, "-c", KILLED], cwd=folder, env=environment, timeout=300, check=False)
    assert run.returncode == -signal.SIGKILL
    assert names(folder) == ["footage"]
    return folder / "footage"


@pytest.mark.parametrize(("done", "starts"), [(7, [0, 5]), (5, [0]), (0, [])])
def test_a_killed_run_goes_on_from_what_was_kept(
    tmp_path: Path, footage_of_a_killed_run: Path, done: int, starts: list[int]
) -> None:
    """At 5: killed after the frames were kept and before the state was saved; at 0: nothing was ever saved."""
    footage = tmp_path / "footage"
    shutil.copytree(footage_of_a_killed_run, footage)
    sinks = every_kind(tmp_path, footage, done)
    assert names(footage) == sorted(f"{kind}-{start:06d}.pngs" for kind in KINDS for start in starts)
    for start, stop in zip(starts, [*starts[1:], done], strict=False):
        pictures = [noise_at(index, 9).image.permute(1, 2, 0) for index in range(start, stop)]
        for kind in KINDS:
            written = frames_of(footage / f"{kind}-{start:06d}.pngs", *PNG_STREAM)
            assert (written == (torch.stack(pictures) * 255).round().byte().numpy()).all()
    report(sinks, range(done, 9), 9)
    assert end(sinks, Outcome.FINISHED, 9, 9) == never_stopped(9)


Later = Enum("Later", "PAUSED")


@pytest.mark.parametrize(
    ("outcome", "film", "kept"),
    [
        (Outcome.FINISHED, True, ["mp4-000000.pngs", "mp4-000003.pngs"]),
        (Outcome.INTERRUPTED, True, ["mp4-000000.pngs", "mp4-000003.pngs"]),
        (Later.PAUSED, True, ["mp4-000000.pngs", "mp4-000003.pngs"]),
        (Outcome.FAILED, False, ["mp4-000000.pngs"]),
    ],
)
def test_footage_that_was_kept_stays(tmp_path: Path, outcome: Outcome, film: bool, kept: list[str]) -> None:
    sink = FilmSink(tmp_path / "film.mp4", tmp_path / "footage")
    report([sink], range(3), 9)
    sink.keep(3)
    report([sink], range(3, 6), 9)
    sink.close(outcome)
    assert sink.path.exists() is film
    assert names(tmp_path / "footage") == kept


def test_any_name_of_the_footage_will_do(tmp_path: Path) -> None:
    strange = tmp_path / "-y a'b\"c?d#e\nf%d: *é" / "concat:x"
    assert stopped_and_resumed(tmp_path, strange, 5, [3]) == never_stopped(5)


def test_private_footage_goes_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for outcome in Outcome:
        sink = FilmSink(tmp_path / "film.mp4")
        report([sink], range(3), 4)
        assert len(names(tmp_path)) == 1
        sink.close(outcome)
        assert names(tmp_path) == ["film.mp4"] * (outcome is not Outcome.FAILED)
        sink.path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("case", "reason", "kept"),
    [
        ("trap '' XFSZ; ulimit -f 8", "File too large", []),  # the first segment is larger than that
        ('case "$*" in *libx264*) echo "the disk is full" >&2; exit 1;; esac', "the disk is full", ["mp4-000000.pngs"]),
    ],
)
def test_a_disk_that_fills_up_is_reported_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, reason: str, kept: list[str]
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f'#!/bin/sh\n{case}\nexec "{imageio_ffmpeg.get_ffmpeg_exe()}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "_program", lambda: str(program))
    sink = FilmSink(tmp_path / "film.mp4", tmp_path / "footage")
    report([sink], range(30), 60)
    sink.close(Outcome.INTERRUPTED)
    assert sink.problem is not None
    assert sink.problem.startswith(f"the film {sink.path} was not written: ")
    assert sink.problem.endswith(reason)
    assert names(tmp_path) == ["ffmpeg", "footage"]
    assert names(tmp_path / "footage") == kept


def test_footage_that_has_no_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "footage").write_text("a file")
    sink = FilmSink(tmp_path / "film.mp4", tmp_path / "footage")
    report([sink], range(4), 4)
    sink.keep(4)
    sink.close(Outcome.INTERRUPTED)
    assert sink.problem is not None
    assert names(tmp_path) == ["footage"]
