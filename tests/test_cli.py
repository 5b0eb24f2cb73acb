"""The command line: what it prints and where, what it writes, and how it says no."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import COLOURS, Cli
from PIL import Image

from clipgen import __version__
from clipgen.cli.app import COMMANDS
from clipgen.config.plan import Plan
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import parse_prompts
from clipgen.errors import OutOfMemoryError
from clipgen.generators import GENERATORS
from clipgen.outputs import metadata
from clipgen.session import session
from clipgen.session.state import SUFFIX

SMALL = ("--size", "32x32", "--steps", "3", "--cutouts", "2")


def files() -> list[str]:
    """All files but those of runs that can go on."""
    return sorted(str(path) for path in Path().rglob("*") if path.is_file() and path.parent.suffix != SUFFIX)


def test_a_prompt_alone_makes_a_picture_and_prints_its_path(cli: Cli) -> None:
    result = cli("red", *SMALL)
    assert result.exit_code == 0
    assert files() == [result.stdout.strip()]
    path = Path(result.stdout.strip())
    record = metadata.read(path)
    assert record is not None
    assert path == Path("outputs") / f"red-{record['plan']['seed']}.png"
    with Image.open(path) as image:
        assert image.size == (32, 32)


def test_two_runs_without_a_seed_differ_and_with_its_seed_are_equal(cli: Cli) -> None:
    first, second = (Path(cli("red", *SMALL).stdout.strip()) for _ in range(2))
    assert first != second
    again = Path(cli("red", *SMALL, "--seed", first.stem.removeprefix("red-")).stdout.strip())
    assert again == first.with_stem(f"{first.stem}-2")
    with Image.open(first) as a, Image.open(again) as b:
        assert a.tobytes() == b.tobytes()


def test_video_writes_both_films_and_prints_three_paths(cli: Cli) -> None:
    result = cli("red", "--seed", "1", "--video", *SMALL)
    assert result.stdout.split() == ["outputs/red-1.png", "outputs/red-1.mp4", "outputs/red-1.gif"]
    assert files() == sorted(result.stdout.split())


@pytest.mark.parametrize("flag", ["mp4", "gif"])
def test_one_film_alone(cli: Cli, flag: str) -> None:
    result = cli("red", "--seed", "1", f"--{flag}", *SMALL)
    assert result.stdout.split() == ["outputs/red-1.png", f"outputs/red-1.{flag}"]


@pytest.mark.parametrize(
    ("out", "expected"), [("here.png", "here.png"), ("a/b/here.PNG", "a/b/here.png"), ("folder", "folder/red-1.png")]
)
def test_out_is_a_file_or_a_folder(cli: Cli, out: str, expected: str) -> None:
    assert cli("red", "--seed", "1", "-o", out, *SMALL).stdout.strip() == expected
    assert files() == [expected]


def test_json_is_one_document_and_nothing_else(cli: Cli) -> None:
    result = cli("red", "--json", "--gif", "--seed", "1", *SMALL)
    document = json.loads(result.stdout)
    assert document["path"] == "outputs/red-1.png"
    assert document["films"] == ["outputs/red-1.gif"]
    assert document["outcome"] == "finished"
    assert Plan.from_dict(document["plan"]).prompts == parse_prompts("red")
    assert result.stderr == ""


def test_quiet_prints_the_path_only(cli: Cli) -> None:
    result = cli("red", "--quiet", *SMALL)
    assert result.stderr == ""
    assert result.stdout == f"{files()[0]}\n"


def test_progress_and_the_choice_of_preset_are_on_stderr(cli: Cli) -> None:
    stderr = cli("red", *SMALL).stderr
    assert "preset starter" in stderr
    assert "red: 3/3  loss" in stderr
    assert "\x1b" not in stderr


def test_unknown_things_are_named_in_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLOURS, "a catt on a dragon", (1, 1, 1))
    stderr = cli("a catt on a dragon", "--preset", "starter", *SMALL).stderr
    known = [line for line in stderr.splitlines() if "clipgen's own models know none of these things" in line]
    assert len(known) == 1
    assert '"catt" (did you mean "cat"?), "dragon"; --preset quick knows far more (605 MB to download' in known[0]
    assert '"on"' not in stderr
    assert 'the last words of "a catt on a dragon" are ignored: it is 4 tokens too long' in stderr


def test_init_gives_the_size(cli: Cli) -> None:
    Image.new("RGB", (300, 150), "blue").save("init.png")
    result = cli("--init", "init.png", "red", "--init-weight", "0.1", "--steps", "2", "--cutouts", "2", "-o", "out.png")
    assert result.exit_code == 0
    assert "from the shape of the init image" in result.stderr
    with Image.open("out.png") as image:
        assert 1.8 < image.width / image.height < 2.2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("",), "the prompt is empty"),
        (
            ("red", "--backend", "vqgann"),
            "--backend must be one of dvae, kl, pixels, strokes, titok, vqgan, got 'vqgann'; did you mean vqgan?",
        ),
        (("red", "--preset", "startr"), "did you mean starter?"),
        (
            ("red", "--device", "cudda"),
            "--device must be one of auto, cpu, cuda, cuda:0, mps, got 'cudda'; did you mean cuda?",
        ),
        (("red", "--size", "1x1"), "--size 1x1 is smaller than one latent cell"),
        (("red", "--size", "big"), "--size must look like 256x256"),
        (("red", "--size", "4096x4096"), "--size 4096x4096 is too large"),
        (("red", "--steps", "0"), "--steps must be a whole number from 1"),
        (("red", "--steps", "many"), "--steps must be a whole number, got 'many'"),
        (("red", "--seed", "-1"), "--seed must be a whole number from 0"),
        (("red", "--stepz", "3"), "No such option: --stepz (Possible options: --steps, --strokes, --tile)"),
        (("red", "cat"), "put the prompt in quotes"),
        (("red", "--init", "missing.png"), "--init 'missing.png' does not exist"),
        (("red", "--init-weight", "1"), "add --init FILE"),
        (
            ("red", "-o", "picture.tif"),
            "-o picture.tif is not a PNG, JPEG or WebP file; use -o picture.png",
        ),
        (("batc",), '"batc" looks like the command "batch"; to draw the word: clipgen run batc'),
        (("batch",), "Missing argument 'FILE|-'"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2_and_writes_nothing(
    cli: Cli, args: tuple[str, ...], message: str
) -> None:
    result = cli(*args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert not list(Path().iterdir())


def test_an_unwritable_folder_is_found_before_models_load(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "load_models", lambda plan, device, note=None: pytest.fail("models were loaded"))
    Path("file").write_text("in the way")
    result = cli("red", "-o", "file/inside", *SMALL)
    assert result.exit_code == 2
    assert "-o file/inside cannot be written" in result.stderr


def test_errors_of_the_run_have_their_exit_code_and_leave_no_file(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: object) -> None:
        raise OutOfMemoryError("too large")

    monkeypatch.setattr(session, "load_models", out_of_memory)
    result = cli("red", "--video", *SMALL)
    assert (result.exit_code, files()) == (4, [])
    assert result.stderr.splitlines()[-1] == "error: too large"


@pytest.mark.parametrize("debug", [False, True])
def test_a_defect_is_one_line_and_a_traceback_only_with_debug(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    monkeypatch.setattr(session, "load_models", lambda plan, device, note=None: 1 / 0)
    result = cli("red", *SMALL, *["--debug"] * debug)
    assert result.exit_code == 1
    assert ("Traceback" in result.stderr) is debug
    assert "unexpected ZeroDivisionError: division by zero" in result.stderr.splitlines()[-1]


def test_a_film_that_fails_keeps_the_picture_and_says_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipgen.outputs.ffmpeg._program", lambda: "/nonexistent/ffmpeg")
    result = cli("red", "--seed", "1", "--video", *SMALL)
    assert result.exit_code == 1
    assert result.stdout == "outputs/red-1.png\n"
    assert files() == ["outputs/red-1.png"]
    assert "the film outputs/red-1.mp4 was not written" in result.stderr


def test_a_film_that_fails_in_a_stopped_run_is_said_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> str:
        signal.raise_signal(signal.SIGINT)
        return "/nonexistent/ffmpeg"

    monkeypatch.setattr("clipgen.outputs.ffmpeg._program", stop)
    result = cli("red", "--seed", "1", "--mp4", *SMALL)
    assert (result.exit_code, files()) == (130, ["outputs/red-1.png"])
    assert "error: the film outputs/red-1.mp4 was not written" in result.stderr


@pytest.mark.parametrize("args", [("run", "batch", *SMALL), (*SMALL, "--", "batch")])
def test_a_word_that_is_a_command_can_be_drawn(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.setitem(COLOURS, "batch", (1, 1, 1))
    assert Path(cli(*args).stdout.strip()).name.startswith("batch-")


def test_help_shows_every_option_with_the_defaults_of_the_presets(cli: Cli) -> None:
    for args in ((), ("--help",), ("-h",)):
        result = cli(*args, terminal_width=200, env={"TERMINAL_WIDTH": "200", "COLUMNS": "200"})
        assert result.exit_code == 0
        for option in ("--backend", "--init-weight", "--video", "--json", "--debug", "--version", "--device"):
            assert option in result.stdout
        for command in COMMANDS:
            assert command in result.stdout
        for backend, row in GENERATORS.items():
            assert backend in result.stdout
            assert row.summary.split()[0] in result.stdout
        for preset in PRESETS.values():
            for defaults in preset.generators.values():
                assert str(defaults.steps) in result.stdout
                assert str(defaults.cutouts) in result.stdout


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout == f"clipgen {__version__}\n"


def complete(words: str) -> str:
    environment = {**os.environ, "_CLIPGEN_COMPLETE": "complete_bash", "COMP_WORDS": words}
    environment["COMP_CWORD"] = str(len(words.split(" ")) - 1)
    command = [sys.executable, "-m", "clipgen"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("words", "expected"), [("clipgen --ba", "--backend"), ("clipgen --backend vq", "vqgan"), ("clipgen ba", "batch")]
)
def test_completion_knows_the_default_command(words: str, expected: str) -> None:
    assert expected in complete(words).split()


def test_help_is_instant_because_torch_is_not_imported() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "clipgen", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}
    assert "clipgen.cli.app" in imported
    assert not imported & {"torch", "numpy", "PIL", "kornia", "open_clip", "torchvision"}


STOPPED_RUN = """
import sys
from fakes import install
from clipgen.cli.app import app
install()
app(args=["red", "--seed", "1", "--steps", "100000", "--size", "32x32", "--cutouts", "2", "--mp4"], prog_name="clipgen")
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_stopped_run_keeps_what_it_reached(tmp_path: Path, number: signal.Signals, code: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED_RUN],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert any(re.match(r"red: \d+/", line) for line in process.stderr)  # it has begun; this ends if it dies before
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == code, stderr
    assert stdout.split() == ["outputs/red-1.png", "outputs/red-1.mp4"]
    record = metadata.read(tmp_path / "outputs/red-1.png")
    assert record is not None
    assert record["outcome"] == "interrupted"
    assert record["steps_done"] < 100000
    assert sorted(path.name for path in (tmp_path / "outputs").iterdir()) == [
        "red-1.clipgen",
        "red-1.mp4",
        "red-1.png",
    ]
