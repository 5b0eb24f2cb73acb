"""A run: the loop for B pictures, with recovery from lack of memory and from non-finite values."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from clipgen import generators
from clipgen.config.plan import Plan, spell
from clipgen.config.presets import Size
from clipgen.config.resolve import half, square
from clipgen.core.contracts import Encoder, Generator, Growable, Proposal, Step
from clipgen.core.loop import CutoutPlan, Loop, Measured
from clipgen.core.losses import Objective, encode_targets
from clipgen.core.optim import LatentOptimizer
from clipgen.engine.cost import CostEstimate
from clipgen.engine.memory import MicroBatches, is_memory_error, room
from clipgen.engine.microbatch import decoding, embedding
from clipgen.engine.models import Models, proposal_module
from clipgen.engine.objective import objective_of
from clipgen.engine.recovery import Recovery
from clipgen.engine.snapshot import Snapshot, copy_rows, restore_, tensors_of
from clipgen.errors import DivergedError, OutOfMemoryError, UsageError
from clipgen.steering.starts import first_images
from clipgen.steering.tiles import rolling
from clipgen.util.devices import release_memory
from clipgen.util.images import resized
from clipgen.util.interrupts import Stop
from clipgen.util.text import readable_bytes

CHECKED = 5
"""Steps between two checks for finite values, which wait for the device, and record good states."""


class Run:
    """The run of plans that differ in prompt, seed and init image only.

    images (B, 3, H, W) in [0, 1]: the init images at full size, if the pictures start from any.
    snapshots: one for each picture, all after the same number of updates, to continue from.
    on_stage: called with a few words on each stage before the first step, and on those of the enlargement.
    stop: raises Abandoned out of either once it was asked for; what was reached can still be kept.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        models: Models,
        images: Tensor | None = None,
        snapshots: Sequence[Snapshot] = (),
        on_stage: Callable[[str], None] = lambda _stage: None,
        stop: Stop | None = None,
    ) -> None:
        self._plan, self._models = plans[0], models
        self._stop = stop or Stop()
        self._seeds = [plan.seed for plan in plans]
        prompts = [plan.prompts for plan in plans]
        self._proposal = self._propose(prompts, images, partial(self._enter, on_stage))
        perceptors, shares = zip(*((guide.perceptor, guide.settings.weight) for guide in models.guides), strict=True)
        readings = [[plan.texts_of(k) for k in range(len(perceptors))] for plan in plans]
        targets = encode_targets(perceptors, shares, prompts, readings, models.device, self._plan.cross_fade)
        self._batches = self._affordable()
        self.loop = self._make_loop(objective_of(self._plan, targets, images, self._proposal), images, snapshots)
        self._recovery = Recovery(len(plans))
        self._finite: dict[int, Tensor] = {}
        if snapshots:
            for row, snapshot in enumerate(snapshots):
                restore_(self.loop, row, snapshot.tensors)
        else:
            self._start_(images)
        self._recovery.remember(self.loop)

    @property
    def done(self) -> int:
        """Number of updates made."""
        return self.loop.done

    @property
    def total(self) -> int:
        """Number of updates in all."""
        return self.loop.total

    @property
    def failures(self) -> Mapping[int, DivergedError]:
        """The pictures that diverged beyond recovery, by index."""
        return self._recovery.failures

    def has_picture(self, row: int) -> bool:
        """Whether a picture was finite at any step."""
        return row in self._finite

    def snapshot(self, row: int) -> Snapshot:
        """Return a copy of the state of one picture."""
        tensors = copy_rows(tensors_of(self.loop), slice(row, row + 1))
        return Snapshot(self.done, not self._growth, self.loop.optimizer.rates[row], tensors)

    def find_gradients(self) -> list[Step]:
        """Decode the pictures and compute the gradients; returns the step of each.

        If memory runs out, the computation is repeated in smaller parts; results are the same up to rounding.
        """
        while (measured := self._try_to_find_gradients()) is None:
            gc.collect()
            release_memory(self._models.device)
        return self._steps(measured)

    def update(self) -> None:
        """Update the latents; pictures whose gradients stay non-finite return to their last good state."""
        self.loop.update()
        if self.done % CHECKED == 0:
            self._recovery.check(self.loop, self._plan.lr)

    def finish(self) -> list[Step]:
        """Decode and score the final pictures, however many updates were made."""
        self._settle()
        self._set_cutouts()
        with torch.no_grad():
            measured = self.loop.measure(self.loop.generator.decode())
        for row, finite in enumerate(measured.losses.isfinite().tolist()):
            if not finite:
                self._recovery.give_up(self.loop, row, self._plan.lr)
        return self._steps(measured)

    def _propose(
        self, prompts: Sequence[Sequence[object]], images: Tensor | None, on_stage: Callable[[str], None]
    ) -> Proposal | None:
        for settings in self._plan.unclip:
            perceptors, device = [guide.perceptor for guide in self._models.guides], self._models.device
            propose = partial(proposal_module("unclip").propose, self._models.unclip, settings, prompts, self._seeds)
            with self._stop.abandoning():
                proposal: Proposal = propose(perceptors, images, self._plan.size, device, on_stage=on_stage)
            return proposal
        return None

    def _enter(self, on_stage: Callable[[str], None], name: str) -> None:
        self._stop.check()
        on_stage(name)

    def _make_loop(self, objective: Objective, images: Tensor | None, snapshots: Sequence[Snapshot]) -> Loop:
        plan = self._plan
        done = snapshots[0].done if snapshots else 0
        grown = images is not None or (bool(snapshots) and snapshots[0].grown)
        self._growth = 0 if grown else min(int(plan.steps * plan.generator.small_until), plan.steps - 1)
        moments = [int(plan.steps * share) for share in plan.generator.reencode_at]
        self._reencodings = [moment for moment in moments if moment >= max(done, 1)]
        generator = generators.create(
            plan.backend, self._models.network, self._models.device, len(self._seeds), self._size, plan.generator
        )
        rates = [snapshot.lr for snapshot in snapshots] or [plan.lr] * len(self._seeds)
        loop = Loop(
            generator=generator,
            optimizer=_optimizer(plan, generator, rates),
            objective=objective,
            guides=self._models.guides,
            cutouts=CutoutPlan(plan.cutouts, plan.size, plan.augmentations),
            lr_schedule=plan.lr_schedule,
            seeds=self._seeds,
            total=plan.steps,
            done=done,
        )
        self._apply(self._batches, loop)
        return loop

    @property
    def _size(self) -> Size:
        """Width and height of the pictures now."""
        return half(self._plan.size, self._plan.generator.stride) if self._growth else self._plan.size

    def _start_(self, images: Tensor | None) -> None:
        """Start the latents from the init images, or from the proposed images, and from noise where there are none."""
        generator = self.loop.generator
        begun = first_images(self._plan, images, self._size, self._seeds)
        if begun is not None:
            _encoder(generator).start_from_images_(begun.to(self._models.device))
            return
        generator.start_from_noise_(self._seeds)
        if not self._proposal or not (proposed := self._proposal.images()):
            return
        self._settle()
        others = {row: self.snapshot(row) for row in range(len(self._seeds)) if row not in proposed}
        with torch.no_grad():
            starts = generator.decode()
            size = starts.shape[3], starts.shape[2]
            for row, image in proposed.items():
                starts[row] = resized(image[None], size)[0]
            _encoder(generator).start_from_images_(starts)
        for row, noise in others.items():
            restore_(self.loop, row, noise.tensors)

    def _try_to_find_gradients(self) -> Measured | None:
        try:
            self._grow_if_due()
            if self._reencodings and self.done >= self._reencodings[0]:
                self._settle()
                _encoder(self.loop.generator).reencode_()
                self._reencodings = self._reencodings[1:]
            self._set_cutouts()
            return self.loop.find_gradients()
        except (MemoryError, RuntimeError) as error:
            if not is_memory_error(error):
                raise
            if (smaller := self._batches.smaller()) is None:
                raise OutOfMemoryError(
                    f"out of memory with backend {self._plan.backend}, even with one cutout at a time; "
                    f"try --size {self._smaller(0.5)}, or a smaller --size or fewer --cutouts"
                ) from error
            self._apply(smaller, self.loop)
            return None

    def _apply(self, batches: MicroBatches, loop: Loop) -> None:
        self._batches = batches
        embed = embedding(batches)
        loop.decode, loop.embed = decoding(batches), rolling(embed) if self._plan.tile else embed

    def _grow_if_due(self) -> None:
        """Continue at full size from the pictures so far, enlarged by the proposal; no change if memory runs out."""
        if not self._growth or self.done < self._growth:
            return
        self._settle()
        loop, plan = self.loop, self._plan
        if not isinstance(loop.generator, Growable):
            raise UsageError(f"--backend {plan.backend} has one size only, so that it cannot start small")
        with torch.no_grad(), self._stop.abandoning():
            small = loop.generator.decode()
            images = self._proposal.enlarge(small, plan.size) if self._proposal else resized(small, plan.size)
        large: Generator = loop.generator.at_size(plan.size)
        _encoder(large).start_from_images_(images)
        rates = [rate * plan.generator.full_lr_share for rate in loop.optimizer.rates]
        loop.generator, loop.optimizer = large, _optimizer(plan, large, rates)
        self._growth = 0
        self._recovery.remember(loop)

    def _settle(self) -> None:
        """Make decoding deterministic, as at the end of the run."""
        self.loop.generator.set_step(self.total, self.total, self._seeds)

    def _set_cutouts(self) -> None:
        """Take as many cutouts as the plan has at this step."""
        self.loop.cutouts = replace(self.loop.cutouts, count=self._plan.cutouts_at(self.loop.progress))

    def _affordable(self) -> MicroBatches:
        """Return micro-batches that fit into memory; raises OutOfMemoryError if none are small enough."""
        cost, free = CostEstimate(self._plan, self._models).memory(len(self._seeds)), room(self._models.device)
        fitting = cost.fitting(MicroBatches(self._plan.cutouts), free)
        if fitting is None:
            least = cost.bytes(MicroBatches(1, decode_twice=True))
            raise OutOfMemoryError(
                f"--size {spell(self._plan.size)} needs about {readable_bytes(least)} of memory, "
                f"and {readable_bytes(free)} are free; try --size {self._smaller(free / least)}"
            )
        return fitting

    def _smaller(self, share: float) -> str:
        """Return a square size with this fraction of the pixels, as text."""
        width, height = self._plan.size
        return square(int(width * height * share), self._plan.generator.stride)

    def _steps(self, measured: Measured) -> list[Step]:
        """Return the step of each picture; every CHECKED steps, finite images are recorded."""
        losses = measured.losses.detach()
        terms = {name: term.detach() for name, term in measured.terms.items()}
        if self.done % CHECKED == 0:
            for row, image in enumerate(measured.images):
                self._last_finite(row, image)
        return [
            Step(
                index=self.done,
                total=self.total,
                loss=losses[row],
                score=measured.scores[row],
                terms={name: term[row] for name, term in terms.items()},
                draw=partial(self._draw, row, image),
                cutouts_at_once=self._batches.cutouts_at_once,
            )
            for row, image in enumerate(measured.images)
        ]

    def _draw(self, row: int, image: Tensor) -> Tensor:
        return resized(self._last_finite(row, image)[None], self._plan.size)[0]

    def _last_finite(self, row: int, image: Tensor) -> Tensor:
        """Return an image (3, h, w) if it is finite, else the last one that was."""
        if image.isfinite().all():
            self._finite[row] = image
        return self._finite.get(row, image)


def _optimizer(plan: Plan, generator: Generator, rates: Sequence[float]) -> LatentOptimizer:
    return LatentOptimizer(generator.parameters(), rates, plan.generator.optimizer, plan.generator.fall)


def _encoder(generator: Generator) -> Encoder:
    if not isinstance(generator, Encoder):
        raise UsageError(f"{type(generator).__name__} cannot start from an image; use another --backend")
    return generator
