"""The state of a run on disk: everything needed to continue after a stop, a crash or a power cut.

For `a-cat-7.png` it is the folder `a-cat-7.clipgen` beside it, which exists while the picture is unfinished:

    job.json            what to make: the plan, the films
    init.png ...        the init image, the mask and target images, as the run uses them
    tokens.npy          the tokens that it begins at
    state.safetensors   the last snapshot, replaced atomically
    files.json          what the run has written under its names, see `ownership`
    steps.jsonl         the pictures of single steps that it has written, likewise
    lock                held by the run that makes the picture
    mp4-000000.pngs ... the frames of a film so far

job.json names the run and has the SHA-256 of itself and of the images; the snapshot names the same run, and has that of
itself and of all frames. A folder whose job.json names no run is of an earlier version, which had none of these.
Everything in it is read as untrusted data, with the checks of a job file.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout
from PIL import Image, ImageOps
from safetensors.torch import save_file

from clipgen.config.checks import MAX_JSON, load_json
from clipgen.engine.inputs import Inputs
from clipgen.engine.snapshot import Snapshot
from clipgen.errors import ClipgenError, UsageError
from clipgen.session.checksum import seal
from clipgen.session.order import Order
from clipgen.session.ownership import OwnFiles, OwnSteps
from clipgen.session.saved import INIT, MASK, OVERLAY, TOKENS, metadata_of, read_inputs, read_snapshot, target_names
from clipgen.util.files import replacing
from clipgen.util.images import MAX_BYTES
from clipgen.util.regular import read_regular, sha256_of
from clipgen.util.tokens import TokenGrid

SUFFIX = ".clipgen"
JOB, STATE, LOCK = "job.json", "state.safetensors", "lock"
PATIENCE = 2.0
"""Seconds that a folder may lack its job, because another process has only just created it."""


class BusyError(UsageError):
    """Another process is making this picture."""


class Workspace:
    """The folder of one unfinished picture, locked while it is open."""

    def __init__(self, folder: Path, order: Order, inputs: Inputs) -> None:
        self.folder = folder
        self.inputs = inputs
        self.order = order
        self.own, self.own_steps = OwnFiles(folder), OwnSteps(folder)
        """What the run has written under its names, and the pictures of single steps."""
        self.digests: dict[str, str] | None = {} if order.run else None
        """Those of the frames of the films, see `Footage`; saved with each snapshot."""
        self.was_left = False
        """Whether it was there before: then it stays until its picture is finished, whether a step was made or not."""
        self._lock = FileLock(folder / LOCK)

    @classmethod
    def create(cls, folder: Path, order: Order, inputs: Inputs | Image.Image | None = None) -> Self:
        """Create the folder for a picture; raises UsageError if it exists or cannot be created."""
        workspace = cls(folder, replace(order, run=secrets.token_hex(8)), _fitted(Inputs.of(inputs), order.plan.size))
        try:
            folder.mkdir()
            workspace._fill()
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(f"-o {folder} cannot be created ({reason}): choose another folder") from error
        return workspace

    def _fill(self) -> None:
        try:
            self._lock.acquire(blocking=False)
            known = {name: self._save(name, image) for name, image in _named(self.inputs)}
            init_png = known.pop(INIT, "")
            self.change(replace(self.order, init_png=init_png, pngs=tuple(known.items())))
        except BaseException:  # including Ctrl-C: nothing useless is left behind
            self.discard()
            raise

    def _save(self, name: str, image: Image.Image | TokenGrid) -> str:
        """Save an image or tokens; returns the SHA-256 of the file."""
        path = self.folder / name
        image.save(path)
        return sha256_of(path, MAX_BYTES)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the folder of a stopped run; raises BusyError if it is still running, UsageError if it is damaged."""
        order = read_order(folder)
        if order is None:
            raise UsageError(f"{folder} is not the state of a clipgen run, or is damaged; make the picture again")
        workspace = cls(folder, order, Inputs())
        workspace.was_left = True
        workspace._hold()
        try:
            workspace.inputs = read_inputs(folder, order)
        except BaseException:
            workspace.release()
            raise
        return workspace

    def _hold(self) -> None:
        """Take the lock; raises BusyError if another process has it, UsageError if it cannot be one."""
        path = self.folder / LOCK
        try:
            if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
                raise UsageError(f"{path} is not a regular file; remove it")
            self._lock.acquire(blocking=False)
        except Timeout as error:
            picture = self.folder.with_suffix(self.order.saving.suffix)
            raise BusyError(f"{picture} is being made by another process; wait for it") from error
        except (OSError, NotImplementedError) as error:
            raise UsageError(f"{path} cannot be locked ({error}); move the picture to another folder") from error

    def change(self, order: Order) -> None:
        """Replace the order. Raises OSError."""
        self.order = order
        text = json.dumps(order.to_dict())
        with replacing(self.folder / JOB) as partial:
            partial.write_text(text, encoding="utf-8")

    def snapshot(self) -> Snapshot | None:
        """Return the last snapshot, and note the frames that belong to it; None if the run was stopped before."""
        path = self.folder / STATE
        if not os.path.lexists(path):
            self.digests = {} if self.order.run else None
            return None
        saved = read_snapshot(path, self.order)
        self.digests = saved.digests
        return saved.snapshot

    def keep(self, snapshot: Snapshot) -> None:
        """Save a snapshot in place of the last one, atomically. Raises OSError if there is no room."""
        metadata = metadata_of(snapshot, self.order, self.digests or {})
        tensors = {name: tensor.cpu().contiguous() for name, tensor in snapshot.tensors.items()}
        with replacing(self.folder / STATE) as partial:
            save_file(tensors, partial, metadata=metadata)
            if self.order.run:
                seal(partial)

    @property
    def has_snapshot(self) -> bool:
        """Whether a snapshot was saved."""
        return os.path.lexists(self.folder / STATE)

    @property
    def is_held(self) -> bool:
        """Whether this process holds the lock."""
        return self._lock.is_locked

    def release(self) -> None:
        """Release the lock, so that another process can open the folder."""
        self._lock.release()

    def discard(self) -> None:
        """Remove the folder and everything in it, the order last, so that what a kill leaves can still be removed."""
        self.release()
        for path in [each for each in self.folder.glob("*") if each.name != JOB]:
            with suppress(OSError):
                path.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)


class PeriodicKeeper:
    """Saves snapshots at intervals, each after the other files that must survive with it.

    before: called with the number of updates made, just before the snapshot after them is saved.
    last: whether the snapshot after the last update is saved, too.
    A failure to write never harms the run: `problem` then says why.
    """

    def __init__(
        self,
        workspace: Workspace,
        seconds: float,
        before: Sequence[Callable[[int], None]] = (),
        last: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem: str | None = None
        self._keeps_last = last
        self._workspace, self._seconds, self._before, self._clock = workspace, seconds, before, clock
        self._last = clock()

    def is_due(self, done: int, total: int) -> bool:
        """Tell whether the interval has passed, or the run is at its end and `last` is set."""
        return self._clock() - self._last >= self._seconds or (self._keeps_last and done == total)

    def keep(self, snapshot: Snapshot) -> None:
        """Save a snapshot to disk."""
        self._last = self._clock()
        try:
            for act in self._before:
                act(snapshot.done)
            self._workspace.keep(snapshot)
        except Exception as error:  # such as a SafetensorError, or no memory for a copy
            self.problem = f"the state in {self._workspace.folder} could not be written: {error}"


def change_order(workspace: Workspace, order: Order) -> None:
    """Have a workspace make something else; raises ClipgenError if that cannot be written."""
    try:
        workspace.change(order)
    except OSError as error:
        raise ClipgenError(f"the state in {workspace.folder} cannot be written: {error.strerror or error}") from error


def read_order(folder: Path, patience: float = 0.0) -> Order | None:
    """Return the order of a run; None if its folder has no valid one, even `patience` seconds after it was made."""
    path, deadline = folder / JOB, time.monotonic() + patience
    while not os.path.lexists(path) and _age(folder) < patience and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        return Order.from_dict(load_json(JOB, read_regular(path, MAX_JSON).decode()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError):
        return None


def _fitted(inputs: Inputs, size: tuple[int, int]) -> Inputs:
    """Return inputs whose init image, mask and overlay have the size of the picture."""
    images = inputs.init, inputs.mask, inputs.overlay
    init, mask, overlay = (each and ImageOps.fit(each, size, Image.Resampling.LANCZOS) for each in images)
    return replace(inputs, init=init, mask=mask, overlay=overlay)


def _named(inputs: Inputs) -> list[tuple[str, Image.Image | TokenGrid]]:
    """Return the images and tokens of a run with the names that they have in its state."""
    pairs: list[tuple[str, Image.Image | TokenGrid | None]] = [
        (INIT, inputs.init),
        (MASK, inputs.mask),
        (OVERLAY, inputs.overlay),
        (TOKENS, inputs.tokens),
        *zip(target_names(len(inputs.targets)), inputs.targets, strict=True),
    ]
    return [(name, held) for name, held in pairs if held]


def _age(folder: Path) -> float:
    """Return the seconds since anything in a folder was made or removed; infinite if it is none."""
    try:
        found = folder.stat()
    except OSError:
        return math.inf
    return abs(time.time() - found.st_mtime) if stat.S_ISDIR(found.st_mode) else math.inf


def workspaces(folder: Path, stem: str) -> list[Path]:
    """Return the folders of unfinished pictures named `stem`, or `stem` and a number."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.stem == stem or path.stem.startswith(f"{stem}-"))


def with_more_steps(order: Order, steps: str | None, done: int) -> Order:
    """Return the order changed by `--steps` of resume: "400" in all, or "+200" more than planned. Raises UsageError."""
    if steps is None:
        return order
    digits = steps.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise UsageError(f"--steps must be a number of steps, or +N for that many more, got {steps!r}")
    total = int(digits) + (order.plan.steps if steps.startswith("+") else 0)
    if total <= done:
        raise UsageError(f"--steps {steps} is no more than the {done} steps that are done; give more")
    return order.with_steps(total)
