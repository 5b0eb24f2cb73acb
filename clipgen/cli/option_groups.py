"""Options in groups: a command takes a few frozen dataclasses, and Typer sees their fields as single options.

@flat
def show(picture: PictureOptions, engine: Annotated[EngineOptions, only("device")]) -> None: ...
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

import typer

Options = dict[str, "Option"]
Variant = Callable[[Options], Options]
Command = Callable[..., None]


@dataclass(frozen=True)
class Option:
    """An option, declared once: the metadata of an annotated field or parameter."""

    flags: str
    text: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    """Completions for the shell; also the metavar if none is given."""
    panel: str | None = None
    default: str = ""
    """The default in words, for an option whose value None stands for it. Typer shows any other default itself."""

    def declare(self, value: object) -> Any:
        """Return the option as Typer expects it, with `value` as its default."""
        return typer.Option(
            value,
            *self.flags.split(),
            metavar=self.metavar or "|".join(self.choices),  # empty for a switch, or Typer calls it "<bool>"
            help=self.text + (f" [dim]\\[default: {self.default}][/dim]" if self.default else ""),
            show_default=not self.default,
            rich_help_panel=self.panel,
            autocompletion=(lambda: list(self.choices)) if self.choices else None,
        )


def only(*names: str) -> Variant:
    """Offer these fields of a group; the others keep their defaults. For the metadata of an annotated group."""
    return lambda options: {name: options[name] for name in names}


def redeclared(**changes: Mapping[str, Any]) -> Variant:
    """Change the declarations of some fields of a group. For the metadata of an annotated group."""
    return lambda options: {name: replace(option, **changes.get(name, {})) for name, option in options.items()}


def flat(command: Command) -> Command:
    """Return a command for Typer whose parameters are the fields of the groups that `command` takes."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, tuple[Any, tuple[str, ...]]] = {}
    shown: dict[str, inspect.Parameter] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind, *metadata = get_args(hints[name]) or (hints[name],)
        if is_dataclass(kind):
            members = _members(kind, metadata)
            groups[name] = (kind, tuple(members))
        else:
            members = {name: _parameter(name, hints[name], parameter.default)}
        if twice := shown.keys() & members.keys():
            raise TypeError(f"two groups of {command.__name__} share the fields {', '.join(twice)}")
        shown |= members

    @functools.wraps(command)
    def flattened(**values: Any) -> None:
        built = {name: kind(**{each: values.pop(each) for each in names}) for name, (kind, names) in groups.items()}
        command(**built, **values)

    flattened.__signature__ = inspect.Signature(list(shown.values()))  # type: ignore[attr-defined]
    flattened.__annotations__ = {name: parameter.annotation for name, parameter in shown.items()}
    return flattened


def _members(group: Any, variants: Iterable[Variant]) -> dict[str, inspect.Parameter]:
    """Return a parameter for each field that a group offers after `variants`."""
    hints = get_type_hints(group, include_extras=True)
    options = {field.name: hints[field.name].__metadata__[0] for field in fields(group)}
    for variant in variants:
        options = variant(options)
    return {name: _parameter(name, hints[name], getattr(group, name), option) for name, option in options.items()}


def _parameter(name: str, hint: Any, default: Any, option: Any = None) -> inspect.Parameter:
    """Return a parameter for an option; Typer's own declarations, such as arguments, are kept as they are."""
    option = option or hint.__metadata__[0]
    kind = inspect.Parameter.KEYWORD_ONLY  # so that one without a default may follow one with a default
    if not isinstance(option, Option):
        return inspect.Parameter(name, kind, default=default, annotation=hint)
    return inspect.Parameter(name, kind, default=option.declare(default), annotation=hint.__origin__)
