"""Slips of the hand on the command line: each gets one line that says what to type instead, and draws nothing."""

from pathlib import Path

import pytest
from fakes import Cli
from PIL import Image

from clipgen.cli import run as run_module
from clipgen.cli.app import COMMANDS
from clipgen.cli.foreign_flags import ADVICE
from clipgen.cli.slips import likely_command
from clipgen.config.job import Job
from clipgen.errors import ClipgenError

TABLE: list[tuple[tuple[str, ...], str]] = [
    # commands
    (("hepl",), '"hepl" looks like the command "help"; to draw the word: clipgen run hepl'),
    (("list",), '"list" is no command: clipgen models list; to draw the word: clipgen run list'),
    (("modelslist",), "clipgen models list"),
    (("version",), "clipgen --version"),
    (("bacth", "prompts.txt"), '"bacth" looks like the command "batch": clipgen batch prompts.txt'),
    (("modles", "list"), "clipgen models list"),
    (("resum", "x.png"), "clipgen resume x.png"),
    (("Batch", "prompts.txt"), "clipgen batch prompts.txt"),
    (("generate", "a cat"), '"generate" is no command: clipgen "a cat"'),
    (("hlep", "masks"), '"hlep" looks like the command "help": clipgen help masks'),
    (("a cat", "-ip", "x.png"), "No such option: -ip; use --image-prompt FILE"),
    (("a cat", "-opt", "Adam"), "No such option: -opt; use --optimizer NAME"),
    (("-p", "a cat", "-zsx", "3"), "No such option: -zsx; use clipgen zoom, with --pan X,Y"),
    (("a cat", "--init_weight", "3"), "No such option: --init_weight; type --init-weight"),
    (("a cat", "--save_every", "50"), "No such option: --save_every; use --save-every-step NUMBER"),
    (("train",), "name one of these; to draw the word: clipgen run train"),
    (("batch",), "with a prompt on each line, as in clipgen batch prompts.txt; to draw the word: clipgen run batch"),
    (("run",), 'say what to draw, as in clipgen "a cat"'),
    (("info", "a.png", "b.png"), "info takes one PICTURE"),
    (("doctor", "now"), "doctor takes none"),
    # prompts
    (("a", "red", "cat", "--seed", "3"), 'put the prompt in quotes: clipgen "a red cat" --seed 3'),
    (("run", "a", "red", "cat"), 'put the prompt in quotes: clipgen "a red cat"'),
    (("\u201ca", "cat\u201d"), 'put the prompt in quotes: clipgen "a cat"'),
    (("a cat", "a dog"), '2 prompts, and a run makes one picture: clipgen "a cat | a dog" joins them'),
    (("-a cat",), 'a prompt that begins with "-" goes after "--": clipgen -- "-a cat"'),
    (("-rf",), "clipgen -- -rf"),
    (("a cat --seed 3",), '--seed is inside the quotes of the prompt; type clipgen "a cat" --seed 3'),
    # files
    (("selfie.jpg",), 'say what it should become: clipgen "a cat" --init selfie.jpg'),
    (("selfie.jpg", "a cat"), 'to start from the picture selfie.jpg: clipgen "a cat" --init selfie.jpg'),
    (("a cat", "out.png"), 'to write to out.png: clipgen "a cat" -o out.png'),
    (("a cat", "--video", "clip.mp4"), "--video takes no name"),
    (("prompts.txt",), "for a picture of each line: clipgen batch prompts.txt"),
    (("batch", "a cat"), "for a picture of one prompt: clipgen 'a cat'"),
    (("batch", "prompts.txt", "-o", "x.png"), "-o x.png is a file, and a batch writes a picture for each line"),
    (("a cat", "-o", "cat.tif"), "is not a PNG, JPEG or WebP file; use -o cat.png"),
    (("a cat", "--init", "."), "is a folder; name an image file in it"),
    (("a cat", "--init", "https://example.org/a.jpg"), "--init takes a file, not an address on the web"),
    # options
    (("a cat", "\u2013seed", "3"), "begins with a dash that is not a hyphen; type --seed"),
    (("a cat", "--seed\u00a03"), "type --seed 3 outside quotes, with a plain space"),
    (("--prompt", "a cat"), 'the prompt needs no flag, as in clipgen "a cat"'),
    (("a cat", "-n", "4"), "--candidates 4 --keep 4"),
    (("a cat", "--width", "512"), "use --size WIDTHxHEIGHT"),
    (("a cat", "--output", "x.png"), "use -o FILE.png"),
    (("a cat", "--step", "3"), "Possible options: --steps, --strokes, --tile"),
    (("a cat", "--steps", "1e3"), "--steps must be a whole number, got '1e3'"),
    (("a cat", "--seed", "x"), "--seed must be a whole number from 0, or random, got 'x'"),
    (("a cat", "--size", "512p"), "--size must look like 256x256"),
    (("a cat", "--backend", "VQGAN"), "did you mean vqgan?"),
    (("a cat", "--preset", "Starter"), "did you mean starter?"),
]


@pytest.mark.parametrize(("args", "said"), TABLE, ids=[" ".join(args) for args, _ in TABLE])
def test_a_slip_is_answered_with_what_to_type(cli: Cli, args: tuple[str, ...], said: str) -> None:
    Image.new("RGB", (8, 8)).save("selfie.jpg")
    Path("prompts.txt").write_text("red\n")
    result = cli(*args)
    assert result.exit_code == 2, result.stderr
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert sorted(path.name for path in Path().iterdir()) == ["prompts.txt", "selfie.jpg"]


@pytest.fixture
def asked(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that runs come to; none is drawn."""
    jobs: list[Job] = []

    def stop(job: Job, *_: object, **__: object) -> None:
        jobs.append(job)
        raise ClipgenError("not drawn")

    monkeypatch.setattr(run_module, "open_for_job", stop)
    return jobs


@pytest.mark.parametrize(("typed", "text"), [(b" a cat \n\n", "a cat"), (b"-rf", "-rf"), ("\ufeffred".encode(), "red")])
def test_a_hyphen_reads_the_prompt_from_standard_input(cli: Cli, asked: list[Job], typed: bytes, text: str) -> None:
    for args in (("-", "--seed", "3"), ("run", "--seed", "3", "-")):
        cli(*args, input=typed)
        assert (asked[-1].text, asked[-1].seed) == (text, 3)


@pytest.mark.parametrize(
    ("typed", "said"), [(b"", "is empty"), (b"a\nb\n", "clipgen batch -"), (b"\xff", "is not UTF-8 text")]
)
def test_what_is_no_prompt_on_standard_input_is_refused(cli: Cli, asked: list[Job], typed: bytes, said: str) -> None:
    result = cli("-", input=typed)
    assert (result.exit_code, asked) == (2, [])
    assert result.stderr.startswith("error: standard input ")
    assert said in result.stderr


def test_a_random_seed_is_another_each_time(cli: Cli, asked: list[Job]) -> None:
    for _ in range(2):
        cli("a cat", "--seed", "random")
    assert asked[0].seed != asked[1].seed


@pytest.mark.parametrize("size", ["256\u00d7128", "256x128px", "256*128"])
def test_sizes_are_read_as_people_write_them(cli: Cli, asked: list[Job], size: str) -> None:
    cli("a cat", "--size", size)
    assert asked[0].size == (256, 128)


def test_the_home_folder_is_expanded(cli: Cli, asked: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    cli("a cat", "--init=~/selfie.jpg")
    assert asked[0].init == "/somewhere/selfie.jpg"


@pytest.mark.parametrize(
    "word", ["rain", "sword", "sheep", "bath", "model", "brain", "cat", "tiger", "world peace", "evil"]
)
def test_words_that_can_be_drawn_are_no_slips(word: str) -> None:
    assert likely_command(word, COMMANDS) is None


@pytest.mark.parametrize("command", [*COMMANDS, "models"])
def test_help_shows_the_help_of_a_command(cli: Cli, command: str) -> None:
    shown = cli("help", command)
    assert (shown.exit_code, shown.stdout) == (0, cli(command, "--help").stdout)


def test_advice_is_about_options_that_do_not_exist(cli: Cli) -> None:
    names = [name for row in ADVICE for name in row.split()]
    assert len(names) == len(set(names))
    existing = cli("run", "--help", env={"COLUMNS": "200"}).stdout.split()
    assert not set(names) & set(existing)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("Area:51", 'reading "Area" with weight 51; to keep the colon as text write "Area:51:1:-inf"'),
        ("Blade Runner:2049", 'reading "Blade Runner:2049" as text, without a weight: a weight is from -1000 to 1000'),
        ("a cat:1,5", 'a weight has a point, as in "a cat:1.5"'),
        ("a cat:50%", 'a weight is a number, as in "a cat:0.5"'),
        ("(a cat:1.3)", 'a weight stands at the end, as in "a cat:1.3|fog"'),
    ],
)
def test_what_was_read_as_a_weight_or_not_is_said(cli: Cli, prompt: str, said: str) -> None:
    assert said in cli("words", prompt, "--preset", "starter").stderr


@pytest.mark.parametrize("prompt", ["a cat:2|fog:-0.5", "a cat:1:0.5", "a clock at 12:05", "a cat (large)"])
def test_plain_weights_need_no_explanation(cli: Cli, prompt: str) -> None:
    assert "reading" not in cli("words", prompt, "--preset", "starter").stderr
