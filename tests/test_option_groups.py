"""A command takes groups of options; Typer sees each option by itself, as the command has it declared."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from clipgen.cli import option_groups
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.option_groups import Option, flat, only, redeclared


@dataclass(frozen=True)
class Colours:
    sky: Annotated[str | None, Option("--sky", "Of the sky.", choices=("blue", "grey"), default="blue")] = None
    bright: Annotated[bool, Option("-b --bright", "Not dark.")] = False
    count: Annotated[int, Option("--count", "How many.", "NUMBER")] = 3


def run(command: option_groups.Command, *args: str) -> str:
    app = typer.Typer()
    app.command()(flat(command))
    result = CliRunner().invoke(app, args, env={"COLUMNS": "100", "TERM": "dumb"})
    return result.stdout + result.stderr


def test_a_group_is_rebuilt_from_its_options() -> None:
    def command(name: Annotated[str, typer.Argument()], colours: Colours) -> None:
        typer.echo(f"{name} {colours}")

    assert run(command, "a") == f"a {Colours()}\n"
    assert run(command, "a", "--sky", "grey", "-b", "--count", "2") == f"a {Colours('grey', True, 2)}\n"


def test_a_command_offers_only_some_fields_and_the_others_keep_their_defaults() -> None:
    def command(colours: Annotated[Colours, only("count")]) -> None:
        typer.echo(str(colours))

    assert run(command, "--count", "2") == f"{Colours(count=2)}\n"
    assert "--sky" in run(command, "--sky", "grey")  # no such option
    assert "--bright" not in run(command, "--help")


def test_a_command_declares_a_field_otherwise_and_leaves_the_group_as_it_is() -> None:
    def command(colours: Annotated[Colours, redeclared(sky={"default": "the picture's"})]) -> None:
        typer.echo(str(colours))

    def plain(colours: Colours) -> None:
        typer.echo(str(colours))

    assert "[default: the picture's]" in run(command, "--help")
    assert "blue|grey" in run(command, "--help")
    assert "[default: blue]" in run(plain, "--help")


def test_two_groups_of_a_command_cannot_share_a_field() -> None:
    def command(one: Colours, other: Annotated[Colours, only("sky")]) -> None: ...

    with pytest.raises(TypeError, match="sky"):
        flat(command)


def test_what_was_not_typed_is_left_to_the_job() -> None:
    assert EngineOptions().job_fields() == {}
    assert EngineOptions(steps=3, preset="draft").job_fields() == {"steps": 3, "preset": "draft"}
    assert "start" in EngineOptions(start="noise").job_fields()
