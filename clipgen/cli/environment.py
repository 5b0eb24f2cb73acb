"""Options from the environment: CLIPGEN_STEPS=100 stands for --steps 100, for `run`, its job files, and `batch`.

What is typed counts more, and what a job file says counts less. Other commands know no variables: what they make of a
picture depends on the picture and on what is typed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clipgen.cli.foreign_flags import advice
from clipgen.cli.grid_axes import FLAG as GRID
from clipgen.cli.values import parse_switch
from clipgen.errors import UsageError
from clipgen.util.text import quoted
from clipgen.weights.cache import VARIABLE as CACHE

PREFIX = "CLIPGEN_"
SEPARATOR = ";"
"""Between the values of an option that can be given several times."""
COMMANDS = ("run", "batch")
HELP = ("-h", "--help")
QUIET = ("-q", "--quiet", "--json")
LIKE = 0.7
"""How similar an unknown variable is to one that may be meant."""


@dataclass(frozen=True)
class Held:
    """An option that a variable sets."""

    variable: str
    value: str
    flags: tuple[str, ...]
    """All spellings of the option."""
    args: tuple[str, ...]
    """What would be typed; nothing for a switch that is off."""


def held_options(params: Iterable[Any], typed: Sequence[str], environ: Mapping[str, str]) -> list[Held]:
    """Return the options of a command that variables set and nobody has typed. Raises UsageError for a bad switch.

    An empty variable is as good as none.
    """
    before = typed[: typed.index("--")] if "--" in typed else typed
    if any(arg in HELP for arg in before):
        return []
    given = {arg.partition("=")[0] if arg.startswith("--") else arg[:2] for arg in before}
    held = ((name, param) for name, param in _variables(params).items() if environ.get(name, "").strip())
    return [_held(name, environ[name].strip(), param) for name, param in held if given.isdisjoint(param.opts)]


def _held(variable: str, value: str, param: Any) -> Held:
    flag = _long(param)
    args: tuple[str, ...]
    if getattr(param, "is_flag", False):
        args = (flag,) if parse_switch(variable, value) else ()
    elif getattr(param, "multiple", False):
        args = tuple(f"{flag}={part.strip()}" for part in value.split(SEPARATOR) if part.strip())
    else:
        args = (f"{flag}={value}",)
    return Held(variable, value, tuple(param.opts), args)


def is_quiet(typed: Sequence[str], held: Iterable[Held]) -> bool:
    """Tell whether nothing but errors is to be printed."""
    return any(arg in QUIET for arg in (*typed, *(arg for one in held for arg in one.args)))


def unknown_variables(params: Iterable[Any], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each variable that looks like one of these and is none."""
    known = {*_variables(params), CACHE}
    for name in sorted(name for name in environ if name.startswith(PREFIX) and name not in known):
        nearest = difflib.get_close_matches(name.removeprefix(PREFIX), [_bare(each) for each in known], 1, LIKE)
        said = advice(f"--{_bare(name).lower().replace('_', '-')}")
        hint = f"did you mean {PREFIX}{nearest[0]}?" if nearest else said or "clipgen job lists the options"
        yield f"warning: there is no variable {name}; {hint}"


def named_after_variables(error: UsageError, held: Iterable[Held]) -> UsageError:
    """Return the error with the names of variables in place of the options that they set, where it says what is wrong.

    What it advises to type stays as it is, and so does what is about a line of a file.
    """
    wrong, semicolon, way_out = str(error).partition(";")
    if not wrong.startswith("line "):
        for one in held:
            flags = "|".join(map(re.escape, one.flags))
            wrong = re.sub(rf"(?<![\w-])(?:{flags})(?![\w-])", one.variable, wrong)
    error.args = (wrong + semicolon + way_out,)
    return error


def wrong_number(param: Any, kind: str, held: Iterable[Held]) -> UsageError | None:
    """Return the error for a variable whose value is not `kind`, as in "a number"; None if none sets the option."""
    return next(
        (
            UsageError(f"{one.variable} must be {kind}, got {quoted(one.value)}")
            for one in held
            if one.flags == tuple(param.opts)
        ),
        None,
    )


def _variables(params: Iterable[Any]) -> dict[str, Any]:
    """Return the options that can be set, by variable: all but that of a grid, which belongs to one command."""
    flags = ((_long(param), param) for param in params if param.nargs == 1)
    return {f"{PREFIX}{_spelled(flag)}": param for flag, param in flags if flag and flag not in (*HELP, GRID)}


def _long(param: Any) -> str:
    return next((name for name in param.opts if name.startswith("--")), "")


def _spelled(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_").upper()


def _bare(variable: str) -> str:
    return variable.removeprefix(PREFIX)
