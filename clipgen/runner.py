"""The run: from a job to a picture. The loop reports its steps; showing and saving them is the work of sinks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from clipgen import generators, presets
from clipgen.device import pick_device
from clipgen.embedding_prior import EmbeddingPrior, load_embedding_prior
from clipgen.errors import DivergedError, OutOfMemoryError, UsageError
from clipgen.generators import Generator
from clipgen.generators.networks import Network, load_network
from clipgen.guidance import Guide, Imagination, Plausibility, ScheduledPerceptor, ViewPlan
from clipgen.images import load_image, to_pil, to_tensor
from clipgen.interrupts import Stop, held_back
from clipgen.job import Job, parse_prompts
from clipgen.losses import roughness
from clipgen.optim import LatentOptimizer
from clipgen.perceptor import load_perceptor
from clipgen.prior import Prior, load_prior
from clipgen.sinks.base import Outcome, Sink, Step

# Jobs that are made together may differ in everything else.
SHARED = ("backend", "preset", "size", "steps", "lr", "cutouts", "init_weight")


@dataclass(frozen=True)
class Models:
    """The networks of one preset and backend, frozen, on one device; any number of runs may use them."""

    network: Network
    perceptors: tuple[ScheduledPerceptor, ...]
    device: torch.device
    prior: Prior | None = None
    embedding_prior: EmbeddingPrior | None = None


@dataclass(frozen=True)
class Result:
    """One picture and the job that makes it again."""

    image: Image.Image
    job: Job
    """With every default filled in."""
    score: float
    """Mean cosine between the views and the texts that pull, as the guiding perceptors see it."""
    notes: tuple[str, ...] = ()
    """What was decided on the user's behalf."""


def generate(prompt: str | Job, *, device: str = "auto", sinks: Sequence[Sink] = (), **settings: Any) -> Result:
    """Make one picture: `generate("a cat", backend="dvae", steps=100).image`.

    `settings` are the fields of Job; with a Job as the prompt they replace those fields. Raises ClipgenError.
    """
    job = replace(prompt, **settings) if isinstance(prompt, Job) else Job(parse_prompts(prompt), **settings)
    init, init_notes = load_image(job.init) if job.init else (None, [])
    job, job_notes = presets.resolve(job, init.size if init else None)
    result = run(job, load_models(job, device), sinks, init=init)
    return replace(result, notes=(*init_notes, *job_notes))


def load_models(job: Job, device: str | torch.device = "auto") -> Models:
    """Load what a job needs; `device` is as `--device` takes it."""
    device = torch.device(pick_device(str(device)))
    preset, _ = presets.choose(job.preset)
    with _memory_errors(job):
        network = load_network(preset.generators[job.backend].weights, device)
        perceptors = tuple(ScheduledPerceptor(load_perceptor(row.weights, device), row) for row in preset.perceptors)
        prior = load_prior(preset.prior.weights, device) if preset.prior else None
        row = preset.embedding_prior
        embedding_prior = load_embedding_prior(row.weights, device) if row else None
    return Models(network, perceptors, device, prior, embedding_prior)


def run(job: Job, models: Models, sinks: Sequence[Sink] = (), *, init: Image.Image | None = None) -> Result:
    """Make the picture of one job; `init` is the loaded init image, where the job names one."""
    return run_together([job], models, sinks, inits=[init] if init else [])[0]


def run_together(
    jobs: Sequence[Job], models: Models, sinks: Sequence[Sink] = (), *, inits: Sequence[Image.Image] = ()
) -> list[Result]:
    """Make the pictures of several jobs in lockstep, each as it would be made alone but for rounding.

    The jobs agree in `SHARED`, and each has its init image in `inits` or none has. Ctrl-C ends the loop after the
    step that is being made, hands the sinks what was reached and is raised only then.
    """
    outcome = Outcome.FAILED
    with held_back() as stop:
        try:
            with _memory_errors(jobs[0]):
                scene = _Scene(jobs, models, inits)
                _optimise(scene, sinks, stop)
                final = scene.finish()
                _report(sinks, final.step)
            outcome = Outcome.FINISHED if scene.done == scene.total else Outcome.INTERRUPTED
        finally:
            _close(sinks, outcome)
    pictures = zip(final.step.image, scene.jobs, final.scores.tolist(), strict=True)
    return [Result(to_pil(image), job, score) for image, job, score in pictures]


def _optimise(scene: _Scene, sinks: Sequence[Sink], stop: Stop) -> None:
    """Make all updates, or those until a stop is asked for."""
    while scene.done < scene.total and not stop.asked:
        measured = scene.measure()
        _report(sinks, measured.step)
        scene.update(measured.losses)


@dataclass(frozen=True)
class _Measured:
    """The pictures at one moment and how far they are from what was asked for."""

    losses: Tensor
    """(B,) with their graph."""
    scores: Tensor
    """(B,)"""
    step: Step


class _Scene:
    """The pictures being made together, and all that pulls at them."""

    def __init__(self, jobs: Sequence[Job], models: Models, inits: Sequence[Image.Image]) -> None:
        self.jobs = _resolved(jobs, inits)
        self.done = 0
        self._job = job = self.jobs[0]
        # Resolving has left none of these None.
        size, self.total, self._lr, count = cast(
            tuple[presets.Size, int, float, int], (job.size, job.steps, job.lr, job.cutouts)
        )
        self._preset, _ = presets.choose(job.preset)
        self._seeds = [job.seed for job in self.jobs]
        self._defaults = self._preset.generators[job.backend]
        self._network, self._size = models.network, size
        self._growth = 0 if inits else int(self.total * self._defaults.small_until)
        self._draw_at_(_half(size, self._defaults.stride) if self._growth else size)
        images = torch.cat([to_tensor(init, size) for init in inits]).to(models.device) if inits else None
        _start_(self._generator, self._seeds, images)
        prompts = [[prompt.stopping_at(self._defaults.stop) for prompt in job.prompts] for job in self.jobs]
        plan = ViewPlan(count, size, self._preset.views)
        imagination = None
        if models.embedding_prior and (row := self._preset.embedding_prior):
            imagination = Imagination(models.embedding_prior, row, images)
        self._guide = Guide(models.perceptors, prompts, self._seeds, plan, models.device, imagination)
        self._plausibility = None
        if models.prior and (settings := self._preset.prior):
            settings = settings.starting_at_image() if inits else settings
            self._plausibility = Plausibility(models.prior, settings, self._seeds, size, self._guide.gist())

    def _draw_at_(self, size: presets.Size) -> None:
        """Have latents for pictures of that size, not yet started."""
        self._generator = generators.create(self._job.backend, self._network, len(self.jobs), size)
        self._optimizer = LatentOptimizer(self._generator.parameters(), self._lr, self._defaults.optimizer)

    def _grow(self) -> None:
        """Go on at full size from the pictures so far, enlarged."""
        with torch.no_grad():
            images = self._enlarged(self._generator.decode())
        self._draw_at_(self._size)
        self._generator.start_from_images_(images)
        self._growth = 0

    def _enlarged(self, images: Tensor) -> Tensor:
        """Images (B, 3, h, w) at full size."""
        width, height = self._size
        if images.shape[2:] == (height, width):
            return images
        return interpolate(images, (height, width), mode="bicubic").clamp(0, 1)

    def measure(self) -> _Measured:
        """Draw the pictures as they are and compare them with what was asked for."""
        if self._growth and self.done >= self._growth:
            self._grow()
        self._generator.set_step(self.done, self.total, self._seeds)
        return self._measure()

    def update(self, losses: Tensor) -> None:
        """Move the latents down the gradient of their losses (B,)."""
        self._optimizer.step(losses.sum(), self.done / self.total)
        self._generator.project_()
        self.done += 1

    def finish(self) -> _Measured:
        """Draw and compare the final pictures, however many updates were made."""
        self._generator.set_step(self.total, self.total, self._seeds)
        with torch.no_grad():
            final = self._measure()
        if not final.losses.isfinite().all():
            raise DivergedError(f"the numbers grew without bound; try a --lr below {self._lr:g}")
        return final

    def _measure(self) -> _Measured:
        images = self._generator.decode()
        insistence = self._defaults.insistence * self.done / self.total
        prompt_losses, scores = self._guide.compare(images, self.done, self.total, insistence)
        terms = {"prompt": prompt_losses}
        if self._plausibility:
            terms["prior"] = self._defaults.prior_weight * self._plausibility.loss(images, self.done, self.total)
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
            image=self._enlarged(images.detach()),
        )
        return _Measured(losses, scores, step)


def _half(size: presets.Size, stride: int) -> presets.Size:
    """Half of a size on the grid of `stride`, at least one cell."""
    width, height = (max(side // 2 // stride, 1) * stride for side in size)
    return width, height


def _start_(generator: Generator, seeds: Sequence[int], images: Tensor | None) -> None:
    """Start at the images (B, 3, H, W), or without any at noise."""
    if images is None:
        generator.start_from_noise_(seeds)
    else:
        generator.start_from_images_(images)


def _resolved(jobs: Sequence[Job], inits: Sequence[Image.Image]) -> list[Job]:
    """Fill in the defaults of jobs and check that they can be made together."""
    if len(inits) != sum(job.init is not None for job in jobs) or len(inits) not in (0, len(jobs)):
        raise UsageError("a job that names an init image must come with it, and of jobs made together all or none do")
    sizes = [init.size for init in inits] if inits else [None] * len(jobs)
    resolved = [presets.resolve(job, size)[0] for job, size in zip(jobs, sizes, strict=True)]
    for name in SHARED:
        values = {getattr(job, name) for job in resolved}
        if len(values) > 1:
            raise UsageError(f"jobs that are made together must have the same {name}, got {values}")
    return resolved


def _report(sinks: Sequence[Sink], step: Step) -> None:
    for sink in sinks:
        sink.on_step(step)


def _close(sinks: Sequence[Sink], outcome: Outcome) -> None:
    """Close every sink, also where closing another one fails."""
    with ExitStack() as stack:
        for sink in reversed(sinks):
            stack.callback(sink.close, outcome)


@contextmanager
def _memory_errors(job: Job) -> Iterator[None]:
    """Turn running out of memory, of the machine or of the GPU, into one line."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        message = f"out of memory with backend {job.backend}; try a smaller --size or fewer --cutouts"
        raise OutOfMemoryError(message) from error
