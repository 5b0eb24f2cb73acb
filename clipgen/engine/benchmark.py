"""How fast a plan runs on this machine: steps a second, memory, where the time goes, and the classic loop beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch
from open_clip.transformer import Attention
from torch import nn

from clipgen.config.job import MAX_STEPS
from clipgen.config.plan import Plan
from clipgen.core.loop import Guide, Loop
from clipgen.engine.classic import ClassicLoop
from clipgen.engine.models import Loaded, Models, memory_errors
from clipgen.engine.modes import usual_modes
from clipgen.engine.run import Run
from clipgen.engine.stopwatch import MemoryMeter, Stopwatch, matrix_products
from clipgen.errors import UsageError
from clipgen.generators.networks import NETWORKS
from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.util.devices import wait_for
from clipgen.weights.catalogue import files_of
from clipgen.weights.loader import network_config

CLIPGEN, CLASSIC = "clipgen", "classic"


@dataclass(frozen=True)
class Speed:
    """Steps a second in each of several rounds, and the bytes that a step adds."""

    rates: tuple[float, ...]
    added: int

    @property
    def middle(self) -> float:
        """The median rate."""
        return median(self.rates)


def random_models(plan: Plan, device: torch.device) -> Models:
    """Return the networks of a plan of published models at their full size, with random weights.

    Raises UsageError for networks that are not in the catalogue.
    """

    def ready(module: Loaded) -> Loaded:
        return module.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)

    def config(name: str) -> dict[str, object]:
        return {key: value for record in files_of(name) for key, value in network_config(record).items()}

    network = ready(NETWORKS[plan.backend](config(plan.generator.weights))) if plan.generator.weights else nn.Identity()
    seen = [ready(CLIPPerceptor(config(row.weights))) for row in plan.perceptors]
    for perceptor in seen:
        _spread_(perceptor)
        perceptor.fold_()
    guides = [Guide(perceptor, row) for perceptor, row in zip(seen, plan.perceptors, strict=True)]
    return Models(network, tuple(guides), device)


def _spread_(perceptor: CLIPPerceptor) -> None:
    """Draw the weights of attention with the spread that open_clip gives those of its default blocks.

    Those of its `Attention` are so large that a network with random weights turns rounding errors into other features.
    """
    for layer in perceptor.modules():
        if isinstance(layer, Attention):
            nn.init.normal_(layer.in_proj_weight, std=layer.in_proj_weight.shape[1] ** -0.5)


class Benchmark:
    """Times the steps of a plan and, if there is one, those of a classic loop, in turns.

    pictures: how many are made in lockstep by clipgen; the classic loop makes one.
    """

    def __init__(self, plan: Plan, models: Models, pictures: int = 1, classic: ClassicLoop | None = None) -> None:
        """Raise OutOfMemoryError where memory does not suffice."""
        # As many steps as there can be, so that schedules stay where they begin.
        self._device, self._plan = models.device, replace(plan, steps=MAX_STEPS, unclip=())
        plans = [replace(self._plan, seed=(plan.seed + k)) for k in range(pictures)]
        with memory_errors(plan.backend), usual_modes():
            self._run = Run(plans, models)
            self._loops: dict[str, Callable[[], object]] = {CLIPGEN: self._step}
            if classic:
                self._loops[CLASSIC] = classic.step

    @property
    def loop(self) -> Loop:
        """The loop of clipgen."""
        return self._run.loop

    def speeds(self, steps: int, rounds: int) -> dict[str, Speed]:
        """Return the speed of each loop, after a step of each to warm up; the loops take turns in each round."""
        added: dict[str, int] = {}
        rates: dict[str, list[float]] = {name: [] for name in self._loops}
        with memory_errors(self._plan.backend), usual_modes():
            for name, step in self._loops.items():
                step()
                with MemoryMeter() as meter:
                    step()
                added[name] = meter.most
            for number in range(rounds):
                for name in list(self._loops)[:: 1 if number % 2 == 0 else -1]:
                    rates[name].append(self._rate(self._loops[name], steps))
        return {name: Speed(tuple(rates[name]), added[name]) for name in self._loops}

    def shares(self) -> dict[str, float]:
        """Return the fraction of a step of clipgen's by part."""
        with usual_modes():
            return Stopwatch(self.loop, self._device).shares()

    def products(self) -> dict[str, float]:
        """Return the share of matrix products in a step of clipgen's, and their rate; see `matrix_products`."""
        with usual_modes():
            return matrix_products(self._step, self._device)

    def _step(self) -> None:
        self._run.find_gradients()
        self._run.update()

    def _rate(self, step: Callable[[], object], steps: int) -> float:
        wait_for(self._device)
        begun = time.perf_counter()
        for _ in range(steps):
            step()
        wait_for(self._device)
        return steps / (time.perf_counter() - begun)


def ratios(speeds: Mapping[str, Speed], pictures: int = 1) -> tuple[float, ...]:
    """Return in rising order, for each round, how many times as many pictures' steps clipgen makes; () without both."""
    if CLASSIC not in speeds:
        return ()
    pairs = zip(speeds[CLIPGEN].rates, speeds[CLASSIC].rates, strict=True)
    return tuple(sorted(pictures * mine / classic for mine, classic in pairs))


def classic_loop(plan: Plan, models: Models) -> ClassicLoop:
    """Return the classic loop for a plan, on copies of its models in float32. Raises UsageError if it has none."""
    seen: Sequence[object] = [guide.perceptor for guide in models.guides]
    clips = [each for each in seen if isinstance(each, CLIPPerceptor)]
    if len(clips) != len(seen):
        raise UsageError("the classic loop is guided by CLIPs alone; compare with --preset starter or draft")
    with memory_errors(plan.backend), usual_modes():
        return ClassicLoop(models.network, clips, plan.text, plan.size, plan.cutouts, plan.seed)
