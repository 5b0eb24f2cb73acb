"""Slips of the hand on the command line: what was typed instead of a prompt or a command, and what was likely meant."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipgen.cli.foreign_flags import advice
from clipgen.config.classes import things_in
from clipgen.errors import UsageError
from clipgen.starter.words import knows
from clipgen.util.regular import PICTURES
from clipgen.util.typos import edits

FILMS = (".mp4", ".webm", ".mov", ".gif", ".apng")
TEXTS = (".txt", ".csv", ".md", ".text", ".prompts")
OTHER_NAMES = {
    "list": "models list",
    "ls": "models list",
    "modelslist": "models list",
    "modellist": "models list",
    "models-list": "models list",
    "download": "models pull",
    "pull": "models pull",
    "install": "models pull",
    "version": "--version",
    "generate": "run",
    "create": "run",
    "draw": "run",
    "continue": "resume",
    "evaluate": "eval",
    "contact-sheet": "sheet",
    "contactsheet": "sheet",
}
"""What other programs call a command, and its name here."""
HELP = "help"

# Words that differ from a command in a letter or two and are no slips of it.
_REAL_WORDS = frozenset(
    """
    bath batches botch bach modal modals motel motels medal medals mode modes module modules mole moles mobile
    mobiles moods rescue rescues refuse reuse result reply relay relays repay replace word ward wards wood woods works
    world worlds would wold zoo zoos zooms trains trail trait twain hell held heap helm heal heel helps kelp doctors
    decade decades decoder decoders decoded decor decoy decoys denote devote recode reconstructed reconstructs
    evil even info into runs ruin sword swords rune urn sheep sheer sheen sheets sleet skeet sweet street
    compass compact company comrade compote compose compete compared compares
    """.split()  # noqa: SIM905
)
_DASHED = re.compile("[\u2010-\u2015\u2212]+([A-Za-z][\\w-]*)(=.*)?")
_SHORT = re.compile("-[a-z]{2,4}")
"""Options of other programs that would be read as several letters, or as a letter and its value."""
_INNER_FLAG = re.compile(r"(?<!\S)(--[a-z][a-z-]+|-o)(?=[\s=]|$)")


@dataclass(frozen=True)
class Typed:
    """The arguments of a run, taken apart as the parser would."""

    texts: tuple[str, ...]
    """What is no option and no value of one."""
    rest: tuple[str, ...]
    """Options and their values."""
    has_unknown: bool
    """Whether some option does not exist."""


def take_apart(args: Sequence[str], options: Mapping[str, int]) -> Typed:
    """Take arguments apart; `options` tells of each option how many values follow it."""
    texts: list[str] = []
    rest: list[str] = []
    awaited, has_unknown = 0, False
    for arg in args:
        is_option = not awaited and arg.startswith("-") and arg != "-"
        (rest if awaited or is_option else texts).append(arg)
        has_unknown = has_unknown or (is_option and _flag(arg) not in options)
        awaited = options.get(arg, 0) if is_option else max(awaited - 1, 0)
    return Typed(tuple(texts), tuple(rest), has_unknown)


def _flag(arg: str) -> str:
    """Return the option of an argument that may hold its value, too: "--seed=3", "-ox.png"."""
    return arg.partition("=")[0] if arg.startswith("--") else arg[:2]


def check_typed(args: Sequence[str], options: Mapping[str, int], commands: Iterable[str], *, named: bool) -> None:
    """Raise a UsageError, which shows what to type, for arguments of a run that cannot be meant as they are.

    named: whether the command `run` was typed, so that no word can be another command.
    """
    _check_hyphens(args, options)
    typed = take_apart(args, options)
    if typed.texts and not named:
        _check_command(typed, commands)
    if typed.has_unknown:
        return  # the parser says so; what follows such an option may be its value
    if len(typed.texts) > 1:
        raise _several(typed)
    for text in typed.texts:
        _check_file(text)
        _check_inner_flags(text, options)


def oddities(prompt: str) -> Iterator[str]:
    """Yield a note for each word of a prompt that is the name of a picture, or an option of another program."""
    for match in _INNER_FLAG.finditer(prompt):
        yield f"{match[1]} in the prompt is read as a word; options go after the quotes"
    for word in prompt.split():
        if _is_picture(word) and _exists(word):
            yield f"{word} in the prompt is read as words; to start from the picture: --init {word}"


def likely_command(word: str, commands: Iterable[str]) -> str | None:
    """Return the command that a word is likely a slip of, or another name for; None for words that can be drawn."""
    plain = word.lower()
    names = list(commands)
    if plain in OTHER_NAMES or plain in names:
        return OTHER_NAMES.get(plain, plain)
    if plain in _REAL_WORDS or knows(plain) or _is_thing(plain):
        return None
    return next((name for name in names if _is_slip(plain, name)), None)


def unknown_flag(message: str, flag: str, args: Sequence[str]) -> str:
    """Return the message for an unknown option, with what to type instead."""
    plain = message.split(" (")[0]
    if said := advice(flag):
        return f"{plain}; {said}"
    if "_" in flag and (dashed := flag.replace("_", "-")) in message:
        return f"{plain}; type {dashed}"
    if args and args[0].startswith(flag):
        return f'{message}; a prompt that begins with "-" goes after "--": clipgen -- {shown(args[0])}'
    return f"{message}; see clipgen --help"


def shown(*words: str) -> str:
    """Spell words for a shell, with double quotes where those do."""
    return " ".join(
        f'"{word}"' if re.fullmatch(r"[^\"\\$`!]*\s[^\"\\$`!]*", word) else shlex.quote(word) for word in words
    )


def _check_hyphens(args: Sequence[str], options: Mapping[str, int]) -> None:
    """Refuse options of other programs, those with dashes or blanks of a word processor, and prompts like options."""
    awaited = 0
    for arg in args:
        if not awaited and _SHORT.fullmatch(arg) and (said := advice(arg)):
            raise UsageError(f"No such option: {arg}; {said}")
        dashed = _DASHED.fullmatch(arg)
        if dashed and not awaited:
            flags = [f"{hyphens}{dashed[1]}" for hyphens in ("--", "-")]
            for flag in flags:
                if flag in options:
                    raise UsageError(f'"{arg}" begins with a dash that is not a hyphen; type {flag}')
        if arg.startswith("-") and not awaited and len(arg.split()) > 1:
            if arg.split()[0] in options:
                raise UsageError(
                    f'"{arg}" is one word to the shell; type {" ".join(arg.split())} outside quotes, with a plain space'
                )
            if arg.partition("=")[0] not in options:
                raise UsageError(f'a prompt that begins with "-" goes after "--": clipgen -- {shown(arg)}')
        awaited = max(awaited - 1, 0) if awaited else options.get(arg, 0)


def _check_command(typed: Typed, commands: Iterable[str]) -> None:
    """Refuse a lone word, or a first word before others, that is close to a command."""
    first, *others = typed.texts
    command = likely_command(first, commands) if " " not in first else None
    if not command:
        return
    is_other_name = first.lower() in OTHER_NAMES
    what = f'"{first}" is no command' if is_other_name else f'"{first}" looks like the command "{command}"'
    if not others and is_other_name:
        raise UsageError(f"{what}: clipgen {command}; to draw the word: clipgen run {first}")
    if not others:
        raise UsageError(f"{what}; to draw the word: clipgen run {first}")
    if command == "run":
        raise UsageError(f"{what}: clipgen {shown(' '.join(others), *typed.rest)}")
    raise UsageError(f"{what}: clipgen {command} {shown(*others, *typed.rest)}".rstrip())


def _several(typed: Typed) -> UsageError:
    """Make the error for several texts where one prompt is expected."""
    pictures = [text for text in typed.texts if _is_picture(text)]
    others = [text for text in typed.texts if text not in pictures and Path(text).suffix.lower() not in FILMS]
    prompt = shown(" ".join(others) or "a cat")
    if len(others) < len(typed.texts) and len(others) <= 1:
        if any(map(_exists, pictures)) or (pictures and typed.texts[0] in pictures):
            return UsageError(f"to start from the picture {pictures[0]}: clipgen {prompt} --init {shown(pictures[0])}")
        if pictures:
            return UsageError(f"to write to {pictures[0]}: clipgen {prompt} -o {shown(pictures[0])}")
        return UsageError(
            f"--video takes no name; -o names the picture and its films: clipgen {prompt} --video -o x.png"
        )
    if any(" " in text for text in typed.texts):
        joined = shown(" | ".join(typed.texts))
        return UsageError(
            f"{len(typed.texts)} prompts, and a run makes one picture: clipgen {joined} joins them in it, "
            "clipgen batch FILE makes one of each line"
        )
    straight = " ".join(typed.texts).strip("\"'\u201c\u201d\u201e\u2018\u2019")
    return UsageError(f"put the prompt in quotes: clipgen {shown(straight, *typed.rest)}")


def _check_file(text: str) -> None:
    """Refuse the name of a file as the only prompt."""
    if " " in text and not _exists(text):
        return
    if _is_picture(text):
        raise UsageError(
            f"{shown(text)} is a picture, not a prompt; to start from it, say what it should become: "
            f'clipgen "a cat" --init {shown(text)}'
        )
    if Path(text).suffix.lower() in TEXTS:
        raise UsageError(
            f"{shown(text)} is a file, not a prompt; for a picture of each line: clipgen batch {shown(text)}"
        )


def _check_inner_flags(text: str, options: Mapping[str, int]) -> None:
    """Refuse a prompt in whose quotes an option was caught."""
    for match in _INNER_FLAG.finditer(text):
        if match.start() and match[1] in options:
            prompt, flags = text[: match.start()].strip(), text[match.start() :]
            raise UsageError(f"{match[1]} is inside the quotes of the prompt; type clipgen {shown(prompt)} {flags}")


def _is_picture(text: str) -> bool:
    return Path(text).suffix.lower() in PICTURES


def _exists(text: str) -> bool:
    try:
        return Path(text).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):  # no file can have such a name
        return False


def _is_thing(word: str) -> bool:
    try:
        return bool(things_in(f"a {word}"))
    except UsageError:  # it has several meanings
        return True


def _is_slip(word: str, command: str) -> bool:
    """Tell whether a word is a command with a letter wrong, or two of a long one; both begin alike."""
    if not 3 <= len(word) <= 12 or abs(len(word) - len(command)) > 2:
        return False
    if sorted(word) == sorted(command):
        return edits(word, command) <= 2
    allowed = 2 if min(len(word), len(command)) >= 6 else 1 if len(command) >= 4 else 0
    return word[0] == command[0] and edits(word, command) <= allowed
