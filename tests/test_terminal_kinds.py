"""Which pictures a terminal can show: by its environment, or by its answer, which is waited for a moment only."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from screen import Screen

import clipgen
from clipgen.outputs.terminal import ANSWER_SECONDS, ATTRIBUTES, BLOCKS, ITERM, KITTY, OFF, SIXEL, preview_kind

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs terminals of Unix")
if sys.platform != "win32":
    from ttys import Session, in_terminal

PATHS = os.pathsep.join((str(Path(clipgen.__file__).parents[1]), str(Path(__file__).parent)))
NOWHERE = dict.fromkeys(
    ("TERM_PROGRAM", "LC_TERMINAL", "TMUX", "STY", "ZELLIJ", "XTERM_VERSION", "WT_SESSION", "KONSOLE_VERSION"), ""
)
XTERM = {"TERM": "xterm-256color", "XTERM_VERSION": "XTerm(379)"}


@pytest.fixture(autouse=True)
def _colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked for colours, or for none."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({"TERM": "xterm-kitty"}, KITTY),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, ITERM),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, ITERM),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, ITERM),
        ({"TERM": "foot"}, SIXEL),
        ({"TERM": "mlterm-256color"}, SIXEL),
        ({"TERM": "xterm-256color"}, BLOCKS),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, BLOCKS),
        ({"TERM": "linux"}, BLOCKS),
        ({"TERM": "screen-256color", "TERM_PROGRAM": "iTerm.app"}, BLOCKS),
        ({"TERM": "tmux-256color", "LC_TERMINAL": "iTerm2"}, BLOCKS),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0/default,1,0"}, BLOCKS),
        ({"TERM": "foot", "ZELLIJ": "0"}, BLOCKS),
        ({}, BLOCKS),
    ],
)
def test_the_environment_tells_and_nothing_is_asked(environment: Mapping[str, str], kind: str) -> None:
    class Untouched:
        """A stream that nobody may look at."""

    assert preview_kind(Untouched(), environ=environment) == kind  # type: ignore[arg-type]
    for asked in (BLOCKS, KITTY, OFF):
        assert preview_kind(Untouched(), asked, environment) == asked  # type: ignore[arg-type]


ASK = """
import sys
from clipgen.outputs.terminal import preview_kind
print(preview_kind(sys.stderr))
"""


def asked(answers: Mapping[bytes, bytes], environment: Mapping[str, str] = XTERM, **settings: object) -> Session:
    usual = {**NOWHERE, "PYTHONPATH": PATHS}
    return in_terminal(ASK, {**usual, **environment}, answers, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"\x1b[?63;1;2;4;6;9;15;22c", SIXEL),
        (b"\x1b[?62;4c", SIXEL),
        (b"\x1b[?1;2c", BLOCKS),
        (b"\x1b[?4c", BLOCKS),  # the first number is the kind of terminal
        (b"\x1b[?64;14;24;44c", BLOCKS),
    ],
)
def test_a_terminal_says_whether_it_has_sixel(answer: bytes, kind: str) -> None:
    done = asked({ATTRIBUTES: answer})
    assert done == Session(0, f"\x1b[c{kind}\r\n", b"", is_restored=True)


def test_an_answer_may_take_a_moment() -> None:
    done = asked({ATTRIBUTES: b"\x1b[?62;4c"}, delay=ANSWER_SECONDS / 3)
    assert done == Session(0, f"\x1b[c{SIXEL}\r\n", b"", is_restored=True)


@pytest.mark.parametrize("variable", [{"TERM_PROGRAM": "vscode"}, {"WT_SESSION": "1"}, {"KONSOLE_VERSION": "240500"}])
def test_others_are_asked_too(variable: dict[str, str]) -> None:
    assert SIXEL in asked({ATTRIBUTES: b"\x1b[?62;4c"}, {"TERM": "xterm-256color", **variable}).output


@pytest.mark.parametrize("answer", [None, b"\x1b[?62;", b"hello\r"])
def test_a_terminal_that_never_answers_is_left_after_a_moment(answer: bytes | None) -> None:
    began = time.monotonic()
    done = asked({} if answer is None else {ATTRIBUTES: answer})
    assert done == Session(0, f"\x1b[c{BLOCKS}\r\n", b"", is_restored=True)
    assert time.monotonic() - began > ANSWER_SECONDS


def test_what_was_typed_before_is_kept_and_nothing_is_asked() -> None:
    done = asked({ATTRIBUTES: b"\x1b[?62;4c"}, typed=b"ls\r")
    assert "\x1b[c" not in done.output
    assert done.output.endswith(f"{BLOCKS}\r\n")
    assert done.left in (b"ls\n", b"ls\r")
    assert done.is_restored


BACKGROUND = """
import os, signal, sys
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, os.WUNTRACED)[1]))
os.setpgid(0, 0)
from clipgen.outputs.terminal import preview_kind
os.write(2, preview_kind(sys.stderr).encode())
"""


def test_a_program_in_the_background_asks_nothing_and_is_not_stopped() -> None:
    done = in_terminal(BACKGROUND, {**NOWHERE, **XTERM, "PYTHONPATH": PATHS}, {ATTRIBUTES: b"\x1b[?62;4c"})
    assert done == Session(0, BLOCKS, b"", is_restored=True)


@pytest.mark.parametrize("path", ["/dev/null", "/dev/full"])
def test_what_is_no_terminal_is_not_asked(path: str) -> None:
    with Path(path).open("w") as stream:
        assert preview_kind(stream, environ=XTERM) == BLOCKS


RUN = """
import sys
from fakes import install
install()
from clipgen.cli.app import main
sys.argv = ["clipgen", "red", "--preset", "starter", "--size", "32x32", "--steps", "4", "--cutouts", "2", "--seed", "1"]
sys.argv += {options}
main()
"""


def run(environment: Mapping[str, str], *options: str) -> Session:
    usual = {**NOWHERE, "PYTHONPATH": PATHS, "COLUMNS": "80", "LINES": "24", "COLORTERM": "truecolor"}
    answers = {ATTRIBUTES: b"\x1b[?62;4c"}
    return in_terminal(RUN.format(options=list(options)), {**usual, **environment}, answers)


@pytest.mark.parametrize(
    ("environment", "options"),
    [pytest.param(XTERM, (), marks=pytest.mark.slow), ({"TERM": "xterm-256color"}, ("--preview", "kitty"))],
    ids=["sixel", "kitty"],
)
def test_a_run_shows_its_picture_and_leaves_the_terminal_as_it_was(
    environment: dict[str, str], options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(environment, *options)
    assert (done.code, done.left, done.is_restored) == (0, b"", True), done.output
    screen = Screen()
    screen.feed(re.sub(r"\x1b\[c", "", done.output, count=1))
    assert screen.text[screen.row - 1] == "outputs/red-1.png"
    assert screen.pictures[-1].image.width >= 8 * screen.pictures[-1].columns - 8
    first = next(number for number, line in enumerate(screen.text) if line == "red")
    assert screen.pictures[-1].row + screen.pictures[-1].rows in (first, first - 1)
    assert "4/4" in screen.text[first + 1]
    assert "▀" not in done.output


def test_no_escape_code_reaches_a_pipe(tmp_path: Path) -> None:
    """Whatever the environment promises; stdout, too, has the path and nothing else."""
    program = RUN.format(options=["--preview", "kitty"])
    environment = {**os.environ, **NOWHERE, "TERM": "xterm-kitty", "FORCE_COLOR": "1", "PYTHONPATH": PATHS}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"outputs/red-1.png\n")
    assert b"4/4" in done.stderr
    assert b"\x1b" not in done.stderr
