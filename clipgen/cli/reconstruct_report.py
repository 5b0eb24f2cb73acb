"""What `clipgen reconstruct` writes and prints: a sheet, tokens, a table or a JSON document."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipgen.cli.inventory import print_table
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.report import echo_path
from clipgen.judge.intervals import mean_interval
from clipgen.judge.reconstruction import Reconstruction, Usage
from clipgen.outputs.sheet import cell_side, contact_sheet, fitted, write_sheet
from clipgen.outputs.tokens import token_picture
from clipgen.util.files import replacing, reserved
from clipgen.util.tokens import TokenGrid

if TYPE_CHECKING:
    from PIL.Image import Image

    from clipgen.cli.reconstruct import Made, Written

MAX_SHOWN = 32
"""Pictures on the sheet, the first ones; all are in the table."""
MEASURES: dict[str, Callable[[Reconstruction], float]] = {
    "psnr": lambda made: made.psnr,
    "ssim": lambda made: made.ssim,
    "codes": lambda made: made.usage.used,
    "share": lambda made: made.usage.share,
    "perplexity": lambda made: made.usage.perplexity,
}
HEAD = ("PICTURE", "MODEL", "PSNR", "SSIM", "CODES", "SHARE", "PERPLEXITY")
DIGITS = {"psnr": 2, "ssim": 4, "codes": 1, "share": 4, "perplexity": 1}


class Report:
    """Collects reconstructions, and writes their files.

    counts: how many codes each model has. `close` writes the sheet and prints what was found.
    """

    def __init__(self, folder: Path, stem: str, counts: Mapping[str, int], wanted: Written) -> None:
        self.rows: list[dict[str, Any]] = []
        """One for each picture and model, as JSON values."""
        self.skipped: dict[str, str] = {}
        """Pictures that could not be read, and why."""
        self._folder, self._stem, self._counts, self._wanted = folder, stem, counts, wanted
        self._cells: list[Image] = []
        self._captions: list[str] = []
        self._codes: dict[str, list[Any]] = {name: [] for name in counts}

    def add(self, made: Sequence[Made]) -> None:
        """Take what all models made of one picture."""
        rows = [self._row(one) for one in made]
        if len(self.rows) < MAX_SHOWN * len(self._counts):
            side = cell_side(1 + len(made), 1)
            self._cells += [fitted(each, side) for each in (made[0].made.original, *(one.made.rebuilt for one in made))]
            self._captions += [made[0].path.name, *map(_caption, rows)]
        self.rows += rows

    def _row(self, one: Made) -> dict[str, Any]:
        found = one.made
        self._codes[one.model].append(found.codes)
        numbers = {name: _finite(measure(found)) for name, measure in MEASURES.items()}
        sizes = {"size": list(found.original.size), "tokens": [found.codes.shape[1], found.codes.shape[0]]}
        return {"path": str(one.path), "model": one.model, **sizes, **numbers, "files": self._files(one)}

    def _files(self, one: Made) -> list[str]:
        """Write the tokens and the reconstruction of a picture, as far as they are wanted."""
        stem = f"{one.path.stem}-{one.model.replace('/', '-')}"
        codes, made = one.made.codes, one.made
        drawn = (
            {"-tokens.png": token_picture(codes, made.original.width // codes.shape[1])} if self._wanted.tokens else {}
        )
        drawn |= {".png": made.rebuilt} if self._wanted.alone else {}
        suffixes = [*([".npy"] if self._wanted.tokens else []), *drawn]
        if not suffixes:
            return []
        with reserved(self._folder, stem, suffixes) as paths:
            if ".npy" in paths:
                TokenGrid.of(codes, "the tokens").save(paths[".npy"])
            for suffix, picture in drawn.items():
                with replacing(paths[suffix]) as partial:
                    picture.save(partial, format="PNG")
        return [str(paths[suffix]) for suffix in suffixes]

    def close(self, output: OutputOptions) -> None:
        """Write the sheet, and print the numbers and the paths of all files; nothing if no picture was read."""
        if not self.rows:
            return
        columns = 1 + len(self._counts)
        sheet = contact_sheet(self._cells, columns, captions=self._captions, column_labels=["original", *self._counts])
        path = write_sheet(sheet, self._folder, self._stem, self._stem)
        if (count := len(self.rows) // len(self._counts)) > MAX_SHOWN:
            output.notes().note(f"the sheet shows the first {MAX_SHOWN} of {count} pictures")
        if output.as_json:
            skipped = [{"path": name, "error": error} for name, error in self.skipped.items()]
            document = {"sheet": str(path), "pictures": self.rows, "means": self._means(), "skipped": skipped}
            output.results().print_json(document)
            return
        self._print_tables(count)
        for written in (path, *(Path(name) for row in self.rows for name in row["files"])):
            echo_path(written)

    def _means(self) -> list[dict[str, Any]]:
        """Return, by model, the mean over pictures of each measure, and the usage of its codes by all of them."""
        found = []
        for name, count in self._counts.items():
            rows = [row for row in self.rows if row["model"] == name]
            means = {measure: _mean([row[measure] for row in rows]) for measure in MEASURES}
            together = asdict(Usage.of(self._codes[name], count))
            found.append({"model": name, "codebook": count, "pictures": len(rows), **means, "together": together})
        return found

    def _print_tables(self, count: int) -> None:
        print_table(HEAD, [(row["path"], row["model"], *_texts(row)) for row in self.rows])
        if count == 1:
            return
        print_table(
            (f"MEAN OF {count}", *HEAD[2:], "CODES OF ALL", "PERPLEXITY OF ALL"),
            [
                (
                    row["model"],
                    *(_interval_text(row[name], DIGITS[name]) for name in MEASURES),
                    f"{row['together']['used']} of {row['codebook']}",
                    f"{row['together']['perplexity']:.1f}",
                )
                for row in self._means()
            ],
        )


def _finite(value: float) -> float | None:
    """Return a number as JSON can have it: None for the infinite PSNR of equal pictures."""
    return value if math.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> dict[str, float] | None:
    """Return a mean and its interval; None if a value is infinite."""
    known = [value for value in values if value is not None]
    return asdict(mean_interval(known)) if len(known) == len(values) else None


def _texts(row: Mapping[str, Any]) -> list[str]:
    return [_text(row[name], 0 if name == "codes" else digits) for name, digits in DIGITS.items()]


def _text(value: float | None, digits: int) -> str:
    return "inf" if value is None else f"{value:.{digits}f}"


def _interval_text(found: Mapping[str, float] | None, digits: int) -> str:
    if found is None:
        return "inf"
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"


def _caption(row: Mapping[str, Any]) -> str:
    return f"{_text(row['psnr'], 1)} dB, SSIM {_text(row['ssim'], 3)}, {row['codes']} codes"
