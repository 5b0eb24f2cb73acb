"""The output of commands: results on stdout, as paths or as one JSON document; notes on stderr, each once."""

import io
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from clipgen.cli.failures import say
from clipgen.session.naming import SVG
from clipgen.util.text import visible

if TYPE_CHECKING:
    from clipgen.session.candidates import Candidate


def escape_what_cannot_be_shown() -> None:
    r"""Have stdout and stderr escape characters that their encoding lacks, as in "\u732b", rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def echo_path(path: Path) -> None:
    """Print the path of a result: escaped in a terminal; elsewhere the exact bytes that open the file."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    typer.echo(visible(str(path)) if terminal else os.fsencode(path))


def _is_written(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:  # it is not there, or its folder is forbidden by now
        return False


class Results:
    """Prints the path of each file as it is written, or collects the pictures for a JSON document."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.collects = as_json
        """Whether pictures are collected and none is printed as it is written."""
        self.pictures: list[dict[str, Any]] = []
        self._ranking: dict[str, Any] = {}

    def add(self, picture: Path, films: Iterable[Path], record: Mapping[str, Any]) -> None:
        """Print or collect the files of one run and its record; empty files were not written."""
        written = [path for path in (picture, *films) if _is_written(path)]
        if self.collects and picture in written:
            drawings = [str(path) for path in written if path.suffix == SVG]
            made = {"films": [str(path) for path in written[1:] if path.suffix != SVG], **record}
            self.pictures.append({"path": str(picture), **({"svg": drawings[0]} if drawings else {}), **made})
        elif not self.collects:
            for path in written:
                echo_path(path)

    def rank(self, candidates: "Sequence[Candidate]") -> None:
        """Keep the seeds and scores of candidates, which are in the order of their scores, for the JSON document."""
        rows = [{"seed": each.plan.seed, "score": each.score} for each in candidates]
        self._ranking = {"judges": list(candidates[0].judges), "candidates": rows}

    def print_made(self, *, several: bool = False) -> None:
        """Print the JSON document of the pictures, if asked to: one object, or a list with `several`."""
        for document in [{"pictures": self.pictures, **self._ranking}] if several else self.pictures:
            self.print_json(document)

    def print_json(self, document: object) -> None:
        """Print the document if JSON was asked for."""
        if self._as_json:
            typer.echo(json.dumps(document, indent=2))


class Notes:
    """Prints each note once, or none when quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._said: set[str] = set()

    def note(self, line: str) -> None:
        self.say([line])

    def say(self, notes: Iterable[str]) -> None:
        for note in notes:
            if not self.quiet and note not in self._said:
                self._said.add(note)
                say(note)
