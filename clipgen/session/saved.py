"""The snapshot and the init image in a state, read as untrusted data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor

from clipgen.config.checks import check_whole, checked_number
from clipgen.config.courses import MAX_LR
from clipgen.config.films import FPS
from clipgen.config.targets import REGION
from clipgen.engine.inputs import Inputs
from clipgen.engine.snapshot import GENERATOR, Snapshot
from clipgen.errors import UsageError
from clipgen.outputs.film import lost_mark
from clipgen.outputs.footage import SEGMENT
from clipgen.session.checksum import BLANK, FIELD, check_seal
from clipgen.session.order import Order
from clipgen.util.images import MAX_BYTES, load_image, load_mask, load_overlay
from clipgen.util.regular import open_regular, sha256_of
from clipgen.util.tokens import TokenGrid

INIT, MASK, OVERLAY, TOKENS = "init.png", "mask.png", "overlay.png", "tokens.npy"
SNAPSHOT = "snapshot"
"""The key of a snapshot's header in the metadata of its file."""
MAX_BASE, MAX_PER_PIXEL = 1 << 24, 1 << 14
"""Maximum number of bytes of a snapshot, and of those for each pixel: a dVAE's logits and moments take 1 to 4 KB."""

_OLD_COUNT = re.compile(r"optimizer\.[0-9]+\.step")
_KINDS = {film.removeprefix(".") for film in FPS}
_MARKS = {lost_mark(kind) for kind in _KINDS}


@dataclass(frozen=True)
class Saved:
    """What a file of a snapshot holds."""

    snapshot: Snapshot
    digests: dict[str, str] | None
    """Those of the frames of the films, see `Footage`; None in a state of an earlier version."""


def metadata_of(snapshot: Snapshot, order: Order, digests: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata for the file of a snapshot, which `seal` completes."""
    header: dict[str, Any] = {"done": snapshot.done, "grown": snapshot.grown, "lr": snapshot.lr}
    if not order.run:
        return {SNAPSHOT: json.dumps(header)}
    return {SNAPSHOT: json.dumps({**header, "run": order.run, "digests": dict(digests)}), FIELD: BLANK}


def read_snapshot(path: Path, order: Order) -> Saved:
    """Return the snapshot in a file; raises UsageError if it is damaged, or not one of this order."""
    try:
        return _read(path, order)
    except (SafetensorError, KeyError, TypeError, ValueError, OSError, RecursionError, UsageError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(f"{path} is damaged ({reason}); make the picture again") from error


def _read(path: Path, order: Order) -> Saved:
    plan = order.plan
    limit = MAX_BASE + MAX_PER_PIXEL * plan.size[0] * plan.size[1]
    if order.run:
        check_seal(path, limit)
    open_regular(path, limit).close()
    with safe_open(path, framework="pt") as file:
        header = json.loads((file.metadata() or {})[SNAPSHOT])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    if order.run and header["run"] != order.run:
        raise ValueError("it is the state of another picture")
    done, lr, grown = header["done"], header["lr"], header["grown"]
    check_whole("the number of steps that are done", done, 0, plan.steps)
    if checked_number("the learning rate", lr, 0.0, MAX_LR) == 0 or not isinstance(grown, bool):
        raise ValueError("its numbers are out of range")
    tensors = _counted(tensors)
    _check_tensors(tensors, done)
    return Saved(Snapshot(done, grown, float(lr), tensors), _digests(header, order))


def _digests(header: Mapping[str, Any], order: Order) -> dict[str, str] | None:
    """Return the checksums of the frames; raises ValueError unless they have the names and the form of such."""
    if not order.run:
        return None
    digests = dict(header["digests"])
    for name, digest in digests.items():
        segment = SEGMENT.fullmatch(name)
        good = (segment and segment[1] in _KINDS and re.fullmatch("[0-9a-f]{64}", digest)) or name in _MARKS
        if not good:
            raise ValueError("its list of frames is wrong")
    return digests


def _counted(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a state with the optimiser's step count as `LatentOptimizer` expects it.

    States of schema 1 have one count for each latent, and none if the optimiser has no moments.
    """
    counts = [value for name, value in tensors.items() if _OLD_COUNT.fullmatch(name)]
    others = {name: value for name, value in tensors.items() if not _OLD_COUNT.fullmatch(name)}
    return {"optimizer.counts": counts[0].reshape(1) if counts else torch.zeros(1), **others}


def _check_tensors(tensors: Mapping[str, Tensor], done: int) -> None:
    """Raise ValueError if a latent is not finite, or the count of steps is none."""
    for name, tensor in tensors.items():
        if name.startswith(GENERATOR) and not tensor.isfinite().all():
            raise ValueError(f"{name} has numbers that are not finite")
    count = tensors["optimizer.counts"]
    if count.numel() == 1 and not 0 <= float(count) <= done:
        raise ValueError(f"{float(count):g} of {done} steps were made by the optimiser")


def read_inputs(folder: Path, order: Order) -> Inputs:
    """Return the images and tokens of a state that its plan needs; raises UsageError if one is missing or damaged."""
    plan, known = order.plan, {INIT: order.init_png, **dict(order.pngs)}
    names = {INIT: bool(plan.init), MASK: bool(plan.edit)}
    init, mask = (_image(folder / name, order, known.get(name, "")) if has else None for name, has in names.items())
    files = [row for row in plan.targets if row.is_file]
    targets = [
        _image(folder / name, order, known.get(name, ""), grey=row.kind == REGION)
        for row, name in zip(files, target_names(len(files)), strict=True)
    ]
    overlay = _image(folder / OVERLAY, order, known.get(OVERLAY, "")) if plan.overlay else None
    tokens = _tokens(folder / TOKENS, order, known.get(TOKENS, "")) if plan.init_tokens else None
    return Inputs(init, mask, overlay=overlay, tokens=tokens, targets=tuple(targets))


def target_names(count: int) -> list[str]:
    """Return the names of the files of target images in a state."""
    return [f"target-{number:02d}.png" for number in range(1, count + 1)]


def _tokens(path: Path, order: Order, digest: str) -> TokenGrid:
    """Read the tokens of a state; raises UsageError if they are missing or not as they were."""
    found = TokenGrid.read(path, "the tokens")
    if order.run and found.sha256 != digest:
        raise UsageError(f"{path} is damaged (its checksum is wrong); make the picture again")
    return found


def _image(path: Path, order: Order, digest: str, *, grey: bool = False) -> Image.Image:
    """Read an image of a state; raises UsageError if it is missing or not as it was."""
    try:
        found = sha256_of(path, MAX_BYTES)
        if order.run and found != digest:
            raise UsageError("its checksum is wrong")
        if path.name == OVERLAY:
            return load_overlay(path)
        return load_mask(path) if grey or path.name == MASK else load_image(path)[0]
    except (OSError, UsageError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UsageError(f"{path} is damaged ({reason}); make the picture again") from error
