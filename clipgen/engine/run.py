"""A run: the loop for B pictures, with recovery from lack of memory and from non-finite values."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from clipgen import generators
from clipgen.config.levels import shares_of_rate
from clipgen.config.plan import Plan, spell
from clipgen.config.sizes import square
from clipgen.core.contracts import Proposal, Step
from clipgen.core.loop import CutoutPlan, Loop, Measured
from clipgen.core.losses import Objective
from clipgen.engine.between import Between, encoder_of, optimizer_of, settle_
from clipgen.engine.cost import CostEstimate
from clipgen.engine.memory import MicroBatches, is_memory_error, room
from clipgen.engine.microbatch import decoding, embedding
from clipgen.engine.models import Models, proposal_module
from clipgen.engine.objective import objective_of
from clipgen.engine.recovery import Recovery
from clipgen.engine.snapshot import Snapshot, copy_rows, restore_, tensors_of
from clipgen.engine.tokens import first_tokens, start_from_tokens_, with_tokens_decoded
from clipgen.errors import DivergedError, OutOfMemoryError
from clipgen.generators.vector import DrawnStep, drawing_of
from clipgen.steering.given import Given
from clipgen.steering.masks import SHARE_OF_WINDOW, edit_of_plan, erased
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

    given: the images that they name.
    snapshots: one for each picture, all after the same number of updates, to continue from.
    on_stage: called with a few words on each stage before the first step, and on those of the enlargement.
    stop: raises Abandoned out of either once it was asked for; what was reached can still be kept.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        models: Models,
        given: Given | None = None,
        snapshots: Sequence[Snapshot] = (),
        on_stage: Callable[[str], None] = lambda _stage: None,
        stop: Stop | None = None,
    ) -> None:
        self._plan, self._models = plans[0], models
        self._stop = stop or Stop()
        self._seeds = [plan.seed for plan in plans]
        given = with_tokens_decoded(self._plan, given or Given(), models.network, len(plans))
        given = erased(self._plan, given)
        self._edit = edit_of_plan(self._plan, given)
        prompts = [plan.to_propose for plan in plans]
        shown = self._edit.shown if self._edit else given.init
        self._proposal = self._propose(prompts, shown, given, partial(self._enter, on_stage))
        self._batches = self._affordable()
        self.loop = self._make_loop(objective_of(plans, models, given, self._proposal), given, snapshots)
        self._recovery = Recovery(len(plans))
        self._finite: dict[int, Tensor] = {}
        if snapshots:
            for row, snapshot in enumerate(snapshots):
                restore_(self.loop, row, snapshot.tensors)
        else:
            self._start_(given)
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
        return Snapshot(self.done, self._between.grown, self.loop.optimizer.rates[row], tensors)

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
        sides = [max(latent.shape[2:], default=1) for latent in self.loop.generator.parameters()]
        self.loop.optimizer.shares = shares_of_rate(self._plan.generator, sides, self.loop.progress)
        self.loop.update()
        if self.done % CHECKED == 0:
            self._recovery.check(self.loop, self._plan.lr)

    def finish(self) -> list[Step]:
        """Decode and score the final pictures, however many updates were made."""
        settle_(self.loop)
        self._set_cutouts()
        with torch.no_grad():
            measured = self.loop.measure(self.loop.decode(self.loop.generator))
        for row, finite in enumerate(measured.losses.isfinite().tolist()):
            if not finite:
                self._recovery.give_up(self.loop, row, self._plan.lr)
        return self._steps(measured)

    def _propose(
        self,
        prompts: Sequence[Sequence[object]],
        shown: Tensor | None,
        given: Given,
        on_stage: Callable[[str], None],
    ) -> Proposal | None:
        for settings in self._plan.proposing:
            perceptors, device = [guide.perceptor for guide in self._models.guides], self._models.device
            module = proposal_module(settings)
            propose = partial(module.propose, self._models.proposing, settings, prompts, self._seeds, perceptors)
            with self._stop.abandoning():
                if self._plan.prior:
                    completed: Proposal = propose(given.init, given.mask, self._plan.size, on_stage=on_stage)
                    return completed
                proposal: Proposal = propose(shown, self._plan.size, device, on_stage=on_stage)
            return self._edit.proposing(proposal) if self._edit else proposal
        return None

    def _enter(self, on_stage: Callable[[str], None], name: str) -> None:
        self._stop.check()
        on_stage(name)

    def _make_loop(self, objective: Objective, given: Given, snapshots: Sequence[Snapshot]) -> Loop:
        plan = self._plan
        done = snapshots[0].done if snapshots else 0
        grown = given.init is not None or (bool(snapshots) and snapshots[0].grown)
        self._between = Between(plan, self._proposal, self._stop, done=done, grown=grown, overlay=given.overlay)
        size, device = self._between.size, self._models.device
        generator = generators.create(
            plan.backend, self._models.network, device, len(self._seeds), size, plan.generator
        )
        if plan.motion:
            encoder_of(generator)  # raises what the first move would
        rates = [snapshot.lr for snapshot in snapshots] or [plan.lr] * len(self._seeds)
        loop = Loop(
            generator=generator,
            optimizer=optimizer_of(plan, generator, rates),
            objective=objective,
            guides=self._models.guides,
            cutouts=CutoutPlan(plan.cutouts, plan.size, plan.augmentations),
            lr_schedule=plan.lr_schedule,
            seeds=self._seeds,
            total=plan.steps,
            done=done,
        )
        self._apply(self._batches, loop)
        if self._edit and not plan.generator.sequence:  # whose tokens are not about places
            self._edit.hold_(generator)
        return loop

    def _start_(self, given: Given) -> None:
        """Start the latents from tokens, init images or proposed images, and from noise where there are none."""
        generator = self.loop.generator
        if (tokens := first_tokens(self._plan, given, self._models.network, self._seeds)) is not None:
            start_from_tokens_(self._plan, generator, tokens)
            return
        begun = first_images(self._plan, given, self._between.size, self._seeds)
        if begun is not None and not self._plan.prior:
            encoder_of(generator).start_from_images_(begun.to(self._models.device))
            return
        generator.start_from_noise_(self._seeds)
        if not self._proposal or not (proposed := self._proposal.images()):
            return
        settle_(self.loop)
        others = {row: self.snapshot(row) for row in range(len(self._seeds)) if row not in proposed}
        with torch.no_grad():
            starts = generator.decode()
            size = starts.shape[3], starts.shape[2]
            for row, image in proposed.items():
                starts[row] = resized(image[None], size)[0]
            encoder_of(generator).start_from_images_(starts)
        for row, noise in others.items():
            restore_(self.loop, row, noise.tensors)

    def _try_to_find_gradients(self) -> Measured | None:
        try:
            self._between.change_(self.loop, self._recovery)
            self._set_cutouts()
            return self.loop.find_gradients()
        except (MemoryError, RuntimeError) as error:
            if not is_memory_error(error):
                raise
            if (smaller := self._batches.smaller()) is None:
                raise OutOfMemoryError(
                    f"out of memory with backend {self._plan.backend}, even with one cutout at a time; "
                    f"try {self._smaller(0.5)}, or a smaller --size or fewer --cutouts"
                ) from error
            self._apply(smaller, self.loop)
            return None

    def _apply(self, batches: MicroBatches, loop: Loop) -> None:
        self._batches = batches
        embed = embedding(batches, self._plan.augmentations)
        loop.decode, loop.embed = decoding(batches), rolling(embed) if self._plan.tile else embed
        if self._edit:
            loop.decode, loop.embed = (
                self._edit.composing(loop.decode),
                self._edit.leaning(loop.embed, 1.0 if self._proposal else SHARE_OF_WINDOW),
            )

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
                f"and {readable_bytes(free)} are free; try {self._smaller(free / least)}"
            )
        return fitting

    def _smaller(self, share: float) -> str:
        """Return what takes this fraction of the memory: a square size with as many pixels, if there are others."""
        width, height = self._plan.size
        if self._plan.generator.sequence:
            return f"a smaller --{self._plan.backend}"
        return f"--size {square(int(width * height * share), self._plan.generator.stride)}"

    def _steps(self, measured: Measured) -> list[Step]:
        """Return the step of each picture; every CHECKED steps, finite images are recorded."""
        losses = measured.losses.detach()
        terms = {name: term.detach() for name, term in measured.terms.items()}
        if self.done % CHECKED == 0:
            for row, image in enumerate(measured.images):
                self._last_finite(row, image)
        return [
            DrawnStep(
                index=self.done,
                total=self.total,
                loss=losses[row],
                score=measured.scores[row],
                terms={name: term[row] for name, term in terms.items()},
                draw=partial(self._draw, row, image),
                cutouts_at_once=self._batches.cutouts_at_once,
                drawing=drawing_of(self.loop.generator, row, self._plan.size),
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
