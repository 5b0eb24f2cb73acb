"""The pictures that are being made together, from one step to the next, and all that pulls at them."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from clipgen import generators
from clipgen.config import presets, resolving
from clipgen.config.job import Job
from clipgen.core.contracts import Step
from clipgen.core.guidance import Guide, ViewPlan
from clipgen.core.losses import roughness
from clipgen.core.optim import LatentOptimizer
from clipgen.engine.cost import Models, Sample
from clipgen.engine.memory import Thrift, is_memory_error, room
from clipgen.errors import DivergedError, OutOfMemoryError, UsageError
from clipgen.starter.unclip.imagination import Imagination
from clipgen.util.images import resized
from clipgen.util.text import readable_bytes

PATIENCE = 3
"""Updates in a row that may be left out, for numbers that are not finite, before the run goes back."""
CHECKED = 5
"""Every so many steps it is looked how many were left out, and what was reached is remembered if none were."""
RETREATS = 3
"""Times that a run goes back, each time to steps of half the length, before it is given up."""


@dataclass(frozen=True)
class Snapshot:
    """All that a run needs to go on as if it had never stopped; what is drawn at random follows from seed and step."""

    done: int
    """Updates that were made."""
    grown: bool
    """Whether the pictures have their full size."""
    lr: float
    tensors: dict[str, Tensor] = field(repr=False)
    """Copies of the latents and of what the optimiser remembers of them."""


@dataclass(frozen=True)
class Measured:
    """The pictures at one moment and how far they are from what was asked for."""

    losses: Tensor
    """(B,)"""
    scores: Tensor
    """(B,)"""
    step: Step


class Scene:
    """Pictures of jobs that are resolved and agree in all that a step has in common.

    images (B, 3, H, W): the init images at full size, where the pictures start at such.
    """

    def __init__(
        self, jobs: Sequence[Job], models: Models, images: Tensor | None = None, snapshot: Snapshot | None = None
    ) -> None:
        self.done = 0
        self._job = job = jobs[0]
        # Resolving has left none of these None.
        self._size, self.total, self._lr, self._count = cast(
            tuple[presets.Size, int, float, int],
            (job.size, job.steps, snapshot.lr if snapshot else job.lr, job.cutouts),
        )
        self._preset = resolving.models_of(job)
        self._defaults = self._preset.generators[job.backend]
        self._network, self._seeds = models.network, [job.seed for job in jobs]
        self._retreats = 0
        self._finite: Tensor | None = None
        self._guide = self._guide_of(jobs, models, images)
        self._thrift = self._affordable(models)
        self._start(images, snapshot)

    def _guide_of(self, jobs: Sequence[Job], models: Models, images: Tensor | None) -> Guide:
        plan = ViewPlan(self._count, self._size, self._preset.views)
        imagination = None
        if models.imaginer and (row := self._preset.feature_prior):
            imagination = Imagination(models.imaginer, row, images)
        return Guide(models.perceptors, [job.prompts for job in jobs], self._seeds, plan, models.device, imagination)

    def _start(self, images: Tensor | None, snapshot: Snapshot | None) -> None:
        """Start at the images or at noise, or where the snapshot was taken."""
        done = snapshot.done if snapshot else 0
        moments = [int(self.total * share) for share in self._defaults.restored]
        self._restorations = [moment for moment in moments if moment >= max(done, 1)]
        self._growth = 0 if images is not None else int(self.total * self._defaults.small_until)
        if snapshot and snapshot.grown:
            self._growth = 0
        small = resolving.half(self._size, self._defaults.stride)
        self._draw_(self._latents(small if self._growth else self._size))
        if snapshot:
            self.done = snapshot.done
            self._restore_(snapshot.tensors)
        elif images is None:
            self._generator.start_from_noise_(self._seeds)
            self._start_at_paintings_()
        else:
            self._generator.start_from_images_(images)
        self._good = self.snapshot()

    def _start_at_paintings_(self) -> None:
        """Start in place of noise at paintings of what was imagined, where there are any."""
        if not (paintings := self._guide.paintings):
            return
        self._settle()
        with torch.no_grad():
            images = self._generator.decode()
            size = images.shape[3], images.shape[2]
            for number, painting in paintings.items():
                images[number] = resized(painting[None], size)[0]
            self._generator.start_from_images_(images)

    def _affordable(self, models: Models) -> Thrift:
        """Return how to spare memory from the first step on; OutOfMemoryError where no way is enough."""
        need, free = Sample(self._job, models).need(len(self._seeds)), room(models.device)
        thrift = need.fitting(Thrift(self._count), free)
        if thrift is None:
            least = need.bytes(Thrift(1, decode_twice=True))
            raise OutOfMemoryError(
                f"--size {self._size[0]}x{self._size[1]} needs about {readable_bytes(least)} of memory, "
                f"and {readable_bytes(free)} are free; try --size {self._smaller(free / least)}"
            )
        return thrift

    def _smaller(self, share: float) -> str:
        """Spell a square size that has this share of the pixels."""
        return resolving.square(int(self._size[0] * self._size[1] * share), self._defaults.stride)

    def _latents(self, size: presets.Size) -> generators.Generator:
        """Latents for pictures of that size, not yet started."""
        return generators.create(self._job.backend, self._network, len(self._seeds), size, self._defaults.levels)

    def _draw_(self, generator: generators.Generator) -> None:
        """Have these latents moved from now on."""
        self._generator = generator
        self._optimizer = LatentOptimizer(generator.parameters(), self._lr, self._defaults.optimizer)

    def snapshot(self) -> Snapshot:
        """Return copies of all that the steps so far have changed."""
        tensors = {f"generator.{name}": tensor for name, tensor in self._generator.tensors().items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in self._optimizer.tensors().items()}
        copies = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        return Snapshot(self.done, not self._growth, self._lr, copies)

    @torch.no_grad()
    def _restore_(self, tensors: dict[str, Tensor]) -> None:
        own = self._generator.tensors()
        saved = {name.removeprefix("generator."): t for name, t in tensors.items() if name.startswith("generator.")}
        if {name: t.shape for name, t in own.items()} != {name: t.shape for name, t in saved.items()}:
            raise UsageError("the state is not of this job and these models; start anew")
        for name, tensor in own.items():
            tensor.copy_(saved[name])
        kept = {name.removeprefix("optimizer."): t for name, t in tensors.items() if name.startswith("optimizer.")}
        self._optimizer.load_(kept)

    def _grow(self) -> None:
        """Go on at full size from the pictures so far, painted over and enlarged; not at all if memory runs out."""
        self._settle()
        with torch.no_grad():
            images = self._guide.enlarge(self._generator.decode(), self._size)
        large = self._latents(self._size)
        large.start_from_images_(images)
        self._lr *= self._defaults.full_lr_share
        self._draw_(large)
        self._growth = 0
        self._good = self.snapshot()

    def _settle(self) -> None:
        """Have the pictures drawn as at the end of the run, when nothing is left to chance."""
        self._generator.set_step(self.total, self.total, self._seeds)

    def measure(self) -> Measured:
        """Draw the pictures as they are, compare them with what was asked for, and find the way down.

        Where memory runs out the step is tried again with less of it; the numbers stay the same but for rounding.
        """
        while (measured := self._try_to_measure()) is None:
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return measured

    def _try_to_measure(self) -> Measured | None:
        try:
            if self._growth and self.done >= self._growth:
                self._grow()
            if self._restorations and self.done >= self._restorations[0]:
                self._settle()
                self._generator.restore_()
                self._restorations = self._restorations[1:]
            self._generator.set_step(self.done, self.total, self._seeds)
            measured = self._measure()
            self._optimizer.gather(measured.losses)
        except (MemoryError, RuntimeError) as error:
            if not is_memory_error(error):
                raise
            if (thriftier := self._thrift.next()) is None:
                raise OutOfMemoryError(
                    f"out of memory with backend {self._job.backend}, even with one view at a time; "
                    f"try --size {self._smaller(0.5)}, or a smaller --size or fewer --cutouts"
                ) from error
            self._thrift = thriftier
            return None
        return replace(measured, losses=measured.losses.detach())

    def update(self) -> None:
        """Move the latents down what the last `measure` has found; go back where that is no number again and again."""
        self._optimizer.step(self.done / self.total)
        self._generator.project_()
        self.done += 1
        if self.done % CHECKED == 0:
            if (idle := self._optimizer.idle()) >= PATIENCE:
                self._retreat()
            elif idle == 0:
                self._good = self.snapshot()

    def _retreat(self) -> None:
        """Go back to what was good, to go on in smaller steps from there."""
        self._retreats += 1
        if self._retreats > RETREATS:
            raise self._diverged()
        self._lr = self._optimizer.lr = self._lr / 2
        self._restore_(self._good.tensors)

    def _diverged(self) -> DivergedError:
        return DivergedError(f"the numbers grew without bound; try a --lr below {self._job.lr:g}")

    def finish(self) -> Measured:
        """Draw and compare the final pictures, however many updates were made."""
        if self._growth and self.done >= self._growth:
            self._grow()
        self._settle()
        with torch.no_grad():
            final = self._measure()
        if not final.losses.isfinite().all():
            raise self._diverged()
        return final

    @property
    def has_pictures(self) -> bool:
        """Whether any step had pictures of finite numbers."""
        return self._finite is not None and bool(self._finite.isfinite().all())

    def _measure(self) -> Measured:
        decode = self._generator.decode
        images = checkpoint(decode, use_reentrant=False) if self._thrift.decode_twice else decode()
        prompt_losses, scores = self._guide.compare(images, self.done, self.total, self._thrift.views_at_once)
        terms = {"prompt": prompt_losses}
        if self._job.init_weight:
            terms["init"] = self._job.init_weight * self._generator.init_distance()
        if self._preset.smoothness:
            terms["roughness"] = self._preset.smoothness * roughness(images)
        losses = torch.stack(list(terms.values())).sum(0)
        step = Step(
            index=self.done,
            total=self.total,
            loss=losses.detach().mean(),
            score=scores.mean(),
            terms={name: values.detach().mean() for name, values in terms.items()},
            image=self._only_finite(resized(images.detach(), self._size)),
            views_at_once=self._thrift.views_at_once,
        )
        return Measured(losses, scores, step)

    def _only_finite(self, images: Tensor) -> Tensor:
        """The images, or in place of one that has a pixel that is no number, the last that had none."""
        sound = images.isfinite().all(3).all(2).all(1)[:, None, None, None]
        self._finite = images if self._finite is None else torch.where(sound, images, self._finite)
        return self._finite
