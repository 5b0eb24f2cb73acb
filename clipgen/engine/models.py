"""The networks that a plan names, loaded and frozen on one device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from threading import Lock
from typing import Any, TypeVar

import torch
from torch import nn

from clipgen.config.plan import Plan
from clipgen.config.priors import PriorSettings
from clipgen.config.settings import BF16, PerceptorSettings, UnclipSettings
from clipgen.core.loop import Guide
from clipgen.engine.memory import is_memory_error
from clipgen.engine.modes import usual_modes
from clipgen.engine.precision import lower_
from clipgen.engine.upscaling import Upscaler, load_upscaler
from clipgen.errors import OutOfMemoryError, UsageError
from clipgen.generators import GENERATORS
from clipgen.generators.networks import Network, build_network
from clipgen.generators.tokens import Tokenizer
from clipgen.perceptors.classifier import ClassifierPerceptor, build_classifier
from clipgen.perceptors.clip import CLIPPerceptor, build_perceptor
from clipgen.util.devices import fallback_note, in_single, pick_device
from clipgen.util.text import quoted
from clipgen.weights.kinds import STARTER_PACKAGE
from clipgen.weights.loader import Note, load

_loading = Lock()
"""Networks are built one at a time, as each draws numbers before it gets its weights, and the state is put back."""

Loaded = TypeVar("Loaded", bound=nn.Module)

PROPOSALS: dict[type, str] = {
    UnclipSettings: f"{STARTER_PACKAGE}.unclip.proposal",
    PriorSettings: "clipgen.priors.proposal",
}
"""By settings: the module whose `load` and `propose` make a `Proposal`; imported on first use."""


@dataclass(frozen=True)
class Models:
    """The networks of one plan, frozen, on one device; any number of runs can share them."""

    network: nn.Module
    """The generator's network; a module without parameters if it has none."""
    guides: tuple[Guide, ...]
    device: torch.device
    proposing: Any = None
    """What the proposal module's `load` returned, if the plan has an unCLIP or a prior."""
    upscaler: Upscaler | None = None
    """What enlarges the finished picture, if a network does."""


def load_models(plan: Plan, device: str | torch.device = "auto", note: Note = lambda _line: None) -> Models:
    """Load the networks of a plan; `device` is as for `--device`, and `note` receives lines for the user.

    Nothing is downloaded: missing files raise WeightsMissingError, which names the command that gets them.
    """
    device = torch.device(pick_device(str(device)))
    ready = partial(_ready, device=device)
    if (said := fallback_note(device)) is not None:
        note(said)
    with memory_errors(plan.backend), _building(device):
        network = ready(_generator(plan, note))
        seen = {name: ready(perceptor_of(name, note)) for name in dict.fromkeys(row.weights for row in plan.perceptors)}
        guides = tuple(Guide(_as_set(seen[row.weights], row), row) for row in plan.perceptors)
        proposing = None
        for settings in plan.proposing:
            same = network if settings.autoencoder == plan.generator.weights else None
            proposing = proposal_module(settings).load(settings, load, ready, same)
        models = Models(network, guides, device, proposing, load_upscaler(plan, device, note))
        compute_in_(models, plan.precision)
    return models


def load_autoencoder(name: str, device: torch.device, note: Note = lambda _line: None) -> Network:
    """Load an autoencoder, frozen, as `load_models` does. Raises UsageError for any other network."""
    with memory_errors(name.split("/")[0]), _building(device):
        return _ready(build_network(load(name, note)), device)


def load_tokenizer(name: str, device: torch.device, note: Note = lambda _line: None) -> Tokenizer:
    """Load an autoencoder with a codebook, frozen. Raises UsageError for any other network."""
    network = load_autoencoder(name, device, note)
    if not isinstance(network, Tokenizer):
        raise UsageError(f"{name} has no tokens; use a VQGAN, a dVAE or a TiTok")
    return network


def _ready(module: Loaded, device: torch.device) -> Loaded:
    """Return a module frozen and on a device."""
    in_single(module, device)
    return module.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)


@contextmanager
def _building(device: torch.device) -> Iterator[None]:
    """Build networks, in the usual modes, and put the state of torch's random generators back."""
    with usual_modes(), _loading, torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def compute_in_(models: Models, precision: str) -> None:
    """Have new models, which are in float32, compute in a precision, one of PRECISIONS."""
    if precision == BF16:
        bulks = [getattr(each, "bulk", ()) for each in (models.network, *(row.perceptor for row in models.guides))]
        for part in dict.fromkeys(part for bulk in bulks for part in (bulk if isinstance(bulk, tuple) else (bulk,))):
            lower_(part, models.device)


def _as_set(perceptor: Any, settings: PerceptorSettings) -> Any:
    """Return a perceptor with the distance and the scale of its settings; UsageError if it has no other ones."""
    if isinstance(perceptor, CLIPPerceptor) and settings.distance != perceptor.distance:
        perceptor = perceptor.by(settings.distance)
    if settings.scale == 1.0:
        return perceptor
    if not isinstance(perceptor, ClassifierPerceptor):
        raise UsageError(f"{settings.weights} takes cutouts of one size only, so that they cannot be scaled")
    return perceptor.scaled(settings.scale)


def _generator(plan: Plan, note: Note) -> nn.Module:
    """Return the generator's network; UsageError where the plan names one that its backend cannot use."""
    name, stride = plan.generator.weights, plan.generator.stride
    if bool(name) != GENERATORS[plan.backend].has_network:
        raise UsageError(f"backend {plan.backend} has {'no' if name else 'a'} network, got {quoted(name)}")
    if not name:
        return nn.Identity()
    checkpoint = load(name, note)
    network = build_network(checkpoint)
    if (checkpoint.kind, network.stride) != (plan.backend, stride):
        found = f"a {checkpoint.kind} with cells of {network.stride} pixels"
        raise UsageError(f"{name} must be a {plan.backend} with cells of {stride} pixels, and is {found}")
    return network


def proposal_module(settings: UnclipSettings | PriorSettings) -> Any:
    """Import the module that makes the proposals of these settings."""
    return import_module(PROPOSALS[type(settings)])


def load_judges(plan: Plan, models: Models) -> list[Any]:
    """Return the perceptors that rank pictures: the judges of the plan, or the guiding perceptors if it has none."""
    if not plan.judges:
        return [guide.perceptor for guide in models.guides]
    judges = [perceptor_of(name).eval().requires_grad_(False) for name in plan.judges]
    return [in_single(judge, models.device).to(models.device) for judge in judges]


def perceptor_of(name: str, note: Note = lambda _line: None) -> Any:
    """Return the perceptor, a CLIP or a classifier, with the weights of this name."""
    checkpoint = load(name, note)
    return build_classifier(checkpoint) if checkpoint.kind == "classifier" else build_perceptor(checkpoint)


@contextmanager
def memory_errors(backend: str, way_out: str = "a smaller --size or fewer --cutouts") -> Iterator[None]:
    """Turn running out of memory, on the machine or the GPU, into an OutOfMemoryError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        message = f"out of memory with backend {backend}; try {way_out}"
        raise OutOfMemoryError(message) from error
