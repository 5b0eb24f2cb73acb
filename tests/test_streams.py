"""Whoever reads stdout or stderr may be gone, and the disk behind them full: the files are made all the same."""

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fakes import install, plan
from test_session import At

import clipgen
from clipgen.outputs.metadata import read_recipe
from clipgen.session.options import Listener
from clipgen.session.session import Session
from clipgen.util.streams import Forgiving

ROOT = Path(clipgen.__file__).parents[1]
SMALL = ("--size", "32x32", "--steps", "12", "--cutouts", "2", "--seed", "1", "--device", "cpu", "--preset", "starter")
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("red", *SMALL),
    "json": ("red", *SMALL, "--json"),
    "candidates": ("red", *SMALL, "--candidates", "2"),
    "batch": ("batch", "prompts.txt", *SMALL),
    "batch json": ("batch", "prompts.txt", *SMALL, "--json"),
    "sheet": ("world", "-n", "2"),
    "words": ("world", "--words"),
    "models": ("models", "list"),
    "help": ("--help",),
    "topic": ("help", "masks"),
}
GONE = ("closed", "unread", "head", "hung up", "closed later")

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs forks, terminals and a full device")
Start = Callable[[tuple[str, ...], str, str], int]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forked")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator["subprocess.Popen[str]"]:
    tests = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), tests)), "TERM": "xterm"}
    command, pipe = [sys.executable, str(Path(tests, "forked.py"))], subprocess.PIPE
    with subprocess.Popen(command, cwd=home, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.stdin.close()  # type: ignore[union-attr]


@pytest.fixture
def start(server: Any, home: Path, request: pytest.FixtureRequest) -> Start:
    """Runs a command with streams of the given kinds, in the folder that the process is in; returns the exit code."""
    for path in sorted(home.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (home / "prompts.txt").write_text("red\nblue\n")

    def started(arguments: tuple[str, ...], stdout: str, stderr: str) -> int:
        server.stdin.write(json.dumps([arguments, stdout, stderr]) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline())

    return started


def slow(cases: Iterable[tuple[str, str]]) -> list[Any]:
    return [pytest.param(*case, marks=pytest.mark.slow) for case in cases]


def pictures(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.suffix not in (".txt", ""))


MADE = {
    "run": ["outputs/red-1.png"],
    "json": ["outputs/red-1.png"],
    "candidates": 1,
    "batch": ["outputs/blue-1.png", "outputs/red-1.png"],
    "batch json": ["outputs/blue-1.png", "outputs/red-1.png"],
    "sheet": ["world.png"],
}


def check_made(home: Path, command: str) -> None:
    made, expected = pictures(home), MADE.get(command, [])
    assert made == expected or len(made) == expected
    for name in made:
        if name.startswith("outputs"):
            assert read_recipe(home / name).outcome.value == "finished"


@pytest.mark.parametrize(
    ("command", "kind"), [*product(COMMANDS, ["unread"]), *product(["run"], GONE), *slow(product(["batch json"], GONE))]
)
def test_nobody_reads_results_or_progress(start: Start, home: Path, command: str, kind: str) -> None:
    assert start(COMMANDS[command], kind, kind) == 0
    check_made(home, command)


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        *product(["run"], [*GONE, "full"]),
        ("batch", "head"),
        ("batch", "full"),
        *slow(product(["batch"], ["closed", "unread", "hung up", "closed later"])),
        ("candidates", "head"),
        ("json", "full"),
    ],
)
def test_progress_that_cannot_be_written_costs_nothing(start: Start, home: Path, command: str, kind: str) -> None:
    assert start(COMMANDS[command], "file", kind) == 0
    assert (home / "said.txt").read_text()
    check_made(home, command)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_stdout_is_one_line_and_the_pictures_stay(start: Start, home: Path, command: str) -> None:
    assert start(COMMANDS[command], "full", "file") == 1
    last = (home / "said.txt").read_text().splitlines()[-1]
    assert last == "error: stdout cannot be written (No space left on device); the files that were made are kept"
    check_made(home, command)


def test_an_error_keeps_its_exit_code_where_nobody_sees_it(start: Start) -> None:
    for kind in (*GONE, "full"):
        assert start(("red", "--size", "x"), kind, kind) == 2


class Broken(io.StringIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, _text: str) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "matters"),
    [
        (BrokenPipeError(errno.EPIPE, "gone"), False),
        (ValueError("closed"), False),
        (OSError(errno.ENOSPC, "full"), True),
        (OSError(errno.EFBIG, "too large"), True),
        (OSError(errno.EDQUOT, "quota"), True),
        (OSError(errno.EBADF, "bad"), True),
    ],
)
def test_a_stream_remembers_only_failures_that_matter(error: Exception, matters: bool) -> None:
    stream = Forgiving(Broken(error))
    assert stream.write("red") == 3
    stream.flush()
    assert stream.failure is (error if matters else None)


CALLBACKS = ("note", "error", "saved", "progress", "stage", "expect", "idle", "warnings")


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_listener_that_fails_costs_only_what_it_was_to_report(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch.setattr)
    notes: list[str] = []

    def fail(*_: object) -> None:
        raise RuntimeError("no display")

    listener = Listener(**{"note": notes.append, name: fail}, says_duration=True)
    path = Session("cpu", listener=listener).make_alone(plan(), None, tmp_path)
    assert read_recipe(path).outcome.value == "finished"
    named = [note for note in notes if "no display" in note]
    assert named == (
        [] if name in ("note", "error") else [f"warning: the listener's {name} failed with RuntimeError: no display"]
    )


def test_a_display_that_fails_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch.setattr)
    notes: list[str] = []

    def fail() -> None:
        raise RuntimeError("no display")

    listener = Listener(note=notes.append, progress=lambda _label: [At(2, fail)])
    path = Session("cpu", listener=listener).make_alone(plan(), None, tmp_path)
    assert read_recipe(path).outcome.value == "finished"
    assert notes == ["warning: At was left out after RuntimeError: no display"]
