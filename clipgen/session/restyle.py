"""Films made anew frame by frame: each is a short run that starts from the frame and from the picture before.

For `film.mp4` the finished frames are in the folder `film-frames` beside it, which exists while the film is unfinished:

    film.json           what is made of which film: a folder of anything else is left alone
    frame-000001.png    the finished frames
    lock                held by the process that makes them
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from os.path import lexists
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from PIL import Image

from clipgen.config.checks import MAX_JSON, load_json
from clipgen.config.plan import Plan
from clipgen.core.contracts import Outcome
from clipgen.engine.cost import CostEstimate
from clipgen.engine.forecast import phases_of
from clipgen.engine.inputs import Inputs
from clipgen.engine.models import Models
from clipgen.engine.optimise import Task, optimise_together
from clipgen.errors import ClipgenError, Interrupted, UsageError
from clipgen.outputs.ffmpeg import Encoder
from clipgen.outputs.film import FORMATS
from clipgen.outputs.film_marks import comment_of, mark_film
from clipgen.outputs.footage import PNG_STREAM
from clipgen.outputs.video_source import COPIED, VideoSource
from clipgen.outputs.xmp import COMPOSITE
from clipgen.session.options import Listener
from clipgen.session.session import Session
from clipgen.util.files import make_folder, publish, replacing
from clipgen.util.regular import open_regular, read_regular, sha256_of
from clipgen.util.text import readable_time

SUFFIX = ".mp4"
FRAMES = "-frames"
RECORD, LOCK = "film.json", "lock"
SCHEMA = 1
MAX_FILM = 1 << 42
MAX_FRAME = 1 << 30
MAX_EXPECTED = 1000
"""How many frames the forecast is told of."""


@dataclass(frozen=True)
class Restyling:
    """What to make of a film."""

    source: VideoSource
    plan: Plan
    """Of each frame, which is its init image."""
    blend: float
    """How much of the picture before is in the image from which a frame begins, from 0 to 1."""
    every: int = 1
    """Take only every so many frames."""
    sha256: str = field(init=False)
    """Of the source."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "sha256", sha256_of(self.source.path.resolve(), MAX_FILM))
        except OSError as error:
            raise UsageError(f"{self.source.path} cannot be read ({error.strerror}); check the path") from error

    def record(self) -> dict[str, Any]:
        """Return plain JSON values that two of these share only if they make the same frames."""
        plan = json.loads(self.plan.to_json()) | {"init": self.source.path.name}
        return {"schema": SCHEMA, "source": self.sha256, "plan": plan, "blend": self.blend, "every": self.every}


@contextmanager
def claimed(what: Restyling, folder: Path, stem: str) -> Iterator[tuple[Path, Path]]:
    """Yield the path of a film that is free, and its folder of frames: one that was begun before, if there is one.

    Raises UsageError if another process makes this film, or nothing can be written.
    """
    make_folder(folder)
    names = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
    free = (name for name in names if not lexists(folder / f"{name}{SUFFIX}"))
    frames = next(found for name in free if _is_of(found := folder / f"{name}{FRAMES}", what))
    path = folder / f"{frames.name.removesuffix(FRAMES)}{SUFFIX}"
    lock = FileLock(frames / LOCK)
    try:
        frames.mkdir(exist_ok=True)
        lock.acquire(blocking=False)
        with replacing(frames / RECORD) as partial:
            partial.write_text(json.dumps(what.record()), encoding="utf-8")
    except Timeout as error:
        raise UsageError(f"{path} is being made by another process; wait for it") from error
    except (OSError, NotImplementedError) as error:
        raise UsageError(f"-o {path} cannot be written ({error}); choose another folder") from error
    try:
        yield path, frames
    finally:
        lock.release()
        if not (frames / _name(1)).exists():  # stopped before there was anything to keep
            shutil.rmtree(frames, ignore_errors=True)


class Restyler:
    """Makes the frames of a film with the models of a session, then the film."""

    def __init__(self, session: Session, listener: Listener, what: Restyling) -> None:
        self._session, self._listener, self._what = session, listener, what

    def make(self, path: Path, folder: Path, *, keep_frames: bool = False, mark: bool = True) -> dict[str, Any]:
        """Make the film at `path` and return its record; frames that `folder` has are kept as they are.

        mark: whether the film says that a computer made it. Raises ClipgenError; a stop leaves the finished frames in
        the folder, to go on from there.
        """
        what = self._what
        models = self._session.models(what.plan)
        done = _finished(folder)
        self._announce(models, done)
        count = self._make_frames(models, folder, done)
        self._listener.stage(f"writing {path.name}")
        self._write(path, folder, count, COMPOSITE if mark else "")
        if not keep_frames:
            shutil.rmtree(folder, ignore_errors=True)
        return {
            "source": str(what.source.path),
            "prompt": what.plan.text,
            "seed": what.plan.seed,
            "size": list(what.plan.size),
            "frames": count,
            "fps": float(self._fps),
        }

    @property
    def _fps(self) -> Any:
        return self._what.source.fps / self._what.every

    def _make_frames(self, models: Models, folder: Path, done: int) -> int:
        """Make the frames after the first `done`, and return how many there are in all."""
        what, number = self._what, 0
        before = _read(folder / _name(done), what.plan.size) if done else None
        frames = what.source.frames(what.plan.size, what.every)
        total = what.source.count(what.every)
        try:
            for number, frame in enumerate(frames, start=1):
                if number > done:
                    before = self._make_frame(models, frame, before, f"[{number}/{max(total or 0, number)}]")
                    with replacing(folder / _name(number)) as partial:
                        before.save(partial, "PNG", compress_level=1)
        except BaseException:
            if made := max(number - 1, done):
                self._listener.error(f"finished frames: {made}, in {folder}; the same command again goes on from there")
            raise
        finally:
            frames.close()
            self._listener.idle()
        return number

    def _make_frame(self, models: Models, frame: Image.Image, before: Image.Image | None, label: str) -> Image.Image:
        begun = frame if before is None else Image.blend(frame, before, self._what.blend)
        sinks = self._listener.progress(label)
        task = Task(self._what.plan, Inputs(frame, begun=begun), sinks)
        [made] = optimise_together([task], models, stop=self._session.stop)
        if isinstance(made, ClipgenError):
            raise made
        if made.outcome is not Outcome.FINISHED:
            raise Interrupted("stopped before the film was whole")
        return made.image

    def _announce(self, models: Models, done: int) -> None:
        """Say how many frames there are and how long they take, which can be days."""
        plan, total = self._what.plan, self._what.source.count(self._what.every)
        if done:
            self._listener.note(f"frames made before: {done}")
        if total is None:
            self._listener.note("the film does not say how many frames it has")
        if total is None or not self._listener.says_duration:
            return
        phases = phases_of(plan, CostEstimate(plan, models).measured())
        left = max(total - done, 0)
        seconds = left * sum(phase.seconds for phase in phases)
        self._listener.note(
            f"about {total} frames of {plan.steps} steps each; the {left} to be made take about "
            f"{readable_time(seconds)} here"
        )
        self._listener.expect(phases * min(left, MAX_EXPECTED))

    def _write(self, path: Path, folder: Path, count: int, mark: str) -> None:
        """Write the film of the frames, with the sound of the source. Raises ClipgenError."""
        source = self._what.source
        sound = () if not source.sound else ("-c:a", "copy" if source.sound in COPIED else "aac")
        partial = folder / path.name
        try:
            given = (*PNG_STREAM, "-r", str(self._fps))
            target = (*FORMATS[SUFFIX].arguments, *sound, *comment_of(SUFFIX, mark))
            with Encoder(given, target, partial, sound=source.path if sound else None) as encoder:
                for number in range(1, count + 1):
                    encoder.write(read_regular(folder / _name(number), MAX_FRAME))
                encoder.finish()
            mark_film(partial, SUFFIX, mark)
            path.touch(exist_ok=False)
            publish(partial, path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise ClipgenError(f"the film {path} was not written: {error}; its frames are in {folder}") from error


def _is_of(folder: Path, what: Restyling) -> bool:
    """Whether a folder is free for this film, or has frames of it."""
    if not lexists(folder):
        return True
    try:
        return load_json(RECORD, read_regular(folder / RECORD, MAX_JSON).decode()) == what.record()
    except (OSError, ValueError, UsageError):
        return False


def _finished(folder: Path) -> int:
    """Return how many frames, from the first, are in a folder."""
    return next(number for number in itertools.count(0) if not (folder / _name(number + 1)).is_file())


def _name(number: int) -> str:
    return f"frame-{number:06d}.png"


def _read(path: Path, size: tuple[int, int]) -> Image.Image:
    """Return a finished frame; raises UsageError if it is damaged."""
    try:
        with open_regular(path, MAX_FRAME) as file, Image.open(file, formats=("PNG",)) as image:
            if image.size != size:
                raise ValueError(f"it has {image.width}x{image.height} pixels")
            return image.convert("RGB")
    except Exception as error:  # decoders raise anything
        raise UsageError(f"{path} is damaged ({error}); remove it and all after it") from error
