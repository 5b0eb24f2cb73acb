"""What `clipgen.generate` returns: a picture that can be saved with its recipe, and shows itself in a notebook."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipgen.config.saving import AS_PNG, Saving
from clipgen.core.contracts import Outcome
from clipgen.engine.optimise import Result as Made
from clipgen.errors import ClipgenError, UsageError
from clipgen.outputs.picture_file import write_picture
from clipgen.session.naming import check_out, destination, suffix_of
from clipgen.session.plan_rows import plan_rows
from clipgen.util import html
from clipgen.util.files import replacing, reserved

MAX_SHOWN = 16_000_000
"""Bytes of the largest film that is put into a notebook, which keeps all of it."""
_MOVING_PICTURES = {".gif": "image/gif", ".apng": "image/apng"}


@dataclass(frozen=True)
class Result(Made):
    """One picture, the plan that reproduces it, and its recipe."""

    record: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The recipe: the plan and the outcome, as it stands in the file."""
    films: tuple[Path, ...] = ()
    """The films of the run that were written."""

    def save(self, path: str | os.PathLike[str], *, quality: int | None = None, mark: bool = True) -> Path:
        """Write the picture with its recipe as a PNG, JPEG or WebP file, and return its path.

        `path` is a file, or a folder, in which it gets the name that the command line gives it. Nothing is overwritten:
        a name that is taken gets a number. quality: of JPEG and WebP, from 1 to 100. mark: whether the file says, in
        the words of IPTC, that a computer made the picture. Raises ClipgenError.
        """
        out = Path(path)
        try:
            check_out(out)
        except UsageError as error:
            raise UsageError(
                f"{str(out)!r} is no PNG, JPEG or WebP file; save {out.with_suffix('.png').name!r}, "
                "or use result.image.save, which writes no recipe"
            ) from error
        saving = Saving(suffix_of(out), quality, mark=mark)
        saving.check(self.image.size)
        folder, stem = destination(out, self.plan)
        with reserved(folder, stem, (saving.suffix,), flag="path") as paths:
            own = paths[saving.suffix]
            try:
                with replacing(own) as partial:
                    write_picture(partial, self.image, self.plan, self.record, saving)
            except OSError as error:
                raise ClipgenError(f"{own} could not be written: {error.strerror or error}") from error
            return own

    def _repr_png_(self) -> bytes:
        """Return the PNG file that a notebook shows."""
        file = io.BytesIO()
        write_picture(file, self.image, self.plan, self.record, AS_PNG)
        return file.getvalue()

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the picture with its recipe in it, its films, and the settings in a fold."""
        plan, numbers = self.plan, f"seed {self.plan.seed}, score {self.score:.3f}"
        ended = "" if self.outcome is Outcome.FINISHED else f", {self.outcome.value}"
        settings = html.table(plan_rows(plan, self.record.get("init_sha256")))
        pictures = [html.image(self._repr_png_(), "image/png", plan.text), *map(_film, self.films)]
        parts = [
            f'<div style="display:flex;flex-wrap:wrap;gap:8px;align-items:flex-start">{"".join(pictures)}</div>',
            f"<div><b>{html.text(plan.text)}</b></div><div>{numbers}{ended}</div>",
            *(f"<div>{html.text(note)}</div>" for note in self.notes),
            f"<details><summary>settings</summary>{settings}</details>",
        ]
        return "".join(parts)


def _film(path: Path) -> str:
    """Return an element that plays a film; one that is large or gone is named only."""
    try:
        content = path.read_bytes() if path.stat().st_size <= MAX_SHOWN else b""
    except OSError:
        content = b""
    if not content:
        return f"<div>{html.text(path)}</div>"
    if path.suffix in _MOVING_PICTURES:
        return html.image(content, _MOVING_PICTURES[path.suffix], str(path))
    source = html.address(content, f"video/{path.suffix[1:]}")
    return f'<video src="{source}" controls loop autoplay muted playsinline style="max-width:100%"></video>'
