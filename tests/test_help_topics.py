"""`clipgen help TOPIC`, the examples in every help, and what both say of the program."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands_in_texts import commands_of, make_context, understood
from fakes import Cli
from test_readme import README
from typer.main import get_command

from clipgen.cli.app import COMMANDS, app
from clipgen.cli.environment import PREFIX, held_options
from clipgen.cli.examples import EXAMPLES
from clipgen.cli.explain import text_of, topics
from clipgen.config.edits import AROUND, FEATHER
from clipgen.config.peer_recipes import PEER_RECIPES
from clipgen.config.preset import PRIOR, STARTER, STARTS, UNCLIP
from clipgen.config.presets import PRESETS
from clipgen.config.targets import PLACES
from clipgen.weights.cache import VARIABLE

TABLE = re.compile(r"^\| (?:exit code|preset) \|.*(?:\n\|.*)+", re.MULTILINE)
OF_THE_SYSTEM = {VARIABLE, "HF_HUB_OFFLINE", "OMP_NUM_THREADS", "NO_COLOR"}
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
ALL = [*COMMANDS, "models"]


def test_the_list_has_every_topic_and_every_command(cli: Cli) -> None:
    listed = cli("help").stdout
    named = re.findall(r"^  (\S+)  +\S", listed, re.MULTILINE)
    assert named == [*topics(), *ALL]
    assert {"prompts", "masks", "exit-codes", "presets", "troubleshooting"} <= set(topics())


@pytest.mark.parametrize("topic", topics())
def test_a_topic_is_shown_as_it_is_written_where_it_is_piped(cli: Cli, topic: str) -> None:
    shown = cli("help", topic)
    assert (shown.exit_code, shown.stdout) == (0, text_of(topic))
    assert re.match(r"# [A-Z][\w ]+: \S.*\n\n\S", shown.stdout)
    assert max(map(len, shown.stdout.splitlines())) <= 125
    assert topic not in COMMANDS


@pytest.mark.parametrize("words", [("exit", "codes"), ("Exit-Codes",), ("EXIT-CODES",)])
def test_a_topic_is_found_however_it_is_spelled(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli("help", *words).stdout == text_of("exit-codes")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("maks",), "there is no topic or command 'maks'; did you mean clipgen help masks? topics: "),
        (("zom",), "did you mean clipgen help zoom?"),
        (("me", "draw", "a", "cat"), 'to draw the words: clipgen run "help me draw a cat"'),
        (("nonsense",), ", ".join(topics())),
        (("../topics/masks",), "there is no topic or command"),
        (("",), "there is no topic or command ''"),
    ],
)
def test_an_unknown_topic_is_one_line_with_the_list_and_the_nearest(
    cli: Cli, words: tuple[str, ...], said: str
) -> None:
    result = cli("help", *words)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert said in result.stderr


def test_a_terminal_shows_it_laid_out_and_a_pipe_does_not() -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "clipgen", "help", "exit-codes"]
    subprocess.run(command, stdout=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "80"}, check=True)
    os.close(slave)
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert "\x1b[" in shown
    assert "━" in shown or "─" in shown
    assert "| exit code |" not in shown
    assert "143" in shown


def test_a_topic_loads_no_torch() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "clipgen", "help", "masks"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}
    assert "clipgen.cli.explain" in imported
    assert not imported & {"torch", "numpy", "PIL", "markdown_it"}


@pytest.fixture(autouse=True)
def _folder_with_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Job files are read to understand a command."""
    monkeypatch.chdir(tmp_path)
    Path("job.toml").write_text('prompt = "a cat"\n')


@pytest.mark.parametrize("command", ALL)
def test_every_help_ends_with_examples_that_are_understood(cli: Cli, command: str) -> None:
    lines = cli(command, "--help", env={"COLUMNS": "80"}).stdout.split("Examples")[1].split("\n")
    shown = [line.strip() for line in lines if line.strip()]
    assert shown == list(EXAMPLES[command])  # each on one line of 80 columns
    assert 1 <= len(shown) <= 5
    for args in commands_of("\n".join(("```sh", *shown, "```"))):
        understood(args)


def test_the_help_of_the_program_ends_with_examples(cli: Cli) -> None:
    end = cli("--help", env={"COLUMNS": "80"}).stdout.split("Examples")[1]
    assert all(line in end for line in EXAMPLES["run"])
    assert "clipgen help lists the topics" in end


@pytest.mark.parametrize("topic", topics())
def test_every_command_and_every_option_of_a_topic_exists(topic: str) -> None:
    text = text_of(topic)
    for args in commands_of(text) if topic != "troubleshooting" else []:  # whose commands are wrong
        understood(args)
    known = {name for command in get_command(app).commands.values() for one in command.params for name in one.opts}  # type: ignore[attr-defined]
    models = get_command(app).commands["models"].commands.values()  # type: ignore[attr-defined]
    known |= {name for command in models for one in command.params for name in one.opts} | {"--debug", "--help"}
    assert set(FLAG.findall(text)) - known <= ({"--negative"} if topic == "troubleshooting" else set())


def test_tables_are_those_of_the_readme_which_are_those_of_the_program() -> None:
    tables = TABLE.findall(README)
    assert len(tables) == 2
    assert [TABLE.findall(text_of(topic)) for topic in ("exit-codes", "presets")] == [[each] for each in tables]


def test_lists_are_those_of_the_program() -> None:
    assert re.findall(r"^\| `([\w-]+)` \|", text_of("recipes"), re.MULTILINE) == list(PEER_RECIPES)
    named = set(re.findall(r"[a-z-]+", " ".join(re.findall(r"`--start ([^|]+)\|", text_of("starts")))))
    assert named == set(STARTS) - {"init", "tokens"}
    assert all(f"`{place}`" in text_of("masks") for place in PLACES)


def test_defaults_are_those_of_the_program() -> None:
    starter = PRESETS[STARTER].guidance
    assert f"`--feather {FEATHER}`" in text_of("masks")
    assert f"`{AROUND}` (the default)" in text_of("masks")
    assert f"proposes {starter[UNCLIP].unclip[0].candidates} pictures" in text_of("starts").replace("\n", " ")
    assert f"the best of {starter[PRIOR].prior[0].proposals} grids" in text_of("starts")


def test_variables_of_the_environment_stand_for_options() -> None:
    params = make_context(["a cat"]).command.commands["run"].params  # type: ignore[attr-defined]
    variables = set(re.findall(r"\b[A-Z_]{3,}[A-Z](?==|`)", text_of("environment"))) - OF_THE_SYSTEM
    assert variables >= {"CLIPGEN_STEPS", "CLIPGEN_CLIP"}
    held = held_options(params, (), dict.fromkeys(variables, "1"))
    assert {one.variable for one in held} == variables
    assert all(name.startswith(PREFIX) for name in variables)
