"""The run: from a job to a picture. The loop reports its steps; showing and saving them is the work of sinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast

import torch
from PIL import Image
from torch import Tensor, nn

from clipgen.config import presets, resolving
from clipgen.config.job import Job, parse_prompts
from clipgen.core.contracts import Outcome, Sink, Step
from clipgen.core.guidance import ScheduledPerceptor
from clipgen.engine.cost import Models
from clipgen.engine.memory import is_memory_error
from clipgen.engine.scene import Scene, Snapshot
from clipgen.errors import DivergedError, OutOfMemoryError, UsageError
from clipgen.generators.networks import build_network
from clipgen.perceptors.clip import build_perceptor
from clipgen.starter.unclip.coarse import build_sketcher
from clipgen.starter.unclip.decoder import build_painter
from clipgen.starter.unclip.imagination import Imaginer
from clipgen.starter.unclip.prior import build_feature_prior
from clipgen.util.devices import pick_device
from clipgen.util.images import load_image, to_pil, to_tensor
from clipgen.util.interrupts import Stop, held_back
from clipgen.weights.loader import Note, load

Loaded = TypeVar("Loaded", bound=nn.Module)

# Jobs that are made together may differ in everything else.
SHARED = ("backend", "preset", "size", "steps", "lr", "cutouts", "init_weight", "clips", "network")


class Keeper(Protocol):
    """Keeps what a run needs to go on after it was stopped, or killed."""

    def is_due(self, done: int, total: int) -> bool:
        """Tell whether it is time to keep something, after so many of all updates."""

    def keep(self, snapshot: Snapshot) -> None:
        """Keep this in place of what was kept before."""


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
    job, job_notes = resolving.resolve(job, init.size if init else None, device)
    result = run(job, load_models(job, device), sinks, init=init)
    return replace(result, notes=(*init_notes, *job_notes))


def load_models(job: Job, device: str | torch.device = "auto", note: Note = lambda _line: None) -> Models:
    """Load what a resolved job needs; `device` is as `--device` takes it, and `note` takes a line for the user.

    Nothing is downloaded: WeightsMissingError, with the command that gets them, where files are missing.
    """
    device = torch.device(pick_device(str(device)))
    preset = resolving.models_of(job)

    def ready(module: Loaded) -> Loaded:
        return module.eval().requires_grad_(False).to(device)

    with _memory_errors(job):
        name = preset.generators[job.backend].weights
        network = ready(build_network(load(name, note)))
        perceptors = tuple(
            ScheduledPerceptor(ready(build_perceptor(load(row.weights, note))), row) for row in preset.perceptors
        )
        row = preset.feature_prior
        imaginer = _imaginer(row, ready, network if row.decoder == name else None) if row else None
    return Models(network, perceptors, device, imaginer)


def _imaginer(row: presets.FeaturePriorSettings, ready: Callable[[Any], Any], decoder: Any) -> Imaginer:
    """Load what imagines; `decoder` is that of its paintings, where the backend has loaded it already."""
    return Imaginer(
        ready(build_feature_prior(load(row.weights))),
        ready(build_sketcher(load(row.sketcher))),
        ready(build_painter(load(row.painter))),
        ready(build_painter(load(row.upsampler))),
        decoder or ready(build_network(load(row.decoder))),
    )


def run(
    job: Job,
    models: Models,
    sinks: Sequence[Sink] = (),
    *,
    init: Image.Image | None = None,
    keeper: Keeper | None = None,
    snapshot: Snapshot | None = None,
) -> Result:
    """Make the picture of one job; `init` is the loaded init image, where the job names one.

    `keeper` keeps what is needed to go on, and `snapshot` is what it has kept: the run goes on from there.
    """
    return run_together([job], models, sinks, inits=[init] if init else [], keeper=keeper, snapshot=snapshot)[0]


def run_together(
    jobs: Sequence[Job],
    models: Models,
    sinks: Sequence[Sink] = (),
    *,
    inits: Sequence[Image.Image] = (),
    keeper: Keeper | None = None,
    snapshot: Snapshot | None = None,
) -> list[Result]:
    """Make the pictures of several jobs in lockstep, each as it would be made alone but for rounding.

    The jobs agree in `SHARED`, and each has its init image in `inits` or none has. Ctrl-C ends the loop after the
    step that is being made, hands the sinks what was reached and is raised only then.
    """
    outcome = Outcome.FAILED
    with held_back() as stop:
        try:
            with _memory_errors(jobs[0]):
                resolved = _resolved(jobs, inits)
                scene = Scene(resolved, models, _as_tensors(inits, resolved[0], models.device), snapshot)
                _optimise(scene, sinks, stop, keeper)
                final = scene.finish()
                _report(sinks, final.step)
            outcome = Outcome.FINISHED if scene.done == scene.total else Outcome.INTERRUPTED
        except DivergedError:
            outcome = Outcome.DIVERGED if scene.has_pictures else Outcome.FAILED
            raise
        finally:
            _close(sinks, outcome)
    pictures = zip(final.step.image, resolved, final.scores.tolist(), strict=True)
    return [Result(to_pil(image), job, score) for image, job, score in pictures]


def _optimise(scene: Scene, sinks: Sequence[Sink], stop: Stop, keeper: Keeper | None) -> None:
    """Make all updates, or those until a stop is asked for."""
    while scene.done < scene.total and not stop.asked:
        _report(sinks, scene.measure().step)
        scene.update()
        if keeper and (keeper.is_due(scene.done, scene.total) or stop.asked):
            keeper.keep(scene.snapshot())


def _as_tensors(inits: Sequence[Image.Image], job: Job, device: torch.device) -> Tensor | None:
    """Init images (B, 3, H, W) at the size of the pictures; None if there are none."""
    size = cast(presets.Size, job.size)
    return torch.cat([to_tensor(init, size) for init in inits]).to(device) if inits else None


def _resolved(jobs: Sequence[Job], inits: Sequence[Image.Image]) -> list[Job]:
    """Fill in the defaults of jobs and check that they can be made together."""
    if len(inits) != sum(job.init is not None for job in jobs) or len(inits) not in (0, len(jobs)):
        raise UsageError("a job that names an init image must come with it, and of jobs made together all or none do")
    sizes = [init.size for init in inits] if inits else [None] * len(jobs)
    resolved = [resolving.resolve(job, size)[0] for job, size in zip(jobs, sizes, strict=True)]
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
        if not is_memory_error(error):
            raise
        message = f"out of memory with backend {job.backend}; try a smaller --size or fewer --cutouts"
        raise OutOfMemoryError(message) from error
