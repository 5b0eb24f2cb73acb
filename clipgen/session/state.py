"""The state of a run on disk: everything needed to continue after a stop, a crash or a power cut.

For `a-cat-7.png` it is the folder `a-cat-7.clipgen` beside it, which exists while the picture is unfinished:

    job.json            what to make: the plan, the films
    init.png            the init image, as the run uses it
    state.safetensors   the last snapshot, replaced atomically
    lock                held by the run that makes the picture
    mp4-000000.pngs ... the frames of a film so far

Everything in it is read as untrusted data, with the checks of a job file.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from filelock import FileLock, Timeout
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from clipgen import __version__
from clipgen.config.checks import MAX_JSON
from clipgen.config.job import MAX_LR
from clipgen.config.plan import Plan
from clipgen.engine.snapshot import Snapshot
from clipgen.errors import UsageError
from clipgen.outputs.metadata import JOB_SCHEMA, describe_plan, described_as, read_plan
from clipgen.util.files import replacing
from clipgen.util.images import load_image

SUFFIX = ".clipgen"
SCHEMA = 2
FILMS = (".mp4", ".gif")
OLD_COUNT = re.compile(r"optimizer\.[0-9]+\.step")
PATIENCE = 2.0
"""Seconds that a folder may lack its job, because another process has only just created it."""


class BusyError(UsageError):
    """Another process is making this picture."""


@dataclass(frozen=True)
class Order:
    """What to make of one plan."""

    plan: Plan
    """Its `init` is a file name, never a path to open."""
    described: dict[str, Any]
    """The result of `describe_plan`."""
    films: tuple[str, ...] = ()
    metadata: bool = True
    """Whether the recipe is stored in the picture."""

    @classmethod
    def of(cls, plan: Plan, films: Sequence[str] = (), *, metadata: bool = True) -> Self:
        """Return the order for a plan; its init image is read to hash it."""
        described = describe_plan(plan)
        return cls(Plan.from_dict(described["plan"]), described, tuple(films), metadata)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        made = {"schema": SCHEMA, "version": __version__}
        return {**made, **self.described, "films": list(self.films), "metadata": self.metadata}

    @classmethod
    def from_dict(cls, record: Any) -> Self:
        """Return the order that `to_dict` described; raises KeyError, TypeError, ValueError or UsageError otherwise."""
        if not set(record["films"]) <= set(FILMS) or not isinstance(record["metadata"], bool):
            raise ValueError("not an order of clipgen")
        if record["schema"] not in (SCHEMA, JOB_SCHEMA):
            raise ValueError("an order of a later clipgen")
        old = record["schema"] == JOB_SCHEMA
        asked = {**record["asked"], "schema": JOB_SCHEMA} if old else record
        plan, digest = read_plan(asked), asked.get("init_sha256")
        return cls(plan, described_as(plan, digest), tuple(record["films"]), record["metadata"])

    def with_steps(self, steps: int) -> Self:
        """Return the order with this number of steps."""
        plan = replace(self.plan, steps=steps)
        return replace(self, plan=plan, described={**self.described, "plan": json.loads(plan.to_json())})


class Workspace:
    """The folder of one unfinished picture, locked while it is open."""

    def __init__(self, folder: Path, order: Order, init: Image.Image | None) -> None:
        self.folder = folder
        self.init = init
        self.order = order
        self._lock = FileLock(folder / "lock")

    @classmethod
    def create(cls, folder: Path, order: Order, init: Image.Image | None = None) -> Self:
        """Create the folder for a picture; raises UsageError if it exists or cannot be created."""
        fitted = init and ImageOps.fit(init, order.plan.size, Image.Resampling.LANCZOS)
        workspace = cls(folder, order, fitted)
        try:
            folder.mkdir()
            workspace._fill()
        except OSError as error:
            raise UsageError(f"-o {folder} cannot be created ({error.strerror}): choose another folder") from error
        return workspace

    def _fill(self) -> None:
        try:
            self._lock.acquire(blocking=False)
            if self.init:
                self.init.save(self.folder / "init.png")
            self.change(self.order)
        except BaseException:  # including Ctrl-C: nothing useless is left behind
            self.discard()
            raise

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the folder of a stopped run; raises BusyError if it is still running, UsageError if it is damaged."""
        order = read_order(folder)
        if order is None:
            raise UsageError(f"{folder} is not the state of a clipgen run, or is damaged; make the picture again")
        init, _ = load_image(folder / "init.png") if (folder / "init.png").exists() else (None, [])
        workspace = cls(folder, order, init)
        try:
            workspace._lock.acquire(blocking=False)
        except Timeout as error:
            raise BusyError(f"{folder.with_suffix('.png')} is being made by another process; wait for it") from error
        return workspace

    def change(self, order: Order) -> None:
        """Replace the order."""
        self.order = order
        text = json.dumps(order.to_dict())
        with replacing(self.folder / "job.json") as partial:
            partial.write_text(text, encoding="utf-8")

    def snapshot(self) -> Snapshot | None:
        """Return the last snapshot; None if the run was stopped before the first."""
        path = self.folder / "state.safetensors"
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {})["snapshot"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            done, lr = int(header["done"]), float(header["lr"])
            if not (0 <= done <= self.order.plan.steps and 0 < lr <= MAX_LR):
                raise ValueError(f"{done} of {self.order.plan.steps} steps are done, the learning rate is {lr:g}")
            return Snapshot(done, bool(header["grown"]), lr, _counted(tensors))
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise UsageError(f"{path} is damaged ({error}); make the picture again") from error

    def keep(self, snapshot: Snapshot) -> None:
        """Save a snapshot in place of the last one, atomically. Raises OSError if there is no room."""
        header = {"done": snapshot.done, "grown": snapshot.grown, "lr": snapshot.lr}
        metadata = {"snapshot": json.dumps(header)}
        tensors = {name: tensor.cpu().contiguous() for name, tensor in snapshot.tensors.items()}
        with replacing(self.folder / "state.safetensors") as partial:
            save_file(tensors, partial, metadata=metadata)

    @property
    def has_snapshot(self) -> bool:
        """Whether a snapshot was saved."""
        return (self.folder / "state.safetensors").exists()

    @property
    def is_held(self) -> bool:
        """Whether this process holds the lock."""
        return self._lock.is_locked

    def release(self) -> None:
        """Release the lock, so that another process can open the folder."""
        self._lock.release()

    def discard(self) -> None:
        """Remove the folder and everything in it."""
        self.release()
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
        except (OSError, SafetensorError) as error:
            self.problem = f"the state in {self._workspace.folder} could not be written: {error}"


def _counted(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a state with the optimiser's step count as `LatentOptimizer` expects it.

    States of schema 1 have one count for each latent, and none if the optimiser has no moments.
    """
    counts = [value for name, value in tensors.items() if OLD_COUNT.fullmatch(name)]
    others = {name: value for name, value in tensors.items() if not OLD_COUNT.fullmatch(name)}
    return {"optimizer.counts": counts[0].reshape(1) if counts else torch.zeros(1), **others}


def read_order(folder: Path, patience: float = 0.0) -> Order | None:
    """Return the order of a run; None if its folder has no valid one, even after `patience` seconds."""
    path, deadline = folder / "job.json", time.monotonic() + patience
    while not path.exists() and folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        text = path.read_text(encoding="utf-8")
        return Order.from_dict(json.loads(text if len(text) <= MAX_JSON else ""))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, UsageError):
        return None


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
