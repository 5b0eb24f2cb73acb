"""Tables of pictures and captions, TSV and CSV, as data sets have them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import chain, islice
from os.path import isfile, realpath
from pathlib import Path

from clipgen.errors import UsageError
from clipgen.util.regular import open_regular
from clipgen.util.text import quoted

SUFFIXES = (".tsv", ".csv")
MAX_BYTES = 2_000_000_000
MAX_LINE = 100_000
"""Bytes of a line; a longer one is taken for several."""
MAX_ROWS = 5_000_000
MAX_COLUMNS = 100
LOOKED_AT = 200
"""Rows that tell which column names files, and which holds the captions."""
CAPTION_NAMES = ("caption", "captions", "text", "title", "description", "sentence", "prompt", "comment", "label")


def read_table(path: Path, flag: str) -> tuple[dict[str, list[str]], int]:
    """Return the captions by the name of the picture as the table gives it, and the number of rows left out.

    The column that names files that exist, relative to the folder of the table, is that of the pictures; captions are
    in the column that the first row calls so, or in the one with the longest texts.
    Raises UsageError, which names `flag`, if the table cannot be read or none of its files is there.
    """
    found: dict[str, list[str]] = {}
    skipped = 0
    is_there = cache(partial(_is_file, path.parent))  # rows that follow each other often name one picture
    try:
        with open_regular(Path(realpath(path)), MAX_BYTES) as raw:
            rows = _rows(
                path, (line.decode("utf-8-sig", "replace") for line in iter(partial(raw.readline, MAX_LINE), b""))
            )
            first = list(islice(rows, LOOKED_AT))
            name_at, caption_at = _columns(path, first, flag)
            for place, row in enumerate(chain(first, rows)):
                name, caption = _cell(row, name_at), _cell(row, caption_at)
                if name and caption and is_there(name):
                    found.setdefault(name, []).append(caption)
                elif row and not (place == 0 and _is_header(row)):
                    skipped += 1
    except (OSError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{flag} {path} cannot be read ({reason}); check the file") from error
    return found, skipped


def _rows(path: Path, lines: Iterator[str]) -> Iterator[list[str]]:
    """Yield the cells of each row; quotes have a meaning in CSV only, as captions in TSV files begin with them."""
    if path.suffix.lower() == ".csv":
        rows: Iterable[list[str]] = csv.reader(lines)
    else:
        rows = (line.rstrip("\r\n").split("\t", MAX_COLUMNS) for line in lines)
    for count, row in enumerate(rows):
        if count >= MAX_ROWS:
            raise csv.Error(f"more than {MAX_ROWS:,} rows")
        yield [cell.strip() for cell in row[:MAX_COLUMNS]] if any(map(str.strip, row)) else []


def _columns(path: Path, rows: Sequence[list[str]], flag: str) -> tuple[int, int]:
    """Return the columns of the pictures and of the captions."""
    width = max(map(len, rows), default=0)
    if width < 2:
        way = "separated by a tab" if path.suffix.lower() == ".tsv" else "separated by a comma"
        raise UsageError(f"{flag} {path} has no two columns; each row is the path of a picture and a caption, {way}")
    hits = [sum(bool(cell) and _is_file(path.parent, cell) for cell in _column(rows, at)) for at in range(width)]
    if not any(hits):
        example = next((row[0] for row in rows[1:] or rows if row), "")
        remote = any("://" in cell for row in rows for cell in row)
        way = "addresses are not fetched; download the pictures first" if remote else "paths are relative to its folder"
        raise UsageError(f"{flag} {path} names no file that exists, as in {quoted(example)}; {way}")
    name_at = hits.index(max(hits))
    others = [at for at in range(width) if at != name_at]
    called = [at for at in others if _cell(rows[0], at).lower() in CAPTION_NAMES]
    return name_at, called[0] if called else max(others, key=lambda at: sum(map(len, _column(rows, at))))


def _is_file(folder: Path, name: str) -> bool:
    return isfile(folder / name)  # noqa: PTH113 - Path.is_file raises errors for names that no file can have


def _column(rows: Sequence[list[str]], at: int) -> Iterator[str]:
    return (_cell(row, at) for row in rows)


def _cell(row: Sequence[str], at: int) -> str:
    return row[at] if at < len(row) else ""


def _is_header(row: Sequence[str]) -> bool:
    return any(cell.lower() in CAPTION_NAMES for cell in row)
