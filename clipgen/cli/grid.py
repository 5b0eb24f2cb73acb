"""`clipgen "a cat" --grid seed=1..4 lr=0.05,0.1`: a picture for every cell, and a labelled contact sheet of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.grid_axes import FLAG, MAX_CELLS, PROMPT, Axis, Cell, cells_of, in_all, parse_axes
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import Option
from clipgen.cli.options import PICTURE, CandidateOptions
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.report import echo_path
from clipgen.cli.sessions import Opened, open_for_job
from clipgen.cli.slips import oddities
from clipgen.config.job import Job
from clipgen.config.prompts import spell_prompts
from clipgen.config.resolve import resolve
from clipgen.errors import ClipgenError, Interrupted, UsageError
from clipgen.session.naming import check_folder
from clipgen.session.options import MAX_TOGETHER
from clipgen.session.planning import plan_job
from clipgen.util.files import slug
from clipgen.util.text import readable_time

if TYPE_CHECKING:
    from PIL.Image import Image

    from clipgen.session.batch import Asked, Batch

Grid = Annotated[
    list[str] | None,
    Option(
        FLAG,
        "Make a picture for every combination of the values of one setting, or of two, and a contact sheet of them: "
        f'{FLAG} seed=1..4 lr=0.05,0.1, or prompt="a cat;a dog". 1..4 counts up; commas separate values, or semicolons '
        f"where values hold commas. Up to {MAX_CELLS} pictures. Without a seed they have seed {Job.seed}, so that the "
        "same command continues what was stopped.",
        "NAME=VALUES",
        panel=PICTURE,
    ),
]
IN_A_ROW = 8
"""Cells of a grid with one axis that stand side by side; more go on below."""
COMMAS = f'; where a loss holds commas, ";" separates losses: {FLAG} "loss=palette:5:navy,gold;symmetry"'
IN_LOCKSTEP = (PROMPT, "seed")
"""Axes along which pictures can be made in lockstep."""
LOADING = ("preset", "backend", "precision")
"""Axes along which other models are loaded, which is to happen seldom."""


def make_grid(
    fields: dict[str, Any],
    texts: Sequence[str],
    among: CandidateOptions,
    engine: EngineOptions,
    models: ModelOptions,
    output: OutputOptions,
) -> None:
    """Make the pictures of a grid and the sheet, and print their paths. Raises ClipgenError if any part failed.

    fields: those of the job that all cells have in common; texts: the axes, as they are typed.
    """
    if among != CandidateOptions():
        flag = "--candidates" if among.candidates != 1 else "--keep" if among.keep != 1 else "--judge"
        raise UsageError(f"{FLAG} makes every picture of the grid and {flag} chooses among seeds; leave one out")
    axes = parse_axes(texts)
    cells = cells_of(axes)
    check_folder(output.out, "a grid writes a picture for each cell")
    job = Job(**{**fields, **cells[0].fields})
    _check(job, axes, cells, engine.device)
    prompt = spell_prompts(fields["prompts"])
    title = "" if any(axis.name == PROMPT for axis in axes) else prompt
    output.notes().say(oddities(prompt))
    opened = open_for_job(job, engine, models, output, asks=True)
    _Run(opened, axes, cells, output, title, prompt).make(job, engine.device)


def _check(job: Job, axes: Sequence[Axis], cells: Sequence[Cell], device: str) -> None:
    """Raise a UsageError, which names the cell, unless all of them can be planned."""
    inputs = plan_job(job, device)[1]
    for cell in cells:
        try:
            resolve(replace(job, **cell.fields), inputs.size, device)
        except UsageError as error:
            hint = COMMAS if "--loss" in str(error) else ""
            raise UsageError(f"{FLAG} {_name(axes, cell)}: {error}{hint}") from error


def _name(axes: Sequence[Axis], cell: Cell) -> str:
    return " ".join(f"{axis.name}={value}" for axis, value in zip(axes, cell.values, strict=True))


class _Run:
    """Makes a grid, and reports on it."""

    def __init__(
        self,
        opened: Opened,
        axes: Sequence[Axis],
        cells: Sequence[Cell],
        output: OutputOptions,
        title: str,
        prompt: str,
    ) -> None:
        self._opened, self._axes, self._cells, self._folder = opened, axes, cells, output.out
        self._title, self._prompt, self._as_json = title, prompt, output.as_json
        self._films = opened.written.films
        opened.results.collects = True

    def make(self, job: Job, device: str) -> None:
        """Make the pictures, and the sheet if none was stopped."""
        from clipgen.session.batch import Batch

        opened, listener = self._opened, self._opened.listener
        template = opened.job or job
        batch = Batch(
            opened.session,
            template,
            opened.inputs,
            self._folder,
            opened.written,
            listener,
            device=device,
            together=MAX_TOGETHER,
            unit="picture",
        )
        asked = self._asked(template)
        self._announce(batch, asked)
        sheet: Path | None = None
        try:
            batch.make_all(asked)
            sheet = self._sheet(batch.pictures) if batch.pictures else None
        except (Interrupted, KeyboardInterrupt):
            listener.error("the same command continues the grid")
            raise
        finally:
            self._print(batch, sheet)
        if batch.failed:
            named = "; ".join(_name(self._axes, self._cells[int(str(each["picture"])) - 1]) for each in batch.failed)
            raise ClipgenError(f"{len(batch.failed)} of {len(self._cells)} pictures failed: {named}")

    def _asked(self, template: Job) -> list[Asked]:
        """Return the cells in the order in which most of them can be made in lockstep, numbered as on the sheet."""
        from clipgen.session.batch import Asked

        slow = [place for place, axis in enumerate(self._axes) if axis.name not in IN_LOCKSTEP]
        slow.sort(key=lambda place: self._axes[place].name not in LOADING)
        values = [axis.values.index for axis in self._axes]
        order = sorted(
            range(len(self._cells)), key=lambda k: [values[place](self._cells[k].values[place]) for place in slow]
        )
        return [
            Asked(
                k + 1,
                replace(template, **self._cells[k].fields).text,
                f"[{place}/{len(order)}]",
                tuple((name, value) for name, value in self._cells[k].fields.items() if name != "prompts"),
            )
            for place, k in enumerate(order, start=1)
        ]

    def _announce(self, batch: Batch, asked: Sequence[Asked]) -> None:
        """Say how many pictures it is, and about how long those take that are still to be made."""
        left = batch.plans_left(asked)
        made = len(asked) - len(left)
        line = f"grid: {in_all([len(axis.values) for axis in self._axes])} pictures"
        if made:
            line += ", all of them made already" if not left else f", {made} of them made already"
        seconds = self._opened.session.seconds_of(left)
        if seconds is not None:
            line += f", about {readable_time(seconds)}"
        self._opened.listener.idle()
        self._opened.listener.note(line)

    def _sheet(self, pictures: dict[int, Path]) -> Path:
        """Write the contact sheet, and return its path."""
        from clipgen.outputs.embedded import source_in
        from clipgen.outputs.sheet import contact_sheet, write_sheet

        across, *down = [axis.labels for axis in self._axes]
        wraps = not down and len(across) > IN_A_ROW
        columns = IN_A_ROW if wraps else len(across)
        images = [self._image(pictures.get(number)) for number in range(1, len(self._cells) + 1)]
        labels: dict[str, Any] = {"captions": across} if wraps else {"column_labels": across}
        sheet = contact_sheet(images, columns, row_labels=down[0] if down else (), title=self._title, **labels)
        try:
            marks = map(source_in, pictures.values())
            return write_sheet(sheet, self._folder, f"{slug(self._prompt)}-grid", self._prompt, sources=marks)
        except OSError as error:
            raise ClipgenError(f"the contact sheet could not be written: {error.strerror or error}") from error

    def _image(self, path: Path | None) -> Image | None:
        from clipgen.outputs.sheet import fitted
        from clipgen.util.images import load_image

        return None if path is None else fitted(load_image(path, "the picture")[0])

    def _print(self, batch: Batch, sheet: Path | None) -> None:
        """Print the sheet, then the cells row by row with their films, or all of it as one JSON document."""
        paths = [batch.pictures.get(number) for number in range(1, len(self._cells) + 1)]
        names = [axis.name for axis in self._axes]
        self._opened.results.print_json(
            {
                "sheet": None if sheet is None else str(sheet),
                "cells": [
                    {**dict(zip(names, cell.values, strict=True)), "path": None if path is None else str(path)}
                    for cell, path in zip(self._cells, paths, strict=True)
                ],
                "pictures": self._opened.results.pictures,
                "skipped": batch.skipped,
                "failed": batch.failed,
            }
        )
        if self._as_json:
            return
        files = [each for path in paths if path for each in (path, *map(path.with_suffix, self._films))]
        for each in filter(None, [sheet, *dict.fromkeys(files)]):
            echo_path(each)
