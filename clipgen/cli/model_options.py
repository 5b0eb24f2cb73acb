"""The options that name models other than the preset's, and the fields of a job that they set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from clipgen.cli.option_groups import Option
from clipgen.errors import UsageError, unknown_value
from clipgen.weights.registry import HUB_PREFIX, LOCAL, networks

MODELS = "Models"


@dataclass(frozen=True)
class ModelOptions:
    """Models other than the preset's; the user's own files are read when `job_fields` is called."""

    clip: Annotated[
        list[str] | None,
        Option(
            "--clip",
            "A CLIP to guide with, instead of the preset's; repeat it to average the losses of several. ViT-B-32, "
            "RN50, another name from `clipgen models list`, or hf-hub:OWNER/NAME.",
            "NAME",
            panel=MODELS,
        ),
    ] = None
    clip_weights: Annotated[
        list[Path] | None,
        Option(
            "--clip-weights",
            "Your own weights for a --clip, which then names their architecture; one file for each.",
            "FILE",
            panel=MODELS,
        ),
    ] = None
    vqgan: Annotated[
        str | None,
        Option(
            "--vqgan",
            "The VQGAN to use instead of the preset's: a name from `clipgen models list`, or your own checkpoint.",
            "NAME|FILE",
            panel=MODELS,
        ),
    ] = None
    vqgan_config: Annotated[
        Path | None,
        Option(
            "--vqgan-config",
            "The config of that checkpoint; without it, the architecture is inferred from the shapes of the tensors.",
            "FILE.yaml",
            panel=MODELS,
        ),
    ] = None
    dvae: Annotated[
        list[Path] | None,
        Option(
            "--dvae",
            "Your own dVAE to use instead of the preset's; give the option twice, for its encoder and its decoder.",
            "FILE",
            panel=MODELS,
        ),
    ] = None
    offline: Annotated[bool, Option("--offline", "Download nothing; missing weights are an error.", panel=MODELS)] = (
        False
    )

    def job_fields(self, backend: str) -> dict[str, Any]:
        """Return the fields of a job that name models; empty if no option was given. Raises UsageError."""
        for name, value in (("vqgan", self.vqgan), ("dvae", self.dvae)):
            if value and backend != name:
                raise UsageError(f"--{name} goes with --backend {name}, not with {backend}")
        if self.vqgan_config and not self.vqgan:
            raise UsageError(
                f"--vqgan-config {self.vqgan_config} needs the checkpoint that it belongs to; add --vqgan FILE"
            )
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
            raise UsageError(
                f"--clip-weights is given {len(files)} times and --clip {len(names)} times; give one of each"
            )
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
    """Return the network that a text names, such as "clip/openai-vit-b-32" for "ViT-B/32"; None if it names none."""
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
