"""What every stress case has: an empty folder, fakes, no network but this machine, and what must hold at the end."""

import hashlib
import os
import re
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import fakes
import pytest
from fakes import install
from PIL import Image
from typer.testing import CliRunner, Result

from clipgen.cli.app import app
from clipgen.outputs import metadata

SEED = 39
CODES = {0, 1, 2, 3, 4, 5, 130, 143}
SECONDS = 40
"""That a case may take on a busy machine."""
SMALL = ("--size", "32x32", "--steps", "8", "--cutouts", "2", "--seed", "1", "--device", "cpu")
WORK = re.compile(r"/clipgen/(core|engine|outputs|session|generators)/|/clipgen/util/files")
"""Where the functions lie whose calls are counted."""
TEMPORARY = re.compile(r"\.[0-9a-f]{8}\..*")
"""Names of files that are being written."""


@dataclass
class World:
    """One case's: its folder, and what it may patch."""

    folder: Path
    patch: pytest.MonkeyPatch
    before: dict[Path, bytes] = field(default_factory=dict)
    """Strangers' files, which must stay as they are."""

    def cli(self, *arguments: object, **settings: Any) -> Result:
        """Type a command, and check how it ends."""
        result = CliRunner().invoke(app, list(map(str, arguments)), **settings)
        check_end(result, arguments)
        return result

    def stranger(self, path: Path, content: bytes = b"not clipgen's") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.before[path] = content
        return path


class Words(dict[str, tuple[int, int, int]]):
    """The words that the fake perceptor knows; it sees red in any other."""

    def __missing__(self, _word: str) -> tuple[int, int, int]:
        return self["red"]


Act = Callable[[World, Random], None]


def check_end(result: Result, arguments: object) -> None:
    """The exit code is a documented one; an error is one line, which is expected."""
    said = f"{arguments}: exit {result.exit_code}: {result.stderr[-600:]}"
    assert result.exception is None or isinstance(result.exception, SystemExit), f"{said}: {result.exception!r}"
    assert result.exit_code in CODES, said
    assert "Traceback" not in result.stderr, said
    assert "unexpected" not in result.stderr, said
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    failed = result.exit_code in (1, 2, 3, 4, 5)
    assert len(errors) >= failed if "batch" in str(arguments) else len(errors) == failed, said
    assert all(len(line) < 1200 for line in errors), said


def check_files(world: World) -> None:
    """Each picture and film is whole or absent, strangers' files are as they were, and nothing temporary is left."""
    for path, content in world.before.items():
        assert path.read_bytes() == content, f"{path} was changed"
    for path in sorted(world.folder.rglob("*")):
        if path in world.before or not path.is_file() or any(part.endswith(".clipgen") for part in path.parts):
            continue
        assert not TEMPORARY.fullmatch(path.name), f"{path.name} is left"
        if path.suffix in (".png", ".gif", ".mp4") and "given" not in path.name:
            assert path.stat().st_size, f"{path.name} is empty"
            check_whole(path)


def check_whole(path: Path) -> None:
    if path.suffix == ".mp4":
        content, place = path.read_bytes(), 0
        while place < len(content):
            place += max(int.from_bytes(content[place : place + 4]), 8)
        assert place == len(content), f"{path.name} is torn"
        assert b"moov" in content, f"{path.name} has no end"
        return
    with Image.open(path) as image:
        for frame in range(getattr(image, "n_frames", 1)):
            image.seek(frame)
            image.load()


def pixels(path: Path) -> str:
    with Image.open(path) as image:
        return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()


def finished(path: Path) -> bool:
    record = metadata.read(path)
    return record is not None and record["outcome"] == "finished"


def pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.png") if ".clipgen" not in str(path) and "given" not in path.name)


def states(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.clipgen"))


@contextmanager
def at_call(number: int, act: Callable[[], None]) -> Iterator[list[int]]:
    """Have something happen at the so manieth call of a function of a run; yields the count, as a list of one."""
    count = [0]

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and WORK.search(frame.f_code.co_filename):
            count[0] += 1
            if count[0] == number:
                sys.setprofile(None)
                act()

    sys.setprofile(watch)
    try:
        yield count
    finally:
        sys.setprofile(None)


def _only_here(connect: Callable[..., Any]) -> Callable[..., Any]:
    def checked(self: socket.socket, address: Any, *rest: Any) -> Any:
        assert self.family not in (socket.AF_INET, socket.AF_INET6) or address[0] == "127.0.0.1", f"asked {address}"
        return connect(self, address, *rest)

    return checked


def _too_late(*_: object) -> None:
    for path in Path().rglob("*"):
        if path.is_fifo():  # what waits for its other end goes on
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    raise AssertionError(f"it takes more than {SECONDS} s")


@contextmanager
def world() -> Iterator[World]:
    """An empty folder to work in, with the fakes in place of models."""
    with tempfile.TemporaryDirectory(prefix="stress-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name).resolve() / "work"
        folder.mkdir()
        patch.chdir(folder)
        patch.setenv("CLIPGEN_CACHE", str(Path(name) / "cache"))
        (Path(name) / "temporary").mkdir()
        patch.setattr("tempfile.tempdir", str(Path(name) / "temporary"))
        patch.setattr(socket.socket, "connect", _only_here(socket.socket.connect))
        install(patch.setattr)
        patch.setattr(fakes, "COLOURS", Words(fakes.COLOURS))
        before = signal.signal(signal.SIGALRM, _too_late)
        signal.setitimer(signal.ITIMER_REAL, SECONDS, 2.0)  # again and again, as the first error may be handled
        try:
            yield World(folder, patch)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def run_cases(kind: str, act: Act, count: int) -> list[str]:
    """Run the cases of a kind; returns a line for each that fails, with its number, by which it can be repeated."""
    failures, begun = [], time.monotonic()
    for number in range(count):
        try:
            with world() as one:
                act(one, Random(f"{SEED}/{kind}/{number}"))
                check_files(one)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            said = " ".join(str(error).split())[:500]
            failures.append(
                f"{kind} {number}: {type(error).__name__}: {said} ({Path(place.filename).name}:{place.lineno})"
            )
            print(failures[-1], flush=True)  # noqa: T201
    print(f"{kind:10} {count:4} cases {len(failures):4} failures {time.monotonic() - begun:7.1f} s", flush=True)  # noqa: T201
    return failures


def suppressed(act: Callable[[], object]) -> None:
    with suppress(OSError):
        act()
