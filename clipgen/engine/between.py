"""What happens to the pictures of a run between its steps: they grow to full size, are encoded again, or move."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from clipgen.config.motion import MotionSettings
from clipgen.config.plan import Plan
from clipgen.config.preset import Size
from clipgen.config.sizes import half
from clipgen.core.contracts import Encoder, Generator, Growable, Proposal
from clipgen.core.loop import Loop
from clipgen.core.optim import LatentOptimizer
from clipgen.engine.recovery import Recovery
from clipgen.engine.rules import TORCH_RULES
from clipgen.errors import UsageError
from clipgen.steering.camera import moved
from clipgen.util.images import resized
from clipgen.util.interrupts import Stop

ANCHOR = "anchor"
"""The loss whose epochs begin here."""
START = "start"
"""The tensor of a generator that distances are measured from."""


class Between:
    """The changes that a plan makes between steps, each once.

    proposal: enlarges the pictures. stop: gives up an enlargement.
    overlay: (1, 4, H, W) RGBA in [0, 1], if the plan has one.
    done: the number of updates made before. grown: whether the pictures have their full size already.
    """

    def __init__(
        self,
        plan: Plan,
        proposal: Proposal | None,
        stop: Stop,
        *,
        done: int,
        grown: bool,
        overlay: Tensor | None = None,
    ) -> None:
        self._plan, self._proposal, self._stop, self._overlay = plan, proposal, stop, overlay
        if plan.overlay and overlay is None:
            raise UsageError("a plan that names an overlay must come with it")
        self._growth = 0 if grown else min(int(plan.steps * plan.generator.small_until), plan.steps - 1)
        moments = [int(plan.steps * share) for share in plan.generator.reencode_at]
        self._reencodings = [moment for moment in moments if moment >= max(done, 1)]
        epochs = [int(row.detail) for row in plan.losses if row.name == ANCHOR]
        ends = [plan.steps * number // count for count in epochs for number in range(1, count)]
        self._anchors = [moment for moment in ends if moment >= max(done, 1)]
        resets = [row.reset for row in plan.generator.sequence if plan.edit and row.reset]
        self._resets, self._set_back = resets, 0  # the step before which the picture was last encoded as it is shown
        restarts = [round(plan.steps * share) for share in plan.generator.restart_at]
        self._restarts = [moment for moment in restarts if moment >= max(done, 1)]
        self._laid = 0  # the step before which the overlay came last
        self._moved = 0  # the step before which the pictures moved last

    @property
    def grown(self) -> bool:
        """Whether the pictures have their full size."""
        return not self._growth

    @property
    def size(self) -> Size:
        """Width and height of the pictures now."""
        return self._plan.size if self.grown else half(self._plan.size, self._plan.generator.stride)

    def change_(self, loop: Loop, recovery: Recovery) -> None:
        """Make the changes that are due before the next step; one during which memory runs out is still due."""
        if self._growth and loop.done >= self._growth:
            self._grow_(loop)
            self._growth = 0
            recovery.remember(loop)
        if self._reencodings and loop.done >= self._reencodings[0]:
            settle_(loop)
            with torch.no_grad():
                encoder_of(loop.generator).reencode_(loop.decode(loop.generator))
            self._reencodings = self._reencodings[1:]
        if self._anchors and loop.done >= self._anchors[0]:
            _anchor_(loop)
            self._anchors = self._anchors[1:]
        for every in self._resets:
            if loop.done > self._set_back and loop.done % every == 0:
                _set_back_(loop)
                self._set_back = loop.done
        if self._restarts and loop.done >= self._restarts[0]:
            loop.optimizer = optimizer_of(self._plan, loop.generator, loop.optimizer.rates)
            self._restarts = self._restarts[1:]
        for row in self._plan.overlay:
            if loop.done > self._laid and loop.done % row.every == 0 and self._overlay is not None:
                _lay_over_(loop, self._overlay)
                self._laid = loop.done
        for motion in self._plan.motion:
            if loop.done > self._moved and loop.done % motion.every == 0:
                _move_(loop, motion, placed=not self._plan.generator.sequence)
                self._moved = loop.done

    def _grow_(self, loop: Loop) -> None:
        """Continue at full size from the pictures so far, enlarged by the proposal; no change if memory runs out."""
        settle_(loop)
        plan = self._plan
        if not isinstance(loop.generator, Growable):
            raise UsageError(f"--backend {plan.backend} has one size only, so that it cannot start small")
        with torch.no_grad(), self._stop.abandoning():
            small = loop.generator.decode()
            images = self._proposal.enlarge(small, plan.size) if self._proposal else resized(small, plan.size)
        large: Generator = loop.generator.at_size(plan.size)
        encoder_of(large).start_from_images_(images)
        rates = [rate * plan.generator.full_lr_share for rate in loop.optimizer.rates]
        loop.generator, loop.optimizer = large, optimizer_of(plan, large, rates)


def _anchor_(loop: Loop) -> None:
    """Make the latents the start that distances are measured from; they stay as they are."""
    settle_(loop)
    generator, encoder = loop.generator, encoder_of(loop.generator)
    with torch.no_grad():
        kept = {name: tensor.clone() for name, tensor in generator.tensors().items() if name != START}
        images = generator.decode()
        rest = encoder.reencode_(images)  # what the encoder does not find in the pictures
        encoder.start_from_images_(images)
        generator.tensors()[START].add_(rest)
        for name, tensor in kept.items():
            generator.tensors()[name].copy_(tensor)


def _lay_over_(loop: Loop, overlay: Tensor) -> None:
    """Continue at the encodings of the pictures with an overlay on them; the optimiser keeps its moments."""
    settle_(loop)
    with torch.no_grad():
        images = loop.decode(loop.generator)
        fitting = resized(overlay, (images.shape[3], images.shape[2]))
        encoder_of(loop.generator).reencode_(torch.lerp(images, fitting[:, :3].expand_as(images), fitting[:, 3:]))


def _set_back_(loop: Loop) -> None:
    """Continue at the encodings of the pictures of the next step, in which what an edit leaves alone is as it was."""
    loop.generator.set_step(loop.done, loop.total, loop.seeds)
    with torch.no_grad():
        encoder_of(loop.generator).reencode_(loop.decode(loop.generator))


def _move_(loop: Loop, motion: MotionSettings, *, placed: bool) -> None:
    """Continue at the encodings of the moved pictures; the optimiser keeps its moments.

    What the encoder does not find in a picture moves along: without it, colours would flicker with every move.
    placed: whether the cells of a latent have places, which move.
    """
    settle_(loop)
    encoder = encoder_of(loop.generator)
    with torch.no_grad():
        images = loop.generator.decode()
        rest = encoder.reencode_(images)
        cell = images.shape[3] / rest.shape[3]
        encoder.reencode_(moved(images, motion).clamp(0, 1), moved(rest, motion, cell) if placed else rest)


def settle_(loop: Loop) -> None:
    """Make decoding deterministic, as at the end of the run."""
    loop.generator.set_step(loop.total, loop.total, loop.seeds)


def optimizer_of(plan: Plan, generator: Generator, rates: Sequence[float]) -> LatentOptimizer:
    """Return the optimiser of a plan, for a generator that starts; rates: the learning rate of each picture."""
    name = plan.generator.optimizer
    return LatentOptimizer(generator.parameters(), rates, TORCH_RULES.get(name, name))


def encoder_of(generator: Generator) -> Encoder:
    """Return a generator as one that can start from images; raises UsageError if it cannot."""
    if not isinstance(generator, Encoder):
        raise UsageError(f"{type(generator).__name__} cannot start from an image; use another --backend")
    return generator
