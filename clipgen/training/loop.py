"""The training loop: schedule, weight average, state, log. A step's data depends on (seed, step) only."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from clipgen.errors import ClipgenError
from clipgen.training.progress import SECONDS, Report
from clipgen.util.files import replacing
from clipgen.util.interrupts import Stop, held_back
from clipgen.util.text import one_line, readable_time

STATE = "state.pt"
LOG = "log.jsonl"
PROMISE = "stopping after this step, which is kept; Ctrl-C again ends at once"


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    rate: peak learning rate, reached after `warmup` of the steps, then a half cosine to 1 %.
    average: decay of the running average of the weights, which is what is kept.
    seed: of weights, data and augmentation.
    """

    steps: int
    batch: int
    rate: float
    seed: int = 0
    warmup: float = 0.05
    decay: float = 0.02
    average: float = 0.998
    betas: tuple[float, float] = (0.9, 0.98)
    brief: bool = False
    """Convolutions and products in bfloat16: nearly twice as fast on processors that have it."""

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step."""
        done = step / self.steps
        if done < self.warmup:
            return self.rate * (done / self.warmup + 0.01)
        share = (done - self.warmup) / (1 - self.warmup)
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


Losses = dict[str, Tensor]
Trained = TypeVar("Trained", bound=nn.Module)


class Fit(Generic[Trained]):
    """A module being trained in a folder that holds its state and its log.

    facts: what else the weights depend on, JSON values; a state that was made with others is refused.
    """

    save_seconds = 120.0
    """Between two states."""

    def __init__(self, folder: Path, module: Trained, plan: Plan, facts: Mapping[str, Any] | None = None):
        self.folder, self.module, self.plan, self.facts = folder, module, plan, dict(facts or {})
        self.averaged: Trained = copy.deepcopy(module).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(_groups(module, plan.decay), lr=plan.rate, betas=plan.betas)
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to train."""
        return self.step >= self.plan.steps

    def resume(self) -> bool:
        """Load the state in the folder, and return whether there is one."""
        path = self.folder / STATE
        if not path.exists():
            return False
        state = read_state(path)
        for name, here in (("plan", plain(self.plan)), ("facts", self.facts)):
            if (there := state.get(name, {})) != here:
                raise ClipgenError(
                    f"{path} was trained with another plan ({_difference(there, here)}): go on with that one, or "
                    "remove the file to begin anew, or give another folder"
                )
        self.restore(state)
        return True

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self.module.load_state_dict(state["module"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on."""
        return {
            "plan": plain(self.plan),
            "facts": self.facts,
            "module": self.module.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }

    def save(self) -> None:
        """Write the state atomically; raises ClipgenError, with the earlier state whole, if the disk is full."""
        path = self.folder / STATE
        try:
            with replacing(path) as partial, partial.open("wb") as file:
                torch.save(self.state(), file)
        except (OSError, RuntimeError) as error:
            cause = error if isinstance(error, OSError) else error.__context__  # torch fails in turn, and says less
            reason = getattr(cause, "strerror", None) or one_line(str(error), 120)
            raise ClipgenError(
                f"{path} cannot be written ({reason}); what was saved before is kept: free space and give the same "
                "command again"
            ) from error

    def run(self, losses_at: Callable[[int], Losses], report: Report) -> None:
        """Train from the current step to the plan's last, or to Ctrl-C; `losses_at(step)["loss"]` is minimised."""
        with held_back(promise=PROMISE) as stop:
            self._run(losses_at, report, stop)
            self.save()
            if stop.asked:
                report(f"step {self.step} of {self.plan.steps} is saved; the same command goes on from there")

    def _run(self, losses_at: Callable[[int], Losses], report: Report, stop: Stop) -> None:
        saved = reported = time.monotonic()
        since = self.step
        while not self.done and not stop.asked:
            losses = self.update(losses_at)
            self.after_step(report)
            now = time.monotonic()
            if now - reported > SECONDS or self.done:
                speed = (self.step - since) * self.plan.batch / max(now - reported, 1e-6)
                self._log(losses, speed, report)
                reported, since = now, self.step
            if now - saved > self.save_seconds:
                try:
                    self.save()
                except ClipgenError as error:  # there may be room again before the end
                    report(f"warning: {error}")
                saved = now

    def after_step(self, report: Report) -> None:
        """Do what is due after a step; nothing here."""

    def update(self, losses_at: Callable[[int], Losses]) -> Losses:
        """Make the current step, and return its losses."""
        torch.manual_seed(self.plan.seed * 1_000_003 + self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate_at(self.step)
        self.module.train()
        device = next(self.module.parameters()).device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.plan.brief):
            losses = losses_at(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(losses["loss"])
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        self._average()
        return losses

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.plan.average, self.step / (self.step + 10))
        for kept, fresh in zip(self.averaged.parameters(), self.module.parameters(), strict=True):
            kept.lerp_(fresh, 1 - keep)
        for state, now in zip(self.averaged.buffers(), self.module.buffers(), strict=True):
            state.copy_(now)

    def _log(self, losses: Losses, speed: float, report: Report) -> None:
        values = {name: round(float(value.detach()), 5) for name, value in losses.items()}
        self.note({"step": self.step, "pictures": self.step * self.plan.batch, "per_second": round(speed, 1), **values})
        left = readable_time((self.plan.steps - self.step) * self.plan.batch / max(speed, 1e-6))
        report(
            f"step {self.step}/{self.plan.steps}  {left} left  {speed:.1f} pictures/s  "
            + "  ".join(f"{k} {v:.4f}" for k, v in values.items())
        )

    def note(self, entry: Mapping[str, Any]) -> None:
        """Append an entry to the log; one that cannot be written is left out."""
        with contextlib.suppress(OSError), (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")


def train_module(
    folder: Path, module: Trained, plan: Plan, losses_at: Callable[[int], Losses], report: Report
) -> Trained:
    """Train a module, or resume from the folder's state, and return its running average, ready for use."""
    fit = Fit(folder, module, plan)
    report(f"going on from step {fit.step} of {plan.steps}" if fit.resume() else f"training for {plan.steps} steps")
    fit.run(losses_at, report)
    return fit.averaged.eval()


def _groups(module: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels only."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def plain(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    fields: dict[str, Any] = json.loads(json.dumps(asdict(plan)))
    return fields


def read_state(path: Path) -> dict[str, Any]:
    """Read a state; raises ClipgenError if it is damaged."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not {"plan", "module", "averaged", "optimiser", "step"} <= state.keys():
            raise ValueError("it is no state of a training")
    except Exception as error:  # what is wrong with a damaged file may raise anything
        raise ClipgenError(f"{path} cannot be read ({one_line(str(error), 120)}): remove it to begin anew") from error
    return state


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Say in what two records differ, which may hold records."""
    said = []
    for name in {**there, **here}:
        before, now = there.get(name), here.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping) and before != now:
            said.append(_difference(before, now))
        elif before != now:
            said.append(f"{name} {before}, now {now}")
    return one_line(", ".join(said), 300)
