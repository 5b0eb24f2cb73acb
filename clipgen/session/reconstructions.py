"""What autoencoders made of many pictures: the files of each, one sheet, and the means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL.Image import Image

from clipgen.judge.intervals import mean_interval
from clipgen.judge.reconstruction import Codes, Reconstruction, Usage
from clipgen.outputs.picture_file import write_marked
from clipgen.outputs.sheet import cell_side, contact_sheet, fitted, write_sheet
from clipgen.outputs.tokens import token_picture
from clipgen.outputs.xmp import COMPOSITE
from clipgen.util.files import replacing, reserved
from clipgen.util.tokens import TokenGrid

MAX_SHOWN = 32
"""Pictures on the sheet, the first ones."""
MEASURES = ("psnr", "ssim", "lpips", "codes", "share", "perplexity")
"""The numbers of a picture, by their keys in a row."""


@dataclass(frozen=True)
class Made:
    """A picture, and what a model made of it."""

    path: Path
    model: str
    found: Reconstruction


class Reconstructions:
    """Collects what models made of pictures, and writes their files.

    counts: how many codes each model has, 0 for none. tokens, alone: whether to write the tokens of each picture, and
    each reconstruction.
    """

    def __init__(self, folder: Path, stem: str, counts: Mapping[str, int], *, tokens: bool, alone: bool) -> None:
        self.rows: list[dict[str, Any]] = []
        """One for each picture and model, as JSON values."""
        self._folder, self._stem, self._counts = folder, stem, counts
        self._tokens, self._alone = tokens, alone
        self._cells: list[Image] = []
        self._captions: list[str] = []
        self._codes: dict[str, list[Codes]] = {name: [] for name in counts}

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return len(self.rows) // len(self._counts)

    def add(self, made: Sequence[Made]) -> None:
        """Take what all models made of one picture."""
        rows = [self._row(one) for one in made]
        if self.count < MAX_SHOWN:
            side = cell_side(1 + len(made), 1)
            images = [made[0].found.original, *(one.found.rebuilt for one in made)]
            self._cells += [fitted(image, side) for image in images]
            self._captions += [made[0].path.name, *map(_caption, rows)]
        self.rows += rows

    def write_sheet(self) -> Path:
        """Write the sheet, which has the original and all reconstructions of a picture in each row."""
        labels = ["original", *self._counts]
        sheet = contact_sheet(self._cells, len(labels), captions=self._captions, column_labels=labels)
        return write_sheet(sheet, self._folder, self._stem, self._stem, sources=[COMPOSITE])

    def means(self) -> list[dict[str, Any]]:
        """Return, by model, the mean over pictures of each measure, and the usage of its codes by all of them."""
        return [self._mean_row(name, count) for name, count in self._counts.items()]

    def _mean_row(self, model: str, count: int) -> dict[str, Any]:
        rows = [row for row in self.rows if row["model"] == model]
        means = {name: _mean([row[name] for row in rows]) for name in MEASURES}
        together = asdict(Usage.of(self._codes[model], count)) if count else None
        return {"model": model, "codebook": count or None, "pictures": len(rows), **means, "together": together}

    def _row(self, one: Made) -> dict[str, Any]:
        found = one.found
        usage: dict[str, Any] = dict.fromkeys(("codes", "share", "perplexity"))
        cells = None
        if found.codes is not None and found.usage is not None:
            self._codes[one.model].append(found.codes)
            usage, cells = asdict(found.usage), [found.codes.shape[1], found.codes.shape[0]]
        psnr = found.psnr if math.isfinite(found.psnr) else None  # JSON has no infinity
        numbers = {"psnr": psnr, "ssim": found.ssim, "lpips": found.lpips, **usage}
        sizes = {"size": list(found.original.size), "tokens": cells}
        return {"path": str(one.path), "model": one.model, **sizes, **numbers, "files": self._written(one)}

    def _written(self, one: Made) -> list[str]:
        """Write the tokens and the reconstruction of a picture, as far as they are wanted; returns the paths."""
        codes, found = one.found.codes, one.found
        drawn: dict[str, Image] = {}
        if self._tokens and codes is not None:
            drawn["-tokens.png"] = token_picture(codes, max(found.original.width // codes.shape[1], 1))
        if self._alone:
            drawn[".png"] = found.rebuilt
        suffixes = [*([".npy"] if self._tokens and codes is not None else []), *drawn]
        if not suffixes:
            return []
        with reserved(self._folder, f"{one.path.stem}-{one.model.replace('/', '-')}", suffixes) as paths:
            if self._tokens and codes is not None:
                TokenGrid.of(codes, "the tokens").save(paths[".npy"])
            for suffix, picture in drawn.items():
                with replacing(paths[suffix]) as partial:
                    write_marked(partial, picture, COMPOSITE)
            return [str(paths[suffix]) for suffix in suffixes]


def _mean(values: Sequence[float | None]) -> dict[str, float] | None:
    """Return a mean and its interval; None if a value is infinite, or is not known."""
    known = [value for value in values if value is not None]
    return asdict(mean_interval(known)) if len(known) == len(values) else None


def _caption(row: Mapping[str, Any]) -> str:
    psnr = "equal" if row["psnr"] is None else f"{row['psnr']:.1f} dB"
    codes = "" if row["codes"] is None else f", {row['codes']} codes"
    return f"{psnr}, SSIM {row['ssim']:.3f}{codes}"
