"""A command group in which anything that is not a command is a prompt: `clipgen "a cat"` is `clipgen run "a cat"`."""

import copy
import difflib
import sys
from functools import partial
from typing import Any

from typer.core import TyperGroup

from clipgen.cli.failures import exit_code_of, signals_as_errors

DEFAULT_COMMAND = "run"
DEBUG_FLAG = "--debug"


class PromptOrCommand(TyperGroup):
    """Inserts the default command if none is named, shows its options in the help, and reports errors in one line.

    Typer does not export the classes of contexts and formatters, hence `Any`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the default command before any parsing, as its options may precede the prompt."""
        if not args:
            args = ["--help"]
        elif args[0] not in self.commands and args[0].split("=", 1)[0] not in self._own_options(ctx):
            if not ctx.resilient_parsing:
                self._refuse_misspelled_command(ctx, args)
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with signals_as_errors():
            return super().invoke(ctx)

    def main(self, *_: Any, **settings: Any) -> Any:
        """Run the command line; ends in `SystemExit` with an exit code of `clipgen.errors`."""
        typed = settings.get("args")
        args = list(sys.argv[1:] if typed is None else typed)
        # Removed before parsing, as it applies to every command and parsing itself may be what fails.
        settings["args"] = [arg for arg in args if arg != DEBUG_FLAG]
        call = partial(super().main, **{**settings, "standalone_mode": False})
        sys.exit(exit_code_of(call, debug=DEBUG_FLAG in args))

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

    def _refuse_misspelled_command(self, ctx: Any, args: list[str]) -> None:
        """Reject a lone word that is close to a command: more likely a typo than a prompt worth minutes of work."""
        near = difflib.get_close_matches(args[0], self.commands, n=1, cutoff=0.8) if len(args) == 1 else []
        if near:
            ctx.fail(f'"{args[0]}" looks like the command "{near[0]}"; to draw the word: clipgen run {args[0]}')
