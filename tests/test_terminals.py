"""What a terminal or a pipe cannot show is escaped: nothing fails, and paths are still printed."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import clipgen
from clipgen.outputs.metadata import read_recipe

ROOT = Path(clipgen.__file__).parents[1]
PROMPT = "a café 猫 ✨ red"
FOLDER = "ordner ü 猫"

# A terminal that asks for UTF-8 but is not given it, one of Windows, one of China, and one of the last century.
ENCODINGS = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "gbk": {"PYTHONIOENCODING": "gbk:strict"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "ascii": {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C.UTF-8"},
}
DECODED = {"ascii": "utf-8"}
"""Click takes ASCII for a mistake of the settings, and writes UTF-8 instead."""

# The command line, with the fakes of the tests as models.
PROGRAM = "from fakes import install; install(); from clipgen.cli.app import main; main()"


def environment(encoding: str) -> dict[str, str]:
    tests = str(Path(__file__).parent)
    usual = {
        "PYTHONPATH": os.pathsep.join((str(ROOT), tests)),
        "COLUMNS": "80",
        "LINES": "24",
        "TERM": "xterm-256color",
    }
    return {**os.environ, **usual, **ENCODINGS[encoding]}


def piped(
    encoding: str, *args: str, program: tuple[str, ...] = ("-m", "clipgen")
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, *program, *args]
    return subprocess.run(command, env=environment(encoding), capture_output=True, timeout=300)


def in_terminal(encoding: str, *args: str, program: tuple[str, ...] = ("-m", "clipgen")) -> tuple[int, str]:
    """Run the command in a terminal of its own; returns its exit code and all that was shown, which must decode."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *program, *args], env=environment(encoding), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # the other end was closed
        pass
    finally:
        os.close(ours)
    return process.wait(timeout=60), shown.decode(DECODED.get(encoding, encoding)).replace("\r\n", "\n")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_picture_is_made_and_its_path_printed(encoding: str) -> None:
    small = ("--size", "32x32", "--steps", "2", "--cutouts", "2", "--seed", "1", "--preset", "starter", "-o", FOLDER)
    done = piped(encoding, "red", *small, program=("-c", PROGRAM))
    assert done.returncode == 0, done.stderr
    path = Path(os.fsdecode(done.stdout.removesuffix(b"\n")))
    assert read_recipe(path).plan.text == "red"
    done.stderr.decode(DECODED.get(encoding, encoding))
    code, shown = in_terminal(encoding, "red", *small, program=("-c", PROGRAM))
    assert code == 0, shown
    last = shown.splitlines()[-1]
    assert "ordner " in last
    assert last.endswith("red-1-2.png")
    assert "Traceback" not in shown


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_error_names_what_cannot_be_shown(encoding: str) -> None:
    done = piped(encoding, PROMPT, "--size", "猫")
    assert done.returncode == 2
    message = done.stderr.decode(DECODED.get(encoding, encoding))
    assert message.startswith("error: --size must look like 256x256")
    assert ("猫" if encoding in ("gbk", "ascii") else "\\u732b") in message


@pytest.mark.parametrize(
    "args", [("--help",), ("words", PROMPT), ("models", "list"), ("info", "猫.png"), ("world", "--sheet", "猫.png")]
)
@pytest.mark.parametrize("encoding", ["cp1252", pytest.param("ascii", marks=pytest.mark.slow)])
def test_commands_end_as_in_any_other_terminal(encoding: str, args: tuple[str, ...]) -> None:
    code, shown = in_terminal(encoding, *args)
    assert code == (2 if args[0] == "info" else 0), shown
    assert "Error" not in shown
