"""A command group in which anything that is not a command is a prompt: `clipgen "a cat"` is `clipgen run "a cat"`."""

import copy
import os
import sys
from functools import partial
from typing import Any

import typer
from typer.core import TyperGroup

from clipgen.cli.environment import (
    COMMANDS,
    Held,
    held_options,
    is_quiet,
    named_after_variables,
    unknown_variables,
    wrong_number,
)
from clipgen.cli.failures import exit_code_of, say, signals_as_errors
from clipgen.cli.grid_axes import with_axes
from clipgen.cli.job_files import args_of, is_job_file
from clipgen.cli.prompt_text import STDIN, prompt_from_stdin
from clipgen.cli.slips import HELP, check_typed, take_apart, unknown_flag
from clipgen.cli.story_options import joined_scenes
from clipgen.errors import UsageError
from clipgen.util.files import no_empty_folders
from clipgen.util.text import quoted

DEFAULT_COMMAND = "run"
DEBUG_FLAG = "--debug"
HELD = "clipgen.held"
"""Key of what a context holds: the options that variables of the environment set."""
MAX_HELP = 3
"""Words of the longest question for help: help models list."""
_PICTURE = "name a picture that clipgen made, as in clipgen {} outputs/a-cat-7.png"
MISSING = {
    DEFAULT_COMMAND: 'say what to draw, as in clipgen "a cat"',
    "zoom": 'say what to draw, as in clipgen zoom "a tunnel of flowers"',
    "morph": 'say what turns into what, as in clipgen morph "a cat" "a house"',
    "restyle": 'name a film and say what to make of it, as in clipgen restyle in.mp4 "in the style of Van Gogh"',
    "batch": "name a text file with a prompt on each line, as in clipgen batch prompts.txt",
    "train": "name one of these",
    "reconstruct": "name pictures, or a folder of them, as in clipgen reconstruct photo.jpg",
    "decode": "name a grid of tokens, as in clipgen decode tokens.npy",
    "score": 'name pictures and what they may show, as in clipgen score outputs --text "a cat" --text "a dog"',
    "rank": 'say what to look for and name pictures, as in clipgen rank "a cat" outputs',
    "sheet": "name a folder of pictures, or pictures, as in clipgen sheet outputs",
    "compare": "name two folders of pictures, or two job files, as in clipgen compare a b",
    **{name: _PICTURE.format(name) for name in ("resume", "info", "replay")},
}
"""What to do about a missing argument, by command."""


class PromptOrCommand(TyperGroup):
    """Inserts the default command if none is named, shows its options in the help, and reports errors in one line.

    Typer does not export the classes of contexts and formatters, hence `Any`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the default command before any parsing, as its options may precede the prompt."""
        if not ctx.resilient_parsing:
            args = joined_scenes(args)
            ctx.obj = args = self._meant(ctx, args)
        if not args:
            args = ["--help"]
        elif not self._is_named(ctx, args):
            args = [DEFAULT_COMMAND, *args]
        if not ctx.resilient_parsing and args[0] in COMMANDS:
            args = [args[0], *self._from_environment(ctx, *args), *args[1:]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with signals_as_errors():
            try:
                return super().invoke(ctx)
            except typer.TyperException as error:
                raise self._explained(error, ctx.obj or [], ctx.meta.get(HELD, [])) from error
            except UsageError as error:
                raise named_after_variables(error, ctx.meta.get(HELD, [])) from error

    def main(self, *_: Any, **settings: Any) -> Any:
        """Run the command line; ends in `SystemExit` with an exit code of `clipgen.errors`."""
        typed = settings.get("args")
        args = list(sys.argv[1:] if typed is None else typed)
        # Removed before parsing, as it applies to every command and parsing itself may be what fails.
        settings["args"] = [arg for arg in args if arg != DEBUG_FLAG]
        call = partial(super().main, **{**settings, "standalone_mode": False})
        with no_empty_folders():
            code = exit_code_of(call, debug=DEBUG_FLAG in args)
        sys.exit(code)

    def collect_usage_pieces(self, _ctx: Any) -> list[str]:
        return ["[OPTIONS]", "PROMPT | COMMAND [ARGS]..."]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the help of the default command with the list of commands; the program's own options come last."""
        merged = copy.copy(self)
        switches: list[Any] = self.get_params(ctx)
        for switch in switches:
            switch.rich_help_panel = "Other"
            switch.metavar = ""  # otherwise Typer shows "<bool>"
        merged.params = [*self.commands[DEFAULT_COMMAND].params, *self.params]
        TyperGroup.format_help(merged, ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete the options of the default command, too."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            found += self.commands[DEFAULT_COMMAND].shell_complete(ctx, incomplete)
        return found

    def _own_options(self, ctx: Any) -> set[str]:
        return {name for param in self.get_params(ctx) for name in (*param.opts, *param.secondary_opts)}

    def _is_named(self, ctx: Any, args: list[str]) -> bool:
        """Tell whether the first argument is a command or an option of the program itself."""
        return args[0] in self.commands or args[0].split("=", 1)[0] in self._own_options(ctx)

    def _meant(self, ctx: Any, args: list[str]) -> list[str]:
        """Return the arguments with "help COMMAND" and "-" replaced by what they stand for; raises UsageError."""
        if args[:1] == [HELP] and args[1:2] and args[1] in self.commands and len(args) <= MAX_HELP:
            return [*args[1:], "--help"]
        named = args[:1] == [DEFAULT_COMMAND]
        if not args or (self._is_named(ctx, args) and not named):
            return args
        options = self._options_of_run()
        typed = with_axes(args[1:] if named else args, options)
        args = [*args[:named], *typed]
        if is_job_file(texts := take_apart(typed, options).texts):
            others = [arg for arg in typed if arg != texts[0]]
            held = held_options(self.commands[DEFAULT_COMMAND].params, others, os.environ)
            given = [*others, *(flag for one in held for flag in one.flags)]
            from_file, prompt = args_of(texts[0], given, self._options_of_run(own=True))
            return [DEFAULT_COMMAND, *from_file, *others, *([] if prompt is None else ["--", prompt])]
        before = typed[: typed.index("--")] if "--" in typed else typed
        if before == typed or take_apart(before, options).texts:
            check_typed(typed[: len(before)], options, self.commands, named=named)
        if before == typed and take_apart(typed, options).texts == (STDIN,):
            return [DEFAULT_COMMAND, *(arg for arg in typed if arg != STDIN), "--", prompt_from_stdin()]
        return args

    def _from_environment(self, ctx: Any, command: str, *typed: str) -> list[str]:
        """Return the arguments for which variables stand; warns about variables that stand for none."""
        held = ctx.meta[HELD] = held_options(self.commands[command].params, typed, os.environ)
        if not is_quiet(typed, held):
            every = [param for name in COMMANDS for param in self.commands[name].params]
            for warning in unknown_variables(every, os.environ):
                say(warning)
        return [arg for one in held for arg in one.args]

    def _options_of_run(self, *, own: bool = False) -> dict[str, int]:
        """Return the options of the default command, and how many values each takes.

        own: whether to leave out those of the program.
        """
        params = [*self.commands[DEFAULT_COMMAND].params, *([] if own else self.params)]
        rows = [
            (name, 0 if getattr(param, "is_flag", False) else param.nargs)
            for param in params
            for name in param.opts
            if name.startswith("-")
        ]
        return dict(rows) if own else {**dict(rows), "--help": 0, "-h": 0}

    def _explained(self, error: typer.TyperException, args: list[str], held: list[Held]) -> Exception:
        """Return the error with what to type instead, if it is about the arguments of a command."""
        command = getattr(getattr(error, "ctx", None), "command", None)
        message = error.format_message().rstrip(".")
        if command is None:
            return error
        if flag := getattr(error, "option_name", None):
            known = "No such option" in message
            return UsageError(unknown_flag(message, flag, args) if known else f"{message}; see clipgen --help")
        if "Missing argument" in message:
            lone = f"; to draw the word: clipgen run {args[0]}" if args == [command.name] != [DEFAULT_COMMAND] else ""
            return UsageError(f"{message}; {MISSING.get(command.name, 'see clipgen --help')}{lone}")
        if "extra argument" in message:
            taken = [param.metavar for param in command.params if not param.opts[0].startswith("-")]
            return UsageError(f"{message}; {command.name} takes {f'one {taken[0]}' if taken else 'none'}")
        kind = "a whole number" if "integer" in message else "a number"
        if (param := getattr(error, "param", None)) and (wrong := wrong_number(param, kind, held)):
            return wrong
        if param and param.opts[0] in args[:-1]:
            value = args[args.index(param.opts[0]) + 1]
            return UsageError(f"{param.opts[0]} must be {kind}, got {quoted(value)}")
        return error
