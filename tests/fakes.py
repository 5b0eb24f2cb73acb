"""Small stand-ins for models, with the contracts of the real ones and results that can be worked out by hand."""

import atexit
import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import lean_imports  # noqa: F401 - before all that follows
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from clipgen import generators
from clipgen.config.job import Job
from clipgen.config.plan import Plan
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import parse_prompts
from clipgen.config.resolve import resolve
from clipgen.config.sequences import SequenceSettings
from clipgen.config.settings import PerceptorSettings
from clipgen.core.contracts import Loss, Outcome, Step
from clipgen.core.loop import CutoutPlan, Guide, Loop
from clipgen.core.losses import Objective, encode_targets
from clipgen.core.optim import LatentOptimizer
from clipgen.engine import run
from clipgen.engine.models import Models
from clipgen.engine.optimise import Result
from clipgen.perceptors.clip import spherical_distance
from clipgen.session import session
from clipgen.steering.losses import make_loss
from clipgen.util.images import as_tensor, resized

STRIDE = 8
TITOK_SIDE = 32
Cli = Callable[..., Any]
"""Types a command; returns what typer.testing does."""
LEVELS = torch.tensor([0.0, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0])
PALETTE = torch.cartesian_prod(LEVELS, LEVELS, LEVELS)  # (343, 3)
COLOURS = {"red": (1, -1, -1), "green": (-1, 1, -1), "blue": (-1, -1, 1), "white": (1, 1, 1), "black": (-1, -1, -1)}


class FakeVQGAN(nn.Module):
    """Codes are colours; a cell is drawn as a square of its code's colour, stretched a little beyond [0, 1]."""

    stride = STRIDE

    def __init__(self) -> None:
        super().__init__()
        self.codebook = nn.Parameter(PALETTE.clone(), requires_grad=False)

    def encode(self, images: Tensor) -> Tensor:
        return interpolate(images, scale_factor=1 / STRIDE, mode="area")

    def lookup(self, indices: Tensor) -> Tensor:
        return self.codebook[indices].movedim(-1, 1)

    @property
    def code_count(self) -> int:
        return len(self.codebook)

    def codes_of(self, images: Tensor) -> Tensor:
        return (self.encode(images).movedim(1, -1)[..., None, :] - self.codebook).square().sum(-1).argmin(-1)

    def images_of(self, codes: Tensor) -> Tensor:
        return self.decode(self.lookup(codes)).clamp(0, 1)

    def projection(self) -> Callable[[Tensor], Tensor]:
        low, high = (bound(0)[None, :, None, None] for bound in (self.codebook.amin, self.codebook.amax))
        return lambda latent: latent.clamp(low, high)

    def straight_through(self, latent: Tensor) -> Tensor:
        cells = latent.detach().movedim(1, -1)
        nearest = (cells[..., None, :] - self.codebook).square().sum(-1).argmin(-1)
        return latent + (self.lookup(nearest) - latent).detach()

    def decode(self, codes: Tensor) -> Tensor:
        return 1.2 * interpolate(codes, scale_factor=STRIDE) - 0.1


class FakeDVAE(nn.Module):
    """The same colours as a vocabulary."""

    stride = STRIDE
    vocab_size = len(PALETTE)

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Parameter(PALETTE.clone(), requires_grad=False)

    def encode(self, images: Tensor) -> Tensor:
        cells = interpolate(images, scale_factor=1 / STRIDE, mode="area")
        return -30 * (cells[:, None] - self.colours[None, :, :, None, None]).square().sum(2)

    def decode(self, codes: Tensor) -> Tensor:
        assert torch.equal(codes.detach().sum(1), torch.ones_like(codes[:, 0]))
        return interpolate(torch.einsum("bkhw,kc->bchw", codes, self.colours), scale_factor=STRIDE)

    @property
    def code_count(self) -> int:
        return self.vocab_size

    def codes_of(self, images: Tensor) -> Tensor:
        return self.encode(images).argmax(1)

    def images_of(self, codes: Tensor) -> Tensor:
        return self.decode(torch.nn.functional.one_hot(codes, self.vocab_size).movedim(-1, 1).float())


class FakeKL(nn.Module):
    """The colours themselves, spread to about standard normal."""

    stride = STRIDE
    channels = 3

    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Parameter(torch.tensor(4.0), requires_grad=False)

    def encode(self, images: Tensor) -> Tensor:
        return self.spread * (interpolate(images, scale_factor=1 / STRIDE, mode="area") - 0.5)

    def decode(self, latent: Tensor) -> Tensor:
        return interpolate(latent / self.spread + 0.5, scale_factor=STRIDE)


class FakeTiTok(nn.Module):
    """Its tokens are the cells of the fake VQGAN in a row."""

    stride = side = TITOK_SIDE
    tokens = (TITOK_SIDE // STRIDE) ** 2

    def __init__(self) -> None:
        super().__init__()
        self.vqgan = FakeVQGAN()

    @property
    def codebook(self) -> Tensor:
        return self.vqgan.codebook

    def encode(self, images: Tensor) -> Tensor:
        return self.vqgan.encode(images).flatten(2)[:, :, None]

    def lookup(self, indices: Tensor) -> Tensor:
        return self.vqgan.lookup(indices)

    @property
    def code_count(self) -> int:
        return len(self.codebook)

    def codes_of(self, images: Tensor) -> Tensor:
        return self.vqgan.codes_of(images).flatten(1)[:, None]

    def images_of(self, codes: Tensor) -> Tensor:
        return self.decode(self.lookup(codes)).clamp(0, 1)

    def straight_through(self, latent: Tensor) -> Tensor:
        return self.vqgan.straight_through(latent)

    def decode(self, codes: Tensor) -> Tensor:
        side = self.side // STRIDE
        return self.vqgan.decode(codes.reshape(len(codes), -1, side, side))


class FakePerceptor(nn.Module):
    """Sees the mean colour of each quarter of a view; knows the words of COLOURS, and reads one of them."""

    size = 16

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.zeros(1)

    def tokens_over_limit(self, text: str) -> int:
        return len(text.split()) - 1

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return normalize(torch.tensor([COLOURS[text] for text in texts]).float().repeat(1, 4), dim=1)

    def text_states(self, texts: Sequence[str]) -> Tensor:
        """A text's one token says half of it."""
        vectors = self.encode_texts(texts)
        return torch.stack([vectors, vectors / 2], 1)

    def whole(self, images: Tensor) -> Tensor:
        return interpolate(images, (self.size, self.size), mode="area")

    def prepared(self, picture: Image.Image) -> Tensor:
        return self.whole(as_tensor(picture))[0]

    def encode_images(self, views: Tensor) -> Tensor:
        return normalize(self._quarters(views).permute(0, 2, 3, 1).flatten(1) + 1e-3, dim=1)

    def distances(self, seen: Tensor, targets: Tensor) -> Tensor:
        return spherical_distance(seen[:, :, None], targets[:, None])

    def similarities(self, seen: Tensor, targets: Tensor) -> Tensor:
        return torch.einsum("bnd,bkd->bnk", seen, targets)

    def encode_with_maps(self, views: Tensor) -> tuple[Tensor, Tensor]:
        return self.encode_images(views), self._quarters(views)

    def _quarters(self, views: Tensor) -> Tensor:
        """(N, 3, 2, 2) from -1/2 to 1/2."""
        assert views.shape[1:] == (3, self.size, self.size)
        return interpolate(views, (2, 2), mode="area") - 0.5


class Recorder:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.outcomes: list[Outcome] = []

    def on_step(self, step: Step) -> None:
        self.steps.append(step)

    def close(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


class FakeProposal:
    """Proposes nothing: runs begin at noise, go by their texts, and are enlarged as they are."""

    def images(self) -> Mapping[int, Tensor]:
        return {}

    def losses(self) -> Mapping[str, Loss]:
        return {}

    def target_weights(self, weights: Tensor) -> Tensor:
        return weights

    def enlarge(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        return resized(images, size)


def propose(*_asked: Any, on_stage: Callable[[str], None]) -> FakeProposal:
    on_stage("proposing")
    return FakeProposal()


def guide(perceptor: nn.Module, **settings: float) -> Guide:
    return Guide(perceptor, PerceptorSettings("fake/perceptor", **settings))  # type: ignore[arg-type]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "vqgan": FakeVQGAN,
    "dvae": FakeDVAE,
    "kl": FakeKL,
    "titok": FakeTiTok,
    "pixels": nn.Identity,
    "strokes": nn.Identity,
}


def fake_models(backend: str = "vqgan", perceptors: int = 1) -> Models:
    network = NETWORKS[backend]()
    return Models(network, tuple(guide(FakePerceptor()) for _ in range(perceptors)), torch.device("cpu"))


def guided_by(*perceptors: nn.Module, backend: str = "vqgan") -> Models:
    """Models whose guides are these."""
    return replace(fake_models(backend), guides=tuple(map(guide, perceptors)))


def fake_loop(plan: Plan, models: Models, *others: Plan) -> Loop:
    """The loop of pictures that start at noise, as the core knows it."""
    plans = (plan, *others)
    seeds = [each.seed for each in plans]
    perceptors, shares = [each.perceptor for each in models.guides], [each.settings.weight for each in models.guides]
    readings = [[[one.text for one in each.prompts] for _ in perceptors] for each in plans]
    targets = encode_targets(perceptors, shares, [each.prompts for each in plans], readings, models.device)
    losses = {row.name: (make_loss(row, targets, None), row.weight) for row in plan.losses}
    generator = generators.create(plan.backend, models.network, models.device, len(plans), plan.size, plan.generator)
    generator.start_from_noise_(seeds)
    return Loop(
        generator=generator,
        optimizer=LatentOptimizer(generator.parameters(), [plan.lr] * len(plans), plan.generator.optimizer),
        objective=Objective(losses, targets, needs_maps=False),
        guides=models.guides,
        cutouts=CutoutPlan(plan.cutouts, plan.size, plan.augmentations),
        lr_schedule=plan.lr_schedule,
        seeds=seeds,
        total=plan.steps,
    )


FAKE_SEQUENCE = (SequenceSettings(FakeTiTok.tokens),)


def install(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Have every session use the fakes in place of the models that a plan names."""
    put(session, "load_models", lambda plan, device, note=None: fake_models(plan.backend))
    put(run, "proposal_module", lambda kind: SimpleNamespace(propose=propose))
    if put is setattr:
        atexit.register(gc.freeze)  # in a process of its own, as `clipgen.__main__` does


def size_of(backend: str | None) -> tuple[int, int]:
    return (TITOK_SIDE, TITOK_SIDE) if backend == "titok" else (48, 32)


def job(prompt: str = "red", **settings: Any) -> Job:
    backend = settings.get("backend")
    usual = {"size": size_of(backend), "steps": 12, "cutouts": 6, "lr": 3.0 if backend == "strokes" else 0.1}
    return Job(parse_prompts(prompt), **{**usual, **settings})


def plan(prompt: str = "red", **settings: Any) -> Plan:
    """The plan of a job for the starter set, without its unCLIP; of a backend that it lacks, with that of draft."""
    starter, backend = PRESETS["starter"], settings.get("backend", "vqgan")
    if backend in starter.generators:
        return replace(resolve(job(prompt, preset="starter", **settings))[0], unclip=())
    fixed = {"size": None} if backend == "titok" else {}
    made, _ = resolve(job(prompt, preset="draft", **{"clips": ("clip/openai-rn50",), **settings, **fixed}))
    judges = made.judges or starter.judges
    made = replace(made, preset="starter", perceptors=starter.perceptors, judges=judges, precision="fp32")
    if backend != "titok":
        return made
    generator = replace(made.generator, weights="titok/fake", stride=TITOK_SIDE, sequence=FAKE_SEQUENCE)
    return replace(made, size=size_of(backend), generator=generator)


def with_generator(plan: Plan, **settings: Any) -> Plan:
    """The plan with other settings of its generator."""
    return replace(plan, generator=replace(plan.generator, **settings))


def colour(result: Result) -> list[float]:
    return list(np.asarray(result.image, dtype=float).mean((0, 1)))
