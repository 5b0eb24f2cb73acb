"""The options that choose models other than the preset's, and what they mean for a job."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from clipgen.errors import UsageError, unknown_value
from clipgen.weights.registry import HUB_PREFIX, LOCAL, networks

MODELS = "Models"

Clip = Annotated[
    list[str] | None,
    typer.Option(
        "--clip",
        metavar="NAME",
        help="A CLIP that guides, in place of the preset's; given several times, their losses are averaged. "
        "ViT-B-32, RN50, another name of `clipgen models list`, or hf-hub:OWNER/NAME.",
        rich_help_panel=MODELS,
        show_default=False,
    ),
]
ClipWeights = Annotated[
    list[Path] | None,
    typer.Option(
        "--clip-weights",
        metavar="FILE",
        help="Your own weights for a --clip, which then names their architecture; one for each.",
        rich_help_panel=MODELS,
        show_default=False,
    ),
]
Vqgan = Annotated[
    str | None,
    typer.Option(
        "--vqgan",
        metavar="NAME|FILE",
        help="The VQGAN, in place of the preset's: a name of `clipgen models list`, or a checkpoint of your own.",
        rich_help_panel=MODELS,
        show_default=False,
    ),
]
VqganConfig = Annotated[
    Path | None,
    typer.Option(
        "--vqgan-config",
        metavar="FILE.yaml",
        help="The config of that checkpoint; without it the shapes of its tensors tell.",
        rich_help_panel=MODELS,
        show_default=False,
    ),
]
Dvae = Annotated[
    list[Path] | None,
    typer.Option(
        "--dvae",
        metavar="FILE",
        help="A dVAE of your own, in place of the preset's: given twice, its encoder and its decoder.",
        rich_help_panel=MODELS,
        show_default=False,
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline", metavar="", help="Download nothing; missing weights are an error.", rich_help_panel=MODELS
    ),
]


@dataclass(frozen=True)
class Choice:
    """What was typed of models; a file is brought into the cache when it is asked what the choice means."""

    clip: list[str] | None
    clip_weights: list[Path] | None
    vqgan: str | None
    vqgan_config: Path | None
    dvae: list[Path] | None

    def for_job(self, backend: str) -> dict[str, Any]:
        """Return the fields of a job that name the models; none where nothing was typed. Raises UsageError."""
        for name, value in (("vqgan", self.vqgan), ("dvae", self.dvae)):
            if value and backend != name:
                raise UsageError(f"--{name} goes with --backend {name}, not with {backend}")
        if self.vqgan_config and not self.vqgan:
            raise UsageError(f"--vqgan-config {self.vqgan_config} needs the checkpoint that it is of; add --vqgan FILE")
        clips, network = tuple(self._clips()), self._network()
        return ({"clips": clips} if clips else {}) | ({"network": network} if network else {})

    def _network(self) -> str | None:
        if self.dvae:
            from clipgen.weights.imports import import_dvae

            return import_dvae(self.dvae)
        return self._vqgan(self.vqgan) if self.vqgan else None

    def _vqgan(self, text: str) -> str:
        if name := _known("vqgan", text):
            if self.vqgan_config:
                raise UsageError(f"--vqgan-config goes with a checkpoint of your own; the config of {name} is known")
            return name
        if not _exists(text):
            raise unknown_value("--vqgan, where it names no file,", text, networks("vqgan"))
        from clipgen.weights.imports import import_vqgan

        return import_vqgan(Path(text), self.vqgan_config)

    def _clips(self) -> list[str]:
        names, files = self.clip or [], self.clip_weights or []
        if not files:
            return [_clip(name) for name in names]
        if names and len(names) != len(files):
            raise UsageError(f"--clip-weights is given {len(files)} times and --clip {len(names)}: give each a partner")
        from clipgen.weights.imports import import_clip

        models: list[str | None] = [*names] if names else [None for _ in files]
        return [import_clip(name, file) for name, file in zip(models, files, strict=True)]


def _clip(text: str) -> str:
    if text.startswith(HUB_PREFIX):
        from clipgen.weights.imports import import_hub

        return import_hub(text)
    if name := _known("clip", text):
        return name
    raise unknown_value("--clip", text, networks("clip"))


def _known(kind: str, text: str) -> str | None:
    """Return the name of the network that a text means, "ViT-B/32" is "clip/openai-vit-b-32"; None if it means none."""
    if LOCAL.fullmatch(text) and text.startswith(f"{kind}/"):
        return text
    plain = text.lower().replace("/", "-").replace(":", "-").replace("@", "-").removesuffix("px")
    names = networks(kind)
    short = {name: name.removeprefix(f"{kind}/").removeprefix("openai-") for name in names}
    return next((name for name in names if text == name or plain in (name.removeprefix(f"{kind}/"), short[name])), None)


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # no file can have such a name
        return False
