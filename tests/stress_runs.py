"""Stress of runs: signals, states that are damaged, batches, disks and memory."""

import errno
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random

import torch
from stress import SECONDS, SMALL, World, at_call, finished, pictures, pixels, states, suppressed, world
from test_resume import start
from typer.testing import CliRunner

from clipgen.cli.app import app
from clipgen.core.loop import Loop
from clipgen.engine import memory
from clipgen.session import session

PROMPTS = ("red", "blue", "red|blue:0.3", "green:2|white:-0.5")
FILMS = ((), ("--gif",), ("--video",))
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@cache
def whole(arguments: tuple[str, ...]) -> tuple[str, int]:
    """The pixels that a command makes when nothing happens, and how many calls it takes."""
    with world() as one, at_call(-1, lambda: None) as count:
        one.cli(*arguments)
        return pixels(pictures(one.folder)[0]), count[0]


def command(draw: Random) -> tuple[str, ...]:
    saved = ("--save-every", draw.choice(("0", "1", "2")))
    return (draw.choice(PROMPTS), *SMALL, *saved, *draw.choice(FILMS), "-o", "out")


def go_on(one: World, expected: str) -> None:
    """Whatever was stopped goes on, and ends as if nothing had been."""
    for state in states(one.folder):
        resumed = one.cli("resume", state)
        assert resumed.exit_code == 0, resumed.stderr
    assert not states(one.folder)
    for path in pictures(one.folder):
        assert finished(path), f"{path.name} is unfinished, and nothing goes on"
        assert pixels(path) == expected, "other pixels"


def signals(one: World, draw: Random) -> None:
    asked = command(draw)
    expected, calls = whole(asked)
    number = draw.choice((signal.SIGINT, signal.SIGTERM))
    with at_call(draw.randrange(1, calls), lambda: signal.raise_signal(number)):
        result = one.cli(*asked)
    assert result.exit_code in (0, 130, 143), result.stderr
    assert not result.stdout or all(Path(line).exists() for line in result.stdout.split())
    go_on(one, expected)


def processes(one: World, draw: Random) -> None:
    """A real process, stopped or killed at any moment after its first file."""
    asked = command(draw)
    expected, _ = whole(asked)
    process = start(*asked, pause=0.1)
    while not (one.folder / "out").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(draw.uniform(0.0, 1.2))
    number = draw.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
    process.send_signal(number)
    _, said = process.communicate(timeout=SECONDS)
    code = process.returncode
    assert code in (0, 130, 143, -signal.SIGKILL, -number), f"{code}: {said[-600:]}"
    assert "Traceback" not in said and "unexpected" not in said, said[-600:]  # noqa: PT018 - one report of both
    if code < 0 and not states(one.folder):  # before there was a state, or after the picture had been finished
        for path in (one.folder / "out").iterdir():
            if path.stat().st_size or code != -signal.SIGKILL:
                assert path.suffix != ".png" or finished(path), f"{path.name} is left, and nothing goes on"
            else:
                path.unlink()
    go_on(one, expected)


def stopped(one: World, asked: tuple[str, ...], share: float) -> list[Path]:
    """Stop a run after a share of its calls; returns the states that it leaves."""
    _, calls = whole(asked)
    with at_call(max(1, int(share * calls)), lambda: signal.raise_signal(signal.SIGINT)):
        one.cli(*asked)
    return states(one.folder)


def _flip(path: Path, draw: Random) -> None:
    content = bytearray(path.read_bytes() or b"x")
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def _to(make: Callable[[Path], None]) -> Callable[[Path, Random], None]:
    def change(path: Path, _draw: Random) -> None:
        path.unlink()
        make(path)

    return change


DAMAGES: dict[str, Callable[[Path, Random], None]] = {
    "flip": _flip,
    "cut": lambda path, draw: os.truncate(path, draw.randrange(path.stat().st_size + 1)),
    "append": lambda path, draw: path.write_bytes(path.read_bytes() + b"x"),
    "empty": lambda path, draw: path.write_bytes(b""),
    "noise": lambda path, draw: path.write_bytes(draw.randbytes(500)),
    "gone": lambda path, draw: path.unlink(),
    "pipe": _to(os.mkfifo),
    "folder": _to(Path.mkdir),
    "dangling": _to(lambda path: path.symlink_to("nowhere")),
    "loop": _to(lambda path: path.symlink_to(path)),
    "unreadable": lambda path, draw: path.chmod(0),
}


def resume(one: World, draw: Random) -> None:
    asked = command(draw)
    expected, _ = whole(asked)
    found = stopped(one, asked, draw.uniform(0.4, 0.98))
    if not found:
        return
    if draw.random() < 0.3:
        [picture] = [found[0].with_suffix(".png")]
        one.stranger(picture)
    else:
        parts = sorted(path for path in found[0].iterdir() if path.is_file())
        DAMAGES[draw.choice(sorted(DAMAGES))](draw.choice(parts), draw)
    result = one.cli("resume", found[0])
    assert result.exit_code in (0, 1, 2), result.stderr
    if result.exit_code == 0:
        assert all(pixels(path) == expected for path in pictures(one.folder) if path not in one.before), "other pixels"
    else:  # the picture so far may be a placeholder
        for path in pictures(one.folder):
            if path not in one.before and not path.stat().st_size:
                path.unlink()


LINES = (
    "red",
    "blue",
    "green",
    "red|blue:0.3",
    "",
    "  ",
    "# red",
    "|",
    "red:x",
    "nonsense words",
    "a" * 3000,
    "red:1e-50",
)
SURPRISES = (
    RuntimeError("x"), ValueError("x"), KeyError("x"), AssertionError(), RecursionError(), OSError(5, "x"),
    ZeroDivisionError(),
)  # fmt: skip


def batch(one: World, draw: Random) -> None:
    lines = [draw.choice(LINES) for _ in range(draw.randrange(1, 6))]
    end = draw.choice(("\n", "\r\n", "\r"))
    (one.folder / "given.txt").write_bytes(draw.choice((b"", b"\xef\xbb\xbf")) + end.join(lines).encode())
    asked = ("batch", "given.txt", *SMALL, *draw.choice(FILMS), "-o", "out", "--together", draw.choice("124"))
    what = draw.randrange(4)
    if what == 0:
        with at_call(draw.randrange(1, 4000), lambda: signal.raise_signal(signal.SIGINT)):
            one.cli(*asked)
    elif what == 1:
        surprise, measure, left = draw.choice(SURPRISES), Loop.measure, [draw.randrange(1, 6)]

        def fails(self: Loop, *rest: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise surprise
            return measure(self, *rest)  # type: ignore[arg-type]

        with one.patch.context() as patch:
            patch.setattr(Loop, "measure", fails)
            result = CliRunner().invoke(app, list(asked))  # its line may say what was not expected
            assert result.exit_code in (0, 1, 2)
            assert "Traceback" not in result.stderr
    elif what == 2:
        shutil.rmtree(one.folder / "out", ignore_errors=True)
        (one.folder / "out").mkdir()
        (one.folder / "out" / draw.choice(("red-1.clipgen", "blue-1.clipgen"))).mkdir()
    made = one.cli(*asked)
    assert made.exit_code in (0, 1, 2), made.stderr
    times = {path: path.stat().st_mtime_ns for path in pictures(one.folder)}
    again = one.cli(*asked)
    assert again.exit_code == made.exit_code, again.stderr
    assert {path: path.stat().st_mtime_ns for path in pictures(one.folder)} == times, "made again"


@contextmanager
def fault(draw: Random) -> Iterator[None]:
    """A disk that fails from some moment on, or that takes only files up to a size."""
    if draw.random() < 0.4:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (draw.choice((1, 100, 1000, 3000, 10_000)), before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        return
    name = draw.choice(("replace", "fsync", "rename", "mkdir"))
    usual, left, times = getattr(os, name), [draw.randrange(1, 8)], draw.choice((1, 3, 10**6))
    reason = draw.choice((errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EDQUOT))

    def failing(*arguments: object, **settings: object) -> object:
        left[0] -= 1
        if -times < left[0] <= 0:
            raise OSError(reason, os.strerror(reason))
        return usual(*arguments, **settings)

    setattr(os, name, failing)
    try:
        yield
    finally:
        setattr(os, name, usual)


def disk(one: World, draw: Random) -> None:
    asked = command(draw)
    expected, calls = whole(asked)
    older = one.stranger(one.folder / "out" / "red-1.gif", b"older")
    what = draw.randrange(3)
    if what == 0:
        with fault(draw):
            result = one.cli(*asked)
    elif what == 1:
        act = draw.choice((lambda: shutil.rmtree(older.parent), lambda: older.parent.rename(one.folder / "moved")))
        with at_call(draw.randrange(calls // 3, calls), lambda: suppressed(act)):
            result = one.cli(*asked)
        one.before.clear()
        (one.folder / "moved" / older.name).unlink(missing_ok=True)
        for path in (one.folder / "moved").glob("*.*"):  # placeholders, and what was being written, went along
            if path.is_file() and (path.name.startswith(".") or not path.stat().st_size):
                path.unlink()
    else:
        name = draw.choice(("a", "é", "猫", ".", "-", " ")) * draw.choice(
            (1, 62, 80, 120, 200, 240, 247, 251, 255, 300)
        )
        result = one.cli(*asked[:-1], f"{name}{draw.choice(('.png', '', '/', '.PNG'))}")
        if result.exit_code == 0:
            assert all(pixels(path) == expected for path in pictures(one.folder))
        return
    if result.exit_code == 0:
        said = [Path(line) for line in result.stdout.split() if line.endswith(".png")]
        assert said, "nothing is named"
        assert all(pixels(path) == expected for path in said if path.exists())
    elif what == 0 and result.exit_code == 1:
        saved = list((one.folder.parent / "temporary").glob("*.png"))
        if states(one.folder):
            go_on(one, expected)
        elif "could not be written" in result.stderr:
            assert saved, "the picture is lost"


ENDS = (
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    torch.OutOfMemoryError("CUDA out of memory"),
)


def shortage(one: World, draw: Random) -> None:
    """Memory ends: where it is asked for, or while the gradients are found."""
    asked = command(draw)
    expected, _ = whole(asked)
    if draw.random() < 0.4:
        free = draw.choice((0, 1, 1000, 10**6, 10**8))
        for module in (memory, *(m for m in [session] if hasattr(m, "room"))):
            one.patch.setattr(module, "room", lambda _device: free)
    error = draw.choice(ENDS)
    name = draw.choice(("measure", "update"))
    usual, left, times = getattr(Loop, name), [draw.randrange(1, 6)], draw.choice((1, 2, 10**6))

    def failing(self: Loop, *rest: object) -> object:
        left[0] -= 1
        if -times < left[0] <= 0:
            raise error
        return usual(self, *rest)

    with one.patch.context() as patch:
        patch.setattr(Loop, name, failing)
        result = one.cli(*asked)
    assert result.exit_code in (0, 4), result.stderr
    if result.exit_code == 0:
        assert [pixels(path) for path in pictures(one.folder)] == [expected]
    else:
        go_on(one, expected)
