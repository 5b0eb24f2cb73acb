"""What `clipgen.generate` returns: a picture that can be saved with its recipe, and shows itself in a notebook."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipgen.engine.optimise import Result as Made
from clipgen.errors import ClipgenError, UsageError
from clipgen.outputs.png import write_png
from clipgen.session.naming import check_out, destination
from clipgen.util.files import replacing, reserved


@dataclass(frozen=True)
class Result(Made):
    """One picture, the plan that reproduces it, and its recipe."""

    record: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The recipe: the plan and the outcome, as it stands in a PNG file."""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture with its recipe as a PNG file, and return its path.

        `path` is a PNG file, or a folder, in which it gets the name that the command line gives it. Nothing is
        overwritten: a name that is taken gets a number. Raises ClipgenError.
        """
        out = Path(path)
        try:
            check_out(out)
        except UsageError as error:
            raise UsageError(
                f"{str(out)!r} is no PNG file; save {out.with_suffix('.png').name!r}, "
                "or use result.image.save, which writes no recipe"
            ) from error
        folder, stem = destination(out, self.plan)
        with reserved(folder, stem, (".png",), flag="path") as paths:
            try:
                with replacing(paths[".png"]) as partial:
                    write_png(partial, self.image, self.plan, self.record)
            except OSError as error:
                raise ClipgenError(f"{paths['.png']} could not be written: {error.strerror or error}") from error
            return paths[".png"]

    def _repr_png_(self) -> bytes:
        """Return the PNG file that a notebook shows."""
        file = io.BytesIO()
        write_png(file, self.image, self.plan, self.record)
        return file.getvalue()
