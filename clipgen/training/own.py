"""Training on anyone's captioned pictures, from the pictures to a preset of one's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from clipgen.config.own_presets import MAX_CAPTIONS, add_network, check_own_folder
from clipgen.config.settings import BF16
from clipgen.errors import ClipgenError, UsageError
from clipgen.training.loop import STATE, Fit, Plan, plain, read_state
from clipgen.training.pictures import prepare
from clipgen.training.progress import Report
from clipgen.training.settings import FINE_RATE, FINE_STEPS, KINDS, LARGE, LARGE_RATE, WORK, Settings
from clipgen.training.starts import autoencoder_beside, find_start, side_of
from clipgen.training.task import Bench, Task, fingerprint
from clipgen.training.watch import WatchedFit
from clipgen.util.devices import computes_bf16, wait_for
from clipgen.util.files import make_folder
from clipgen.weights.checkpoint import Checkpoint, write

TRIED = (0.1, 0.5, 0.7, 0.95)
"""Shares of the steps at which the time of a step is measured: parts of a loss may begin late."""
USED = 0.92
"""Share of the minutes that is planned for steps; the rest is for checks, samples and saving."""
MIN_STEPS = 20
BITS = 16

MakeTask = Callable[[Bench, Plan], Task]


def train_own(settings: Settings, device: torch.device, report: Report) -> Path:
    """Train a network, or go on where an earlier call was stopped, and return the path of its weights.

    They are `<kind>.safetensors` in the folder `settings.out`, which is a preset of one's own. Raises UsageError for
    pictures or settings that cannot be used, and ClipgenError if the disk is full, with all that was saved kept.
    """
    make_folder(settings.out, "--out")
    check_own_folder(settings.out)
    bench = _bench(settings, device, report)
    with _locked(settings.work / "lock", f"another process trains a {settings.kind} in {settings.out}"):
        make = _maker(settings.kind)
        facts = {
            "settings": settings.told(),
            "training pictures": fingerprint(bench.training),
            "held-out pictures": fingerprint(bench.held_out),
        }
        if settings.kind == "prior":
            facts["autoencoder"] = autoencoder_beside(settings.out).sha256
        plan = _planned(bench, make)
        task = make(bench, plan)
        fit = WatchedFit(settings.work, task, plan, facts, held_out=len(bench.held_out) > 0)
        fit.patience, fit.show_seconds = settings.patience, settings.sheet_minutes * 60
        begun = f"training a {settings.kind} on {len(bench.training):,} pictures for {plan.steps} steps of {plan.batch}"
        report(f"going on from step {fit.step} of {plan.steps}" if fit.resume() else begun)
        fit.save()  # now the number of steps is settled, and the disk has room
        fit.run(task.losses_at, report)
        return _finished(bench, fit, facts)


@contextmanager
def _locked(path: Path, busy: str, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock; raises ClipgenError, which says `busy`, if another process has it for `patience` seconds."""
    make_folder(path.parent, "--out")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        raise ClipgenError(f"{busy}: wait for it, or stop it") from error
    try:
        yield
    finally:
        lock.release()


def _bench(settings: Settings, device: torch.device, report: Report) -> Bench:
    start = find_start(settings.kind, settings.start, report) if settings.start else None
    side = side_of(start, settings)
    split = prepare(settings.data, side, settings.out / WORK / "pictures", seed=settings.seed, report=report)
    if not len(split.held_out):
        report(f"{len(split.training)} pictures are too few to hold any out: nothing will be measured")
    return Bench(settings, split.training, split.held_out, device, report, start)


def _maker(kind: str) -> MakeTask:
    module, name = KINDS[kind].make.split(":")
    found: MakeTask = getattr(import_module(module), name)
    return found


def _planned(bench: Bench, make: MakeTask) -> Plan:
    """Return the plan that was asked for; that of a number of minutes is settled once, and found in the state."""
    settings = bench.settings
    kind, course = KINDS[settings.kind], KINDS[settings.kind].courses[settings.size]
    steps, rate = course.steps, course.rate
    if bench.start is not None:
        large = sum(value.numel() for value in bench.start.tensors.values()) > LARGE
        steps, rate = round(steps * FINE_STEPS), LARGE_RATE if large else rate * FINE_RATE
    plan = Plan(
        settings.steps or steps,
        settings.batch or course.batch,
        settings.rate or rate,
        settings.seed,
        average=course.average,
        brief=_brief(settings, bench.device, kind.brief),
    )
    if settings.minutes is None:
        return plan
    if (path := settings.work / STATE).exists():
        return replace(plan, steps=read_state(path)["plan"]["steps"])
    bench.report("measuring how long a step takes")
    return replace(plan, steps=_steps_in(settings.minutes * 60 * USED, make(bench, plan), plan, settings.work))


def _steps_in(seconds: float, task: Task, plan: Plan, folder: Path) -> int:
    """Return how many steps fit in a time, by the speed of a few that are thrown away."""
    trial = Fit(folder, task.module, plan)
    device = next(task.module.parameters()).device
    spent = []
    for share in (TRIED[-1], *TRIED):  # the first one also pays for what is done once
        trial.step = int(share * plan.steps)
        begun = time.monotonic()
        trial.update(task.losses_at)
        wait_for(device)
        spent.append(time.monotonic() - begun)
    return max(MIN_STEPS, int(seconds * len(TRIED) / sum(spent[1:])))


def _brief(settings: Settings, device: torch.device, usual: bool) -> bool:
    """Whether to compute in bfloat16. Raises UsageError if that is asked for and the device lacks it."""
    can = computes_bf16(str(device))
    if settings.precision == BF16 and not can:
        raise UsageError(f"--precision {BF16}: {device} does not compute in it; leave it out")
    return can and (settings.precision == BF16 if settings.precision else usual)


def _finished(bench: Bench, fit: WatchedFit, facts: dict[str, Any]) -> Path:
    """Measure what was trained, write it, and note it in the preset."""
    settings = bench.settings
    module = fit.kept()
    with torch.no_grad():
        fit.show()
        metrics = fit.task.measured(module) if len(bench.held_out) else {}
    bench.report(f"on {len(bench.held_out):,} held-out pictures: {_shown(metrics)}" if metrics else "nothing measured")
    config, tensors = fit.task.network(module)
    recipe = {
        "command": f"train {settings.kind}",
        "steps": fit.step,
        "kept_step": fit.best["step"] or fit.step,
        "plan": plain(fit.plan),
        "device": bench.device.type,
        "pictures": {"training": len(bench.training), "held_out": len(bench.held_out)},
        **facts,
        "metrics": metrics,
    }
    captions = tuple(dict.fromkeys(each[0] for each in bench.training.captions))[:MAX_CAPTIONS]
    try:
        write(settings.weights, Checkpoint(KINDS[settings.kind].stored or settings.kind, config, tensors, recipe), BITS)
        name = settings.data.absolute().stem or "own"
        with _locked(settings.out / WORK / "preset.lock", f"another process writes to {settings.out}", 60):
            add_network(settings.out, settings.kind, name, (bench.side, bench.side), captions)
    except (OSError, SafetensorError) as error:  # safetensors turns the former into the latter
        reason = getattr(error, "strerror", None) or error
        raise ClipgenError(
            f"{settings.weights} cannot be written ({reason}); the training is saved: free space and give the same "
            "command again"
        ) from error
    return settings.weights


def _shown(metrics: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in metrics.items())
