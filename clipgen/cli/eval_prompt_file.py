"""Files of prompts for evaluations: one a line, or a table separated by tabs, as PartiPrompts is. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clipgen.cli.prompt_text import read_text
from clipgen.cli.values import expanded
from clipgen.config.prompts import Prompt
from clipgen.errors import UsageError
from clipgen.util.text import quoted

PROMPT, CATEGORY = "Prompt", "Category"
TAB = "\t"


@dataclass(frozen=True)
class PromptRow:
    """A prompt of a file."""

    text: str
    category: str = ""


def read_prompts(path: Path) -> list[PromptRow]:
    """Return the different prompts of a file, each once. Raises UsageError, which names the line.

    Of plain lines, blank ones and those that start with "#" are skipped, as in the file of a batch.
    """
    path = expanded(path, "--prompts")
    name = f"--prompts {path}"
    text = read_text(str(path), name).replace("\r\n", "\n").replace("\r", "\n")
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    is_table = path.suffix.lower() == ".tsv" or (bool(lines) and TAB in lines[0][1])
    read = (_table(name, lines) if is_table else _plain) if lines else _plain
    found = {row.text: row for number, line in lines if (row := _checked(name, number, line, read))}
    if not found:
        raise UsageError(f"{name} holds no prompt; write one on each line")
    return list(found.values())


def spread(rows: Sequence[PromptRow], count: int) -> list[PromptRow]:
    """Return so many rows, spread evenly over all."""
    return [rows[k * len(rows) // count] for k in range(count)]


def _plain(line: str) -> PromptRow | None:
    return None if line.lstrip().startswith("#") else PromptRow(line.strip())


def _table(name: str, lines: list[tuple[int, str]]) -> Callable[[str], PromptRow | None]:
    """Take the header off the lines of a table, and return what reads the others."""
    columns = [_cell(text) for text in lines.pop(0)[1].split(TAB)]
    if PROMPT not in columns:
        raise UsageError(f"{name} has no column {PROMPT}, only {', '.join(map(quoted, columns))}; name one so")
    place, group = columns.index(PROMPT), columns.index(CATEGORY) if CATEGORY in columns else None

    def read(line: str) -> PromptRow | None:
        cells = [_cell(text) for text in line.split(TAB)] + [""] * len(columns)
        return PromptRow(cells[place], cells[group] if group is not None else "") if cells[place] else None

    return read


def _cell(text: str) -> str:
    """Return the content of a cell, which may stand in quotes, those inside it twice."""
    text = text.strip()
    inner = text[1:-1]
    is_quoted = len(text) > 1 and text[0] == text[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"').strip() if is_quoted else text


def _checked(name: str, number: int, line: str, read: Callable[[str], PromptRow | None]) -> PromptRow | None:
    try:
        row = read(line)
        return row and PromptRow(Prompt(row.text).text, row.category)
    except UsageError as error:
        raise UsageError(f"{name}, line {number}: {error}; an evaluation takes one text a line") from error
