"""The files that a job names, read and made ready: images are extended and masked, and the hashes of files kept."""

from __future__ import annotations

from dataclasses import replace
from os.path import lexists  # which is False, and no error, for a name that no file can have
from pathlib import Path
from typing import TYPE_CHECKING

from clipgen.config.edits import EditSettings, Sides
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.priors import PROPOSING
from clipgen.config.targets import PLACES, REGION, TARGET_KINDS, TargetSettings
from clipgen.config.tokens import FLAG
from clipgen.engine.inputs import Inputs
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from clipgen.util.tokens import TokenGrid

DIGEST = "clipgen_sha256"
"""Key of `Image.info`."""
TARGET_SIDE = 512
"""Perceptors see target images at less than this."""


def load_inputs(job: Job, given: Inputs | Image | None = None) -> tuple[Inputs, list[str]]:
    """Load what a job names, with a note on what was ignored in the files. Raises UsageError.

    given: its init image or its tokens, if they are loaded already.
    """
    init, edit, image = job.init, job.edit, Inputs.of(given).init
    tokens = _tokens(job, Inputs.of(given).tokens)
    base, notes = _loaded(init, "--init", image) if init else (None, [])
    mask = None
    if base is not None and edit is not None:
        mask = _mask(edit, base)
        base = extended(base, edit.extend)
    pictures = []
    for row in job.target_rows:
        if row.is_file:
            picture, said = _target(row)
            pictures.append(picture)
            notes += said
    laid = [_read_overlay(row.file) for row in job.overlay_rows]
    return Inputs(base, mask, overlay=laid[0] if laid else None, tokens=tokens, targets=tuple(pictures)), notes


def completed(job: Job, given: Inputs | Image | None = None) -> Job:
    """Return a job that extends its init image to a square below, if a prior is to complete it; else the job itself.

    Raises UsageError if the image is no upper part of a square, and nothing says what may change.
    """
    if job.init is None or job.edit is not None or job.start not in PROPOSING:
        return job
    image, _ = _loaded(job.init, "--init", Inputs.of(given).init)
    width, height = image.size
    if height >= width:
        raise UsageError(
            f"--start {job.start} completes a picture below its upper rows, and {job.init!r} is no upper part of a "
            "square; say what may change, as in --mask bottom"
        )
    return replace(job, extend=f"0,0,0,{width - height}")


def with_digests(plan: Plan, inputs: Inputs) -> Plan:
    """Return the plan with the hashes of the files of its mask, overlay, tokens and targets."""
    digests = iter([file_digest(image) or "" for image in inputs.targets])
    targets = tuple(replace(row, sha256=next(digests)) if row.is_file else row for row in plan.targets)
    edit = tuple(replace(row, sha256=file_digest(inputs.mask) or "") if row.is_file else row for row in plan.edit)
    overlay = tuple(replace(row, sha256=file_digest(inputs.overlay) or "") for row in plan.overlay)
    digest = inputs.tokens.sha256 if inputs.tokens else ""
    tokens = tuple(replace(row, sha256=digest) for row in plan.init_tokens)
    return replace(plan, targets=targets, edit=edit, overlay=overlay, init_tokens=tokens)


def file_digest(image: Image | None) -> str | None:
    """Return the SHA-256 of the file of an image as it was when it was loaded; None if it came from no file."""
    return image.info.get(DIGEST) if image else None


def extended(image: Image, sides: Sides) -> Image:
    """Return an image with more pixels on its left, top, right and bottom, which repeat its edge."""
    if not any(sides):
        return image
    import numpy as np
    from PIL import Image as Pillow

    left, top, right, bottom = sides
    wide = np.pad(np.asarray(image), ((top, bottom), (left, right), (0, 0)), mode="edge")
    result = Pillow.fromarray(wide)
    result.info |= image.info
    return result


def _tokens(job: Job, given: TokenGrid | None) -> TokenGrid | None:
    if given is not None or job.init_tokens is None:
        return given
    from clipgen.util.tokens import TokenGrid

    return TokenGrid.read(job.init_tokens, FLAG)


def _mask(edit: EditSettings, image: Image) -> Image:
    """Return the mask (mode L) of an image that is to be extended; raises UsageError if it is all black or white."""
    from PIL import Image as Pillow

    left, top, right, bottom = edit.extend
    drawn = Pillow.new("L", image.size, 0)
    if edit.is_file:
        drawn = _read_mask(edit.mask, "--mask")
        if drawn.size != image.size:
            raise UsageError(
                f"--mask {edit.mask!r} has {drawn.width}x{drawn.height} pixels, the init image {image.width}x"
                f"{image.height}; give a mask of the same size"
            )
    elif edit.mask:
        width, height = image.size
        box = [round(part * side) for part, side in zip(PLACES[edit.mask], (width, height) * 2, strict=True)]
        drawn.paste(255, (box[0], box[1], box[2], box[3]))
    whole = Pillow.new("L", (image.width + left + right, image.height + top + bottom), 255)
    whole.paste(drawn, (left, top))
    whole.info |= drawn.info
    _check_mask(whole, f"--mask {edit.mask!r}")
    return whole


def _check_mask(mask: Image, what: str) -> None:
    """Raise a UsageError if a mask says nothing."""
    darkest, brightest = mask.getextrema()
    if brightest == 0:
        raise UsageError(f"{what} is all black, so nothing would change; paint the part that may change white")
    if darkest == 255:
        raise UsageError(f"{what} is all white, so everything would change; leave it out, or paint what stays black")


def _target(row: TargetSettings) -> tuple[Image, list[str]]:
    """Load the image of a target, or the mask of a region."""
    flag = TARGET_KINDS[row.kind].flag
    if row.kind == REGION:
        mask = _read_mask(row.detail, flag)
        _check_mask(mask, f"{flag} {row.detail!r}")
        return mask, []
    image, notes = _loaded(row.detail, flag)
    image.thumbnail((TARGET_SIDE, TARGET_SIDE))
    return image, notes


def _read_mask(path: str, flag: str) -> Image:
    from clipgen.outputs.metadata import hash_file
    from clipgen.util.images import load_mask

    if not Path(path).suffix and not lexists(path):
        raise UsageError(f"{flag} {path!r} is neither one of {', '.join(PLACES)} nor a file; check the spelling")
    mask = load_mask(path, flag)
    mask.info[DIGEST] = hash_file(path, flag)
    return mask


def _read_overlay(path: str) -> Image:
    from clipgen.outputs.metadata import hash_file
    from clipgen.util.images import load_overlay

    overlay = load_overlay(path)
    overlay.info[DIGEST] = hash_file(path, "--overlay")
    return overlay


def _loaded(path: str, flag: str, image: Image | None = None) -> tuple[Image, list[str]]:
    """Load an image with the digest of its file: by the time of the run another one may have its name."""
    if image is not None:
        return image, []
    from clipgen.outputs.metadata import hash_file
    from clipgen.util.images import load_image

    loaded, notes = load_image(path, flag)
    loaded.info[DIGEST] = hash_file(path, flag)
    return loaded, notes
