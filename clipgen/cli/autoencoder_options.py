"""The options that name autoencoders, to encode or decode with. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from clipgen.cli.model_options import MODELS, ModelOptions
from clipgen.cli.option_groups import Option
from clipgen.config.preset import DEFAULT_BACKEND, DRAFT
from clipgen.config.presets import PRESETS
from clipgen.config.tokens import backends_with_tokens, no_tokens
from clipgen.errors import UsageError, unknown_value
from clipgen.generators import GENERATORS
from clipgen.weights import registry
from clipgen.weights.cache import Cache

KINDS = tuple(name for name, row in GENERATORS.items() if row.has_network)
"""The backends that can be an autoencoder."""


@dataclass(frozen=True)
class AutoencoderOptions:
    """Which autoencoders, and where they compute; the user's own files are read when `names` is called."""

    backend: Annotated[
        str | None,
        Option(
            "--backend",
            "The sort of autoencoder: the pretrained one if it is installed, else that of the starter set.",
            choices=KINDS,
            panel=MODELS,
            default=DEFAULT_BACKEND,
        ),
    ] = None
    every: Annotated[
        bool, Option("--all", "Every autoencoder that is ready on this machine, side by side.", panel=MODELS)
    ] = False
    vqgan: Annotated[
        list[str] | None,
        Option(
            "--vqgan",
            "A VQGAN: starter/vqgan, a name from `clipgen models list`, or your own checkpoint; repeat it for several.",
            "NAME|FILE",
            panel=MODELS,
        ),
    ] = None
    vqgan_config: Annotated[
        Path | None, Option("--vqgan-config", "The config of your checkpoint.", "FILE.yaml", panel=MODELS)
    ] = None
    dvae: Annotated[
        list[str] | None,
        Option(
            "--dvae",
            "A dVAE: dall-e, starter/dvae, or your own in one file, or in two: give the option twice.",
            "NAME|FILE",
            panel=MODELS,
        ),
    ] = None
    kl: Annotated[
        list[str] | None,
        Option(
            "--kl",
            "A continuous autoencoder: a name from `clipgen models list`, or your own in one file, or in two: give the "
            "option twice.",
            "NAME|FILE",
            panel=MODELS,
        ),
    ] = None
    titok: Annotated[
        list[str] | None,
        Option(
            "--titok",
            "A TiTok: a name from `clipgen models list`, or your own file; repeat it for several.",
            "NAME|FILE",
            panel=MODELS,
        ),
    ] = None
    ema: Annotated[
        bool, Option("--ema", "Take the moving averages of the weights (EMA) from your own files.", panel=MODELS)
    ] = False
    device: Annotated[
        str,
        Option(
            "--device",
            "Where to compute; auto uses a GPU if there is one.",
            "auto|cpu|cuda[:N]|mps",
            ("auto", "cpu", "cuda", "mps"),
            panel=MODELS,
        ),
    ] = "auto"

    @cached_property
    def notes(self) -> list[str]:
        """What was taken from the user's own files; `names` adds to it."""
        return []

    def names(self) -> list[str]:
        """Return the names of the networks that are meant, each once. Raises UsageError."""
        self._check_backend()
        found = [*self._vqgans(), *self._in_halves("dvae", self.dvae), *self._in_halves("kl", self.kl)]
        found += [self._imported("titok", titok=text) for text in self.titok or ()]
        found += ready_autoencoders(self._kinds) if self.every else ()
        return list(dict.fromkeys(found)) or [usual_autoencoder(self.backend or DEFAULT_BACKEND)]

    @property
    def _kinds(self) -> tuple[str, ...]:
        return KINDS if self.backend is None else (self.backend,)

    def _check_backend(self) -> None:
        if self.backend is None:
            return
        if self.backend not in GENERATORS:
            raise unknown_value("--backend", self.backend, backends_with_tokens())
        if self.backend not in KINDS:
            raise no_tokens("--backend", self.backend)
        for kind in KINDS:
            if getattr(self, kind) and kind != self.backend:
                raise UsageError(f"--{kind} goes with --backend {kind}, not with {self.backend}")

    def _vqgans(self) -> list[str]:
        named = self.vqgan or []
        if self.vqgan_config and len(named) != 1:
            raise UsageError(f"--vqgan-config {self.vqgan_config} goes with one --vqgan FILE, got {len(named)}")
        return [text if text == "starter/vqgan" else self._imported("vqgan", vqgan=text) for text in named]

    def _in_halves(self, kind: str, given: list[str] | None) -> list[str]:
        """Return the names of networks of a kind whose files may hold halves: those that are no names go together."""
        named = given or []
        known = [text if text == f"starter/{kind}" else registry.known_network(kind, text) for text in named]
        files = [Path(text) for text, name in zip(named, known, strict=True) if name is None]
        return [*filter(None, known), *([self._imported(kind, **{kind: files})] if files else [])]

    def _imported(self, kind: str, **given: object) -> str:
        """Return the name of a network that an option of a run would mean."""
        config = self.vqgan_config if kind == "vqgan" else None
        options = ModelOptions(vqgan_config=config, ema=self.ema, **given)  # type: ignore[arg-type]
        name: str = options.job_fields(kind)["network"]
        self.notes.extend(options.notes)
        return name


def ready_autoencoders(kinds: tuple[str, ...] = KINDS) -> list[str]:
    """Return the autoencoders of these kinds that need no download: the starter set's, published and own ones."""
    own = [name for name in registry.cached_networks(Cache()) if registry.is_own(name)]
    found = []
    for kind in kinds:
        published = [name for name in registry.networks(kind) if not registry.missing([name])]
        starter = [name for name in (f"starter/{kind}",) if registry.is_ready(name)]
        found += [*starter, *published, *(name for name in own if name.startswith(f"{kind}/"))]
    return found


def usual_autoencoder(backend: str) -> str:
    """Return the pretrained autoencoder of a backend if it is installed or the starter set has none, else that."""
    pretrained, starter = PRESETS[DRAFT].generators[backend].weights, f"starter/{backend}"
    return starter if registry.is_ready(starter) and registry.missing([pretrained]) else pretrained
