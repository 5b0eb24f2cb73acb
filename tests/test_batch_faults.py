"""What goes wrong with one line of a batch, or while it is written, costs that line only, and is made good later."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import COLOURS, Cli, FakePerceptor
from PIL import Image
from test_resume import SMALL as FLAGS
from test_resume import digests, stop_at
from typer.testing import CliRunner

from clipgen.cli.app import app
from clipgen.config.films import FPS
from clipgen.outputs.whole import is_whole_film
from clipgen.session import batch as batches
from clipgen.session import session
from clipgen.session.state import Workspace

SMALL = (*FLAGS[1:-1], "3600")
Break = Callable[[Path], object]


class OddError(Exception):
    """What no part of the program expects."""


KILLED = """
import os, signal, sys
from fakes import install
from clipgen.cli.app import app
from clipgen.outputs.film import FilmSink
install()
made = []
publish = FilmSink._publish
def dying(self, last):
    if len(made) == {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    made.append(publish(self, last))
FilmSink._publish = dying
sys.argv[1:] = {arguments!r}
app(prog_name="clipgen")
"""


def killed_while_films_are_written(after: int, *arguments: str) -> None:
    program = KILLED.format(after=after, arguments=list(arguments))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def write(*lines: str) -> tuple[str, ...]:
    Path("prompts.txt").write_text("\n".join(lines))
    return ("batch", "prompts.txt", *SMALL)


@pytest.mark.parametrize("after", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_batch_that_was_killed_while_films_were_written_makes_them(cli: Cli, after: int) -> None:
    command = (*write("red", "blue"), "--video", "--together", "1")
    killed_while_films_are_written(after, *command, "-o", "parts")
    assert any(path.stat().st_size == 0 for path in Path("parts").glob("red*"))
    again = cli(*command, "-o", "parts")
    assert again.exit_code == 0, again.stderr
    assert "already made" not in again.stderr
    assert len(again.stdout.split()) == 6
    assert cli(*command, "-o", "whole").exit_code == 0
    assert digests("parts") == digests("whole")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 7)


def swapped(path: Path) -> None:
    path.unlink()
    path.mkdir()


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def lost(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-40] ^= 255
    path.write_bytes(content)


BREAKS = [
    Path.unlink,
    lambda path: path.write_bytes(b""),
    cut,
    swapped,
    piped,
    lost,
    lambda path: os.truncate(path, 99),
]


def fails(monkeypatch: pytest.MonkeyPatch, *command: str) -> Any:
    """Type a command, which fails as soon as it begins to make a picture."""
    with monkeypatch.context() as patch:
        patch.setattr(session, "optimise_together", lambda *_, **__: (_ for _ in ()).throw(OddError("begun")))
        return CliRunner().invoke(app, list(command))


def test_a_picture_counts_as_made_only_if_each_of_its_files_is_whole(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    command = (*write("red"), "--video")
    assert cli(*command).exit_code == 0
    Path("outputs").rename("whole")
    for suffix, broken in itertools.product((".png", ".mp4", ".gif"), BREAKS):
        shutil.copytree("whole", "outputs")
        assert fails(monkeypatch, *command).exit_code == 0
        broken(Path(f"outputs/red-1{suffix}"))
        before = {each: each.lstat().st_ino for each in Path("outputs").iterdir()}
        again = fails(monkeypatch, *command)
        assert (again.exit_code, "already made" in again.stderr) == (1, False), (suffix, broken)
        assert {each: each.lstat().st_ino for each in Path("outputs").iterdir()} == before  # nothing is replaced
        shutil.rmtree("outputs")


def test_pixels_that_are_damaged_are_made_again(cli: Cli) -> None:
    command = write("red")
    assert cli(*command).exit_code == 0
    damaged(Path("outputs/red-1.png"))
    assert cli(*command).stdout == "outputs/red-1-2.png\n"


def test_films_are_whole_with_all_their_parts_only(cli: Cli) -> None:
    assert cli("red", *SMALL, "--video", "--webm", "--apng").exit_code == 0
    for path in [Path(f"outputs/red-1{suffix}") for suffix in (*FPS, ".png")]:
        content = path.read_bytes()
        assert is_whole_film(path)
        for size in range(0, len(content), max(len(content) // 200, 1)):
            path.write_bytes(content[:size])
            assert not is_whole_film(path), size
        for other in (content + b"\0", b"\0" * len(content), content[:16] * 9, b"\xff" * 64):
            path.write_bytes(other)
            assert not is_whole_film(path)


ERRORS = [OddError("oh"), MemoryError(), OSError(5, "Input/output error"), RecursionError("deep"), AssertionError(),
          UnicodeError("odd"), KeyError("what")]  # fmt: skip


def raising_for(monkeypatch: pytest.MonkeyPatch, word: str, error: BaseException) -> None:
    """Have the encoder of texts fail with one line."""
    encode = FakePerceptor.encode_texts
    monkeypatch.setitem(COLOURS, word, (1, 1, -1))

    def encode_texts(self: FakePerceptor, texts: Any) -> Any:
        if word in texts:
            raise error
        return encode(self, texts)

    monkeypatch.setattr(FakePerceptor, "encode_texts", encode_texts)


@pytest.mark.parametrize("together", ["1", "8"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_any_exception_costs_its_line_only(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, together: str
) -> None:
    raising_for(monkeypatch, "bad", error)
    result = cli(*write("red", "bad", "blue"), "--together", together)
    assert result.exit_code == 1
    assert result.stdout.split() == ["outputs/red-1.png", "outputs/blue-1.png"]
    assert "error: line 2: " in result.stderr
    assert result.stderr.splitlines()[-1] == "error: 1 of 3 prompts failed, on line 2"
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in Path("outputs").iterdir()) == ["blue-1.png", "red-1.png"]


def test_what_nobody_expects_is_named_by_its_type(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    raising_for(monkeypatch, "bad", OddError("oh"))
    assert "error: line 1: unexpected OddError: oh" in cli(*write("bad", "red")).stderr


@pytest.mark.parametrize(
    ("module", "name"),
    [(batches.Batch, "_plan"), (batches.Batch, "_finished"), (batches.Batch, "_others"), (session.Session, "claimed")],
)
def test_so_it_is_before_the_run(cli: Cli, monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    real, calls = getattr(module, name), []

    def fail_once(*arguments: Any, **settings: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise OddError("oh")
        return real(*arguments, **settings)

    monkeypatch.setattr(module, name, fail_once)
    result = cli(*write("red", "blue"))
    assert (result.exit_code, result.stdout) == (1, "outputs/blue-1.png\n")
    assert "error: line 1: unexpected OddError: oh" in result.stderr


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_a_stop_is_no_failure_of_a_line(cli: Cli, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]) -> None:
    """Ctrl-C inside foreign code can become another exception on its way."""
    error = stop("interrupted")
    error.__cause__ = KeyboardInterrupt()
    raising_for(monkeypatch, "bad", error)
    result = cli(*write("bad", "red"), "--together", "1")
    assert result.stdout == ""
    assert "line 1" not in result.stderr


def no_lock(folder: Path) -> None:
    (folder / "lock").unlink(missing_ok=True)
    (folder / "lock").mkdir()


STATES: list[Break] = [
    no_lock,
    lambda folder: (folder / "mp4-000000 (copy).pngs").write_bytes(b"x"),
    lambda folder: (folder / "state.safetensors").write_bytes(b"x"),
    lambda folder: (folder / "job.json").write_bytes(b"\xff\xfe"),
    lambda folder: ((folder / "state.safetensors").unlink(), os.mkfifo(folder / "state.safetensors")),
    lambda folder: (folder / "mp4-000000.pngs").unlink(),
]


@pytest.mark.parametrize("broken", STATES)
def test_a_state_that_is_odd_costs_no_other_line(cli: Cli, monkeypatch: pytest.MonkeyPatch, broken: Break) -> None:
    command = (*write("red", "blue", "green"), "--mp4", "--together", "1")
    with monkeypatch.context() as patch:
        stop_at(patch, 5)
        assert cli(*command).exit_code == 130
    broken(Path("outputs/red-1.clipgen"))
    result = cli(*command)
    assert "Traceback" not in result.stderr
    assert {"outputs/blue-1.png", "outputs/blue-1.mp4", "outputs/green-1.png"} <= set(result.stdout.split())
    assert "line 2" not in result.stderr
    assert "line 3" not in result.stderr


@pytest.mark.parametrize(
    ("where", "change"),
    [
        pytest.param(where, change, marks=() if where == "relative" else pytest.mark.slow)
        for where in ("relative", "absolute", "above")
        for change in ("nothing", "removed", "replaced", "another beside")
    ],
)
def test_an_init_image_in_another_folder_is_the_one_of_every_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str, change: str
) -> None:
    Path("sub").mkdir()
    image = Path("sub/init.png")
    Image.effect_noise((32, 32), 90).convert("RGB").save(image)
    name = {"relative": str(image), "absolute": str(image.absolute()), "above": "sub/../sub/init.png"}[where]
    command = (*write("red", "blue", "green"), "--init", name, "--init-weight", "0.5", "--together", "1")
    assert cli(*command, "-o", "whole").exit_code == 0
    make, content = Workspace.create, image.read_bytes()

    def create(*arguments: Any) -> Workspace:
        if change == "removed":
            image.unlink(missing_ok=True)
        elif change == "replaced":
            Image.new("RGB", (32, 32), "white").save(image)
        elif change == "another beside":
            Image.new("RGB", (32, 32), "white").save("init.png")
        return make(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "create", create)
        result = cli(*command, "-o", "parts")
    assert result.exit_code == 0, result.stderr
    assert {path.name: path.read_bytes() for path in Path("parts").iterdir()} == {
        path.name: path.read_bytes() for path in Path("whole").iterdir()
    }
    image.write_bytes(content)
    assert cli(*command, "-o", "parts").stdout == ""  # they are known again
