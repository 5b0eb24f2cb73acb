"""What `clipgen.generate` returns: a picture that can be saved with its recipe, and shows itself in a notebook."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipgen.config.saving import AS_PNG, Saving
from clipgen.engine.optimise import Result as Made
from clipgen.errors import ClipgenError, UsageError
from clipgen.outputs.picture_file import write_picture
from clipgen.session.naming import check_out, destination, suffix_of
from clipgen.util.files import replacing, reserved


@dataclass(frozen=True)
class Result(Made):
    """One picture, the plan that reproduces it, and its recipe."""

    record: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The recipe: the plan and the outcome, as it stands in the file."""

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
