"""Prompts, options and prompt files from strangers: drawn, or refused in one printable line, and never obeyed."""

import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import fakes
import pytest
from fakes import Cli
from mutators import check_line, prompt
from typer.testing import CliRunner, Result

from clipgen.cli.app import app
from clipgen.cli.failures import say
from clipgen.cli.prompt_text import MAX_BYTES, read_lines
from clipgen.cli.report import echo_path
from clipgen.config.job import Job
from clipgen.config.prompts import parse_prompts
from clipgen.errors import UsageError
from clipgen.util.text import MAX_LINE, one_line, quoted, visible

SMALL = ("--size", "16x16", "--steps", "1", "--cutouts", "1", "--seed", "0")


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Types a command in an empty folder of its own, on a machine whose models know every text."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(fakes, "COLOURS", defaultdict(lambda: (1, -1, -1)))
    fakes.install(monkeypatch.setattr)
    return lambda *args, **settings: CliRunner().invoke(app, list(args), **settings)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def check_refused(result: Result, folder: Path) -> None:
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("\n")
    check_line(result.stderr[:-1])
    assert not files(folder)


@pytest.mark.parametrize(
    "text",
    [
        "../../etc/passwd", "/etc/passwd", "C:\\Windows\\x", "~", "CON", "NUL.txt", "COM1.",
        "; rm -rf ~; $(touch pwned)", "`touch pwned`", "%s%n{0}", "a \u202etac\u202c cat", "\u200b", "\ufeffcat",
        "a" + "\u0301" * 1999,
        "👩\u200d👩\u200d👧", "?!", "...", "<img src=x>", "&lt;b&gt;", "猫" * 2000, "שלום", "[red]a[/red] :smile:",
        "a cat:nan", "a cat:1e-400|b", "a:inf", "🏳️‍🌈" * 300, "\ue000\U0010ffff", "|".join("a" * 64),
    ],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_strange_prompts_are_drawn_under_a_safe_name(cli: Cli, tmp_path: Path, text: str) -> None:
    result = cli(*SMALL, "--", text)
    assert result.exit_code == 0, result.stderr
    assert [f"{path.relative_to(Path.cwd())}\n" for path in files(tmp_path)] == [result.stdout]
    path = Path(result.stdout[:-1])
    assert path.parent == Path("outputs")
    assert path.name.isprintable()
    assert len(path.name.encode()) <= 255
    for line in result.stderr.splitlines():
        check_line(line)


@pytest.mark.parametrize("text", ["-rf", "--help", "--steps=1", "-o", "--", "-"])
def test_after_two_hyphens_everything_is_a_prompt(cli: Cli, text: str) -> None:
    result = cli(*SMALL, "--", text)
    assert result.exit_code == 0
    assert Path(result.stdout[:-1]).exists()


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\u3000", "|", "a|", "a\0b", "\x1b[31mred", "a\x9bb", "\ud800", "a\udcffb", "x" * 100_000,
        "|" * 100_000, "a|" * 100_000, "a cat:-1e400", "a cat:-inf", "a:0", "a:" + "1" * 100_000,
        ":" * 100_000,
        "a:" + "1" * 100_000 + "x", "12:05 " * 20_000, "a" + " 1" * 50_000, "1:11 " + " " * 100_000 + "x" * 3000,
    ],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_other_prompts_are_refused_at_once(cli: Cli, tmp_path: Path, text: str) -> None:
    start = time.process_time()
    check_refused(cli(*SMALL, "--", text), tmp_path)
    assert time.process_time() - start < 10


@pytest.mark.parametrize("value", ["\x1b[2J\x1b]0;title\x07", "a\nb\r\nc", "\u202egnp", "x" * 5000, "\udcff", "a\x85b"])
@pytest.mark.parametrize(
    "args",
    [
        ("red", "--{}"), ("red", "--backend", "{}"), ("red", "--preset", "{}"), ("red", "--device", "{}"),
        ("red", "--size", "{}"), ("red", "--steps", "{}"), ("red", "--init", "{}"), ("red", "-o", "{}.bmp"),
        ("red", "-q", "-o", "file/{}"), ("red", "{}"), ("batch", "{}"), ("world", "--sheet", "file/{}.png"),
        ("train", "{}"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_values_are_escaped_wherever_they_are_echoed(
    cli: Cli, tmp_path: Path, args: tuple[str, ...], value: str
) -> None:
    Path("file").touch()
    result = cli(*(arg.format(value) for arg in args))
    Path("file").unlink()
    check_refused(result, tmp_path)


@pytest.mark.parametrize("seed", range(20))
def test_prompts_from_a_seed_are_drawn_or_refused(cli: Cli, tmp_path: Path, seed: int) -> None:
    result = cli(*SMALL, "--", prompt(seed))
    if result.exit_code != 0:
        check_refused(result, tmp_path)
    for line in result.stderr.splitlines():
        check_line(line)
    assert {path.parent for path in files(tmp_path)} <= {Path("outputs").absolute()}


def test_a_folder_with_a_strange_name_is_written_and_said(cli: Cli) -> None:
    folder = Path(os.fsdecode(b"a\x1b[31m\n\xff"))
    result = cli("red", *SMALL, "-o", str(folder))
    assert result.stdout_bytes == os.fsencode(folder / "red-0.png") + b"\n"
    assert (folder / "red-0.png").exists()


def test_a_name_that_no_file_system_takes_is_refused(cli: Cli, tmp_path: Path) -> None:
    for name in ("a\0b", "\ud800"):
        check_refused(cli("red", *SMALL, "-o", name), tmp_path)


def test_a_terminal_gets_paths_escaped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    echo_path(Path("a\x1b[31m\u202e\udcff.png"))
    assert capsys.readouterr().out == "a\\x1b[31m\\u202e\\udcff.png\n"


def test_what_is_said_is_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb\x1b[2J \u202ec\ud800 " + "x" * 5000 + " the way out")
    line = capsys.readouterr().err
    assert line.startswith("a b\\x1b[2J \\u202ec\\ud800 xxx")
    assert line.endswith("xxx the way out\n")
    assert len(line) == MAX_LINE + 1


def test_lines_keep_the_joiners_of_emoji_and_scripts() -> None:
    assert one_line("👩\u200d👧 क्\u200dष\u200f") == "👩\u200d👧 क्\u200dष\\u200f"
    assert visible(visible("a\0")) == visible("a\0")
    for seed in range(60):
        check_line(one_line(f"x{prompt(seed)}"))


def test_values_without_end_are_quoted_in_short() -> None:
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    for value in (deep, 10**5000, "x" * 10**6, [["x" * 1000] * 1000]):
        assert len(quoted(value)) <= 80
        with pytest.raises(UsageError, match="--lr must be a number"):
            Job(parse_prompts("a"), lr=value)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="--backend must be one of"):
            Job(parse_prompts("a"), backend=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_json_of_every_depth_is_refused(start: str, end: str) -> None:
    for depth in range(900, 1010):
        for place in ('{"prompts": %s}', '{"prompts": [{"text": %s}]}', '{"prompts": [{"text": "a"}], "lr": %s}'):
            with pytest.raises(UsageError):
                Job.from_json(place % (start * depth + "1" + end * depth))


def test_strange_words_without_end_are_not_all_named(cli: Cli) -> None:
    words = " ".join("".join(chr(97 + int(digit)) * 3 for digit in str(number)) for number in range(100, 200))
    stderr = cli(words[:2000], *SMALL).stderr
    assert stderr.count("know none of these things") == 1
    assert " and 28 more; " in stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("red\n".encode("utf-16"), "is UTF-16 text (byte 0); save it as UTF-8"),
        ("red\n".encode("utf-16-be"), "is not text (byte 0 is 0); save it as UTF-8"),
        (b"red\nblue\0\n", "is not text (byte 8 is 0); save it as UTF-8"),
        (b"red\n\xe9t\xe9\n", "is not UTF-8 text (byte 4); save it as UTF-8"),
        (b"\xed\xa0\x80\n", "is not UTF-8 text (byte 0)"),
        (b"", "holds no prompt"),
        ("\ufeff# nothing\r\r".encode(), "holds no prompt"),
        (b"x" * (MAX_BYTES + 1), "is larger than 20 MB; split it"),
    ],
)
def test_prompt_files_that_are_no_text_are_refused(cli: Cli, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes(content)
    result = cli("batch", str(path), *SMALL)
    assert said in result.stderr
    path.unlink()
    check_refused(result, tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [(".", "cannot be read (Is a directory)"), ("/dev/zero", "is larger than 20 MB"), ("a\0b", "cannot be read")],
)
def test_what_is_no_prompt_file_is_refused(cli: Cli, tmp_path: Path, name: str, said: str) -> None:
    result = cli("batch", name, *SMALL)
    assert said in result.stderr
    check_refused(result, tmp_path)


def test_lines_end_as_in_editors(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffred\rblue\r\ngreen\n\na\x0cb\u2028c\x85d".encode())
    assert read_lines(str(path)) == [(1, "red"), (2, "blue"), (3, "green"), (5, "a\x0cb\u2028c\x85d")]


def test_a_long_file_is_read_in_no_time(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("".join(f"a cat number {number}:1\r\n# {number}\r\n" for number in range(50_000)))
    start = time.process_time()
    lines = read_lines(str(path))
    assert time.process_time() - start < 10
    assert (len(lines), lines[-2]) == (100_000, (99_999, "a cat number 49999:1"))


def test_of_a_hundred_failed_lines_some_are_named(cli: Cli) -> None:
    Path("prompts.txt").write_text("red\rblue\n" + "a|\n" * 100 + "x" * 10_000_000)
    result = cli("batch", "prompts.txt", *SMALL)
    assert result.exit_code == 1
    assert result.stdout.split() == ["outputs/red-0.png", "outputs/blue-0.png"]
    assert "error: line 103: the prompt is longer than 2000 characters, got 10000000; shorten it\n" in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: 101 of 103 prompts failed, on line 3, 4, 5, ")
    assert last.endswith(" 21, 22, ...")


def test_closed_standard_streams_are_no_defect(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit) as stopped:
        app(args=["batch", "-"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: standard input is closed; name a file with prompts\n"
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as ended:
        app(args=["red", *SMALL])
    assert (ended.value.code, capsys.readouterr().out) == (0, "outputs/red-0.png\n")
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as silent:
        app(args=["red", *SMALL])
    assert silent.value.code == 0
    assert Path("outputs/red-0-2.png").exists()


@pytest.mark.usefixtures("quick_proposals")
def test_the_words_that_the_real_models_do_not_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "a red circle " * 40
    result = CliRunner().invoke(app, [text, "--size", "16x16", "--steps", "1", "--cutouts", "1", "--device", "cpu"])
    assert result.exit_code == 0
    assert 'warning: the last words of "a red circle a red' in result.stderr
    assert "are ignored: it is " in result.stderr


def test_a_standard_input_without_end_is_refused(cli: Cli, tmp_path: Path) -> None:
    result = cli("batch", "-", *SMALL, input=b"red\n" * (MAX_BYTES // 4 + 1))
    assert "is larger than 20 MB" in result.stderr
    check_refused(result, tmp_path)
